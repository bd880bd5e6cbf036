//! Throw-away containers of the database's own image: a dump writes to us, a verification reads from us. Each
//! carries our labels and is ended by who made it; what a dead one left is found by label.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use super::Sets;
use super::error::BackupError;
use super::take::Order;
use crate::engine::request::{CreateContainer, FileToPut, MountFrom, MountRequest, Streams};
use crate::model::container::{Hardening, LogBounds};
use crate::model::name::{ContainerId, ReplicaKey};
use crate::model::observed::Identity;
use crate::model::workload::KindName;
use crate::postgres::{PORT, SUPERUSER};

/// Where a container finds its secrets.
pub(super) const SECRETS: &str = "/run/secrets";
/// The file that says the superuser's password.
const PGPASS: &str = "pgpass";
/// Everybody may pass through it inside; on the host the directories above keep everybody out.
const SECRETS_MODE: u32 = 0o711;

/// Tells apart the containers of one process.
static NUMBER: AtomicU32 = AtomicU32::new(1);

/// What a container is made for.
pub(super) struct Helper {
    pub kind: KindName,
    pub entrypoint: Option<Vec<String>>,
    pub command: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub mounts: Vec<MountRequest>,
    /// Whether it is on the stack's network; else on none.
    pub on_network: bool,
    pub streams: Streams,
    /// Whether what it says is kept, to be told when it fails.
    pub has_log: bool,
}

impl Helper {
    /// One that waits for commands, for a day at most.
    pub fn idle(env: BTreeMap<String, String>, mounts: Vec<MountRequest>, on_network: bool) -> Self {
        Self {
            kind: KindName::Verify,
            entrypoint: Some(vec!["sleep".to_owned()]),
            command: vec!["86400".to_owned()],
            env,
            mounts,
            on_network,
            streams: Streams::Log,
            has_log: false,
        }
    }
}

impl Sets {
    /// Makes a throw-away container; it is not started.
    pub(super) async fn make(&self, order: &Order<'_>, helper: Helper) -> Result<ContainerId, BackupError> {
        let request = self.request(order, helper);
        self.engine.create(&request).await.map_err(|error| BackupError::Engine("make a throw-away container", error))
    }

    fn request(&self, order: &Order<'_>, helper: Helper) -> CreateContainer {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let workload = order.workload;
        let name = format!("{}-{}-{}-{process}-{number}", order.stack.name(), workload.name, helper.kind.as_str());
        let is_server = helper.entrypoint.is_none();
        CreateContainer {
            hostname: name.chars().take(60).collect(),
            name,
            image: order.image.0.clone(),
            platform: workload.image.platform.clone(),
            identity: Identity {
                stack: order.stack.name().clone(),
                kind: helper.kind,
                key: ReplicaKey { name: workload.name.clone(), replica: process },
                spec: None,
                secrets: None,
                instance: self.instance.clone(),
                directory: order.stack.directory().display().to_string(),
            },
            labels: BTreeMap::new(),
            data_name: order.stack.data_name().clone(),
            env: helper.env,
            command: Some(helper.command),
            entrypoint: helper.entrypoint,
            workdir: None,
            // What reads a file that is for nobody else must be its owner.
            user: (!is_server).then(|| "0:0".to_owned()),
            network: helper.on_network.then(|| order.stack.name().network()),
            aliases: Vec::new(),
            extra_hosts: Vec::new(),
            ports: Vec::new(),
            remembered: Vec::new(),
            asked: BTreeSet::new(),
            mounts: helper.mounts,
            // What an image makes of a new data directory is in the set already.
            tmpfs: if is_server { vec!["/docker-entrypoint-initdb.d".to_owned()] } else { Vec::new() },
            shm_size: workload.container.shm_size,
            ulimits: workload.container.ulimits.clone(),
            memory: workload.container.memory,
            milli_cpus: workload.container.milli_cpus,
            stop_signal: None,
            stop_grace: Duration::ZERO,
            logs: helper.has_log.then(LogBounds::default),
            hardening: Hardening::default(),
            streams: helper.streams,
        }
    }

    /// Ends and removes a throw-away container. What can't be removed now is found by its labels later.
    pub(super) async fn end(&self, container: &ContainerId) {
        let ended = match self.engine.stop(container, Duration::ZERO).await {
            Ok(()) => self.engine.remove(container).await,
            Err(error) => Err(error),
        };
        if let Err(error) = ended {
            tracing::warn!(%error, "a throw-away container is left for later");
        }
    }

    /// The directory of the host that a dump finds its password in, and the mount of it.
    pub(super) fn password_mount(&self, order: &Order<'_>) -> Result<(PathBuf, MountRequest), BackupError> {
        let directory = self.secrets_directory.join(format!("{}-dump", order.workload.name));
        let made = self.disk.make_directory(&directory, SECRETS_MODE);
        made.map_err(|error| BackupError::file(error.operation, &error.path, error.source))?;
        // Writable: the engine refuses to put files through a read-only mount.
        let source = MountFrom::Bind(directory.clone());
        Ok((directory, MountRequest { source, target: SECRETS.to_owned(), read_only: false }))
    }

    /// Puts the superuser's password into a container that was made with [`Sets::password_mount`].
    pub(super) async fn put_password(&self, order: &Order<'_>, container: &ContainerId) -> Result<(), BackupError> {
        let password = self.passwords.superuser(&order.workload.name);
        self.put_password_of(order, container, (SUPERUSER, password)).await
    }

    /// Puts the password of a role into such a container.
    pub(super) async fn put_password_of(
        &self,
        order: &Order<'_>,
        container: &ContainerId,
        (role, password): (&str, Option<SecretString>),
    ) -> Result<(), BackupError> {
        let password = password.ok_or_else(|| BackupError::NoPassword(order.workload.name.clone()))?;
        let escaped = password.expose_secret().replace('\\', "\\\\").replace(':', "\\:");
        let content = format!("*:*:*:{role}:{escaped}\n").into_bytes();
        let file = FileToPut { path: PGPASS.to_owned(), content, uid: 0, gid: 0, mode: 0o600 };
        let put = self.engine.put_files(container, SECRETS, &[file]).await;
        put.map_err(|error| BackupError::Engine("hand a dump its password", error))
    }
}

/// How a program in the stack's network gets into the server.
pub(super) fn client_environment(order: &Order<'_>, database: &str) -> BTreeMap<String, String> {
    let pairs = [
        ("PGHOST", order.workload.name.to_string()),
        ("PGPORT", PORT.to_string()),
        ("PGUSER", SUPERUSER.to_owned()),
        // Taken as it is: as an argument it could be read as more than a name.
        ("PGDATABASE", database.to_owned()),
        ("PGPASSFILE", format!("{SECRETS}/{PGPASS}")),
        ("PGCONNECT_TIMEOUT", "30".to_owned()),
        ("PGAPPNAME", "witwd".to_owned()),
        // What the image says of servers is meant for others.
        ("PGOPTIONS", String::new()),
        ("PGSSLMODE", "prefer".to_owned()),
        ("LC_ALL", "C".to_owned()),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
