//! One look at everything: three lists at once, and inspects of our own containers and of the
//! images asked for where they are not known already.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use bollard::models::{ContainerInspectResponse, ContainerStateStatusEnum, ContainerSummary, EndpointSettings};
use bollard::query_parameters::{ListContainersOptions, ListNetworksOptions, ListVolumesOptions};
use futures_util::StreamExt;
use futures_util::stream;
use jiff::Timestamp;

use super::cache::{Detail, Look, Shown};
use super::{Call, DockerEngine, QUICK, images, published};
use crate::engine::request::Scope;
use crate::engine::{EngineError, ErrorKind, labels};
use crate::model::name::{ContainerId, ImageId};
use crate::model::observed::{Attachments, Container, ContainerState, Exit, ImageHealth, Network, Observed, VolumeSeen};
use crate::model::workload::KindName;

/// How many inspects are under way at once.
const AT_ONCE: usize = 8;
/// How often what can't be read is asked for, a tenth of a second apart.
const READS: u32 = 20;

/// One look at everything.
pub(super) async fn observe(engine: &DockerEngine, scope: &Scope) -> Result<Observed, EngineError> {
    let look = engine.cache().begin(engine.inner.clock.moment());
    let (containers, networks, volumes, images) = tokio::join!(
        containers(engine, scope, look),
        networks(engine, scope),
        volumes(engine, scope),
        images_here(engine, scope, look),
    );
    Ok(Observed { containers: containers?, networks: networks?, volumes: volumes?, images: images? })
}

async fn containers(engine: &DockerEngine, scope: &Scope, look: Look) -> Result<Vec<Container>, EngineError> {
    let listed = list(engine).await?;
    let looked: Vec<Result<Option<Container>, EngineError>> =
        stream::iter(listed).map(|summary| container(engine, scope, look, summary)).buffer_unordered(AT_ONCE).collect().await;
    let found: Result<Vec<Option<Container>>, EngineError> = looked.into_iter().collect();
    let mut containers: Vec<Container> = found?.into_iter().flatten().collect();
    containers.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(containers)
}

async fn list(engine: &DockerEngine) -> Result<Vec<ContainerSummary>, EngineError> {
    let mut reads = 0;
    loop {
        let options = ListContainersOptions { all: true, ..Default::default() };
        let answer = engine
            .call(Call::new("list", "containers"), QUICK, |docker| async move { docker.list_containers(Some(options)).await })
            .await;
        if !is_asked_again(engine, &answer, &mut reads).await {
            return answer;
        }
    }
}

/// What an inspect says of a container; `operation` is the head of an error's words.
pub(super) async fn inspect_container(
    engine: &DockerEngine,
    operation: &'static str,
    id: &ContainerId,
) -> Result<ContainerInspectResponse, EngineError> {
    let mut reads = 0;
    loop {
        let call = Call::on(operation, id);
        let answer = engine.call(call, QUICK, |docker| async move { docker.inspect_container(&id.0, None).await }).await;
        if !is_asked_again(engine, &answer, &mut reads).await {
            return answer;
        }
    }
}

/// Whether an answer can't be read and is worth asking for again, a moment later: until Podman has cleared
/// up after an end it shows a state of its own, `stopped`.
async fn is_asked_again<T>(engine: &DockerEngine, answer: &Result<T, EngineError>, reads: &mut u32) -> bool {
    *reads += 1;
    let is_unreadable = answer.as_ref().is_err_and(|error| error.message.contains("unknown variant"));
    let again = is_unreadable && *reads < READS;
    if again {
        engine.inner.clock.sleep(Duration::from_millis(100)).await;
    }
    again
}

/// One container; `None` where it went away while we looked.
async fn container(
    engine: &DockerEngine,
    scope: &Scope,
    look: Look,
    summary: ContainerSummary,
) -> Result<Option<Container>, EngineError> {
    let container = of_summary(&summary);
    let stack = summary.labels.as_ref().and_then(|labels| labels.get(labels::STACK));
    if stack.map(String::as_str) != Some(scope.stack.as_str()) {
        return Ok(Some(container));
    }
    let shown = shown(&summary);
    let same_networks = |detail: &Detail| detail.networks.keys().eq(container.networks.keys());
    let known = engine.cache().detail(&container.id.0, &shown).filter(same_networks);
    let detail = match known {
        Some(detail) => detail,
        None => match inspect(engine, &container).await {
            Ok(detail) => detail,
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        },
    };
    // The list is older than the inspect: what they disagree on is not worth keeping.
    if detail.state.word() == shown.state && same_networks(&detail) {
        engine.cache().keep_detail(look, &container.id.0, shown, &detail);
    }
    Ok(Some(with_detail(container, detail)))
}

/// What a list shows, with what an inspect that may be younger says.
pub(super) fn with_detail(listed: Container, detail: Detail) -> Container {
    let published = match (listed.state.is_up(), detail.state.is_up()) {
        (_, false) => Vec::new(),
        // It was started in between.
        (false, true) => detail.published,
        (true, true) => listed.published,
    };
    let Detail { state, image_reference, networks, .. } = detail;
    Container { image_reference, state, published, networks, ..listed }
}

/// What the list shows of a container and what an inspect says of it goes with.
fn shown(summary: &ContainerSummary) -> Shown {
    let networks = summary.network_settings.as_ref().and_then(|settings| settings.networks.as_ref());
    let endpoint = |endpoint: &EndpointSettings| endpoint.endpoint_id.clone().unwrap_or_default();
    Shown {
        state: summary.state.map(|state| state.to_string()).unwrap_or_default(),
        endpoints: networks.into_iter().flatten().map(|(network, place)| (network.clone(), endpoint(place))).collect(),
    }
}

async fn inspect(engine: &DockerEngine, container: &Container) -> Result<Detail, EngineError> {
    let id = &container.id;
    let answer = inspect_container(engine, "inspect", id).await?;
    Ok(detail(&answer, container.image_reference.clone()))
}

/// What an inspect says of a container that was listed with this reference of its image.
pub(super) fn detail(answer: &ContainerInspectResponse, listed_reference: String) -> Detail {
    let reference = answer.config.as_ref().and_then(|config| config.image.clone());
    let id = ContainerId(answer.id.clone().unwrap_or_default());
    Detail {
        state: state(answer),
        image_reference: reference.unwrap_or(listed_reference),
        networks: attachments(answer, &id),
        published: published::inspected(answer),
    }
}

/// The networks of a container with its names there, less the short id that engines add.
fn attachments(answer: &ContainerInspectResponse, id: &ContainerId) -> Attachments {
    let networks = answer.network_settings.as_ref().and_then(|settings| settings.networks.clone()).unwrap_or_default();
    let names = |endpoint: EndpointSettings| endpoint.aliases.into_iter().flatten().filter(|name| name != id.short()).collect();
    networks.into_iter().map(|(network, endpoint)| (network, names(endpoint))).collect()
}

/// What a container does, from an inspect.
pub(super) fn state(answer: &ContainerInspectResponse) -> ContainerState {
    let Some(state) = &answer.state else { return ContainerState::Dead };
    let time = |text: Option<&String>| text.and_then(|text| text.parse().ok()).unwrap_or(Timestamp::UNIX_EPOCH);
    let started_at = time(state.started_at.as_ref());
    let code = state.exit_code.unwrap_or_default();
    let exit = Exit { code, oom: state.oom_killed == Some(true) && code == 137, at: time(state.finished_at.as_ref()) };
    match state.status {
        Some(ContainerStateStatusEnum::RUNNING | ContainerStateStatusEnum::STOPPING) => ContainerState::Running { started_at },
        Some(ContainerStateStatusEnum::PAUSED) => ContainerState::Paused { started_at },
        Some(ContainerStateStatusEnum::RESTARTING) => ContainerState::Restarting,
        Some(ContainerStateStatusEnum::REMOVING) => ContainerState::Removing,
        Some(ContainerStateStatusEnum::EXITED) => ContainerState::Exited { exit, started_at },
        Some(ContainerStateStatusEnum::DEAD) => ContainerState::Dead,
        Some(ContainerStateStatusEnum::CREATED | ContainerStateStatusEnum::EMPTY) | None => ContainerState::Created,
    }
}

/// A container as the list shows it: of its state only what is good enough to be shown.
pub(super) fn of_summary(summary: &ContainerSummary) -> Container {
    let labels: BTreeMap<String, String> = summary.labels.clone().unwrap_or_default().into_iter().collect();
    let created_at = Timestamp::from_second(summary.created.unwrap_or_default()).unwrap_or(Timestamp::UNIX_EPOCH);
    let status = summary.status.clone().unwrap_or_default();
    let networks = summary.network_settings.as_ref().and_then(|settings| settings.networks.as_ref());
    let networks = networks.into_iter().flat_map(HashMap::keys).map(|network| (network.clone(), BTreeSet::new())).collect();
    let state = rough_state(summary, &status, created_at);
    // Some engines go on listing the ports of what has ended.
    let published = if state.is_up() { published::listed(summary) } else { Vec::new() };
    Container {
        id: ContainerId(summary.id.clone().unwrap_or_default()),
        name: name(summary.names.as_deref().unwrap_or_default()),
        image: ImageId(summary.image_id.clone().unwrap_or_default()),
        image_reference: summary.image.clone().unwrap_or_default(),
        state,
        identity: labels::identity(&labels),
        published,
        networks,
        volumes: mounted(summary),
        created_at,
        image_health: health(&status),
    }
}

fn mounted(summary: &ContainerSummary) -> Vec<String> {
    let volumes = summary.mounts.iter().flatten().filter(|mount| mount.typ.as_deref() == Some("volume"));
    let mut names: Vec<String> = volumes.filter_map(|mount| mount.name.clone()).collect();
    names.sort();
    names
}

/// A container's own name: the one without a second slash, for links add names of theirs.
fn name(names: &[String]) -> String {
    let bare = names.iter().map(|name| name.trim_start_matches('/'));
    bare.clone().find(|name| !name.contains('/')).or(bare.clone().next()).unwrap_or_default().to_owned()
}

/// What a container that is not ours does: good enough to be shown. It is not inspected.
fn rough_state(summary: &ContainerSummary, status: &str, created_at: Timestamp) -> ContainerState {
    let started_at = created_at;
    match summary.state.map(|state| state.to_string()).unwrap_or_default().as_str() {
        "running" | "stopping" => ContainerState::Running { started_at },
        "paused" => ContainerState::Paused { started_at },
        "restarting" => ContainerState::Restarting,
        "removing" => ContainerState::Removing,
        "dead" => ContainerState::Dead,
        "exited" => {
            let code = status.split_once('(').and_then(|(_, rest)| rest.split_once(')')).and_then(|(code, _)| code.parse().ok());
            ContainerState::Exited { exit: Exit { code: code.unwrap_or(-1), oom: false, at: created_at }, started_at }
        }
        _ => ContainerState::Created,
    }
}

fn health(status: &str) -> Option<ImageHealth> {
    if status.contains("(healthy)") {
        Some(ImageHealth::Healthy)
    } else if status.contains("(unhealthy)") {
        Some(ImageHealth::Unhealthy)
    } else if status.contains("(health: starting)") {
        Some(ImageHealth::Starting)
    } else {
        None
    }
}

async fn networks(engine: &DockerEngine, scope: &Scope) -> Result<Vec<Network>, EngineError> {
    let listed =
        engine
            .call(Call::new("list", "networks"), QUICK, |docker| async move {
                docker.list_networks(None::<ListNetworksOptions>).await
            })
            .await?;
    let mut networks: Vec<Network> = listed
        .into_iter()
        .filter_map(|network| {
            let labels: BTreeMap<String, String> = network.labels.unwrap_or_default().into_iter().collect();
            let name = network.name?;
            let wanted =
                name == scope.stack.network() || labels.get(labels::STACK).map(String::as_str) == Some(scope.stack.as_str());
            wanted.then(|| Network { id: network.id.unwrap_or_default(), name, owner: labels::owner(&labels) })
        })
        .collect();
    networks.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    Ok(networks)
}

async fn volumes(engine: &DockerEngine, scope: &Scope) -> Result<Vec<VolumeSeen>, EngineError> {
    let listed = engine
        .call(Call::new("list", "volumes"), QUICK, |docker| async move { docker.list_volumes(None::<ListVolumesOptions>).await })
        .await?;
    let mut volumes: Vec<VolumeSeen> = listed
        .volumes
        .unwrap_or_default()
        .into_iter()
        .filter_map(|volume| {
            let labels: BTreeMap<String, String> = volume.labels.into_iter().collect();
            let owner = labels::owner(&labels);
            (scope.owns(owner.as_ref()) || scope.volumes.contains(&volume.name)).then(|| VolumeSeen {
                name: volume.name,
                owner,
                of_image: labels.contains_key(labels::OF_IMAGE),
                directory: labels.get(labels::DIRECTORY).cloned(),
                data_of: labels::data_of(KindName::Postgres, &labels),
                trial_of: labels::data_of(KindName::Verify, &labels),
                created_at: volume.created_at.and_then(|text| text.parse().ok()),
                driver: volume.driver,
            })
        })
        .collect();
    volumes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(volumes)
}

async fn images_here(engine: &DockerEngine, scope: &Scope, look: Look) -> Result<BTreeMap<String, ImageId>, EngineError> {
    let references: BTreeSet<String> = scope.images.iter().cloned().collect();
    let looked: Vec<Result<Option<(String, ImageId)>, EngineError>> = stream::iter(references)
        .map(|reference| async move {
            let known = engine.cache().image(&reference);
            if let Some(id) = known {
                return Ok(Some((reference, id)));
            }
            match images::id(engine, &reference).await {
                Ok(id) => {
                    engine.cache().keep_image(look, &reference, &id);
                    Ok(Some((reference, id)))
                }
                Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            }
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let found: Result<Vec<Option<(String, ImageId)>>, EngineError> = looked.into_iter().collect();
    Ok(found?.into_iter().flatten().collect())
}
