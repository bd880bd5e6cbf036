//! The examples of README.md: what stands there below a command is what the program prints of a stack in
//! that state at 80 columns, and some of it at 200. `UPDATE_DOCS=1 cargo test --lib readme` writes it anew.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use super::{at, item, port, status};
use crate::cli::paint::Ink;
use crate::cli::{events, log_text, plan_text, progress, ps, up};
use crate::model::preview::Preview;
use crate::model::status::{EventRecord, FileStatus, Health, ItemStatus, State, Status};
use crate::model::workload::KindName;

const COLUMNS: usize = 80;
const WIDE: usize = 200;

/// The stack of the file at the top of the page.
fn pollinate(items: Vec<ItemStatus>, notes: &[String]) -> Status {
    Status { stack: "pollinate".into(), notes: notes.to_vec(), ..status(items) }
}

fn db(state: State, since: i64) -> ItemStatus {
    let ready = state == State::Running;
    let health = if ready { Health::Healthy } else { Health::Starting };
    ItemStatus { health, since: Some(at(since)), ..item("db", KindName::Postgres, state) }
}

fn api(state: State, since: i64) -> ItemStatus {
    let health = if state == State::Running { Health::Healthy } else { Health::Starting };
    let ports = vec![port("127.0.0.1", 8000, 8000)];
    ItemStatus { health, ports, since: Some(at(since)), ..item("api", KindName::Service, state) }
}

/// What `up -d` prints where it is no terminal: a line for each change, then where to find it.
fn up(notes: &[String], columns: usize) -> String {
    let mut lines: Vec<String> = notes.iter().map(|note| format!("note: {note}")).collect();
    let waiting = ItemStatus { cause: "waiting for db: not ready".into(), ..api(State::Blocked, 0) };
    let steps = [
        vec![db(State::Starting, 0), waiting],
        vec![db(State::Running, 0), api(State::Starting, 0)],
        vec![db(State::Running, 0), api(State::Running, 0)],
    ];
    let (mut shown, mut last) = (BTreeMap::new(), pollinate(Vec::new(), notes));
    for items in steps {
        last = pollinate(items, notes);
        lines.extend(progress::changes(&mut shown, &last));
    }
    lines.push(up::ready_text(&last, Some(&up::Lasting::UntilReboot), columns));
    lines.join("\n")
}

fn logs(columns: usize) -> String {
    let lines = [
        ("db", "2026-01-01 20:39:55.621 UTC [6] LOG:  database system is ready to accept connections"),
        ("api", "listening on 0.0.0.0:8000"),
        ("api", "GET /healthz 200"),
    ];
    let width = log_text::label_width(3, Some(columns));
    lines.map(|(label, line)| log_text::line_text((label, width), Ink::Plain, line, Some(columns), false)).join("\n")
}

/// What follows a save that changes an environment variable of the app.
fn saved() -> String {
    let line = |ago, kind: &str, target: &str, cause: &str| {
        let record = EventRecord {
            at: at(ago),
            kind: kind.into(),
            target: target.into(),
            cause: cause.into(),
            detail: serde_json::Value::Null,
        };
        events::event_text(&record, &(at(0), TimeZone::UTC), false)
    };
    [
        line(9, "save", "stack", "the file was saved"),
        line(9, "create", "api", "definition changed"),
        line(9, "stop", "api", "definition changed"),
        line(9, "exit", "api", "terminated (exit 143)"),
        line(9, "start", "api", "created, all it needs is there"),
        line(8, "remove", "api", "replaced by 26b6a3bb731f"),
        line(8, "rename", "api", "takes the place of the old one"),
    ]
    .join("\n")
}

/// A save that would recreate the database waits, and a worker that can't run says why.
fn trouble(notes: &[String], columns: usize) -> String {
    let reasons = vec!["it recreates postgres db".into()];
    let worker = ItemStatus {
        cause: "exited with code 2; restart 4 in 7.9s".into(),
        next: Some(at(-7)),
        restarts: 3,
        since: Some(at(1)),
        ..item("worker", KindName::Service, State::Backoff)
    };
    let all = pollinate(vec![db(State::Running, 5400), api(State::Running, 9), worker], notes);
    ps::text(&Status { file: FileStatus { pending: true, reasons, ..all.file }, ..all }, at(0), columns, false)
}

fn plan() -> String {
    let action = |action: &str, gap: Option<f64>| {
        serde_json::json!({ "action": action, "target": "db", "cause": "definition changed", "loses_data": false, "gap_seconds": gap,
                            "fields": [{ "path": "settings.max_connections", "from": null, "to": "200" }] })
    };
    let preview: Preview = serde_json::from_value(serde_json::json!({
        "v": 1, "stack": "pollinate", "changes": true, "blocked": [],
        "actions": [action("create", None), action("stop", Some(6.5)), action("start", None), action("remove", None)],
        "held": ["it recreates postgres db"],
        "notes": [crate::supervisor::GAPS],
    }))
    .expect("a preview");
    plan_text::text(&preview, false, COLUMNS, false)
}

/// The commands of the page in its order, with what they print.
fn examples(notes: &[String]) -> Vec<(&'static str, String)> {
    let ready = pollinate(vec![db(State::Running, 8), api(State::Running, 5)], notes);
    vec![
        ("witwd up -d", up(notes, COLUMNS)),
        ("witwd ps", ps::text(&ready, at(0), COLUMNS, false)),
        ("witwd logs", logs(COLUMNS)),
        ("witwd events", saved()),
        ("witwd ps", trouble(notes, COLUMNS)),
        ("witwd plan", plan()),
        ("witwd up -d", up(notes, WIDE)),
        ("witwd ps", trouble(notes, WIDE)),
        ("witwd logs", logs(WIDE)),
    ]
}

/// The page with `output` below the first `$ command` from `from` on, and where that ends.
fn with_output(page: &str, from: usize, command: &str, output: &str) -> (String, usize) {
    let prompt = format!("\n$ {command}\n");
    let begin = from + page[from..].find(&prompt).unwrap_or_else(|| panic!("README.md has no `$ {command}`")) + prompt.len();
    let next = page[begin..].find("\n\n$ ").map(|end| begin + end + 1);
    let fence = begin + page[begin..].find("```").expect("the end of the block");
    let end = next.filter(|next| *next < fence).unwrap_or(fence);
    let text = format!("{}{}\n", &page[..begin], output.trim_end());
    let at = text.len();
    (text + &page[end..], at)
}

#[test]
fn readme_shows_what_the_program_prints() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let page = std::fs::read_to_string(&path).expect("the page");
    let file = page.split("```toml\nname = \"pollinate\"\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a file");
    let notes = super::loaded(file).not_carried_out;
    let examples = examples(&notes);
    let (mut fresh, mut from) = (page.clone(), 0);
    for (command, output) in &examples {
        (fresh, from) = with_output(&fresh, from, command, output);
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &fresh).expect("writing the page");
        return;
    }
    assert_eq!(page.matches("\n$ ").count(), examples.len(), "README.md shows a command whose output nobody compares");
    assert!(page == fresh, "README.md is stale: UPDATE_DOCS=1 cargo test --lib readme");
}

#[test]
fn the_page_of_saving_says_what_ps_says() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/saving.md");
    let page = std::fs::read_to_string(path).expect("the page");
    let waits = FileStatus { pending: true, reasons: vec!["it recreates postgres db".into()], ..status(Vec::new()).file };
    let problem = serde_json::json!({ "message": "`services.api` has no image" });
    let broken = FileStatus { ok: false, errors: vec![problem], ..status(Vec::new()).file };
    for file in [waits, broken] {
        let said = ps::remarks(&Status { file, ..status(Vec::new()) });
        assert!(said.len() == 1 && page.contains(&format!("\n{}\n", said[0])), "docs/saving.md does not have: {said:?}");
    }
    let (old, new) = (super::loaded("[services.cache]\nimage = \"app:1\"\n"), super::loaded(""));
    let dropped = crate::plan::held(&old.stack, &new.stack, &[]);
    assert!(dropped.len() == 1 && page.contains(&format!("`{}`", dropped[0])), "docs/saving.md does not have: {dropped:?}");
}
