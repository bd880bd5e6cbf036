//! A container to be made, in the engine's words.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, EndpointSettings, HostConfig, HostConfigLogConfig, Mount, MountType, NetworkingConfig, PortBinding,
    PortMap, ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum,
};
use sha2::{Digest, Sha256};

use super::context::hex;
use super::facts::Facts;
use super::local_port;
use crate::engine::answer::ImageFacts;
use crate::engine::labels;
use crate::engine::request::{CreateContainer, CreateVolume, MountFrom, Streams};
use crate::model::container::{LogBounds, Protocol, PublishedPort};
use crate::model::workload::KindName;

/// A path that the image declares a volume and that nothing is mounted on. In a service or
/// postgres it gets a volume with a name, for an anonymous one would be lost with its container.
pub(super) struct KeptVolume {
    /// The volume.
    pub request: CreateVolume,
    /// Path inside.
    target: String,
}

/// The paths that the image declares volumes and that the request mounts nothing on.
pub(super) fn kept_volumes(request: &CreateContainer, image: &ImageFacts) -> Vec<KeptVolume> {
    let identity = &request.identity;
    if !matches!(identity.kind, KindName::Service | KindName::Postgres) {
        return Vec::new();
    }
    let taken = |path: &str| {
        let same = |other: &str| other.trim_end_matches('/') == path.trim_end_matches('/');
        request.mounts.iter().any(|mount| same(&mount.target)) || request.tmpfs.iter().any(|path| same(tmpfs(path).0))
    };
    let free = image.volumes.iter().filter(|path| !taken(path));
    free.map(|path| {
        let hash = hex(&Sha256::digest(path.as_bytes()));
        let volume = format!("{}_{}", identity.key, &hash[..8]);
        KeptVolume {
            request: CreateVolume {
                name: format!("{}_{volume}", request.data_name),
                volume,
                stack: request.data_name.clone(),
                instance: identity.instance.clone(),
                directory: identity.directory.clone(),
                of_image: true,
                data_of: None,
                trial_of: None,
                driver: None,
                options: std::collections::BTreeMap::new(),
                labels: std::collections::BTreeMap::new(),
            },
            target: path.clone(),
        }
    })
    .collect()
}

/// The request in the engine's words.
pub(super) fn body(request: &CreateContainer, facts: &Facts, image: &ImageFacts, kept: &[KeptVolume]) -> ContainerCreateBody {
    let mut all_labels: HashMap<String, String> = request.labels.clone().into_iter().collect();
    all_labels.extend(labels::of_container(&request.identity));
    let attached = request.streams != Streams::Log;
    let ports = bound_ports(request, facts.info.direct);
    let exposed = ports.iter().map(|port| format!("{}/{}", port.container, port.protocol.as_str())).collect();
    ContainerCreateBody {
        hostname: Some(request.hostname.clone()),
        user: request.user.clone(),
        env: Some(request.env.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        cmd: request.command.clone(),
        entrypoint: request.entrypoint.clone().map(no_entrypoint),
        image: Some(request.image.clone()),
        working_dir: request.workdir.clone(),
        exposed_ports: Some(exposed),
        labels: Some(all_labels),
        stop_signal: request.stop_signal.clone(),
        stop_timeout: i64::try_from(whole_seconds(request.stop_grace)).ok(),
        attach_stdin: Some(attached),
        attach_stdout: Some(attached),
        attach_stderr: Some(attached),
        open_stdin: Some(attached),
        stdin_once: Some(attached),
        tty: Some(request.streams == Streams::Terminal),
        host_config: Some(HostConfig { port_bindings: Some(port_bindings(&ports)), ..host_config(request, facts, image, kept) }),
        networking_config: networking(request),
        ..Default::default()
    }
}

fn networking(request: &CreateContainer) -> Option<NetworkingConfig> {
    let network = request.network.clone()?;
    let endpoint = EndpointSettings { aliases: Some(request.aliases.clone()), ..Default::default() };
    Some(NetworkingConfig { endpoints_config: Some(HashMap::from([(network, endpoint)])) })
}

fn host_config(request: &CreateContainer, facts: &Facts, image: &ImageFacts, kept: &[KeptVolume]) -> HostConfig {
    let hardening = &request.hardening;
    HostConfig {
        network_mode: Some(request.network.clone().unwrap_or_else(|| "none".to_owned())),
        extra_hosts: Some(extra_hosts(request)),
        mounts: Some(mounts(request, kept)),
        tmpfs: Some(request.tmpfs.iter().map(|path| tmpfs(path)).map(|(path, options)| (path.into(), options.into())).collect()),
        shm_size: request.shm_size.and_then(|size| i64::try_from(size).ok()),
        ulimits: Some(request.ulimits.iter().map(|(name, limits)| ulimit(name, *limits)).collect()),
        memory: request.memory.and_then(|size| i64::try_from(size).ok()),
        nano_cpus: request.milli_cpus.and_then(|cpus| i64::try_from(cpus.saturating_mul(1_000_000)).ok()),
        log_config: Some(log_config(request.logs, &facts.log_drivers)),
        restart_policy: Some(RestartPolicy { name: Some(RestartPolicyNameEnum::NO), maximum_retry_count: None }),
        init: Some(hardening.init.unwrap_or_else(|| !brings_init(request, image))),
        pids_limit: Some(i64::from(hardening.pids)),
        readonly_rootfs: Some(hardening.read_only),
        cap_add: Some(hardening.cap_add.clone()),
        cap_drop: Some(hardening.cap_drop.clone()),
        privileged: Some(hardening.privileged),
        security_opt: Some(hardening.no_new_privileges.then(|| "no-new-privileges:true".to_owned()).into_iter().collect()),
        ..Default::default()
    }
}

/// None at all is written as one empty word: Podman takes an empty list for the image's own.
fn no_entrypoint(words: Vec<String>) -> Vec<String> {
    if words.is_empty() { vec![String::new()] } else { words }
}

/// Whether the first process is an init of the image's own, which insists on being the first.
fn brings_init(request: &CreateContainer, image: &ImageFacts) -> bool {
    let entrypoint = request.entrypoint.as_ref().unwrap_or(&image.entrypoint);
    entrypoint.first().is_some_and(|first| first == "/init")
}

/// What is published, a number for each: what was meant by a free port before, else one that is free
/// now. What is asked from here is published too where the engine hides addresses; the engine chooses.
fn bound_ports(request: &CreateContainer, direct: bool) -> Vec<PublishedPort> {
    let mut ports = request.ports.clone();
    for port in ports.iter_mut().filter(|port| port.host.is_none()) {
        let is_free = |host| local_port::is_free(port.address, host, port.protocol);
        port.host = request.remembered_port(port, is_free).or_else(|| local_port::free(port.address, port.protocol));
    }
    let is_published = |asked: u16| request.ports.iter().any(|port| (port.container, port.protocol) == (asked, Protocol::Tcp));
    let hidden = request.asked.iter().filter(|asked| !direct && !is_published(**asked));
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    ports.extend(hidden.map(|asked| PublishedPort { address, host: None, container: *asked, protocol: Protocol::Tcp }));
    ports
}

/// An address is always sent: without one the engine would listen on all of them.
fn port_bindings(ports: &[PublishedPort]) -> PortMap {
    let mut bindings = PortMap::new();
    for port in ports {
        let binding = PortBinding {
            host_ip: Some(port.address.to_string()),
            host_port: Some(port.host.map(|host| host.to_string()).unwrap_or_default()),
        };
        let key = format!("{}/{}", port.container, port.protocol.as_str());
        bindings.entry(key).or_default().get_or_insert_with(Vec::new).push(binding);
    }
    bindings
}

fn extra_hosts(request: &CreateContainer) -> Vec<String> {
    const HOST: &str = "host.docker.internal:";
    let mut hosts = request.extra_hosts.clone();
    if request.network.is_some() && !hosts.iter().any(|line| line.starts_with(HOST)) {
        hosts.push(format!("{HOST}host-gateway"));
    }
    hosts
}

fn mounts(request: &CreateContainer, kept: &[KeptVolume]) -> Vec<Mount> {
    let asked = request.mounts.iter().map(|mount| {
        let (typ, source) = match &mount.source {
            MountFrom::Volume(name) => (MountType::VOLUME, name.clone()),
            MountFrom::Bind(path) => (MountType::BIND, path.to_string_lossy().into_owned()),
        };
        Mount {
            target: Some(mount.target.clone()),
            source: Some(source),
            typ: Some(typ),
            read_only: Some(mount.read_only),
            ..Default::default()
        }
    });
    let kept = kept.iter().map(|volume| Mount {
        target: Some(volume.target.clone()),
        source: Some(volume.request.name.clone()),
        typ: Some(MountType::VOLUME),
        ..Default::default()
    });
    asked.chain(kept).collect()
}

/// `/run:size=10m` as path and options.
fn tmpfs(path: &str) -> (&str, &str) {
    path.split_once(':').unwrap_or((path, ""))
}

fn ulimit(name: &str, (soft, hard): (i64, i64)) -> ResourcesUlimits {
    ResourcesUlimits { name: Some(name.to_owned()), soft: Some(soft), hard: Some(hard) }
}

/// The engine's default grows without bound. An engine without `local` and `json-file` (Podman)
/// keeps what it has.
fn log_config(bounds: Option<LogBounds>, drivers: &[String]) -> HostConfigLogConfig {
    let Some(bounds) = bounds else { return HostConfigLogConfig { typ: Some("none".to_owned()), config: None } };
    let has = |name: &str| drivers.iter().any(|driver| driver == name);
    let Some(driver) = ["local", "json-file"].into_iter().find(|name| has(name)) else { return HostConfigLogConfig::default() };
    let options = [("max-size", bounds.max_size.to_string()), ("max-file", bounds.max_files.to_string())];
    let config = options.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    HostConfigLogConfig { typ: Some(driver.to_owned()), config: Some(config) }
}

/// Seconds, rounded up: the engine knows no shorter time, and zero would mean at once.
pub(super) fn whole_seconds(duration: Duration) -> u64 {
    duration.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX)
}
