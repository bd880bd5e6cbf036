//! Tests of the rules of the control socket; over a real socket they are in `tests/it/control.rs`.

use super::protocol::{Fault, Line, Request, Up};
use super::stream::written;
use super::{Admission, Downs, Outcome, Peer, Records, Restarts, outcome, outcome_of, unready};
use crate::model::status::{EngineStatus, EventRecord, ExitStatus, FileStatus, Health, ItemStatus, State, Status};
use crate::model::workload::KindName;

fn item(name: &str, state: State) -> ItemStatus {
    ItemStatus {
        name: name.to_owned(),
        kind: KindName::Service,
        replica: 1,
        state,
        meant: true,
        protects_data: false,
        held: false,
        stopped_as: None,
        restart_asked: false,
        waits_for_hand: false,
        health: Health::None,
        ready: state == State::Running,
        restarts: 0,
        attempt: 0,
        cause: String::new(),
        container: None,
        image: String::new(),
        digest: None,
        port: None,
        ports: Vec::new(),
        since: None,
        next: None,
        last_exit: None,
        backup: None,
    }
}

fn looping(name: &str, restarts: u64) -> ItemStatus {
    let exit = ExitStatus { code: 1, signal: None, oom: false, at: jiff::Timestamp::UNIX_EPOCH };
    ItemStatus { restarts, attempt: 1, last_exit: Some(exit), ..item(name, State::Backoff) }
}

fn status(converged: bool, items: Vec<ItemStatus>) -> Status {
    let file = FileStatus::applied("stack.toml".into());
    let stack = "shop".to_owned();
    Status {
        v: 1,
        stack,
        profiles: Vec::new(),
        file,
        daemon: None,
        engine: EngineStatus::Up,
        converged,
        reached: converged,
        others: Vec::new(),
        items,
        notes: Vec::new(),
    }
}

#[test]
fn waiting_ends_when_all_is_ready_or_nothing_can_become_ready() {
    use State::{Blocked, Completed, CrashLoop, Failed, Pulling, Running};
    let before: Restarts = [(("old".to_owned(), 1), 7)].into();
    let is = |converged, items| outcome(&status(converged, items), &before);
    assert_eq!(is(true, vec![item("db", Running), item("migrate", Completed)]), Outcome::Ready);
    assert_eq!(is(false, vec![item("db", Running)]), Outcome::Working);
    assert_eq!(is(false, vec![item("db", Pulling), item("web", Blocked)]), Outcome::Working);
    assert_eq!(is(false, vec![item("db", Failed), item("web", Blocked)]), Outcome::Failed);
    assert_eq!(is(false, vec![item("db", CrashLoop), item("web", Pulling)]), Outcome::Working);
    assert_eq!(is(false, vec![looping("web", 1)]), Outcome::Working);
    assert_eq!(is(false, vec![looping("web", 3), item("db", Running)]), Outcome::Failed);
    let away = Status { engine: EngineStatus::Down, ..status(true, Vec::new()) };
    assert_eq!(outcome(&away, &before), Outcome::Working);
    assert_eq!(is(false, vec![looping("old", 9)]), Outcome::Working);
    assert_eq!(is(false, vec![looping("old", 10)]), Outcome::Failed);
}

#[test]
fn of_an_up_with_names_only_these_and_what_they_need_count() {
    let other = |state| ItemStatus { meant: false, ..item("worker", state) };
    let of = |reached, items| outcome(&Status { reached, ..status(false, items) }, &Restarts::new());
    assert_eq!(of(true, vec![item("db", State::Running), other(State::CrashLoop)]), Outcome::Ready);
    assert_eq!(of(false, vec![item("db", State::Starting), other(State::CrashLoop)]), Outcome::Working);
    assert_eq!(of(false, vec![item("db", State::Failed), other(State::Starting)]), Outcome::Failed);
    let all = status(false, vec![item("db", State::Starting), other(State::CrashLoop)]);
    assert_eq!(unready(&all).len(), 1);
}

#[test]
fn what_failed_is_named_before_what_waits_for_it() {
    let all = status(false, vec![item("api", State::Blocked), item("db", State::Failed), item("web", State::Starting)]);
    let names: Vec<&str> = unready(&all).iter().map(|item| item.name.as_str()).collect();
    assert_eq!(names, ["db", "web", "api"]);
}

#[test]
fn root_the_own_user_and_one_group_are_let_in() {
    let peer = |uid, gid| Peer { uid, gid, pid: None };
    let alone = Admission { uid: 1000, group: None };
    assert!(alone.admits(&peer(0, 0)) && alone.admits(&peer(1000, 1000)));
    assert!(!alone.admits(&peer(65534, 65534)) && !alone.admits(&peer(1001, 1000)));
    let shared = Admission { uid: 1000, group: Some((50, vec![1002])) };
    assert!(shared.admits(&peer(1001, 50)) && shared.admits(&peer(1002, 1002)));
    assert!(!shared.admits(&peer(1003, 1003)));
}

#[test]
fn an_up_does_not_show_what_it_carries() {
    let up = Up { environment: [("TOKEN".to_owned(), "canary-7".to_owned())].into(), ..Up::default() };
    let shown = format!("{up:?} {:?}", Request::Up(Box::new(up.clone())));
    assert!(shown.contains("TOKEN") && !shown.contains("canary-7"));
}

#[test]
fn of_downs_at_once_the_last_one_accepted_counts() {
    let mut downs = Downs::default();
    downs.ask(8);
    downs.ask(7);
    assert_eq!(downs, Downs { asked: 8, done: 0 });
}

#[test]
fn lines_of_a_newer_daemon_are_no_error() {
    let line: Line = serde_json::from_str(r#"{"type":"weather","sun":true}"#).expect("a line");
    assert_eq!(line, Line::Unknown);
    let fault: Fault = serde_json::from_str(r#"{"code":"failed","message":"no"}"#).expect("a fault");
    assert_eq!(fault, Fault::new("failed", "no"));
}

#[test]
fn events_outlive_the_daemon_and_stay_few() {
    let state = tempfile::tempdir().expect("a temporary directory");
    let record = |number: usize| EventRecord {
        at: jiff::Timestamp::UNIX_EPOCH,
        kind: "start".into(),
        target: format!("web.{number}"),
        cause: "no container".into(),
        detail: serde_json::Value::Null,
    };
    let records = Records::open(state.path());
    (0..1200).for_each(|number| records.add(record(number)));
    assert_eq!(records.last().len(), 1000);
    let later = Records::open(state.path()).last();
    assert_eq!((later.len(), later.last()), (1000, Some(&written(&Line::Event(record(1199))))));
}

#[test]
fn what_is_asked_of_some_is_done_when_they_are_and_others_matter_only_where_they_are_waited_for() {
    use State::{Blocked, CrashLoop, Running, Starting, Stopped, Stopping};
    let before = Restarts::new();
    let of = |names: &[&str], items| {
        let names = names.iter().map(|name| name.parse().expect("a name")).collect();
        outcome_of(&status(false, items), &before, &names)
    };
    let asked = |state| ItemStatus { restart_asked: true, ..item("web", state) };
    let second = ItemStatus { replica: 2, ..item("web", Running) };
    let waits = ItemStatus { waits_for_hand: true, ..item("web", Blocked) };
    assert_eq!(of(&["web"], vec![item("web", Running), item("db", CrashLoop)]), Outcome::Ready);
    assert_eq!(of(&["web"], vec![item("web", Stopped), item("db", Starting)]), Outcome::Ready);
    assert_eq!(of(&["web"], vec![item("web", Stopping)]), Outcome::Working);
    assert_eq!(of(&["web"], vec![item("web", CrashLoop), item("db", Starting)]), Outcome::Failed);
    assert_eq!(of(&["web"], vec![item("web", Blocked), item("db", Starting)]), Outcome::Working);
    assert_eq!(of(&["web"], vec![item("web", Blocked), item("db", CrashLoop)]), Outcome::Failed);
    assert_eq!(of(&["web"], vec![waits, item("db", Stopped)]), Outcome::Failed);
    // A restart that is still to come is not done, however well it runs.
    assert_eq!(of(&["web"], vec![asked(Running), second.clone()]), Outcome::Working);
    assert_eq!(of(&["web.2"], vec![asked(Running), second]), Outcome::Ready);
    assert_eq!(of(&[], vec![item("web", Running), item("db", Starting)]), Outcome::Working);
}
