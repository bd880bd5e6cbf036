//! Which fields of a definition differ: what stands behind "definition changed".

use serde_json::Value as Json;

use crate::model::preview::FieldChange;

/// The fields in which two definitions differ, by path. A list is one value: its order matters.
pub fn fields(from: &Json, to: &Json) -> Vec<FieldChange> {
    let mut found = Vec::new();
    compare("", from, to, &mut found);
    found
}

fn compare(path: &str, from: &Json, to: &Json, found: &mut Vec<FieldChange>) {
    if let (Json::Object(old), Json::Object(new)) = (from, to) {
        let keys: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for key in keys {
            let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            compare(&below, old.get(key).unwrap_or(&Json::Null), new.get(key).unwrap_or(&Json::Null), found);
        }
        return;
    }
    // A table that comes or goes is said key by key, so that a path always names a value.
    let empty = Json::Object(serde_json::Map::new());
    match (from, to) {
        (Json::Null, Json::Object(_)) => compare(path, &empty, to, found),
        (Json::Object(_), Json::Null) => compare(path, from, &empty, found),
        _ if from == to => {}
        _ => found.push(FieldChange { path: path.to_owned(), from: from.clone(), to: to.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(from: &Json, to: &Json) -> Vec<String> {
        fields(from, to).into_iter().map(|field| format!("{} {} -> {}", field.path, field.from, field.to)).collect()
    }

    #[test]
    fn each_value_that_differs_is_named_by_its_path() {
        let from = json!({ "image": "a:1", "env": { "KEPT": "1", "OLD": "x", "HI": "hello" }, "ports": ["80"] });
        let to = json!({ "image": "a:2", "env": { "KEPT": "1", "HI": "hi", "NEW": "${secret.key}" }, "ports": ["80", "81"] });
        assert_eq!(
            told(&from, &to),
            [
                r#"env.HI "hello" -> "hi""#,
                r#"env.NEW null -> "${secret.key}""#,
                r#"env.OLD "x" -> null"#,
                r#"image "a:1" -> "a:2""#,
                r#"ports ["80"] -> ["80","81"]"#,
            ]
        );
    }

    #[test]
    fn a_table_that_comes_or_goes_is_told_key_by_key() {
        let bare = json!({ "image": "a:1" });
        let more = json!({ "image": "a:1", "hardening": { "read_only": true, "pids": 9 } });
        assert_eq!(told(&bare, &more), ["hardening.pids null -> 9", "hardening.read_only null -> true"]);
        assert_eq!(told(&more, &bare), ["hardening.pids 9 -> null", "hardening.read_only true -> null"]);
        assert_eq!(told(&more, &more), Vec::<String>::new());
    }
}
