//! A world in a few words: a stack named `demo` with a service `app` that needs a postgres `db`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use expect_test::Expect;

use super::super::{Action, Containers, InFlight, Inputs, Plan, plan};
use crate::model::backup::{Due, Work};
use crate::model::container::{ContainerSettings, Mount, MountSource, Protocol, PublishedPort};
use crate::model::family::{DataFound, Examined, Families, Family, Glibc, Library};
use crate::model::hash::{Fingerprint, SpecHash};
use crate::model::health::{Subject, Verdict, Verdicts};
use crate::model::history::{AcceptedImage, Failure, FailureKind, Goal, History, LastExit, Target};
use crate::model::image::{Build, Fallback, ImageOrigin, ImageSource, PullPolicy};
use crate::model::name::{ContainerId, ImageId, InstanceId, ReplicaKey, StackName, VolumeName, WorkloadName};
use crate::model::observed::{Container, ContainerState, Exit, Identity, Network, Observed, RunId, VolumeSeen};
use crate::model::postgres::{Backup, BackupSchedule, Postgres};
use crate::model::probe::{Check, Probe, Probes};
use crate::model::stack::{DaemonSettings, Stack, StackParts, Volume};
use crate::model::time::Moment;
use crate::model::wish::Wish;
use crate::model::workload::{Backoff, Condition, Dependency, Kind, KindName, Restart, Service, Workload};

#[derive(Debug, Clone)]
pub struct World {
    pub workloads: Vec<Workload>,
    pub observed: Observed,
    pub history: History,
    pub verdicts: Verdicts,
    pub in_flight: InFlight,
    pub families: Families,
    pub fingerprints: BTreeMap<WorkloadName, Fingerprint>,
    pub volumes: BTreeMap<VolumeName, Volume>,
    pub provisions: BTreeMap<WorkloadName, String>,
    pub backups: BTreeMap<WorkloadName, Due>,
    pub renamed_from: Option<StackName>,
}

/// The monotonic moment of every test.
pub const NOW: Moment = Moment::at(Duration::from_secs(1000));

pub fn instance() -> InstanceId {
    InstanceId("here".to_owned())
}

pub fn name(text: &str) -> WorkloadName {
    text.parse().expect("a name")
}

fn time(seconds: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(1_767_225_600 + seconds).expect("a time")
}

pub fn spec(text: &str) -> SpecHash {
    SpecHash::of(&serde_json::json!({ "image": text }))
}

fn image(reference: &str) -> ImageSource {
    let origin = ImageOrigin::Pull { policy: PullPolicy::Missing, fallback: None };
    ImageSource { reference: reference.to_owned(), origin, platform: None }
}

pub fn service(text: &str, needs: &[&str]) -> Workload {
    let on = |other: &&str| Dependency { on: name(other), condition: Condition::Ready };
    let probes = Probes::both(Probe::new(Check::Tcp, Some(8000)));
    let service = Service { port: Some(8000), replicas: 1, restart: Restart::Always, backoff: Backoff::default(), probes };
    Workload {
        name: name(text),
        kind: Kind::Service(Box::new(service)),
        image: image("app:1"),
        container: ContainerSettings { stop_grace: Duration::from_secs(10), ..ContainerSettings::default() },
        dependencies: needs.iter().map(on).collect(),
        spec: spec(text),
    }
}

fn volumes_of(workload: &Workload) -> Vec<String> {
    let named = workload.container.mounts.iter().filter_map(|mount| match &mount.source {
        MountSource::Volume(volume) => Some(format!("demo_{volume}")),
        MountSource::Bind(_) => None,
    });
    named.collect()
}

pub fn postgres(text: &str) -> Workload {
    let volume: crate::model::name::VolumeName = "db-17".parse().expect("a name");
    let probe = Probes::both(Probe::new(Check::Postgres, Some(5432)));
    let backup = Backup {
        enabled: true,
        schedule: BackupSchedule::Every(Duration::from_secs(3600)),
        keep: BTreeMap::new(),
        directory: "/stack/volumes/backups/db".into(),
        trial_restore: true,
        min_free: None,
        offsite: None,
    };
    let postgres = Postgres {
        url: None,
        database: "demo".parse().expect("a name"),
        user: "demo".parse().expect("a name"),
        password: None,
        databases: Vec::new(),
        roles: BTreeMap::new(),
        volume: volume.clone(),
        major: Some(17),
        extensions: Vec::new(),
        init: Vec::new(),
        settings: BTreeMap::new(),
        probes: probe,
        backup,
    };
    let mount = Mount { source: MountSource::Volume(volume), target: "/var/lib/postgresql/data".to_owned(), read_only: false };
    Workload {
        name: name(text),
        kind: Kind::Postgres(Box::new(postgres)),
        image: image("postgis:17"),
        container: ContainerSettings { mounts: vec![mount], stop_grace: Duration::from_secs(90), ..ContainerSettings::default() },
        dependencies: Vec::new(),
        spec: spec(text),
    }
}

/// A set of the slot of now.
fn set() -> Work {
    Work::Take { slot: Some(time(900)), missed: 0, before: None }
}

impl World {
    pub fn demo() -> Self {
        let images = ["app:1", "postgis:17"].map(|reference| (reference.to_owned(), ImageId(format!("sha256:{reference}"))));
        Self {
            workloads: vec![service("app", &["db"]), postgres("db")],
            observed: Observed { images: images.into(), ..Observed::default() },
            history: History::default(),
            verdicts: Verdicts::default(),
            in_flight: InFlight::default(),
            families: Families::new(),
            fingerprints: BTreeMap::new(),
            volumes: BTreeMap::new(),
            provisions: [(name("db"), "wanted".to_owned())].into(),
            backups: BTreeMap::new(),
            renamed_from: None,
        }
    }

    pub fn stack(&self) -> Stack {
        Stack::new(StackParts {
            renamed_from: self.renamed_from.clone(),
            name: "demo".parse().expect("a name"),
            directory: "/stack".into(),
            profiles: Vec::new(),
            workloads: self.workloads.clone(),
            volumes: self.volumes.clone(),
            secrets: BTreeMap::new(),
            daemon: DaemonSettings::default(),
        })
        .expect("a stack")
    }

    pub fn plan(&self) -> Plan {
        plan(&Inputs {
            stack: &self.stack(),
            instance: &instance(),
            observed: &self.observed,
            containers: &Containers::of(&self.observed, self.stack().name(), &instance()),
            history: &self.history,
            verdicts: &self.verdicts,
            fingerprints: &self.fingerprints,
            provisions: &self.provisions,
            backups: &self.backups,
            families: &self.families,
            in_flight: &self.in_flight,
            now: NOW,
            wall: time(1000),
        })
    }

    #[expect(clippy::needless_pass_by_value, reason = "the macro makes it where it is read")]
    pub fn check(self, expected: Expect) {
        expected.assert_eq(&self.plan().text(NOW));
    }

    /// Network and volume are there.
    pub fn ground(mut self) -> Self {
        let owner = Some(("demo".parse().expect("a name"), instance()));
        self.observed.networks.push(Network { id: "net".to_owned(), name: "demo".to_owned(), owner });
        self.made_under("demo", "demo_db-17", Some("db"))
    }

    /// A volume of this instance, made when the stack had this name.
    pub fn made_under(mut self, stack: &str, volume: &str, data_of: Option<&str>) -> Self {
        self.observed.volumes.push(VolumeSeen {
            name: volume.to_owned(),
            owner: Some((stack.parse().expect("a name"), instance())),
            data_of: data_of.map(name),
            trial_of: None,
            of_image: false,
            directory: None,
            created_at: None,
            driver: "local".to_owned(),
        });
        self.observed.volumes.sort_by(|one, other| one.name.cmp(&other.name));
        self
    }

    /// The stack's data lies under this name until now.
    pub fn stack_renamed_from(mut self, old: &str) -> Self {
        self.renamed_from = Some(old.parse().expect("a name"));
        self
    }

    /// A service mounts a volume, which the file lists.
    pub fn mounts(mut self, text: &str, volume: &str) -> Self {
        let volume: VolumeName = volume.parse().expect("a name");
        let mount = Mount { source: MountSource::Volume(volume.clone()), target: "/data".to_owned(), read_only: false };
        self.workload(text).container.mounts.push(mount);
        self.volumes.entry(volume).or_default();
        self
    }

    /// A service publishes a port; `None`: any that is free.
    pub fn publishes(mut self, text: &str, host: Option<u16>) -> Self {
        let address = std::net::Ipv4Addr::LOCALHOST.into();
        let port = PublishedPort { address, host, container: 8000, protocol: Protocol::Tcp };
        self.workload(text).container.ports.push(port);
        self
    }

    /// The file left this volume behind.
    pub fn left(mut self, volume: &str) -> Self {
        self.history.left.insert(volume.to_owned());
        self
    }

    /// Paths of images that are declared volumes: all that are here.
    pub fn of_images(mut self, volume: &str) -> Self {
        self.observed.volumes.iter_mut().filter(|seen| seen.name == volume).for_each(|seen| seen.of_image = true);
        self
    }

    fn workload(&mut self, text: &str) -> &mut Workload {
        self.workloads.iter_mut().find(|workload| workload.name.as_str() == text).expect("a workload of this world")
    }

    fn container(&self, text: &str, id: &str, state: &str, replica: u32) -> Container {
        let workload = self.workloads.iter().find(|workload| workload.name.as_str() == text);
        let (kind, reference) =
            workload.map_or((KindName::Service, "app:1"), |found| (found.kind_name(), &found.image.reference));
        let state = match state {
            "created" => ContainerState::Created,
            "dead" => ContainerState::Dead,
            "running" => ContainerState::Running { started_at: time(0) },
            _ => ContainerState::Exited { exit: Exit { code: 0, oom: false, at: time(500) }, started_at: time(0) },
        };
        Container {
            id: ContainerId(id.to_owned()),
            name: format!("demo-{text}-{replica}"),
            image: ImageId(format!("sha256:{reference}")),
            image_reference: reference.to_owned(),
            state,
            identity: Some(Identity {
                stack: "demo".parse().expect("a name"),
                kind,
                key: ReplicaKey { name: name(text), replica },
                spec: Some(spec(text)),
                secrets: None,
                instance: instance(),
                directory: "/stack".to_owned(),
            }),
            published: Vec::new(),
            networks: [("demo".to_owned(), [text.to_owned()].into())].into(),
            volumes: workload.into_iter().flat_map(volumes_of).collect(),
            created_at: time(0),
            image_health: None,
        }
    }

    fn add(mut self, container: Container) -> Self {
        self.observed.containers.push(container);
        self.observed.containers.sort_by(|one, other| one.id.cmp(&other.id));
        self
    }

    pub fn created(self, text: &str) -> Self {
        let container = self.container(text, &format!("{text}-1"), "created", 1);
        self.add(container)
    }

    /// A container on this volume that was never started.
    pub fn created_on(self, text: &str, volume: &str) -> Self {
        let mut container = self.container(text, &format!("{text}-1"), "created", 1);
        container.volumes = vec![volume.to_owned()];
        container.identity.as_mut().expect("ours").spec = Some(spec("changed"));
        self.add(container)
    }

    pub fn running(self, text: &str) -> Self {
        let container = self.container(text, &format!("{text}-1"), "running", 1);
        self.add(container)
    }

    pub fn old(self, text: &str, state: &str) -> Self {
        let mut container = self.container(text, &format!("{text}-old"), state, 1);
        container.identity.as_mut().expect("ours").spec = Some(spec("older"));
        self.add(container)
    }

    /// This container was asked to start, and nobody knows whether it did.
    pub fn asked(mut self, text: &str, container: &str) -> Self {
        let history = self.history.replicas.entry(ReplicaKey { name: name(text), replica: 1 }).or_default();
        history.asked = Some(ContainerId(container.to_owned()));
        self
    }

    pub fn suffixed(self, text: &str, state: &str) -> Self {
        let mut container = self.container(text, &format!("{text}-new"), state, 1);
        container.name = format!("demo-{text}-1-abcdef");
        container.created_at = time(10);
        self.add(container)
    }

    /// The newest container of a workload is what the file says now.
    pub fn matches_the_file(mut self, text: &str) -> Self {
        let wanted = self.workload(text).spec.clone();
        let newest = self.observed.containers.iter_mut().find(|container| container.id.0 == format!("{text}-new"));
        newest.and_then(|container| container.identity.as_mut()).expect("ours").spec = Some(wanted);
        self
    }

    pub fn exited(mut self, text: &str, code: i64, attempt: u32) -> Self {
        let mut container = self.container(text, &format!("{text}-1"), "exited", 1);
        let exit = Exit { code, oom: false, at: time(1000) };
        container.state = ContainerState::Exited { exit, started_at: time(0) };
        let run = container.run().expect("it ran");
        let history = self.history.replicas.entry(ReplicaKey { name: name(text), replica: 1 }).or_default();
        history.attempt = attempt;
        history.last_exit = Some(LastExit { run, exit, ended_before: None, seen: NOW, waited: Duration::ZERO });
        self.add(container)
    }

    /// The restart rule of a service.
    pub fn restart(mut self, text: &str, policy: Restart) -> Self {
        restarted(self.workload(text), policy);
        self
    }

    /// Its last run was stopped for its lost liveness.
    pub fn lost_liveness(mut self, text: &str) -> Self {
        let container = self.observed.containers.iter().find(|container| container.workload() == Some(&name(text)));
        let run = container.and_then(Container::run);
        self.history.replicas.entry(ReplicaKey { name: name(text), replica: 1 }).or_default().failed = run;
        self
    }

    fn verdict(mut self, id: &str, verdict: Verdict) -> Self {
        let run = RunId { container: ContainerId(id.to_owned()), started_at: time(0) };
        self.verdicts.insert(Subject::Run(run), verdict);
        self
    }

    fn change_verdict(mut self, text: &str, change: impl FnOnce(&mut Verdict)) -> Self {
        let run = RunId { container: ContainerId(format!("{text}-1")), started_at: time(0) };
        change(self.verdicts.entry(Subject::Run(run)).or_default());
        self
    }

    /// Its last good result is older than whatever else happened.
    pub fn unasked(self, text: &str) -> Self {
        self.change_verdict(text, |verdict| verdict.confirmed_at = None)
    }

    /// Its last result was not good.
    pub fn shaken(self, text: &str) -> Self {
        self.change_verdict(text, |verdict| verdict.shaken = true)
    }

    pub fn alive(self, text: &str) -> Self {
        self.verdict(
            &format!("{text}-1"),
            Verdict { started: true, ready: None, alive: Some(true), words: None, ..Verdict::default() },
        )
    }

    pub fn ready(self, text: &str) -> Self {
        let confirmed_at = Some(Moment::default());
        let ready = Verdict { started: true, ready: Some(true), alive: Some(true), confirmed_at, ..Verdict::default() };
        self.running(text).provisioned(text).verdict(&format!("{text}-1"), ready)
    }

    pub fn sick(self, text: &str) -> Self {
        let words = Some("GET /healthz: timed out".to_owned());
        self.running(text).verdict(
            &format!("{text}-1"),
            Verdict { started: true, ready: Some(false), alive: Some(false), words, ..Verdict::default() },
        )
    }

    /// The container of a workload is known by these names on the stack's network; none: it is not there.
    pub fn known_as(mut self, text: &str, names: &[&str]) -> Self {
        let own = |container: &&mut Container| container.workload() == Some(&name(text));
        let there = (!names.is_empty()).then(|| ("demo".to_owned(), names.iter().map(|name| (*name).to_owned()).collect()));
        let networks: crate::model::observed::Attachments = there.into_iter().collect();
        self.observed.containers.iter_mut().filter(own).for_each(|container| container.networks = networks.clone());
        self
    }

    pub fn without_network(mut self) -> Self {
        self.observed.networks.clear();
        self
    }

    pub fn ready_replica(self, text: &str, replica: u32) -> Self {
        let container = self.container(text, &format!("{text}-{replica}"), "running", replica);
        self.add(container)
    }

    pub fn provisioned(mut self, text: &str) -> Self {
        if text == "db" {
            let run = RunId { container: ContainerId("db-1".to_owned()), started_at: time(0) };
            let known = self.history.postgres.entry(name(text)).or_default();
            known.provisioned = Some((run, "wanted".to_owned()));
            known.data = Some("demo_db-17".to_owned());
        }
        self
    }

    pub fn changed(mut self, text: &str) -> Self {
        self.workload(text).spec = spec("changed");
        self
    }

    pub fn replicas(mut self, text: &str, count: u32) -> Self {
        if let Kind::Service(service) = &mut self.workload(text).kind {
            service.replicas = count;
        }
        self
    }

    /// A set of it is due.
    pub fn set_due(mut self, text: &str) -> Self {
        self.backups.insert(name(text), Due::Now { work: set(), cause: "the slot of now".to_owned() });
        self
    }

    /// Names of its databases are to change hands.
    pub fn exchange_due(mut self, text: &str) -> Self {
        let work = Work::Exchange { line: "7000".to_owned(), databases: Vec::new(), initialise: false };
        self.backups.insert(name(text), Due::Now { work, cause: "restored: set 1".to_owned() });
        self
    }

    /// A set of it is taken just now.
    pub fn taking_a_set(self, text: &str) -> Self {
        self.at_work(text, set())
    }

    /// This is done with its databases just now.
    pub fn at_work(mut self, text: &str, work: Work) -> Self {
        let (container, image) = (ContainerId(format!("{text}-1")), ImageId("sha256:postgis:17".to_owned()));
        let action = Action::Backup { name: name(text), container, image, work };
        self.in_flight.insert(action.target(), action);
        self
    }

    /// A container that was made for a set of it by the process of this number.
    pub fn helper(self, text: &str, kind: KindName, id: &str, volume: Option<&str>) -> Self {
        let mut container = self.container(text, id, "running", 77);
        container.identity.as_mut().expect("ours").kind = kind;
        container.volumes = volume.into_iter().map(str::to_owned).collect();
        self.add(container)
    }

    /// A volume in which a set of it was restored for a trial.
    pub fn trial_volume(mut self, text: &str, volume: &str) -> Self {
        self = self.made_under("demo", volume, None);
        let seen = self.observed.volumes.iter_mut().find(|seen| seen.name == volume);
        seen.expect("it was made").trial_of = Some(name(text));
        self
    }

    pub fn orphan(self, text: &str, state: &str) -> Self {
        let container = self.container(text, &format!("{text}-1"), state, 1);
        self.add(container)
    }

    pub fn foreign(self, container_name: &str) -> Self {
        let mut container = self.container("app", "foreign-demo", "running", 1);
        container.name = container_name.to_owned();
        container.identity = None;
        self.add(container)
    }

    pub fn other_instance(self, text: &str) -> Self {
        let mut container = self.container(text, &format!("{text}-other"), "running", 1);
        let identity = container.identity.as_mut().expect("ours");
        identity.instance = InstanceId("elsewhere".to_owned());
        identity.directory = "/elsewhere".to_owned();
        self.add(container)
    }

    /// A network of the stack's name, of this instance or of nobody.
    pub fn has_network(mut self, id: &str, owner: Option<InstanceId>) -> Self {
        let owner = owner.map(|owner| ("demo".parse().expect("a name"), owner));
        let networks = &mut self.observed.networks;
        networks.retain(|seen| seen.id != id);
        networks.push(Network { id: id.to_owned(), name: "demo".to_owned(), owner });
        networks.sort_by(|one, other| one.id.cmp(&other.id));
        self
    }

    /// A volume of this instance or of nobody; none of ours has that name then.
    pub fn has_volume(self, volume: &str, owner: Option<InstanceId>) -> Self {
        let mut world = self.without_volume(volume).made_under("demo", volume, None);
        let seen = world.observed.volumes.iter_mut().find(|seen| seen.name == volume).expect("just made");
        seen.owner = owner.map(|owner| ("demo".parse().expect("a name"), owner));
        world
    }

    /// The volumes that containers of a workload mount, by their engine names.
    pub fn volumes_of(&self, workload: &WorkloadName) -> Vec<String> {
        self.workloads.iter().filter(|known| &known.name == workload).flat_map(volumes_of).collect()
    }

    pub fn foreign_volume(mut self, volume: &str) -> Self {
        self.observed.volumes.iter_mut().filter(|seen| seen.name == volume).for_each(|seen| seen.owner = None);
        self
    }

    pub fn without_volume(mut self, volume: &str) -> Self {
        self.observed.volumes.retain(|seen| seen.name != volume);
        self
    }

    pub fn without_image(mut self, reference: &str) -> Self {
        self.observed.images.remove(reference);
        self
    }

    pub fn image(mut self, reference: &str) -> Self {
        self.observed.images.insert(reference.to_owned(), ImageId(format!("sha256:{reference}")));
        self
    }

    pub fn moved_tag(mut self, text: &str, id: &str) -> Self {
        let reference = self.workload(text).image.reference.clone();
        self.observed.images.insert(reference, ImageId(id.to_owned()));
        self
    }

    pub fn accepted(mut self, text: &str, id: &str) -> Self {
        let reference = self.workload(text).image.reference.clone();
        self.history.images.insert(name(text), AcceptedImage { reference, id: ImageId(id.to_owned()) });
        self
    }

    pub fn with_fallback(mut self, text: &str) -> Self {
        let build = Build::Command(vec!["make-image".to_owned()]);
        let fallback = Some(Fallback { build, tag: "localhost/demo-db:latest".to_owned() });
        self.workload(text).image.origin = ImageOrigin::Pull { policy: PullPolicy::Missing, fallback };
        self
    }

    fn failure(mut self, target: Target, error: &str, kind: FailureKind) -> Self {
        let failure =
            Failure { operation: "try", error: error.to_owned(), kind, attempts: 2, not_before: NOW + Duration::from_secs(2) };
        self.history.failures.insert(target, failure);
        self
    }

    pub fn failed(self, text: &str, error: &str) -> Self {
        self.failure(Target::Replica(ReplicaKey { name: name(text), replica: 1 }), error, FailureKind::Transient)
    }

    /// A removal of one of its containers failed.
    pub fn stuck(self, text: &str, error: &str) -> Self {
        let key = ReplicaKey { name: name(text), replica: 1 };
        let mut world = self.failed(text, error);
        world.history.failures.entry(Target::Replica(key)).and_modify(|failure| failure.operation = Action::REMOVE);
        world
    }

    pub fn unreachable(self, text: &str) -> Self {
        self.failure(Target::Workload(name(text)), "no registry answers", FailureKind::RegistryUnreachable)
    }

    /// A registry answered, and gave no image.
    pub fn denied(self, text: &str, error: &str) -> Self {
        self.failure(Target::Workload(name(text)), error, FailureKind::Transient)
    }

    pub fn major(mut self, text: &str, major: u32) -> Self {
        self.history.postgres.entry(name(text)).or_default().family.major = Some(major);
        self
    }

    /// The postgres keeps its data in a volume of another name from now on.
    pub fn data_in(mut self, text: &str, volume: &str) -> Self {
        let volume: crate::model::name::VolumeName = volume.parse().expect("a name");
        let workload = self.workload(text);
        workload.container.mounts[0].source = MountSource::Volume(volume.clone());
        if let Kind::Postgres(postgres) = &mut workload.kind {
            postgres.volume = volume;
        }
        self.changed(text)
    }

    /// The containers of a workload mount this volume of the engine.
    pub fn mounting(mut self, text: &str, volume: &str) -> Self {
        let own = |container: &&mut Container| container.workload() == Some(&name(text));
        self.observed.containers.iter_mut().filter(own).for_each(|container| container.volumes = vec![volume.to_owned()]);
        self
    }

    /// `renamed_from` of a volume.
    pub fn renamed_from(mut self, volume: &str, old: &str) -> Self {
        self.volumes.insert(
            volume.parse().expect("a name"),
            Volume { renamed_from: Some(old.parse().expect("a name")), ..Volume::default() },
        );
        self
    }

    /// The containers of a workload were made with the secrets `then`, and would be with `now`.
    pub fn secrets(mut self, text: &str, then: &str, now: &str) -> Self {
        self.fingerprints.insert(name(text), Fingerprint::parse(now).expect("a fingerprint"));
        let identities = self.observed.containers.iter_mut().filter_map(|container| container.identity.as_mut());
        identities
            .filter(|identity| identity.key.name == name(text))
            .for_each(|identity| identity.secrets = Fingerprint::parse(then));
        self
    }

    /// The postgres is named otherwise from now on.
    pub fn named(mut self, old: &str, new: &str) -> Self {
        self.workload(old).name = name(new);
        self.workloads.iter_mut().flat_map(|workload| &mut workload.dependencies).for_each(|needs| needs.on = name(new));
        self
    }

    pub fn fresh(mut self, text: &str) -> Self {
        self.history.fresh.volumes.insert(text.parse().expect("a name"));
        self
    }

    /// The data of a postgres was last run with this C library.
    pub fn made_with(mut self, text: &str, library: Library) -> Self {
        self.history.postgres.entry(name(text)).or_default().family.library = Some(library);
        self
    }

    /// What an image says of itself.
    pub fn family(mut self, reference: &str, major: u32, library: Library) -> Self {
        let family = Family { major: Some(major), library: Some(library), glibc: None };
        self.families.insert(ImageId(format!("sha256:{reference}")), family);
        self
    }

    /// The file asks for another image of a workload, which is here.
    pub fn wants_image(mut self, text: &str, reference: &str) -> Self {
        reference.clone_into(&mut self.workload(text).image.reference);
        let major = crate::model::postgres::major_of(reference);
        if let Kind::Postgres(postgres) = &mut self.workload(text).kind {
            postgres.major = major;
        }
        self.changed(text).image(reference)
    }

    /// The data of a postgres is sorted by this version of glibc.
    pub fn sorted_by(mut self, text: &str, glibc: Glibc) -> Self {
        self.history.postgres.entry(name(text)).or_default().family.glibc = Some(glibc);
        self
    }

    /// What a look into a container has shown.
    pub fn examined(mut self, id: &str, glibc: Glibc, data: DataFound) -> Self {
        self.history.examined.insert(ContainerId(id.to_owned()), Examined { glibc: Some(glibc), data });
        self
    }

    /// The volume of a postgres was made empty by us, and nothing is known to be in it yet.
    pub fn made_empty(mut self, text: &str, volume: &str) -> Self {
        self.history.postgres.entry(name(text)).or_default().made_empty = Some(volume.to_owned());
        self
    }

    pub fn down(mut self) -> Self {
        self.history.goal = Goal::Down;
        self
    }

    pub fn only(mut self, text: &str) -> Self {
        self.history.only.insert(name(text));
        self
    }

    /// A person asks for something that makes sense.
    pub fn asks(mut self, wish: &Wish) -> Self {
        let stack = self.stack();
        self.history.by_hand.accept(&stack, wish).expect("a wish that makes sense");
        self
    }

    /// The look after a wish shows which runs it was about.
    pub fn looked(mut self) -> Self {
        self.history.by_hand.note_runs(self.observed.containers.iter());
        self
    }

    /// A container of this replica runs and is ready.
    pub fn ready_as(self, text: &str, replica: u32) -> Self {
        let ready = Verdict { started: true, ready: Some(true), alive: Some(true), ..Verdict::default() };
        self.ready_replica(text, replica).verdict(&format!("{text}-{replica}"), ready)
    }

    pub fn in_flight(mut self, text: &str) -> Self {
        let key = ReplicaKey { name: name(text), replica: 1 };
        let action = Action::Start { key: key.clone(), container: ContainerId(format!("{text}-1")), ended: BTreeSet::new() };
        self.in_flight.insert(Target::Replica(key), action);
        self
    }
}

/// A stack of these and nothing else.
pub fn stack_of(workloads: Vec<Workload>) -> Stack {
    World { workloads, ..World::demo() }.stack()
}

pub fn never_again(workload: &mut Workload) {
    restarted(workload, Restart::Never);
}

pub fn restarted(workload: &mut Workload, policy: Restart) {
    if let Kind::Service(service) = &mut workload.kind {
        service.restart = policy;
    }
}

/// A port published under a fixed number.
pub fn published(port: u16) -> PublishedPort {
    PublishedPort { address: [127, 0, 0, 1].into(), host: Some(port), container: port, protocol: Protocol::Tcp }
}
