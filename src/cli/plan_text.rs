//! What `plan` shows to people: one line for each thing that changes, wrapped where it must. Pure.

use std::fmt::Write as _;

use serde_json::Value as Json;

use super::fit::{hang, wrap};
use super::paint::{Ink, paint, printable};
use crate::model::preview::{FieldChange, Preview, PreviewAction};

/// The longest value that is shown whole.
const LONGEST_VALUE: usize = 48;
/// The least width for words: a narrower terminal breaks lines itself.
const NARROWEST: usize = 24;

/// A change in a person's words.
struct Change {
    word: &'static str,
    target: String,
    words: String,
    ink: Ink,
}

/// The preview as text; with `actions` each single one too.
pub(super) fn text(preview: &Preview, actions: bool, width: usize, color: bool) -> String {
    let changes = changes(preview);
    let blocked = preview.blocked.iter().map(|blocked| Change {
        word: "blocked",
        target: printable(&blocked.target),
        words: printable(&blocked.cause),
        ink: if blocked.needs_operator { Ink::Red } else { Ink::Yellow },
    });
    let blocked: Vec<Change> = blocked.collect();
    let mut text = lines(&changes, &blocked, width, color);
    if actions && !preview.actions.is_empty() {
        let _ = writeln!(text, "\n{}", paint(color, Ink::Dim, "actions:"));
        for action in &preview.actions {
            let _ = writeln!(text, "{}", hang(&format!("  {}", printable(&action.line)), width, 4));
        }
    }
    if !text.is_empty() {
        text.push('\n');
    }
    if !preview.held.is_empty() {
        let words = format!("held: a save of this waits for `witwd up`: {}", preview.held.join("; "));
        let _ = writeln!(text, "{}", paint(color, Ink::Yellow, &wrap(&words, width).join("\n")));
    }
    for note in &preview.notes {
        let _ = writeln!(text, "{}", paint(color, Ink::Dim, &wrap(&format!("note: {note}"), width).join("\n")));
    }
    let _ = writeln!(text, "{}", wrap(&summary(preview, &changes), width).join("\n"));
    text
}

/// Changes, then what stays blocked, in the same columns.
fn lines(changes: &[Change], blocked: &[Change], width: usize, color: bool) -> String {
    let all = || changes.iter().chain(blocked);
    let first = all().map(|change| change.word.len()).max().unwrap_or(0) + 2;
    let longest = all().map(|change| change.target.chars().count()).max().unwrap_or(0);
    let second = longest.min(width / 3) + 2;
    let left = width.saturating_sub(first + second).max(NARROWEST);
    let below = format!("\n{:indent$}", "", indent = first + second);
    let mut text = String::new();
    for (index, change) in all().enumerate() {
        if index == changes.len() && index > 0 {
            text.push('\n');
        }
        let word = paint(color, change.ink, change.word);
        let _ = write!(text, "{word}{:pad$}{:<second$}", "", change.target, pad = first - change.word.len());
        if change.target.chars().count() + 2 > second {
            // A long name has a line of its own.
            text.push_str(&below);
        }
        let _ = writeln!(text, "{}", wrap(&change.words, left).join(&below));
    }
    text
}

/// The actions of one target, images apart from containers, are one change.
fn changes(preview: &Preview) -> Vec<Change> {
    let mut groups: Vec<Vec<&PreviewAction>> = Vec::new();
    for action in &preview.actions {
        let same = |group: &&mut Vec<&PreviewAction>| group[0].target == action.target && is_image(group[0]) == is_image(action);
        match groups.iter_mut().find(same) {
            Some(group) => group.push(action),
            None => groups.push(vec![action]),
        }
    }
    groups.iter().map(|group| change(group)).collect()
}

fn is_image(action: &PreviewAction) -> bool {
    matches!(action.action.as_str(), "pull" | "build" | "build-fallback")
}

fn change(group: &[&PreviewAction]) -> Change {
    let word = word(group);
    let ink = match word {
        "recreate" | "restart" => Ink::Yellow,
        "remove" | "stop" => Ink::Red,
        _ => Ink::Green,
    };
    let lost = group.iter().any(|action| action.loses_data);
    Change { word, target: printable(&group[0].target), words: words(group), ink: if lost { Ink::Red } else { ink } }
}

fn word(group: &[&PreviewAction]) -> &'static str {
    let has = |verb: &str| group.iter().any(|action| action.action == verb);
    let ends = has("stop") || has("remove");
    match group[0].action.as_str() {
        "pull" => "pull",
        "build" | "build-fallback" => "build",
        "create-network" | "create-volume" => "create",
        "remove-network" | "remove-volume" => "remove",
        _ if has("create") && ends => "recreate",
        _ if has("create") => "create",
        _ if has("stop") && has("start") => "restart",
        _ if has("start") => "start",
        _ if has("remove") => "remove",
        _ if has("stop") => "stop",
        _ if has("rename") => "rename",
        _ => "provision",
    }
}

/// Why, what differs, for how long it is away, what becomes of data.
fn words(group: &[&PreviewAction]) -> String {
    let made = group.iter().find(|action| action.action == "create");
    let told = made.unwrap_or(&group[0]);
    let fields: Vec<String> = told.fields.iter().map(field_text).collect();
    let because = if fields.is_empty() { told.cause.clone() } else { format!("{}: {}", told.cause, fields.join(", ")) };
    let image = is_image(told).then(|| image_of(told)).flatten();
    let gap = group.iter().find_map(|action| action.gap_seconds).map(|gap| format!("gap about {gap:.1} s"));
    let data = group.iter().filter_map(|action| {
        let data = action.data.as_ref()?;
        Some(if action.loses_data { format!("LOSES DATA: {data}") } else { data.clone() })
    });
    let all: Vec<String> = image.into_iter().chain([because]).chain(gap).chain(data).collect();
    printable(&all.join("; "))
}

/// The reference that a pull or build is about, from the line of the plan.
fn image_of(action: &PreviewAction) -> Option<String> {
    let rest = action.line.strip_prefix(&format!("{} {} ", action.action, action.target))?;
    rest.split_once(" | ").map(|(reference, _)| reference.to_owned())
}

fn field_text(field: &FieldChange) -> String {
    format!("{} {} -> {}", field.path, value_text(&field.from), value_text(&field.to))
}

fn value_text(value: &Json) -> String {
    let text = match value {
        Json::Null => return "none".to_owned(),
        Json::String(text) if text == "changed" || text == "********" => return text.clone(),
        other => other.to_string(),
    };
    if text.chars().count() <= LONGEST_VALUE {
        return text;
    }
    let head: String = text.chars().take(LONGEST_VALUE - 1).collect();
    format!("{head}…")
}

fn summary(preview: &Preview, changes: &[Change]) -> String {
    let waits = match preview.blocked.len() {
        0 => String::new(),
        1 => "; 1 thing stays blocked".to_owned(),
        more => format!("; {more} things stay blocked"),
    };
    if changes.is_empty() {
        let all = if preview.blocked.is_empty() { "as its file says" } else { "as far as it can be" };
        return format!("nothing to do: stack {} is {all}{waits}", preview.stack);
    }
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for change in changes {
        match counts.iter_mut().find(|(word, _)| *word == change.word) {
            Some((_, count)) => *count += 1,
            None => counts.push((change.word, 1)),
        }
    }
    let counts: Vec<String> = counts.iter().map(|(word, count)| format!("{count} to {word}")).collect();
    format!("{}{waits}. Nothing was changed: `witwd up` does it", counts.join(", "))
}
