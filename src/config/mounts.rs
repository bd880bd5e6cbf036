//! `volumes` of a workload: volumes of the stack and binds, and what may be bound.

use std::path::{Path, PathBuf};

use crate::model::container::{Hardening, Mount, MountSource};

use super::diagnostics::Place;
use super::files::Files;
use super::node::Value;
use super::reader::Reader;
use super::suggest::nearest;
use super::values::named;

const SYNTAX: &str = "write \"name:/path\", \"./rel:/path\" or \"/host/path:/path\", with `:ro` at the end for read-only";

/// Directories that belong to the system: writing there can take the machine over.
const SYSTEM: [&str; 14] = [
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/lib32",
    "/lib64",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/sys",
    "/usr",
    "/var/lib/docker",
];

/// Where the engine's sockets are.
const SOCKETS: [&str; 4] = ["/run/docker.sock", "/var/run/docker.sock", "/run/podman/podman.sock", "/var/run/podman/podman.sock"];

/// Reads `volumes`.
pub(super) fn mounts(reader: &Reader<'_>, hardening: &Hardening) -> Vec<Mount> {
    let mut mounts: Vec<Mount> = Vec::new();
    for item in reader.items("volumes") {
        let text = if let Value::Text(raw) = &item.value {
            reader.cx.scope.text(raw, item.place)
        } else {
            reader.error(item.place, format!("a volume is a string here, this is {}", item.kind()), SYNTAX);
            None
        };
        let Some(mount) = text.and_then(|text| mount(reader, hardening, &text, item.place)) else { continue };
        if mounts.iter().any(|other| other.target == mount.target) {
            reader.error(item.place, format!("two volumes are mounted at {}", mount.target), "give one of them another path");
            continue;
        }
        mounts.push(mount);
    }
    mounts
}

fn mount(reader: &Reader<'_>, hardening: &Hardening, text: &str, place: Place) -> Option<Mount> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, mode) = match parts.as_slice() {
        [source, target] => (*source, *target, "rw"),
        [source, target, mode] => (*source, *target, *mode),
        _ => ("", "", ""),
    };
    if source.is_empty() || target.is_empty() {
        reader.error(place, format!("{text:?} does not say what to mount where"), SYNTAX);
        return None;
    }
    if !target.starts_with('/') {
        reader.error(place, format!("the path in the container must be absolute, {target:?} is not"), SYNTAX);
        return None;
    }
    let read_only = match mode {
        "ro" => true,
        "rw" => false,
        "z" | "Z" | "cached" | "delegated" | "consistent" => {
            reader.error(place, format!("`:{mode}` has no meaning here"), "leave it out; only `:ro` is known");
            return None;
        }
        _ => {
            reader.error(place, format!("`:{mode}` has no meaning here"), "only `:ro` is known");
            return None;
        }
    };
    let target = clean(target);
    if target == "/" {
        reader.error(place, "nothing can be mounted over the whole container", "name a directory in it");
        return None;
    }
    let source = source_of(reader, hardening, source, read_only, place)?;
    Some(Mount { source, target, read_only })
}

fn clean(target: &str) -> String {
    let clean = super::files::normal(Path::new(target));
    clean.to_string_lossy().into_owned()
}

fn source_of(reader: &Reader<'_>, hardening: &Hardening, source: &str, read_only: bool, place: Place) -> Option<MountSource> {
    if source.starts_with('~') {
        reader.error(place, "`~` is not known here", "write the path in full, or `${env.HOME}/...`");
        return None;
    }
    if source.starts_with('.') || source.starts_with('/') {
        let bind = Bind { reader, hardening, source, read_only, place };
        return bind.check().map(MountSource::Bind);
    }
    if source.contains('/') {
        reader.error(
            place,
            format!("{source:?} is neither a volume nor a path"),
            format!("for a path beside the file write \"./{source}:...\""),
        );
        return None;
    }
    let known = &reader.cx.volumes;
    if !known.contains(source) {
        let near = nearest(source, known.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`? Else "));
        let add = format!("add `{source} = {{}}` below `[volumes]`; a path begins with `./` or `/`");
        reader.error(place, format!("there is no volume `{source}`"), format!("{}{add}", near.unwrap_or_default()));
        return None;
    }
    reader.report(place, named(source)).map(MountSource::Volume)
}

struct Bind<'r, 'a> {
    reader: &'r Reader<'a>,
    hardening: &'r Hardening,
    source: &'r str,
    read_only: bool,
    place: Place,
}

impl Bind<'_, '_> {
    fn check(&self) -> Option<PathBuf> {
        let cx = self.reader.cx;
        let path = cx.path(self.place, self.source);
        let real = Files::canonical(&path);
        let socket = shows_engine(&real) || shows_engine(&path);
        let mut fine = true;
        let mut refuse = |message: String, hint: &str| {
            self.reader.error(self.place, message, hint);
            fine = false;
        };
        if socket && !self.hardening.docker_socket {
            refuse(
                format!("{} gives this container the whole engine", self.source),
                "if that is meant: `hardening.docker_socket = true`",
            );
        }
        let is_socket_itself = socket && !Files::is_directory(&real);
        if !is_socket_itself && !self.allowed(&real) {
            self.outside(&path, &real, &mut refuse);
        }
        if !self.read_only && !is_socket_itself && !self.hardening.privileged && is_system(&real, &cx.directory) {
            refuse(
                format!("{} is a directory of the system", self.source),
                "add `:ro`; if it must be written: `hardening.privileged = true`",
            );
        }
        if shows_runtime(&real) && !self.hardening.docker_socket {
            refuse(
                format!(
                    "{} shows the sockets of witwd, which can do all that the engine can, and secrets of containers",
                    self.source
                ),
                "bind what you need of it, not the whole",
            );
        }
        if real.starts_with(cx.directory.join(".witwd")) {
            refuse(
                format!("{} is witwd's own state", self.source),
                "it holds secrets and can't be bound: keep your files elsewhere",
            );
        }
        fine.then_some(path)
    }

    fn allowed(&self, real: &Path) -> bool {
        let cx = self.reader.cx;
        real.starts_with(&cx.directory) || cx.host_paths.iter().any(|allowed| real.starts_with(allowed))
    }

    fn outside(&self, path: &Path, real: &Path, refuse: &mut impl FnMut(String, &str)) {
        let parent = real.parent().filter(|parent| parent.parent().is_some()).unwrap_or(real).display();
        let hint = format!("move it beside stack.toml, or allow it at the top of the file: `host_paths = [\"{parent}\"]`");
        if self.allowed(path) {
            refuse(format!("{} leads through a link to {}, outside the stack's directory", self.source, real.display()), &hint);
        } else {
            refuse(format!("{} is outside the stack's directory", self.source), &hint);
        }
    }
}

/// Paths in the container that are hidden under an empty directory in memory: binding the stack's
/// own directory (`.:/app`) must not show witwd's state, which holds secrets.
pub(super) fn masks(reader: &Reader<'_>, mounts: &[Mount]) -> Vec<String> {
    let state = reader.cx.directory.join(".witwd");
    let inside = |mount: &Mount| match &mount.source {
        MountSource::Bind(path) => {
            let rest = state.strip_prefix(Files::canonical(path)).ok()?.to_owned();
            Some(Path::new(&mount.target).join(rest).to_string_lossy().into_owned())
        }
        MountSource::Volume(_) => None,
    };
    mounts.iter().filter_map(inside).collect()
}

/// Whether binding `path` shows the socket of an engine: one that is known, or one that lies there. Also
/// read-only: a socket is written to by connecting.
fn shows_engine(path: &Path) -> bool {
    let is_named = ["docker.sock", "podman.sock"].iter().any(|name| path.file_name().is_some_and(|own| own == *name));
    let lies_there = ["docker.sock", "podman.sock", "podman/podman.sock", ".docker/run/docker.sock", "run/docker.sock"];
    is_named
        || SOCKETS.iter().any(|socket| reaches(path, Path::new(socket)))
        || lies_there.iter().any(|socket| Files::is_there(&path.join(socket)))
}

/// Whether binding `path` shows witwd's runtime directory: that of root, or that of a user.
fn shows_runtime(path: &Path) -> bool {
    let parts: Vec<&str> = path.iter().filter_map(|part| part.to_str()).collect();
    match parts.as_slice() {
        ["/", "run"] | ["/", "run", "witwd", ..] | ["/", "run", "user"] | ["/", "run", "user", _] => true,
        ["/", "run", "user", _, name, ..] => *name == "witwd",
        _ => false,
    }
}

/// Whether binding `path` shows `thing`.
fn reaches(path: &Path, thing: &Path) -> bool {
    thing.starts_with(path)
}

fn is_system(path: &Path, stack: &Path) -> bool {
    if path.starts_with(stack) {
        return false;
    }
    let whole = ["/", "/var", "/var/lib", "/var/run", "/home"].iter().any(|system| path == Path::new(system));
    whole || SYSTEM.iter().any(|system| path.starts_with(system))
}
