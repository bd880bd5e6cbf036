//! The tables of `stack.toml` as types, for the JSON schema and the reference page alone: nothing
//! is ever read into them. A test holds their keys against those that the readers ask for.

use std::collections::BTreeMap;

use schemars::JsonSchema;

/// Types of tables from their documented keys.
macro_rules! tables {
    ($( $(#[$meta:meta])* $name:ident = $title:literal { $( $(#[doc = $doc:literal])+ $field:ident : $type:ty, )+ } )+) => { $(
        $(#[$meta])*
        #[derive(JsonSchema)]
        #[schemars(rename = $title)]
        pub struct $name { $( $(#[doc = $doc])+ pub $field: $type, )+ }
    )+ };
}

mod container;
mod data;
mod job;
mod postgres;
mod service;
mod value;

use data::{Secret, Volume};
use job::Job;
use postgres::Postgres;
use service::Service;
use value::Text;

tables! {
    /// One stack: services, their Postgres, jobs, secrets and volumes on one machine.
    StackFile = "stack" {
        /// Name of the stack: prefix of its containers, name of its network. Required; `--name` and `WITWD_NAME` override it.
        name: Text,
        /// The oldest witwd that understands this file, for example `"0.3"`.
        requires: Text,
        /// Files whose tables are added to this one; what is in both is an error. Paths are meant from the file that names them.
        include: Vec<Text>,
        /// Directories below which binds may lie, beside the stack's own directory.
        host_paths: Vec<Text>,
        /// The name under which the data of this stack lies until now.
        renamed_from: Text,
        /// Containers that keep running.
        services: BTreeMap<String, Service>,
        /// Postgres servers that witwd takes care of.
        postgres: BTreeMap<String, Postgres>,
        /// Containers that run to an end.
        jobs: BTreeMap<String, Job>,
        /// Secrets and where they come from.
        secrets: BTreeMap<String, Secret>,
        /// Named volumes. Each that a service mounts is listed; that of a postgres need not be.
        volumes: BTreeMap<String, Volume>,
        /// The daemon of this stack.
        daemon: Daemon,
    }

    /// The daemon of this stack.
    Daemon = "daemon" {
        /// What a save does: `save` applies it, `up` waits for `witwd up`. Default: as the verb says.
        reload: Text,
        /// Group that may use the control socket.
        group: Text,
        /// Key file of the secret store.
        key_file: Text,
    }
}
