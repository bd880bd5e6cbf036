//! "Did you mean", the words of compose files, and names kept for later versions.

use super::node::Table;

/// The candidate nearest to `word`, where one is near.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_ascii_lowercase();
    let reach = match word.chars().count() {
        0..=2 => 1,
        3..=5 => 2,
        _ => 3,
    };
    candidates
        .into_iter()
        .filter(|candidate| *candidate != word)
        .map(|candidate| (strsim::osa_distance(&lower, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= reach && *distance < candidate.chars().count().max(2))
        .min_by_key(|(distance, candidate)| (*distance, *candidate))
        .map(|(_, candidate)| candidate)
}

/// "did you mean `x`?", where one is near, else `otherwise`.
pub(super) fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>, otherwise: &str) -> String {
    nearest(word, candidates).map_or_else(|| otherwise.to_owned(), |near| format!("did you mean `{near}`?"))
}

/// The nearest text that is a host name.
pub(super) fn host_name(text: &str) -> String {
    let name: String =
        text.to_lowercase().chars().map(|part| if part.is_ascii_alphanumeric() { part } else { '-' }).take(41).collect();
    let name = name.trim_start_matches(|first: char| !first.is_ascii_lowercase()).trim_end_matches('-');
    if name.is_empty() { "demo".to_owned() } else { name.to_owned() }
}

/// "for example `x`": a name of this kind that is near `text`.
pub(super) fn near_name<T: std::str::FromStr>(text: &str) -> String {
    let host = host_name(text);
    let word = text.chars().map(|part| if part.is_ascii_alphanumeric() { part } else { '_' }).collect();
    let mut candidates = [host.clone(), word, format!("my-{host}")].into_iter();
    match candidates.find(|candidate| candidate.parse::<T>().is_ok()) {
        Some(near) => format!("for example `{near}`"),
        None => "choose another name".to_owned(),
    }
}

/// The candidates as a list for people.
pub(super) fn list<'a>(candidates: impl IntoIterator<Item = &'a str>) -> String {
    candidates.into_iter().map(|candidate| format!("`{candidate}`")).collect::<Vec<_>>().join(", ")
}

/// What to write for a key of a compose file, or of another tool, within a service, postgres or job.
pub(super) fn foreign_key(key: &str) -> Option<&'static str> {
    Some(match key {
        "environment" | "envs" | "vars" | "variables" => "here it is `env`, a table: `env.NAME = \"value\"`",
        "env_file" => "here it is `env_files`, an array: `env_files = [\".env.app\"]`",
        "healthcheck" | "health_check" => {
            "here it is `health`: `health.http = \"/healthz\"`, `health.tcp = true` or `health.exec = \"cmd\"`"
        }
        "expose" => "leave it out: services of a stack reach each other on every port; `port` says what the process listens on",
        "container_name" => "leave it out: a container is named STACK-NAME-REPLICA, and found by its name in this file",
        "network_mode" | "net" | "networks" => {
            "leave it out: all services of a stack are on one network and find each other by name"
        }
        "links" | "external_links" => "leave it out: services of a stack find each other by name; order is `depends_on`",
        "deploy" => "here it is `replicas = 2` and `resources = { memory = \"512M\", cpus = 1.5 }`, directly in the service",
        "working_dir" | "workingdir" | "cwd" => "here it is `workdir`",
        "volumes_from" => "name the same volume in the `volumes` of both",
        "stop_grace_period" | "stop_timeout" => "here it is `stop_grace`",
        "mem_limit" | "memory" | "mem_reservation" => "here it is `resources.memory = \"512M\"`",
        "cpus" | "cpu_count" | "cpu_shares" | "cpuset" => "here it is `resources.cpus = 1.5`",
        "pids_limit" => "here it is `hardening.pids`",
        "read_only" | "cap_add" | "cap_drop" | "privileged" | "init" => "here it stands in `hardening`: `hardening.KEY = ...`",
        "security_opt" => "here it is `hardening.no_new_privileges`, which is on by default",
        "logging" | "log_driver" | "log_opt" => "here it is `logs = { max_size = \"10M\", max_files = 5 }`",
        "pull_policy" => "here it is `pull`: \"missing\", \"always\" or \"never\"",
        "restart_policy" => "here it is `restart`: \"always\", \"on-failure\" or \"never\"",
        "scale" => "here it is `replicas = 2`",
        "configs" => "bind the file (`volumes = [\"./nginx.conf:/etc/nginx/nginx.conf:ro\"]`) and list it in `inputs`",
        "dns" | "dns_search" | "mac_address" | "ipc" | "pid" | "userns_mode" | "cgroup_parent" | "isolation" | "runtime" => {
            "this version has nothing like it: leave it out"
        }
        "tty" | "stdin_open" => "leave it out",
        "develop" => "leave it out: a saved stack.toml is applied at once, `inputs` names files whose change recreates",
        "dockerfile" | "context" | "args" | "target" => {
            "it stands in `build`: `build = { context = \".\", dockerfile = \"Dockerfile\" }`"
        }
        "cmd" | "run_command" | "args_override" => "here it is `command`",
        "tag" => "it is part of `image`: `image = \"nginx:1.27\"`",
        "binds" | "mounts" | "bind" => "here it is `volumes`: `volumes = [\"./rel:/path\"]`",
        "publish" | "published" => "here it is `ports`: `ports = [\"8080:8000\"]`",
        "needs" | "requires" | "after" => "here it is `depends_on`",
        "memory_limit" => "here it is `resources.memory`",
        _ => return None,
    })
}

/// What to write for a key of another tool in a table below a service.
pub(super) fn foreign_inner(kind: &str, key: &str) -> Option<&'static str> {
    Some(match (kind, key) {
        ("probe", "test" | "cmd" | "command" | "script") => "here it is `exec = \"cmd\"`",
        ("probe", "path" | "url" | "httpGet" | "get" | "endpoint") => "here it is `http = \"/path\"`",
        ("probe", "disable" | "disabled") => "leave the whole probe out",
        ("probe", "start_interval" | "initial_delay" | "initialDelaySeconds") => {
            "leave it out: probing is quick until the first success; `start_period` says how long failures do not count"
        }
        ("build", "file") => "here it is `dockerfile`",
        ("build", "path" | "dir" | "directory") => "here it is `context`",
        ("build", "tags" | "image") => "the tag is `image`, beside `build`",
        ("build", "cache_from" | "cache_to" | "network" | "shm_size") => {
            "this version has nothing like it: `build = { command = \"...\" }` runs a build of your own"
        }
        ("secret", "environment") => "here it is `env`",
        ("secret", "external") => "leave it out: `NAME = {}` is kept by witwd",
        ("secret", "value") => "a value does not belong into this file: take it from `env`, `file` or `command`",
        ("volume", "driver_opts") => "here it is `options`",
        ("volume", "name") => "leave it out: on the engine a volume is named STACK_VOLUME",
        ("resources", "limits" | "reservations") => "write the limits directly: `resources = { memory = \"512M\", cpus = 1.5 }`",
        ("resources", "cpu") => "here it is `cpus`",
        ("logs", "driver" | "options") => "write the bounds directly: `logs = { max_size = \"10M\", max_files = 5 }`",
        ("role", "privileges" | "grants") => "here it is `grant`, an array of roles",
        _ => return None,
    })
}

/// What to write for a top-level key of a compose file.
pub(super) fn foreign_table(key: &str) -> Option<&'static str> {
    Some(match key {
        "version" => "leave it out; `requires = \"0.3\"` names the oldest witwd that understands the file",
        "networks" | "network" => "leave it out: all services of a stack are on one network and find each other by name",
        "configs" => "bind the file in `volumes` of the service and list it in its `inputs`",
        "service" => "did you mean `services`?",
        "job" => "did you mean `jobs`?",
        "volume" => "did you mean `volumes`?",
        "secret" => "did you mean `secrets`?",
        "postgresql" | "database" | "databases" | "db" => "here it is `[postgres.db]`",
        "profiles" => "a service lists its own `profiles`; a file stack.PROFILE.toml is merged over this one",
        "image" | "build" | "command" | "port" | "ports" | "env" | "depends_on" | "replicas" => {
            "it belongs to a service: put it below `[services.NAME]`"
        }
        _ => return None,
    })
}

/// Tables and keys that a later version will carry out, by the place where they stand.
pub(super) fn reserved(kind: &str) -> &'static [&'static str] {
    match kind {
        "stack" => &["ingress", "alerts", "offsite"],
        "daemon" => &["keep_images"],
        "service" => &["watch", "scale", "update", "networks", "gpus", "devices", "sysctls", "engine"],
        "postgres" => &["wal", "replicas"],
        "backup" => &["encrypt"],
        "volume" => &["backup"],
        "job" => &["backup_first"],
        _ => &[],
    }
}

/// What to say of a key that another kind of workload has.
pub(super) fn wrong_kind(kind: &str, key: &str) -> Option<&'static str> {
    match (kind, key) {
        ("job", "ports" | "port" | "expose" | "healthcheck" | "health" | "readiness" | "liveness" | "startup") => {
            Some("a job runs to an end: what listens is a service, `[services.NAME]`")
        }
        ("job", "restart" | "replicas" | "backoff") => {
            Some("a job runs to an end; `retries` says how often a failed run is tried again")
        }
        ("job", "cron") => Some("here it is `schedule = \"*/2 * * * *\"`, or `every = \"2m\"`"),
        ("service", "schedule" | "every" | "run" | "cron") => {
            Some("what runs to an end is a job: `[jobs.NAME]`, with `extends = \"SERVICE\"`")
        }
        ("postgres", "health" | "healthcheck" | "readiness" | "liveness" | "startup") => {
            Some("leave it out: witwd itself asks the database, as the app's user")
        }
        ("postgres", "port") => Some("leave it out: it is 5432; `ports = [\"5432\"]` publishes it on 127.0.0.1"),
        ("postgres", "replicas") => Some("one server runs; replicas of it come with a later version"),
        ("postgres", "version") => Some("the version is part of `image`: `image = \"postgres:17\"`"),
        ("postgres", "username") => Some("here it is `user`"),
        ("postgres", "db" | "dbname" | "name") => Some("here it is `database`"),
        ("postgres", "hardening" | "read_only" | "cap_add" | "cap_drop" | "privileged" | "security_opt") => {
            Some("leave it out: witwd decides how a server is confined")
        }
        ("postgres", "working_dir" | "workdir" | "entrypoint" | "env_file" | "env_files") => {
            Some("leave it out: the image keeps the conventions of the official one")
        }
        ("postgres", "restart") => Some("leave it out: a postgres is always started again"),
        _ => None,
    }
}

/// What to write for a table where an array belongs.
pub(super) fn list_from_table(key: &str, table: &Table) -> String {
    let names = || table.keys().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    match key {
        "depends_on" => {
            format!("write an array of names: `depends_on = [{}]`; each must be ready, or `\"NAME:started\"` for less", names())
        }
        "ports" => "write an array: `ports = [\"8080:8000\"]`".to_owned(),
        "volumes" => "write an array: `volumes = [\"name:/path\", \"./rel:/path:ro\"]`".to_owned(),
        _ => format!("write an array: `{key} = [...]`"),
    }
}
