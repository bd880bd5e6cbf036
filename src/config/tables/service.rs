//! The table of a service.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::container::{Build, EnvFile, HardeningTable, Logs, ProbeTable, Resources, Ulimit};
use super::value::{Command, Duration, Either, Number, Scalar, Size, Text};

tables! {
    /// A container that keeps running.
    Service = "service" {
        /// Reference of the image. One of `image`, `build`, `extends` is required.
        image: Text,
        /// A directory with a Dockerfile, or a table. The image is never pulled; `image` is only the tag of the result.
        build: Either<Text, Build>,
        /// A build for when no registry answers.
        fallback: Either<Text, Build>,
        /// Another service whose image, build, fallback, pull, platform, env, env_files, secrets, volumes, tmpfs, user, workdir, resources, hardening and depends_on are taken over.
        extends: Text,
        /// It runs only with one of these. Default: always.
        profiles: Vec<Text>,
        /// When a registry is asked: `missing` (default), `always`, `never`.
        pull: Text,
        /// Arguments. Default: of the image.
        command: Command,
        /// Program that gets the arguments. Default: of the image.
        entrypoint: Command,
        /// Working directory. Default: of the image.
        workdir: Text,
        /// User, `uid` or `uid:gid`. Default: of the image.
        user: Text,
        /// Signal that asks it to stop. Default: of the image.
        stop_signal: Text,
        /// Labels of your own.
        labels: BTreeMap<String, Scalar>,
        /// Platform of the image: `linux/arm64` and the like.
        platform: Text,
        /// Host name. Default: the name of the service.
        hostname: Text,
        /// More names on the stack's network.
        aliases: Vec<Text>,
        /// More hosts, `"name:10.0.0.5"`. `host.docker.internal` is always there.
        extra_hosts: Vec<Text>,
        /// Size of `/dev/shm`. Default: of the engine.
        shm_size: Size,
        /// Limits by name: a number, or `{ soft, hard }`.
        ulimits: BTreeMap<String, Either<Number, Ulimit>>,
        /// Environment: strings, numbers, booleans. Secrets may stand here as `${secret.NAME}`.
        env: BTreeMap<String, Scalar>,
        /// Dotenv files, taken literally. A later one wins over an earlier one, `env` over all.
        env_files: Vec<Either<Text, EnvFile>>,
        /// What the process listens on inside: for probes, `${NAME.port}` and `${NAME.url}`. Default: the first of `ports`.
        port: Number,
        /// Published ports: `"8000"`, `"8080:8000"`, `"auto:8000"`, `"0.0.0.0:80:8000"`, `"53:53/udp"`. Without an address: on 127.0.0.1.
        ports: Vec<Text>,
        /// `"name:/path"`, `"./rel:/path"`, `"/host/path:/path"`, with `:ro` at the end for read-only.
        volumes: Vec<Text>,
        /// Files or globs whose content belongs to the definition: a change recreates the container.
        inputs: Vec<Text>,
        /// Paths in memory.
        tmpfs: Vec<Text>,
        /// Names of secrets; each is a file `/run/secrets/NAME`.
        secrets: Vec<Text>,
        /// Names. A service or postgres must be ready, a job completed; `"NAME:started"` for less.
        depends_on: Vec<Text>,
        /// How many run. Default: 1.
        replicas: Number,
        /// `always` (default), `on-failure`, `never`.
        restart: Text,
        /// How the delay between restarts grows.
        backoff: BackoffTable,
        /// How long it may take to stop before it is killed. Default: `"10s"`.
        stop_grace: Duration,
        /// Limits of memory and processors. Default: none.
        resources: Resources,
        /// One probe that serves as readiness and liveness. Default: the image's HEALTHCHECK, else none.
        health: ProbeTable,
        /// Whether it may be used and its dependents may start.
        readiness: ProbeTable,
        /// Whether it must be restarted.
        liveness: ProbeTable,
        /// Holds the other two back until its first success.
        startup: ProbeTable,
        /// Bounds of its log.
        logs: Logs,
        /// What it may not do.
        hardening: HardeningTable,
    }

    /// How the delay between restarts grows.
    BackoffTable = "backoff" {
        /// The first delay. Default: `"1s"`.
        min: Duration,
        /// The longest delay. Default: `"60s"`.
        max: Duration,
    }
}
