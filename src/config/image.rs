//! Where an image comes from: `image`, `build`, `fallback`, `pull`, `platform`.

use std::collections::BTreeMap;
use std::path::Path;

use crate::model::image::{Build, Fallback, ImageOrigin, ImageSource, PullPolicy};
use crate::model::name::{SecretName, WorkloadName};
use crate::model::template::Template;

use super::draft::Owner;
use super::files::Files;
use super::node::Value;
use super::reader::Reader;
use super::suggest::did_you_mean;
use super::values::{Mistake, named};

/// Reads the image of a workload.
pub(super) fn image(reader: &Reader<'_>, owner: &Owner<'_>) -> Option<ImageSource> {
    let reference = reader.filled("image").filter(|text| is_reference(reader, text));
    let build = build(reader, "build");
    let tag_of = |builder: &str| builder.parse::<WorkloadName>().ok();
    let fallback_tag = tag_of(&owner.expanded.fallback_builder).map(|name| owner.stack.fallback_image(&name));
    let fallback = build_of(reader, "fallback").zip(fallback_tag).map(|(build, tag)| Fallback { build, tag });
    let policy =
        reader.choice("pull", &[("missing", PullPolicy::Missing), ("always", PullPolicy::Always), ("never", PullPolicy::Never)]);
    let platform = reader.filled("platform").or(build.as_ref().and_then(|(_, platform)| platform.clone()));
    if build.is_some() {
        for key in ["fallback", "pull"].into_iter().filter(|key| reader.has(key)) {
            let hint = "with `build`, the image is never pulled: leave this out, or leave `build` out";
            reader.error(reader.key_place(key), format!("`{}` has no meaning beside `build`", reader.name(key)), hint);
        }
    }
    let origin = match build {
        Some((build, _)) => ImageOrigin::Build(build),
        None => ImageOrigin::Pull { policy: policy.unwrap_or(PullPolicy::Missing), fallback },
    };
    let own_tag = || {
        matches!(origin, ImageOrigin::Build(_))
            .then(|| tag_of(&owner.expanded.builder).map(|name| owner.stack.built_image(&name)))
    };
    let reference = reference.or_else(|| own_tag().flatten())?;
    Some(ImageSource { reference, origin, platform })
}

/// Whether a text can be a reference to an image. What is wrong with it is reported.
fn is_reference(reader: &Reader<'_>, text: &str) -> bool {
    let name = text.split('@').next().unwrap_or_default();
    let last = name.rsplit('/').next().unwrap_or_default();
    let (repository, tag) = last.split_once(':').map_or((last, None), |(repository, tag)| (repository, Some(tag)));
    let path_part = name.strip_suffix(last).unwrap_or_default();
    let place = reader.value_place("image");
    let body = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/:[]".contains(&byte));
    if text.contains("://") {
        reader.error(
            place,
            format!("{text:?} is not a reference to an image"),
            "leave the `https://` out: `registry.example.com/app:1.2`",
        );
    } else if repository.is_empty() || tag == Some("") || !body(path_part) || !body(last) {
        reader.error(
            place,
            format!("{text:?} is not a reference to an image"),
            "write `name:tag`, `registry.example.com/name:tag` or `name@sha256:...`",
        );
    } else if repository.bytes().any(|byte| byte.is_ascii_uppercase()) {
        reader.error(
            place,
            format!("{text:?} is not a reference to an image: names of images are lower case"),
            format!("write {:?}", text.to_lowercase()),
        );
    } else {
        return true;
    }
    false
}

fn build_of(reader: &Reader<'_>, key: &'static str) -> Option<Build> {
    let (build, platform) = build(reader, key)?;
    if platform.is_some() {
        reader.error(
            reader.value_place(key),
            format!("`{}.platform` has no meaning", reader.name(key)),
            "`platform` stands beside it",
        );
    }
    Some(build)
}

fn build(reader: &Reader<'_>, key: &'static str) -> Option<(Build, Option<String>)> {
    let node = reader.node(key)?;
    match &node.value {
        Value::Text(_) => {
            let context = reader.cx.path(node.place, &reader.filled(key)?);
            let dockerfile = context.join("Dockerfile");
            warn_missing(reader, node.place, &context);
            Some((Build::Docker { context, dockerfile, target: None, args: BTreeMap::new(), secrets: Vec::new() }, None))
        }
        Value::Table(_) => Some(build_table(reader.table(key, "build")?)),
        _ => {
            reader.error(
                node.place,
                format!("`{}` must be a directory or a table, this is {}", reader.name(key), node.kind()),
                "write `build = \".\"` or `build = { context = \".\", target = \"prod\" }`",
            );
            None
        }
    }
}

fn build_table(reader: Reader<'_>) -> (Build, Option<String>) {
    let command = reader.command("command");
    let context_place = reader.value_place("context");
    let context = reader.cx.path(context_place, &reader.filled("context").unwrap_or_else(|| ".".to_owned()));
    let dockerfile = reader.filled("dockerfile").map_or_else(|| context.join("Dockerfile"), |file| context.join(file));
    let target = reader.filled("target");
    let args = templates(&reader, "args");
    let secrets = secrets(&reader, "secrets");
    let platform = reader.filled("platform");
    let build = if let Some(command) = command {
        for key in ["context", "dockerfile", "target", "args", "secrets", "platform"].into_iter().filter(|key| reader.has(key)) {
            reader.error(
                reader.key_place(key),
                format!("`{}` has no meaning beside `command`", reader.name(key)),
                "a build is a Docker build or a command, not both",
            );
        }
        Build::Command(command)
    } else {
        warn_missing(&reader, context_place, &context);
        Build::Docker { context, dockerfile, target, args, secrets }
    };
    reader.finish();
    (build, platform)
}

fn warn_missing(reader: &Reader<'_>, place: super::diagnostics::Place, context: &Path) {
    if !Files::is_directory(context) {
        reader.cx.diagnostics.warning(
            place,
            format!("there is no directory {}", context.display()),
            "a build needs its context: make the directory, or name another",
        );
    }
}

/// A table of strings that may hold secrets.
pub(super) fn templates(reader: &Reader<'_>, key: &'static str) -> BTreeMap<String, Template> {
    let hint = "write a table: `env.NAME = \"value\"`, or `env = { NAME = \"value\" }`".replace("env", key);
    reader
        .entries(key, &hint)
        .into_iter()
        .filter_map(|(name, entry)| {
            let node = &entry.node;
            if key == "env" && super::container::is_misplaced(reader, name, node) {
                return None;
            }
            let template = match &node.value {
                Value::Text(raw) => reader.cx.scope.template(raw, node.place)?,
                _ => Template::text(reader.scalar(&reader.name(key), name, node)?),
            };
            Some((name.to_owned(), template))
        })
        .collect()
}

/// An array of names of secrets of this stack.
pub(super) fn secrets(reader: &Reader<'_>, key: &'static str) -> Vec<SecretName> {
    let known = reader.cx.scope.catalog.as_ref().map(|catalog| &catalog.secrets);
    let mut names: Vec<SecretName> = Vec::new();
    for (text, place) in reader.list(key) {
        match (named::<SecretName>(&text), known) {
            (Err(Mistake { message, hint }), _) => reader.error(place, message, hint),
            (Ok(_), Some(known)) if !known.contains(&text) => {
                let hint =
                    did_you_mean(&text, known.iter().map(String::as_str), &format!("add `{text} = {{}}` below `[secrets]`"));
                reader.error(place, format!("there is no secret `{text}`"), hint);
            }
            (Ok(name), _) if names.contains(&name) => reader.error(place, format!("`{text}` is listed twice"), "leave one out"),
            (Ok(name), _) => names.push(name),
        }
    }
    names
}
