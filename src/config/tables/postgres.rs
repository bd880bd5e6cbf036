//! The table of a postgres and what stands in it.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::container::{Build, Logs, Resources};
use super::value::{Command, Duration, Either, Flag, Number, Scalar, Size, Text};

tables! {
    /// A Postgres that witwd takes care of.
    Postgres = "postgres" {
        /// Reference of the image; it must keep the conventions of the official one. The major version is read from its tag.
        image: Text,
        /// As for a service.
        build: Either<Text, Build>,
        /// As for a service.
        fallback: Either<Text, Build>,
        /// As for a service.
        pull: Text,
        /// As for a service.
        platform: Text,
        /// Published ports, as for a service. Inside it is always 5432.
        ports: Vec<Text>,
        /// Environment, as for a service. User, password, database and data directory are witwd's to set.
        env: BTreeMap<String, Scalar>,
        /// Arguments. `settings` are added to them.
        command: Command,
        /// More volumes; the data has one of its own.
        volumes: Vec<Text>,
        /// As for a service.
        secrets: Vec<Text>,
        /// Size of `/dev/shm`. Default: `"256M"`.
        shm_size: Size,
        /// As for a service.
        resources: Resources,
        /// As for a service.
        logs: Logs,
        /// As for a service.
        labels: BTreeMap<String, Scalar>,
        /// As for a service.
        profiles: Vec<Text>,
        /// As for a service.
        depends_on: Vec<Text>,
        /// A server elsewhere in place of a container: `postgresql://USER:PASSWORD@HOST:5432/DATABASE`.
        url: Text,
        /// The app's database. Default: the stack's name, `-` as `_`.
        database: Text,
        /// The app's role, owner of `database`, no superuser. Default: the stack's name, `-` as `_`.
        user: Text,
        /// More databases of `user`.
        databases: Vec<Text>,
        /// More roles.
        roles: BTreeMap<String, RoleTable>,
        /// Password of `user`. Default: generated once.
        password: Text,
        /// Name of the volume of the data. Default: `NAME-MAJOR`.
        volume: Text,
        /// Extensions, made in each database before `init`.
        extensions: Vec<Text>,
        /// SQL files or globs, run once on an empty data directory, in order of name.
        init: Vec<Text>,
        /// Settings of the server.
        settings: BTreeMap<String, Scalar>,
        /// How long the fast shutdown may take. Default: `"90s"`.
        stop_grace: Duration,
        /// Backups: on, hourly.
        backup: BackupTable,
        /// The name under which the data lies until now.
        renamed_from: Text,
    }

    /// A role beside the app's own.
    RoleTable = "role" {
        /// Its password. Default: generated once.
        password: Text,
        /// Whether it is a superuser. Default: false.
        superuser: Flag,
        /// Whether it may create databases. Default: false.
        createdb: Flag,
        /// Roles it is a member of.
        grant: Vec<Text>,
    }

    /// Backups of a postgres.
    BackupTable = "backup" {
        /// Whether sets are taken. Default: true; false for a server elsewhere.
        enabled: Flag,
        /// Length of a slot, in UTC. Default: `"1h"`.
        every: Duration,
        /// Five fields of cron in UTC, instead of `every`.
        schedule: Text,
        /// How many are kept by each rule.
        keep: Keep,
        /// Where sets lie. Default: `volumes/backups/NAME`.
        dir: Text,
        /// `restore` (default): each set is tried; `read`: each set is decoded whole.
        verify: Text,
        /// A bucket for copies.
        offsite: Offsite,
        /// Free space below which a set is not begun. Default: 1.3 times the last set and 1G.
        min_free: Size,
    }

    /// The newest good set of each of the last N that are not empty; 0 turns a rule off.
    Keep = "keep" {
        /// The last sets. Default: 2.
        last: Number,
        /// Hours. Default: 24.
        hourly: Number,
        /// Days. Default: 7.
        daily: Number,
        /// ISO weeks. Default: 4.
        weekly: Number,
        /// Months. Default: 12.
        monthly: Number,
    }

    /// A bucket for copies of backup sets.
    Offsite = "offsite" {
        /// `s3://bucket/prefix`.
        url: Text,
        /// Address of the service. Default: of the provider.
        endpoint: Text,
        /// Region.
        region: Text,
        /// Without keys: the machine's own role or profile.
        access_key: Text,
        /// Comes with `access_key`.
        secret_key: Text,
    }
}
