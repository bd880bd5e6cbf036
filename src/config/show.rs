//! The resolved stack for people and programs: merged, interpolated, `extends` carried out, secrets
//! masked.

use serde_json::{Map, Value as Json, json};

use crate::model::name::StackName;

use super::Loaded;
use super::definition::plain;
use super::extends::Expansion;
use super::reader::Reader;

/// What stands in place of a value that nobody should see.
const MASK: &str = "********";

/// The document of a stack as JSON.
pub(super) fn document(root: &Reader<'_>, expansion: &Expansion, name: &StackName) -> Json {
    root.cx.scope.dormant.set(true);
    let mut whole = Map::new();
    for (key, entry) in root.written().iter().filter(|(key, _)| *key != "include" && !key.starts_with("x-")) {
        let value = match key.as_str() {
            "name" => json!(name),
            "services" => {
                expansion.services.iter().map(|(name, expanded)| (name.clone(), plain(root, &expanded.entry.node))).collect()
            }
            "jobs" => expansion.jobs.iter().map(|(name, expanded)| (name.clone(), plain(root, &expanded.entry.node))).collect(),
            _ => plain(root, &entry.node),
        };
        whole.insert(key.clone(), value);
    }
    whole.insert("name".to_owned(), json!(name));
    root.cx.scope.dormant.set(false);
    root.cx.scope.uses.take();
    let mut whole = Json::Object(whole);
    for kind in ["services", "jobs"] {
        for table in whole
            .get_mut(kind)
            .and_then(Json::as_object_mut)
            .into_iter()
            .flat_map(Map::values_mut)
            .filter_map(Json::as_object_mut)
        {
            table.remove("extends");
        }
    }
    mask(&mut whole);
    whole
}

/// Replaces every occurrence of these passwords in a value.
pub(super) fn hide_passwords(value: &mut Json, passwords: &[String]) {
    match value {
        Json::String(text) => {
            for password in passwords {
                *text = hidden(text, password);
            }
        }
        Json::Array(items) => items.iter_mut().for_each(|item| hide_passwords(item, passwords)),
        Json::Object(fields) => fields.values_mut().for_each(|field| hide_passwords(field, passwords)),
        _ => {}
    }
}

/// A short password is hidden only where it is one for sure, lest it takes other words with it.
fn hidden(text: &str, password: &str) -> String {
    if password.len() >= 6 || text == password {
        return text.replace(password, MASK);
    }
    text.replace(&format!(":{password}@"), &format!(":{MASK}@"))
}

/// Hides the passwords that stand in the file itself.
fn mask(whole: &mut Json) {
    for table in whole.get_mut("postgres").and_then(Json::as_object_mut).into_iter().flat_map(Map::values_mut) {
        hide(table, "password");
        for role in table.get_mut("roles").and_then(Json::as_object_mut).into_iter().flat_map(Map::values_mut) {
            hide(role, "password");
        }
        if let Some(offsite) = table.pointer_mut("/backup/offsite") {
            hide(offsite, "access_key");
            hide(offsite, "secret_key");
        }
        if let Some(Json::String(url)) = table.get_mut("url") {
            *url = masked_url(url);
        }
    }
}

fn hide(table: &mut Json, key: &str) {
    if let Some(Json::String(text)) = table.get_mut(key)
        && !text.starts_with("${")
    {
        MASK.clone_into(text);
    }
}

/// An address with its password hidden, where it has one that is not a hole.
fn masked_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let Some((login, rest)) = rest.rsplit_once('@') else { return url.to_owned() };
    match login.split_once(':') {
        Some((user, password)) if !password.starts_with("${") => format!("{scheme}://{user}:{MASK}@{rest}"),
        _ => url.to_owned(),
    }
}

/// The resolved stack as TOML 1.0. Holes stand for secrets: `${secret.NAME}`.
pub fn resolved(loaded: &Loaded) -> String {
    toml::to_string(&loaded.document).unwrap_or_default()
}
