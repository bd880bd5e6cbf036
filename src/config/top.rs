//! `[secrets.NAME]`, `[volumes.NAME]`, `[daemon]`, and the keys at the top of the file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::model::name::{NameError, SecretName, StackName, VolumeName};
use crate::model::stack::{DaemonSettings, Reload, Secret, SecretSource, Volume};

use super::Problem;
use super::diagnostics::Place;
use super::files::Files;
use super::node::Value;
use super::reader::Reader;
use super::suggest::host_name;
use super::values::{Mistake, mistake, named};

/// The name of the stack: of the request, else of the file.
pub(super) fn name(reader: &Reader<'_>, given: Option<&str>) -> Option<StackName> {
    let written = reader.filled("name");
    let (text, place, hint) = match (given, written) {
        (Some(given), _) => (given.to_owned(), Place::default(), "`--name` and WITWD_NAME override `name`"),
        (None, Some(written)) => (written, reader.value_place("name"), ""),
        (None, None) if reader.has("name") => return None,
        (None, None) => {
            let directory = reader.cx.directory.file_name().unwrap_or_default().to_string_lossy();
            let example = host_name(&directory);
            reader.error(Place::default(), "the stack has no name", format!("begin the file with `name = \"{example}\"`"));
            return None;
        }
    };
    text.parse()
        .map_err(|error: NameError| {
            let near = host_name(&text);
            let hint = if hint.is_empty() { format!("for example `name = \"{near}\"`") } else { hint.to_owned() };
            reader.error(place, error.to_string(), hint);
        })
        .ok()
}

/// The name that the data lies under until now. A name that was given overrides the whole matter: the
/// file says it of its own.
pub(super) fn renamed_from(reader: &Reader<'_>, given: Option<&str>, name: &StackName) -> Option<StackName> {
    let old: StackName = parsed(reader, "renamed_from")?;
    if given.is_some() {
        return None;
    }
    if &old == name {
        reader.error(
            reader.value_place("renamed_from"),
            format!("`{old}` is the name that the stack has"),
            "leave `renamed_from` out",
        );
    }
    Some(old)
}

/// A name of some kind. What is wrong with it is reported.
pub(super) fn parsed<T: std::str::FromStr<Err = NameError>>(reader: &Reader<'_>, key: &'static str) -> Option<T> {
    let text = reader.filled(key)?;
    reader.report(reader.value_place(key), named(&text))
}

/// `requires`: the oldest witwd that understands the file.
pub(super) fn requires(reader: &Reader<'_>) {
    let Some(text) = reader.filled("requires") else { return };
    let own = env!("CARGO_PKG_VERSION");
    let numbers = |text: &str| {
        text.split('.').map(|part| part.parse::<u32>().ok()).collect::<Option<Vec<_>>>().filter(|numbers| numbers.len() <= 3)
    };
    let place = reader.value_place("requires");
    match (numbers(text.trim()), numbers(own)) {
        (None, _) => reader.error(
            place,
            format!("{text:?} is not a version"),
            format!("write the oldest version of witwd that will do: \"{own}\""),
        ),
        (Some(wanted), Some(own_numbers)) if wanted > own_numbers => {
            reader.error(place, format!("this file needs witwd {text}, this is {own}"), "install a newer witwd");
        }
        _ => {}
    }
}

/// `host_paths`, links followed.
pub(super) fn host_paths(reader: &Reader<'_>) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for (text, place) in reader.list("host_paths") {
        let path = Files::canonical(&reader.cx.path(place, &text));
        if path.parent().is_none() {
            reader.error(place, "`/` would allow the whole machine", "name the directories that are meant");
        } else {
            paths.push(path);
        }
    }
    paths
}

/// The secrets.
pub(super) fn secrets(reader: &Reader<'_>) -> BTreeMap<SecretName, Secret> {
    let mut secrets = BTreeMap::new();
    for (name, entry) in reader.entries("secrets", "write `[secrets]` and below it `name = {}`") {
        if name.starts_with("x-") {
            continue;
        }
        let inner = Reader::new(reader.cx, "secret", format!("secrets.{name}"), &entry.node);
        let secret = Secret {
            source: source(&inner),
            uid: inner.count("uid", 0..=u32::MAX),
            gid: inner.count("gid", 0..=u32::MAX),
            mode: mode(&inner),
        };
        inner.finish();
        if let Some(name) = reader.report(entry.key, named(name)) {
            secrets.insert(name, secret);
        }
    }
    secrets
}

fn source(reader: &Reader<'_>) -> SecretSource {
    let env = reader.filled("env");
    let file = reader.filled("file");
    let command = reader.command("command");
    let generate = generate(reader);
    let given: Vec<&str> = ["env", "file", "command", "generate"].into_iter().filter(|key| reader.has(key)).collect();
    if let [first, second, ..] = given.as_slice() {
        reader.error(
            reader.key_place(second),
            format!("`{}` has one source: `{first}` and `{second}` are two", reader.path),
            "keep one of them",
        );
    }
    if let Some(variable) = &env
        && !super::dotenv::is_name(variable)
    {
        reader.error(
            reader.value_place("env"),
            format!("{variable:?} is not a name of a variable"),
            "write the name alone: `env = \"API_KEY\"`",
        );
    }
    env.map(SecretSource::Env)
        .or(file.map(|file| SecretSource::File(reader.cx.path(reader.value_place("file"), &file))))
        .or(command.map(SecretSource::Command))
        .or(generate)
        .unwrap_or(SecretSource::Kept)
}

const SHORTEST: u32 = 8;

fn generate(reader: &Reader<'_>) -> Option<SecretSource> {
    let node = reader.node("generate")?;
    if node.as_table().is_none() {
        let length = reader.count("generate", SHORTEST..=4096)?;
        return Some(SecretSource::Generate { length, encoding: None, prefix: String::new() });
    }
    let inner = reader.table("generate", "generate")?;
    let length = inner.count("bytes", SHORTEST..=4096);
    if length.is_none() && !inner.has("bytes") {
        inner.error(
            inner.place,
            "this does not say how long it is to be",
            "write `generate = { bytes = 32, encoding = \"hex\" }`",
        );
    }
    let encoding = inner.choice("encoding", &[("hex", "hex"), ("base64", "base64"), ("base64url", "base64url")]);
    let prefix = inner.text("prefix").unwrap_or_default();
    inner.finish();
    Some(SecretSource::Generate { length: length?, encoding: Some(encoding.unwrap_or("hex").to_owned()), prefix })
}

fn mode(reader: &Reader<'_>) -> Option<u32> {
    let node = reader.node("mode")?;
    let mode = match &node.value {
        Value::Text(raw) => octal(&reader.cx.scope.text(raw, node.place)?),
        Value::Integer(number) if reader.cx.diagnostics.begins_with(node.place, "0o") => octal(&format!("{number:o}")),
        _ => mistake("a mode is a string of octal digits here", "write `mode = \"0440\"`"),
    };
    reader.report(node.place, mode)
}

fn octal(text: &str) -> Result<u32, Mistake> {
    match u32::from_str_radix(text.trim_start_matches("0o"), 8) {
        Ok(mode) if mode <= 0o777 => Ok(mode),
        _ => mistake(format!("{text:?} is not a mode"), "write octal digits: `mode = \"0440\"`"),
    }
}

/// The volumes.
pub(super) fn volumes(reader: &Reader<'_>) -> BTreeMap<VolumeName, Volume> {
    let mut volumes = BTreeMap::new();
    for (name, entry) in reader.entries("volumes", "write `[volumes]` and below it `name = {}`") {
        if name.starts_with("x-") {
            continue;
        }
        let inner = Reader::new(reader.cx, "volume", format!("volumes.{name}"), &entry.node);
        let volume = volume(&inner);
        inner.finish();
        if let Some(name) = reader.report(entry.key, named(name)) {
            volumes.insert(name, volume);
        }
    }
    volumes
}

fn volume(reader: &Reader<'_>) -> Volume {
    let volume = Volume {
        path: reader.filled("path").map(|path| reader.cx.path(reader.value_place("path"), &path)),
        external: reader.flag("external").unwrap_or(false),
        driver: reader.filled("driver"),
        options: reader.strings("options"),
        labels: reader.strings("labels"),
        renamed_from: parsed(reader, "renamed_from"),
    };
    for key in ["driver", "options"].into_iter().filter(|key| volume.path.is_some() && reader.has(key)) {
        reader.error(reader.key_place(key), format!("`{}` has no meaning beside `path`", reader.name(key)), "keep one of them");
    }
    for key in
        ["path", "driver", "options", "labels", "renamed_from"].into_iter().filter(|key| volume.external && reader.has(key))
    {
        reader.error(
            reader.key_place(key),
            format!("`{}` has no meaning beside `external`", reader.name(key)),
            "an external volume is made by somebody else",
        );
    }
    if let Some(path) = &volume.path {
        below_host_paths(reader, path);
    }
    volume
}

fn below_host_paths(reader: &Reader<'_>, path: &std::path::Path) {
    let real = Files::canonical(path);
    let cx = reader.cx;
    if real.starts_with(cx.directory.join(".witwd")) {
        reader.error(reader.value_place("path"), format!("{} is witwd's own state", path.display()), "keep your files elsewhere");
    } else if !real.starts_with(&cx.directory) && !cx.host_paths.iter().any(|allowed| real.starts_with(allowed)) {
        let parent = real.parent().filter(|parent| parent.parent().is_some()).unwrap_or(&real).display();
        let hint = format!("allow it at the top of the file: `host_paths = [\"{parent}\"]`");
        reader.error(reader.value_place("path"), format!("{} is outside the stack's directory", path.display()), hint);
    }
}

/// `[daemon]`, and what would be wrong with it on a machine without its group.
pub(super) fn daemon(reader: &Reader<'_>) -> (DaemonSettings, Option<Problem>) {
    let Some(reader) = reader.table("daemon", "daemon") else { return (DaemonSettings::default(), None) };
    let settings = DaemonSettings {
        reload: reader.choice("reload", &[("save", Reload::Save), ("up", Reload::Up)]),
        group: reader.filled("group"),
        key_file: reader.filled("key_file").map(|file| reader.cx.path(reader.value_place("key_file"), &file)),
    };
    let unknown = settings.group.as_ref().map(|group| {
        let hint = format!("`sudo groupadd {group}` makes it; its members may do all that witwd may, which is as much as root");
        reader.cx.diagnostics.possible(reader.value_place("group"), format!("this machine has no group `{group}`"), hint)
    });
    reader.finish();
    (settings, unknown)
}
