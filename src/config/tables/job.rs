//! The table of a job.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::container::{Build, EnvFile, HardeningTable, Logs, Resources, Ulimit};
use super::value::{Command, Duration, Either, Flag, Number, Scalar, Size, Text};

tables! {
    /// A container that runs to an end.
    Job = "job" {
        /// As for a service.
        image: Text,
        /// As for a service.
        build: Either<Text, Build>,
        /// As for a service.
        fallback: Either<Text, Build>,
        /// A service whose keys are taken over, as for services but without its `depends_on`.
        extends: Text,
        /// As for a service.
        profiles: Vec<Text>,
        /// As for a service.
        pull: Text,
        /// As for a service.
        command: Command,
        /// As for a service.
        entrypoint: Command,
        /// As for a service.
        workdir: Text,
        /// As for a service.
        user: Text,
        /// As for a service.
        stop_signal: Text,
        /// As for a service.
        labels: BTreeMap<String, Scalar>,
        /// As for a service.
        platform: Text,
        /// As for a service.
        hostname: Text,
        /// As for a service.
        aliases: Vec<Text>,
        /// As for a service.
        extra_hosts: Vec<Text>,
        /// As for a service.
        shm_size: Size,
        /// As for a service.
        ulimits: BTreeMap<String, Either<Number, Ulimit>>,
        /// As for a service.
        env: BTreeMap<String, Scalar>,
        /// As for a service.
        env_files: Vec<Either<Text, EnvFile>>,
        /// As for a service.
        volumes: Vec<Text>,
        /// Files or globs whose content belongs to the definition: a change runs the job again.
        inputs: Vec<Text>,
        /// As for a service.
        tmpfs: Vec<Text>,
        /// As for a service.
        secrets: Vec<Text>,
        /// As for a service.
        depends_on: Vec<Text>,
        /// As for a service.
        stop_grace: Duration,
        /// As for a service.
        resources: Resources,
        /// As for a service.
        logs: Logs,
        /// As for a service.
        hardening: HardeningTable,
        /// `changed` (default): once for each content; `always`: at every start of the stack; `manual`: only by hand.
        run: Text,
        /// Five fields of cron, instead of `run`.
        schedule: Text,
        /// Time zone of `schedule`. Default: UTC.
        timezone: Text,
        /// An interval, instead of `run`.
        every: Duration,
        /// When it is due and the last run is not over: `forbid` (default), `allow`, `replace`.
        overlap: Text,
        /// Whether a missed run is made up once. Default: true.
        catch_up: Flag,
        /// How many runs are kept. Default: 20.
        history: Number,
        /// After how long a run is ended. Default: never; `"1h"` with a schedule.
        timeout: Duration,
        /// How often a failed run is tried again. Default: 0.
        retries: Number,
    }
}
