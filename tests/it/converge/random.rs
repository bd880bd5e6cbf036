//! Random stacks, and random worlds for them to be found in.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use witwd::engine::labels;
use witwd::engine::request::{MountFrom, MountRequest};
use witwd::engine::sim::{PullCourse, Run, Script, SimContainer, SimNetwork, SimVolume};
use witwd::model::container::MountSource;
use witwd::model::hash::SpecHash;
use witwd::model::name::{ContainerId, ImageId, InstanceId, ReplicaKey};
use witwd::model::observed::{ContainerState, Exit, Identity};
use witwd::model::stack::Stack;
use witwd::model::time::Moment;
use witwd::model::wish::{Chosen, Wish};
use witwd::model::workload::{KindName, Workload};

use crate::scenarios::world::{Machine, instance};

/// A service of the file.
#[derive(Debug, Clone)]
pub struct Service {
    image: usize,
    origin: &'static str,
    replicas: u32,
    restart: &'static str,
    needs: Vec<prop::sample::Index>,
    volume: bool,
    /// A value of its environment; 0: none.
    value: u32,
}

/// A change of the file.
#[derive(Debug, Clone)]
pub enum Edit {
    Image(prop::sample::Index, usize),
    Replicas(prop::sample::Index, u32),
    Value(prop::sample::Index, u32),
    Volume(prop::sample::Index),
    Origin(prop::sample::Index, &'static str),
    Remove(prop::sample::Index),
    Add(Service),
    Postgres(usize),
}

/// A container that is found.
#[derive(Debug, Clone)]
struct Found {
    whose: prop::sample::Index,
    replica: u32,
    state: &'static str,
    /// Made from the definition of the file, or from an older one.
    current: bool,
    /// Holds the final name where nobody else does.
    named: bool,
    /// Made from the image that the tag means now, or from an older one.
    newest: bool,
}

/// One case.
#[derive(Debug, Clone)]
pub struct Case {
    services: Vec<Service>,
    postgres: usize,
    found: Vec<Found>,
    strangers: Vec<&'static str>,
    network: &'static str,
    volumes: Vec<bool>,
    images: Vec<bool>,
    /// Whether no registry answers.
    pub offline: bool,
    /// What is asked for by hand once the loop came to rest.
    wishes: Vec<(&'static str, prop::sample::Index)>,
}

const IMAGES: [&str; 3] = ["one:1", "two:1", "three:1"];

fn service() -> impl Strategy<Value = Service> {
    let origin = prop::sample::select(vec!["pull", "pull", "pull", "fallback", "build", "never", "always"]);
    let restart = prop::sample::select(vec!["always", "always", "on-failure", "never"]);
    let needs = prop::collection::vec(any::<prop::sample::Index>(), 0..3);
    (0..IMAGES.len(), origin, 1_u32..=3, restart, needs, any::<bool>()).prop_map(
        |(image, origin, replicas, restart, needs, volume)| Service { image, origin, replicas, restart, needs, volume, value: 0 },
    )
}

/// Some changes of a file.
pub fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let which = any::<prop::sample::Index>;
    let origin = prop::sample::select(vec!["pull", "fallback", "build", "always"]);
    let edit = prop_oneof![
        (which(), 0..IMAGES.len()).prop_map(|(which, image)| Edit::Image(which, image)),
        (which(), 1_u32..=3).prop_map(|(which, replicas)| Edit::Replicas(which, replicas)),
        (which(), 0_u32..3).prop_map(|(which, value)| Edit::Value(which, value)),
        which().prop_map(Edit::Volume),
        (which(), origin).prop_map(|(which, origin)| Edit::Origin(which, origin)),
        which().prop_map(Edit::Remove),
        service().prop_map(Edit::Add),
        (0_usize..=2).prop_map(Edit::Postgres),
    ];
    prop::collection::vec(edit, 0..4)
}

fn found() -> impl Strategy<Value = Found> {
    let state = prop::sample::select(vec!["created", "running", "running", "exited", "failed", "dead", "paused", "removing"]);
    (any::<prop::sample::Index>(), 1_u32..=4, state, any::<bool>(), any::<bool>(), any::<bool>())
        .prop_map(|(whose, replica, state, current, named, newest)| Found { whose, replica, state, current, named, newest })
}

/// Every case there is.
pub fn case() -> impl Strategy<Value = Case> {
    let strangers = prop::collection::vec(
        prop::sample::select(vec!["alone", "alone", "name", "volume", "half-labelled", "other-stack", "other-instance"]),
        0..2,
    );
    let network = prop::sample::select(vec!["none", "ours", "ours", "ours", "foreign", "two"]);
    let parts = (prop::collection::vec(service(), 1..=6), 0_usize..=2, prop::collection::vec(found(), 0..12));
    let ground = (strangers, network, prop::collection::vec(any::<bool>(), 8), prop::collection::vec(any::<bool>(), 16));
    let verb = prop::sample::select(vec!["restart", "restart all", "stop", "stop", "start", "scale 3", "scale 1"]);
    let wishes = prop::collection::vec((verb, any::<prop::sample::Index>()), 0..3);
    (parts, ground, prop::bool::weighted(0.2), wishes).prop_map(
        |((services, postgres, found), (strangers, network, volumes, images), offline, wishes)| Case {
            services,
            postgres,
            found,
            strangers,
            network,
            volumes,
            images,
            offline,
            wishes,
        },
    )
}

impl Case {
    /// Its `stack.toml`.
    pub fn stack_text(&self) -> String {
        let mut text = vec!["name = \"demo\"\n".to_owned()];
        let databases: Vec<String> = (0..self.postgres).map(|number| format!("db{number}")).collect();
        for name in &databases {
            text.push(format!("[postgres.{name}]\nimage = \"postgres:17\"\n"));
        }
        let mut declared = databases;
        for (number, service) in self.services.iter().enumerate() {
            let image = IMAGES[service.image];
            text.push(format!("[services.s{number}]\nport = 8000\nhealth.tcp = true\nreplicas = {}\n", service.replicas));
            text.push(format!("restart = \"{}\"\n", service.restart));
            text.push(match service.origin {
                "fallback" => format!("image = \"{image}\"\nfallback = {{ context = \".\" }}\n"),
                "build" => "build = \".\"\n".to_owned(),
                "never" => format!("image = \"{image}\"\npull = \"never\"\n"),
                "always" => format!("image = \"{image}\"\npull = \"always\"\n"),
                _ => format!("image = \"{image}\"\n"),
            });
            let needs: BTreeSet<&String> =
                service.needs.iter().filter(|_| !declared.is_empty()).map(|need| need.get(&declared)).collect();
            text.push(format!("depends_on = {:?}\n", needs.into_iter().collect::<Vec<_>>()));
            if service.volume {
                text.push("volumes = [\"kept:/data\"]\n".to_owned());
            }
            if service.value > 0 {
                text.push(format!("env.VALUE = \"{}\"\n", service.value));
            }
            declared.push(format!("s{number}"));
        }
        if self.services.iter().any(|service| service.volume) {
            text.push("[volumes]\nkept = {}\n".to_owned());
        }
        text.concat()
    }

    /// The same with another file.
    #[must_use]
    pub fn edited(&self, edits: &[Edit]) -> Self {
        let mut case = self.clone();
        for edit in edits {
            case.edit(edit.clone());
        }
        case
    }

    /// The same without what nobody can foresee: that no registry answers, when the engine is done with a
    /// removal, and who stands in for how long while an image comes for what can't be made on a foreign network.
    #[must_use]
    pub fn foreseeable(mut self) -> Self {
        for found in self.found.iter_mut().filter(|found| found.state == "removing") {
            found.state = "dead";
        }
        let network = match self.network {
            "foreign" => "none",
            "two" => "ours",
            network => network,
        };
        Self { offline: false, network, ..self }
    }

    fn edit(&mut self, edit: Edit) {
        let services = &mut self.services;
        let all = services.len();
        match edit {
            Edit::Image(which, image) => services[which.index(all)].image = image,
            Edit::Replicas(which, replicas) => services[which.index(all)].replicas = replicas,
            Edit::Value(which, value) => services[which.index(all)].value = value,
            Edit::Volume(which) => services[which.index(all)].volume ^= true,
            Edit::Origin(which, origin) => services[which.index(all)].origin = origin,
            Edit::Remove(which) if all > 1 => drop(services.remove(which.index(all))),
            Edit::Remove(_) => {}
            Edit::Add(service) => services.push(service),
            Edit::Postgres(postgres) => self.postgres = postgres,
        }
    }

    /// Whether nobody else has anything here.
    pub fn is_ours_alone(&self) -> bool {
        self.strangers.is_empty()
    }

    /// Whether a copy of the stack's directory has containers here: then nothing is touched.
    pub fn is_held(&self) -> bool {
        self.strangers.contains(&"other-instance")
    }

    /// What a person asks for by hand; one that makes no sense is refused.
    pub fn wishes(&self, stack: &Stack) -> Vec<Wish> {
        let names: Vec<&Workload> = stack.in_order().collect();
        let wish = |(verb, whom): &(&'static str, prop::sample::Index)| {
            let name = &whom.get(&names).name;
            let of = [Chosen::all(name)].into();
            let scaled = |count| Wish::Scale { to: [(name.clone(), count)].into() };
            match *verb {
                "restart" => Wish::Restart { of },
                "restart all" => Wish::Restart { of: BTreeSet::new() },
                "stop" => Wish::Stop { of },
                "start" => Wish::Start { of },
                "scale 3" => scaled(3),
                _ => scaled(1),
            }
        };
        self.wishes.iter().map(wish).collect()
    }

    /// Puts the world of this case onto a machine.
    pub fn furnish(&self, machine: &Machine, stack: &Stack) {
        self.furnish_images(machine, stack);
        self.furnish_ground(machine, stack);
        let mut taken = BTreeSet::new();
        for (number, found) in self.found.iter().enumerate() {
            furnish_container(machine, stack, (number, found), &mut taken);
        }
        for stranger in &self.strangers {
            furnish_stranger(machine, stack, stranger);
        }
        machine.engine.set_offline(self.offline);
    }

    fn furnish_images(&self, machine: &Machine, stack: &Stack) {
        for image in IMAGES {
            machine.engine.publish(image, PullCourse::Takes(Duration::from_secs(2)));
        }
        for (workload, here) in stack.in_order().zip(&self.images) {
            let reference = workload.image.reference.clone();
            machine.engine.alter(|world| {
                world.images.add_as(&reference, old_image(&reference));
                world.images.add(&reference);
                if !here {
                    world.images.remove(&reference);
                }
            });
        }
    }

    fn furnish_ground(&self, machine: &Machine, stack: &Stack) {
        let ours = Some((stack.name().clone(), instance()));
        machine.engine.alter(|world| {
            let name = stack.name().network();
            let networks = match self.network {
                "ours" => vec![ours.clone()],
                "foreign" => vec![None],
                "two" => vec![ours.clone(), None],
                _ => Vec::new(),
            };
            for (number, owner) in networks.into_iter().enumerate() {
                world.networks.insert(format!("{number:064}"), SimNetwork { name: name.clone(), owner });
            }
            for (volume, _) in volumes(stack).into_iter().zip(&self.volumes).filter(|(_, there)| **there) {
                let now = "2025-12-31T00:00:00Z".parse().expect("a time");
                let there = SimVolume {
                    of_image: false,
                    owner: ours.clone(),
                    data_of: None,
                    trial_of: None,
                    created_at: now,
                    driver: "local".to_owned(),
                    ledger: Vec::new(),
                    files: BTreeMap::new(),
                };
                world.volumes.insert(volume, there);
            }
        });
    }
}

/// The containers that the file wants, as [`Machine::containers`] tells them; those that may
/// have ended for good are not told.
pub fn wanted(stack: &Stack) -> Vec<String> {
    let mut all: Vec<String> = keys(stack).into_iter().map(|key| stack.name().container(&key)).collect();
    all.sort();
    all
}

/// The most changes that it may take: every image, network and volume is made at most once (an
/// image that no registry has, tried and built), a replica costs create, start, rename and one
/// more start of what was there while it could not be made; what was there, stop and remove.
pub fn bound(machine: &Machine, stack: &Stack) -> usize {
    let images = stack.in_order().count();
    let found = machine.engine.with(|world| world.containers.len());
    2 * images + 1 + stack.in_order().count() + 4 * keys(stack).len() + 2 * found
}

fn furnish_container(machine: &Machine, stack: &Stack, found: (usize, &Found), taken: &mut BTreeSet<String>) {
    let (number, found) = found;
    let mut workloads: Vec<Option<&Workload>> = stack.in_order().map(Some).collect();
    // An orphan too.
    workloads.push(None);
    let workload = found.whose.get(&workloads).to_owned();
    let key = ReplicaKey {
        name: workload.map_or_else(|| "gone".parse().expect("a name"), |workload| workload.name.clone()),
        replica: if workload.is_some_and(|workload| workload.postgres().is_some()) { 1 } else { found.replica },
    };
    let name = stack.name().container(&key);
    let name = if found.named && !taken.contains(&name) { name } else { format!("{name}-0000000{number}") };
    taken.insert(name.clone());
    let older = SpecHash::of(&serde_json::json!({ "older": number }));
    let identity = Identity {
        stack: stack.name().clone(),
        kind: workload.map_or(KindName::Service, Workload::kind_name),
        key,
        spec: Some(workload.filter(|_| found.current).map_or(older, |workload| workload.spec.clone())),
        secrets: None,
        instance: instance(),
        directory: "/stack".to_owned(),
    };
    let reference = workload.map_or_else(|| "one:1".to_owned(), |workload| workload.image.reference.clone());
    let mounts = workload.map(|workload| mounts(stack, workload)).unwrap_or_default();
    let image = if found.newest { machine.engine.with(|world| world.images.id(&reference)) } else { None };
    let parts = Parts {
        number,
        name,
        labels: labels::of_container(&identity),
        image: image.unwrap_or_else(|| old_image(&reference)),
        reference,
        mounts,
        state: found.state,
    };
    put(machine, stack, parts);
}

fn furnish_stranger(machine: &Machine, stack: &Stack, stranger: &str) {
    let identity = |stack_name: &str, instance: &str| Identity {
        stack: stack_name.parse().expect("a name"),
        kind: KindName::Service,
        key: ReplicaKey { name: "s0".parse().expect("a name"), replica: 1 },
        spec: None,
        secrets: None,
        instance: InstanceId(instance.to_owned()),
        directory: "/elsewhere".to_owned(),
    };
    let free = |name: &str| machine.engine.with(|world| world.by_name(name).is_none());
    let (name, labels) = match stranger {
        "name" if free("demo-s0-1") => ("demo-s0-1", BTreeMap::new()),
        "volume" => {
            let volume = volumes(stack).into_iter().find(|name| machine.engine.with(|world| !world.volumes.contains_key(name)));
            let now = "2025-12-31T00:00:00Z".parse().expect("a time");
            let there = SimVolume {
                of_image: false,
                owner: None,
                data_of: None,
                trial_of: None,
                created_at: now,
                driver: "local".to_owned(),
                ledger: vec!["theirs".to_owned()],
                files: BTreeMap::new(),
            };
            return machine.engine.alter(|world| drop(volume.map(|name| world.volumes.insert(name, there))));
        }
        "half-labelled" => ("theirs", [(labels::STACK.to_owned(), "demo".to_owned())].into()),
        "other-stack" => ("other-s0-1", labels::of_container(&identity("other", "here"))),
        "other-instance" => ("copied-s0-1", labels::of_container(&identity("demo", "elsewhere"))),
        _ => ("theirs", BTreeMap::new()),
    };
    let (reference, mounts, name) = ("one:1".to_owned(), Vec::new(), name.to_owned());
    if free(&name) {
        let image = old_image(&reference);
        put(machine, stack, Parts { number: 99, name, labels, image, reference, mounts, state: "running" });
    }
}

struct Parts {
    number: usize,
    name: String,
    labels: BTreeMap<String, String>,
    image: ImageId,
    reference: String,
    mounts: Vec<MountRequest>,
    state: &'static str,
}

fn old_image(reference: &str) -> ImageId {
    ImageId(format!("sha256:old-{reference}"))
}

fn keys(stack: &Stack) -> Vec<ReplicaKey> {
    let of = |workload: &Workload| {
        let name = workload.name.clone();
        (1..=workload.replicas()).map(move |replica| ReplicaKey { name: name.clone(), replica })
    };
    stack.in_order().flat_map(of).collect()
}

fn mounts(stack: &Stack, workload: &Workload) -> Vec<MountRequest> {
    let request = |mount: &witwd::model::container::Mount| match &mount.source {
        MountSource::Volume(volume) => Some(MountRequest {
            source: MountFrom::Volume(stack.name().volume(volume)),
            target: mount.target.clone(),
            read_only: mount.read_only,
        }),
        MountSource::Bind(_) => None,
    };
    workload.container.mounts.iter().filter_map(request).collect()
}

fn volumes(stack: &Stack) -> BTreeSet<String> {
    let of = |workload| mounts(stack, workload).into_iter();
    let name = |mount: MountRequest| match mount.source {
        MountFrom::Volume(name) => Some(name),
        MountFrom::Bind(_) => None,
    };
    stack.in_order().flat_map(of).filter_map(name).collect()
}

fn put(machine: &Machine, stack: &Stack, parts: Parts) {
    let at: jiff::Timestamp = format!("2025-12-31T00:00:{:02}Z", parts.number % 60).parse().expect("a time");
    let exit = |code| ContainerState::Exited { exit: Exit { code, oom: false, at }, started_at: at };
    let (state, run) = match parts.state {
        "running" | "paused" => {
            // It has long been ready.
            let script = Script { ready_after: Duration::ZERO, ..Script::default() };
            let run = Run { began: Moment::default(), script, end: None, hung: false };
            let state = if parts.state == "paused" {
                ContainerState::Paused { started_at: at }
            } else {
                ContainerState::Running { started_at: at }
            };
            (state, Some(run))
        }
        "exited" => (exit(0), None),
        "failed" => (exit(1), None),
        "dead" => (ContainerState::Dead, None),
        "removing" => (ContainerState::Removing, None),
        _ => (ContainerState::Created, None),
    };
    let id = ContainerId(format!("{:02}{:062}", parts.number, 0));
    // Foreign hands took some from the network, or gave them other names there.
    let names = match (parts.number % 4, labels::identity(&parts.labels)) {
        (0, _) => None,
        (1, _) => Some(["other".to_owned()].into()),
        (_, identity) => Some(identity.map(|identity| identity.key.name.to_string()).into_iter().collect()),
    };
    let networks = names.map(|names| (stack.name().network(), names)).into_iter().collect();
    let container = SimContainer {
        id: id.clone(),
        name: parts.name,
        labels: parts.labels,
        image: parts.image,
        image_reference: parts.reference,
        command: Vec::new(),
        env: BTreeMap::new(),
        mounts: parts.mounts,
        ports: Vec::new(),
        published: Vec::new(),
        networks,
        read_only: false,
        keeps_log: true,
        gone_at: (parts.state == "removing").then(|| Moment::at(Duration::from_millis(500))),
        state,
        created_at: at,
        run,
        ended: Vec::new(),
        log: Vec::new(),
        files: BTreeMap::new(),
        number: 1000 + u64::try_from(parts.number).expect("small"),
    };
    machine.engine.alter(|world| world.containers.insert(id, container));
}
