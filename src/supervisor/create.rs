//! From a workload to the request that makes its container.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::engine::request::{CreateContainer, CreateVolume, MountFrom, MountRequest, RememberedPort, Streams};
use crate::model::container::MountSource;
use crate::model::name::{ReplicaKey, VolumeName};
use crate::model::observed::Identity;
use crate::model::stack::Stack;
use crate::model::workload::{KindName, Workload};

use super::apply::Context;
use super::event::ActionError;

/// Where a container finds its secrets.
pub const SECRETS: &str = "/run/secrets";

/// The directory of the host that is bound to a container's `/run/secrets`.
pub fn secrets_directory(context: &Context, key: &ReplicaKey) -> PathBuf {
    context.secrets_directory.join(format!("{}-{}", key.name, key.replica))
}

/// The request for a container of a workload.
pub fn container_request(
    context: &Context,
    stack: &Stack,
    workload: &Workload,
    place: (ReplicaKey, String, String),
    remembered: Vec<RememberedPort>,
) -> Result<CreateContainer, ActionError> {
    let (key, name, image) = place;
    let settings = workload.container.clone();
    let mut mounts: Vec<MountRequest> = settings.mounts.iter().map(|mount| mount_request(stack, mount)).collect();
    if !context.keeper.files(workload).is_empty() {
        let source = MountFrom::Bind(secrets_directory(context, &key));
        // Writable: the engine refuses to put files through a read-only mount.
        mounts.push(MountRequest { source, target: SECRETS.to_owned(), read_only: false });
    }
    Ok(CreateContainer {
        name,
        image,
        platform: workload.image.platform.clone(),
        identity: identity(context, stack, workload, key),
        labels: settings.labels,
        data_name: stack.data_name().clone(),
        env: environment(context, workload)?,
        command: settings.command,
        entrypoint: settings.entrypoint,
        workdir: settings.workdir,
        user: settings.user,
        hostname: settings.hostname.unwrap_or_else(|| workload.name.to_string()),
        network: Some(stack.name().network()),
        aliases: workload.network_names().into_iter().collect(),
        extra_hosts: settings.extra_hosts,
        ports: settings.ports,
        remembered,
        asked: workload.probes().ports(),
        mounts,
        tmpfs: settings.tmpfs,
        shm_size: settings.shm_size,
        ulimits: settings.ulimits,
        memory: settings.memory,
        milli_cpus: settings.milli_cpus,
        stop_signal: settings.stop_signal,
        stop_grace: settings.stop_grace,
        logs: Some(settings.logs),
        hardening: settings.hardening,
        streams: Streams::Log,
    })
}

/// A one-off container beside those that are kept.
#[derive(Debug, Clone)]
pub struct OneOff {
    /// The process that it is for, which is also its number among those of its workload.
    pub process: u32,
    /// The image, by reference or id.
    pub image: String,
    /// What it runs; `None`: what the workload runs.
    pub command: Option<Vec<String>>,
    /// Who reads its output and writes its input.
    pub streams: Streams,
    /// More environment.
    pub env: Vec<(String, String)>,
}

/// The request for a one-off container of a workload: like one of its own, but nobody finds it. It has
/// none of the names on the network, and publishes nothing.
pub fn one_off_request(
    context: &Context,
    stack: &Stack,
    workload: &Workload,
    one_off: OneOff,
) -> Result<CreateContainer, ActionError> {
    let OneOff { process, image, command, streams, env } = one_off;
    let key = ReplicaKey { name: workload.name.clone(), replica: process };
    let name = format!("{}-{}-run-{process}", stack.name(), workload.name);
    let made = container_request(context, stack, workload, (key, name, image), Vec::new())?;
    Ok(CreateContainer {
        identity: Identity { kind: KindName::Run, spec: None, ..made.identity },
        // Some engines make a name on the network of it.
        hostname: format!("run-{process}"),
        aliases: Vec::new(),
        ports: Vec::new(),
        asked: BTreeSet::new(),
        command: command.or(made.command),
        env: env.into_iter().chain(made.env).collect(),
        streams,
        ..made
    })
}

fn identity(context: &Context, stack: &Stack, workload: &Workload, key: ReplicaKey) -> Identity {
    Identity {
        stack: stack.name().clone(),
        kind: workload.kind_name(),
        key,
        spec: Some(workload.spec.clone()),
        secrets: context.keeper.fingerprint(workload),
        instance: context.instance.clone(),
        directory: stack.directory().display().to_string(),
    }
}

fn environment(context: &Context, workload: &Workload) -> Result<std::collections::BTreeMap<String, String>, ActionError> {
    let fill = |hole: &_| context.keeper.fill(hole);
    let filled = workload.container.env.iter().map(|(name, value)| match value.resolve(fill) {
        Ok(value) => Ok((name.clone(), value)),
        Err(hole) => Err(ActionError::transient(format!("failed to fill {hole} in env {name} of {}", workload.name))),
    });
    filled.collect()
}

fn mount_request(stack: &Stack, mount: &crate::model::container::Mount) -> MountRequest {
    let source = match &mount.source {
        MountSource::Volume(volume) => MountFrom::Volume(stack.engine_volume(volume)),
        MountSource::Bind(path) => MountFrom::Bind(path.clone()),
    };
    MountRequest { source, target: mount.target.clone(), read_only: mount.read_only }
}

/// The request for a volume of the stack.
pub fn volume_request(context: &Context, stack: &Stack, volume: &VolumeName) -> CreateVolume {
    let declared = stack.volumes().get(volume).cloned().unwrap_or_default();
    let mut options = declared.options;
    if let Some(path) = &declared.path {
        let bind = [("type", "none".to_owned()), ("o", "bind".to_owned()), ("device", path.display().to_string())];
        options.extend(bind.map(|(option, value)| (option.to_owned(), value)));
    }
    CreateVolume {
        name: stack.engine_volume(volume),
        volume: volume.to_string(),
        stack: stack.data_name().clone(),
        instance: context.instance.clone(),
        directory: stack.directory().display().to_string(),
        of_image: false,
        data_of: stack.data_of(volume).map(|workload| workload.name.clone()),
        trial_of: None,
        driver: declared.driver,
        options,
        labels: declared.labels,
    }
}
