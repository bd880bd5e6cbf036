//! Tables that stand in services, postgres and jobs alike.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::value::{Command, Duration, Flag, Fraction, Number, Scalar, Size, Text};

tables! {
    /// How an image is built: a Docker build, or a command.
    Build = "build" {
        /// The directory that is sent. Default: that of the file.
        context: Text,
        /// The Dockerfile, below `context`. Default: `Dockerfile`.
        dockerfile: Text,
        /// The stage.
        target: Text,
        /// Build arguments.
        args: BTreeMap<String, Scalar>,
        /// Names of secrets of the build.
        secrets: Vec<Text>,
        /// Platform of the result.
        platform: Text,
        /// Instead of all others: a command that leaves the image `WITWD_IMAGE` in the engine.
        command: Command,
    }

    /// What is asked of a container from outside: one of `http`, `tcp`, `exec`.
    ProbeTable = "probe" {
        /// A path, asked by GET. Redirects are not followed; `Host` is `localhost`.
        http: Text,
        /// A connection.
        tcp: Flag,
        /// A command in the container; exit code 0 passes.
        exec: Command,
        /// Headers of `http`.
        headers: BTreeMap<String, Scalar>,
        /// Status codes of `http` that pass. Default: `"200-399"`.
        status: Text,
        /// Port asked. Default: that of the service.
        port: Number,
        /// Time between two results. Default: `"10s"`.
        interval: Duration,
        /// How long an answer may take. Default: `"5s"`.
        timeout: Duration,
        /// Consecutive failures that turn the verdict. Default: 3.
        retries: Number,
        /// Consecutive successes that turn it back. Default: 1.
        successes: Number,
        /// While it lasts, failures do not count and probing is quick. Default: `"60s"`.
        start_period: Duration,
    }

    /// Limits of a container.
    Resources = "resources" {
        /// Memory.
        memory: Size,
        /// Processors, for example 1.5.
        cpus: Fraction,
    }

    /// Bounds of a container's log.
    Logs = "logs" {
        /// Size of one file. Default: `"10M"`.
        max_size: Size,
        /// How many files. Default: 5.
        max_files: Number,
    }

    /// What a container may not do.
    HardeningTable = "hardening" {
        /// No process gains privileges. Default: true.
        no_new_privileges: Flag,
        /// An init reaps zombies. Default: true, but for images whose entrypoint is `/init`.
        init: Flag,
        /// Most processes at once. Default: 4096.
        pids: Number,
        /// The root file system can't be written. Default: false.
        read_only: Flag,
        /// Capabilities taken.
        cap_drop: Vec<Text>,
        /// Capabilities given.
        cap_add: Vec<Text>,
        /// All privileges; needed to write a directory of the system. Default: false.
        privileged: Flag,
        /// Whether the engine's socket may be bound. Default: false.
        docker_socket: Flag,
    }

    /// A limit of two levels.
    Ulimit = "ulimit" {
        /// The limit.
        soft: Number,
        /// How far the process may raise it.
        hard: Number,
    }

    /// A dotenv file.
    EnvFile = "env_file" {
        /// The file.
        path: Text,
        /// Whether it may be missing. Default: false.
        optional: Flag,
    }
}
