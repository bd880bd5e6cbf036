//! The tables of `stack.toml` as types, for the JSON schema and the reference page alone: nothing
//! is ever read into them. A test holds their keys against those that the readers ask for.

use std::collections::BTreeMap;

use schemars::JsonSchema;

/// A string; `${…}` in it is replaced.
#[derive(JsonSchema)]
#[schemars(rename = "string", inline)]
pub struct Text(pub String);

/// A whole number, or a string that is one after interpolation.
#[derive(JsonSchema)]
#[schemars(untagged, rename = "number", inline)]
pub enum Number {
    /// As a number.
    Number(i64),
    /// As a string.
    Text(String),
}

/// A number that may have a fraction, or a string that is one after interpolation.
#[derive(JsonSchema)]
#[schemars(untagged, rename = "number", inline)]
pub enum Fraction {
    /// As a number.
    Number(f64),
    /// As a string.
    Text(String),
}

/// true or false, or a string that is one after interpolation.
#[derive(JsonSchema)]
#[schemars(untagged, rename = "boolean", inline)]
pub enum Flag {
    /// As a boolean.
    Flag(bool),
    /// As a string.
    Text(String),
}

/// A duration: `"500ms"`, `"10s"`, `"1h"`, `"7d"`.
#[derive(JsonSchema)]
#[schemars(rename = "duration", inline)]
pub struct Duration(pub String);

/// A size: `"512M"`, `"2G"`.
#[derive(JsonSchema)]
#[schemars(rename = "size", inline)]
pub struct Size(pub String);

/// A command: a string, split as a shell would without running one, or an array of words.
#[derive(JsonSchema)]
#[schemars(untagged, rename = "command", inline)]
pub enum Command {
    /// As a string.
    Line(String),
    /// As words.
    Words(Vec<String>),
}

/// A value of a table of variables.
#[derive(JsonSchema)]
#[schemars(untagged, rename = "value", inline)]
pub enum Scalar {
    /// A string.
    Text(String),
    /// A number.
    Number(f64),
    /// A boolean.
    Flag(bool),
}

/// A value or a table in its place.
#[derive(JsonSchema)]
#[schemars(untagged, inline)]
pub enum Either<A, B> {
    /// The short form.
    Short(A),
    /// The long form.
    Long(B),
}

macro_rules! tables {
    ($( $(#[$meta:meta])* $name:ident = $title:literal { $( $(#[doc = $doc:literal])+ $field:ident : $type:ty, )+ } )+) => { $(
        $(#[$meta])*
        #[derive(JsonSchema)]
        #[schemars(rename = $title)]
        pub struct $name { $( $(#[doc = $doc])+ pub $field: $type, )+ }
    )+ };
}

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

    /// How the delay between restarts grows.
    BackoffTable = "backoff" {
        /// The first delay. Default: `"1s"`.
        min: Duration,
        /// The longest delay. Default: `"60s"`.
        max: Duration,
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

    /// One source of `env`, `file`, `command`, `generate`, or none: kept by witwd.
    Secret = "secret" {
        /// A variable of the environment.
        env: Text,
        /// A file.
        file: Text,
        /// A command; its output is the value.
        command: Command,
        /// Made once: that many letters and digits, or a table.
        generate: Either<Number, Generate>,
        /// Owner of its file. Default: the container's user.
        uid: Number,
        /// Group of its file.
        gid: Number,
        /// Mode of its file, in octal digits. Default: `"0400"`.
        mode: Text,
    }

    /// Random bytes.
    Generate = "generate" {
        /// How many.
        bytes: Number,
        /// `hex` (default), `base64`, `base64url`.
        encoding: Text,
        /// Text before it.
        prefix: Text,
    }

    /// A named volume.
    Volume = "volume" {
        /// A directory that holds it, in the stack's or below `host_paths`. Default: the engine's own place.
        path: Text,
        /// It is made by somebody else and never removed. Default: false.
        external: Flag,
        /// Driver. Default: the engine's.
        driver: Text,
        /// Options of the driver.
        options: BTreeMap<String, Scalar>,
        /// Labels of your own.
        labels: BTreeMap<String, Scalar>,
        /// The name its data lies under until now.
        renamed_from: Text,
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
