//! Tests of what the command line shows and decides: all of it pure.

use std::collections::BTreeMap;

use expect_test::expect;
use jiff::Timestamp;

use super::context::chosen_profiles;
use super::exit_code::{Exit, Failure, chain};
use super::fit::wrap;
use super::output::ColorChoice;
use super::paint::{Ink, printable, printable_colored};
use super::ports::to_open;
use super::table::age;
use super::words::unknown_verb;
use super::{db, doctor, events, log_text, logs, plan_text, progress, ps, runs, target, up};
use crate::engine::answer::EngineInfo;
use crate::host::kept::Kept;
use crate::model::container::{Protocol, PublishedPort};
use crate::model::name::{ContainerId, ImageId, InstanceId, ReplicaKey, StackName};
use crate::model::observed::{Container, ContainerState, Identity, Observed, PublishedSeen};
use crate::model::preview::Preview;
use crate::model::status::{
    DaemonStatus, EngineStatus, EventRecord, ExitStatus, FileStatus, Health, ItemStatus, PortStatus, State, Status,
};
use crate::model::workload::KindName;

mod everyday;
mod readme;
mod widths;

const NOW: i64 = 1_767_300_000;

pub(super) fn at(seconds_ago: i64) -> Timestamp {
    Timestamp::from_second(NOW - seconds_ago).expect("a time")
}

pub(super) fn item(name: &str, kind: KindName, state: State) -> ItemStatus {
    ItemStatus {
        name: name.to_owned(),
        kind,
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
        image: "app".into(),
        digest: None,
        port: None,
        ports: Vec::new(),
        since: None,
        next: None,
        last_exit: None,
        backup: None,
    }
}

fn port(address: &str, host: u16, container: u16) -> PortStatus {
    PortStatus { address: address.into(), host, container, protocol: Protocol::Tcp }
}

fn status(items: Vec<ItemStatus>) -> Status {
    let file = FileStatus::applied("stack.toml".into());
    Status {
        v: 1,
        stack: "shop".into(),
        profiles: Vec::new(),
        file,
        daemon: Some(DaemonStatus { pid: 7, version: "0.3.0".into(), since: at(600) }),
        engine: EngineStatus::Up,
        converged: true,
        reached: true,
        others: Vec::new(),
        items,
        notes: Vec::new(),
    }
}

pub(super) fn a_shop() -> Status {
    let db = ItemStatus {
        health: Health::Healthy,
        since: Some(at(200)),
        ports: vec![port("127.0.0.1", 5432, 5432)],
        ..item("db", KindName::Postgres, State::Running)
    };
    let web = ItemStatus {
        health: Health::Healthy,
        restarts: 3,
        since: Some(at(7300)),
        ports: vec![port("127.0.0.1", 8080, 8000)],
        ..item("web", KindName::Service, State::Running)
    };
    let worker = ItemStatus {
        cause: "exited with code 1: it can't reach the queue that it was told to read from, and gave up".into(),
        next: Some(at(-9)),
        restarts: 12,
        attempt: 4,
        last_exit: Some(ExitStatus { code: 1, signal: None, oom: false, at: at(3) }),
        since: Some(at(3)),
        ..item("worker", KindName::Service, State::Backoff)
    };
    status(vec![db, web, ItemStatus { replica: 2, ..worker }])
}

#[test]
fn ps_fits_eighty_columns() {
    let text = ps::text(&a_shop(), at(0), 80, false);
    assert!(text.lines().all(|line| line.chars().count() <= 80));
    expect![[r"
        NAME      STATE    HEALTH   RESTARTS  PORTS                 SINCE
        db        running  healthy            127.0.0.1:5432        3m
        web       running  healthy  3         127.0.0.1:8080->8000  2h
        worker.2  backoff           12                              3s
            exited with code 1: it can't reach the queue that it was told to read from,
            and gave up; next try in 9s
    "]]
    .assert_eq(&text);
}

#[test]
fn ps_says_what_is_to_be_known_beside_the_table() {
    let file = FileStatus { ok: false, pending: true, reasons: vec!["drops postgres db".into()], ..a_shop().file };
    let web = ItemStatus { held: true, ..item("web", KindName::Service, State::Stopped) };
    let all =
        Status { daemon: None, engine: EngineStatus::Down, file, notes: vec!["jobs are not run".into()], ..status(vec![web]) };
    expect![[r"
        NAME  STATE
        web   stopped by hand

        The engine does not answer: what is shown is what was known last.

        No daemon runs: nobody restarts what ends. `witwd up -d` starts one.

        stack.toml can't be used. The last accepted one is kept; `witwd check` shows what
        is wrong.

        Pending: drops postgres db. `witwd up` applies it.

        jobs are not run
    "]]
    .assert_eq(&ps::text(&all, at(0), 82, false));
}

/// A service with another greeting, one that is gone with what it kept, a new one that waits.
fn a_preview() -> Preview {
    let action = |action: &str, target: &str, cause: &str| {
        serde_json::json!({ "action": action, "target": target, "cause": cause, "fields": [], "gap_seconds": null,
                            "loses_data": false, "line": format!("{action} {target} as shop-{target}-1 | {cause}") })
    };
    let mut made = action("create", "web", "definition changed");
    made["fields"] = serde_json::json!([
        { "path": "env.GREETING", "from": "hello", "to": "hi" },
        { "path": "env.TOKEN", "from": null, "to": "${secret.token}" },
    ]);
    let mut stopped = action("stop", "web", "definition changed");
    stopped["gap_seconds"] = 0.4.into();
    let mut gone = action("remove", "cache", "not in stack.toml");
    (gone["loses_data"], gone["data"]) = (true.into(), "what is in its anonymous volume is lost".into());
    let mut pulled = action("pull", "worker", "image not here");
    pulled["line"] = "pull worker registry.example/worker:7 | image not here".into();
    let document = serde_json::json!({
        "v": 1, "stack": "shop", "changes": true,
        "actions": [
            pulled, made, action("create", "worker", "no container"), stopped,
            action("stop", "cache", "not in stack.toml"), action("start", "web", "created, all it needs is there"),
            gone, action("remove", "web", "replaced"), action("rename", "web", "takes the place of the old one"),
        ],
        "blocked": [{ "target": "worker", "cause": "waiting for db: connection refused" }],
        "notes": ["gaps are estimates"],
    });
    serde_json::from_value(document).expect("a preview")
}

#[test]
fn plan_is_told_in_a_persons_words_on_narrow_and_on_wide_terminals() {
    let narrow = plan_text::text(&a_preview(), false, 80, false);
    assert!(narrow.lines().all(|line| line.chars().count() <= 80), "{narrow}");
    expect![[r#"
        pull      worker  registry.example/worker:7; image not here
        recreate  web     definition changed: env.GREETING "hello" -> "hi", env.TOKEN
                          none -> "${secret.token}"; gap about 0.4 s
        create    worker  no container
        remove    cache   not in stack.toml; LOSES DATA: what is in its anonymous volume
                          is lost

        blocked   worker  waiting for db: connection refused

        note: gaps are estimates
        1 to pull, 1 to recreate, 1 to create, 1 to remove; 1 thing stays blocked.
        Nothing was changed: `witwd up` does it
    "#]]
    .assert_eq(&narrow);
    expect![[r#"
        pull      worker  registry.example/worker:7; image not here
        recreate  web     definition changed: env.GREETING "hello" -> "hi", env.TOKEN none -> "${secret.token}"; gap about 0.4 s
        create    worker  no container
        remove    cache   not in stack.toml; LOSES DATA: what is in its anonymous volume is lost

        blocked   worker  waiting for db: connection refused

        actions:
          pull worker registry.example/worker:7 | image not here
          create web as shop-web-1 | definition changed
          create worker as shop-worker-1 | no container
          stop web as shop-web-1 | definition changed
          stop cache as shop-cache-1 | not in stack.toml
          start web as shop-web-1 | created, all it needs is there
          remove cache as shop-cache-1 | not in stack.toml
          remove web as shop-web-1 | replaced
          rename web as shop-web-1 | takes the place of the old one

        note: gaps are estimates
        1 to pull, 1 to recreate, 1 to create, 1 to remove; 1 thing stays blocked. Nothing was changed: `witwd up` does it
    "#]]
    .assert_eq(&plan_text::text(&a_preview(), true, 200, false));
}

#[test]
fn plan_of_nothing_is_a_sentence() {
    let nothing = Preview { changes: false, actions: Vec::new(), blocked: Vec::new(), notes: Vec::new(), ..a_preview() };
    expect![[r#"
        nothing to do: stack shop is as its file says
    "#]]
    .assert_eq(&plan_text::text(&nothing, true, 80, false));
    let waits = Preview { blocked: a_preview().blocked, ..nothing };
    expect![[r#"
        blocked  worker  waiting for db: connection refused

        nothing to do: stack shop is as far as it can be; 1 thing stays blocked
    "#]]
    .assert_eq(&plan_text::text(&waits, false, 80, false));
}

#[test]
fn ps_of_nothing_is_a_sentence() {
    expect![[r"
        nothing of stack shop is there
    "]]
    .assert_eq(&ps::text(&status(Vec::new()), at(0), 80, false));
}

#[test]
fn colours_are_for_terminals_unless_asked_for() {
    assert!(ColorChoice::Auto.decide(true, false));
    assert!(!ColorChoice::Auto.decide(true, true) && !ColorChoice::Auto.decide(false, false));
    assert!(ColorChoice::Always.decide(false, true) && !ColorChoice::Never.decide(true, false));
    assert!(ps::text(&a_shop(), at(0), 80, true).contains("\u{1b}[32mrunning\u{1b}[0m"));
}

#[test]
fn a_stack_that_is_ready_says_where_to_find_it() {
    expect![[r#"
        stack shop is ready
          web  http://127.0.0.1:8080
          db   127.0.0.1:5432/tcp
        open http://127.0.0.1:8080
        a reboot stops the stack: `witwd enable` has it started at boot"#]]
    .assert_eq(&up::ready_text(&a_shop(), Some(&up::Lasting::UntilReboot), 80));
    let everywhere = ItemStatus { ports: vec![port("0.0.0.0", 80, 8000)], ..item("web", KindName::Service, State::Running) };
    assert_eq!(to_open(&status(vec![everywhere]), None).as_deref(), Some("http://localhost"));
    assert_eq!(to_open(&status(Vec::new()), None), None);
}

#[test]
fn a_stack_that_is_not_ready_says_who_and_why() {
    let all = a_shop();
    let named = crate::control::unready(&all);
    expect![[r"stack shop is not ready: worker backoff: exited with code 1: it can't reach the queue that it was told to read from, and gave up"]]
        .assert_eq(&up::not_ready_text(&all, &named));
}

#[test]
fn a_block_is_not_told_beside_what_it_waits_for() {
    let db = ItemStatus { cause: "no answer yet".into(), ..item("db", KindName::Postgres, State::Starting) };
    let web = ItemStatus { cause: "waiting for db: no answer yet".into(), ..item("web", KindName::Service, State::Blocked) };
    let names = |told: Vec<&ItemStatus>| told.iter().map(|item| item.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(up::told(vec![&db, &web], Vec::new())), ["db"]);
    assert_eq!(names(up::told(vec![&db, &web], vec![&web])), ["web"]);
    assert_eq!(names(up::told(vec![&web], Vec::new())), ["web"]);
}

#[test]
fn the_document_of_ps_has_the_fields_of_the_contract() {
    let mut shop = a_shop();
    shop.items[0].backup = Some(crate::model::status::BackupStatus::default());
    shop.items[0].last_exit = Some(ExitStatus { code: 1, signal: None, oom: false, at: at(3) });
    let document = serde_json::to_value(&shop).expect("JSON");
    let fields = |value: &serde_json::Value| {
        let mut names: Vec<String> = value.as_object().expect("an object").keys().cloned().collect();
        names.sort();
        names.join(" ")
    };
    let item = &document["items"][0];
    assert_eq!(fields(&document), "converged daemon engine file items notes others profiles reached stack v");
    assert_eq!(fields(&document["file"]), "errors ok path pending reasons");
    assert_eq!(fields(&document["daemon"]), "pid since version");
    assert_eq!(
        fields(item),
        "attempt backup cause container digest health held image kind last_exit meant name next port ports protects_data ready replica restart_asked \
         restarts since state stopped_as waits_for_hand"
    );
    assert_eq!(fields(&item["ports"][0]), "address container host protocol");
    assert_eq!(fields(&item["last_exit"]), "at code oom signal");
    assert_eq!(
        fields(&item["backup"]),
        "enabled failed held last_good missed next offsite proven set sets shrunk under_way undo_until unread unusable"
    );
}

#[test]
fn progress_is_a_line_for_each_change() {
    let mut shown = BTreeMap::new();
    let mut lines = Vec::new();
    let states = [
        (State::Pending, false),
        (State::Pulling, false),
        (State::Starting, false),
        (State::Starting, false),
        (State::Running, true),
    ];
    for (state, ready) in states {
        let web = ItemStatus { ready, ..item("web", KindName::Service, state) };
        lines.extend(progress::changes(&mut shown, &status(vec![web])));
    }
    lines.extend(progress::changes(&mut shown, &status(Vec::new())));
    expect![[r"
        web  pulling
        web  starting
        web  ready
        web  removed"]]
    .assert_eq(&lines.join("\n"));
}

#[test]
fn exit_codes_are_those_of_the_contract() {
    use Exit::{Changes, Done, Failed, Held, InvalidFile, NoEngine, NotRun, Refused, TimedOut, Usage};
    let codes = [Done, Failed, Usage, InvalidFile, NoEngine, TimedOut, Refused, Held, Changes, NotRun].map(Exit::code);
    assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7, 10, 125]);
    assert_eq!(Exit::Of(42).code(), 42);
    assert_eq!(Exit::of_word(Exit::Held.word()), Exit::Held);
    assert_eq!((Exit::of_code(3), Exit::of_code(99)), (Exit::InvalidFile, Exit::Of(99)));
}

#[test]
fn a_failure_is_said_once_with_its_way_out() {
    let failure = Failure::new(Exit::Held, "the stack is held").hint("join it");
    expect![[r"
        error: the stack is held
         hint: join it
    "]]
    .assert_eq(&failure.text());
    let document = failure.document().to_string();
    expect![[r#"{"error":{"code":"held","hint":"join it","message":"the stack is held"}}"#]].assert_eq(&document);
    let inner = std::io::Error::other("no room");
    let outer = crate::host::DiskError::new("write", std::path::Path::new("state"), inner);
    assert_eq!(chain(&outer), "failed to write state: no room");
}

#[test]
fn words_are_told_apart() {
    let verbs = ["up".to_owned(), "logs".to_owned()];
    assert!(unknown_verb("lgos", &verbs).hint.is_some_and(|hint| hint.contains("`witwd logs`")));
    assert_eq!(super::words::nearest("wbe", ["web", "db"].into_iter()), Some("web"));
    assert!(unknown_verb("secret", &verbs).message.contains("not in this version"));
    assert!(unknown_verb("zzz", &verbs).hint.is_some_and(|hint| hint.contains("`witwd help`")));
    // What is said instead names only verbs that are there.
    let there = super::entry::verbs();
    for word in ["status", "deploy", "rollback", "reload", "validate", "shell", "ssh", "console", "env", "rm", "kill", "cp"] {
        let hint = unknown_verb(word, &there).hint.unwrap_or_default();
        let named: Vec<&str> = hint.split("`witwd ").skip(1).filter_map(|rest| rest.split([' ', '`']).next()).collect();
        assert!(!named.is_empty() && named.iter().all(|verb| there.iter().any(|known| known == verb)), "{word}: {hint}");
    }
}

#[test]
fn ages_are_short_and_never_negative() {
    assert_eq!([5, 119, 7300, 200_000, -50].map(|ago| age(at(ago), at(0))), ["5s", "1m", "2h", "2d", "0s"]);
    assert_eq!(wrap("one two three", 7), ["one two", "three"]);
}

#[test]
fn what_an_app_writes_can_not_take_over_a_terminal() {
    let text = "\u{1b}[31mred\u{1b}[0m \u{1b}[2J\u{1b}]0;title\u{7}\rend";
    assert_eq!(printable(text), "[31mred[0m [2J]0;titleend");
    assert_eq!(printable_colored(text), "\u{1b}[31mred\u{1b}[0m [2J]0;titleend");
    assert_eq!(log_text::line_text(("web", 4), Ink::Plain, "a\rb", None, false), "web  | ab");
}

#[test]
fn an_event_is_a_line() {
    let detail = serde_json::Value::from("exit 1");
    let record = EventRecord { at: at(0), kind: "exit".into(), target: "web".into(), cause: "it ended".into(), detail };
    let seen = |now| events::event_text(&record, &(now, jiff::tz::TimeZone::UTC), false);
    expect!["20:40:00  web  exit  it ended  exit 1"].assert_eq(&seen(at(-3600)));
    // Four hours later is another day.
    expect!["2026-01-01 20:40:00  web  exit  it ended  exit 1"].assert_eq(&seen(at(-4 * 3600)));
    let ended = EventRecord { detail: serde_json::json!({ "code": 1, "container": "1f2e" }), ..record.clone() };
    assert_eq!(events::event_text(&ended, &(at(0), jiff::tz::TimeZone::UTC), false), "20:40:00  web  exit  it ended");
    let document = serde_json::to_value(&record).expect("JSON");
    assert_eq!(document["at"], "2026-01-01T20:40:00Z");
}

#[test]
fn a_line_of_a_container_is_a_document_with_the_fields_of_the_contract() {
    let line = |stderr, at| crate::engine::answer::LogLine { at, stderr, line: "GET /\tok".into() };
    expect![[r#"{"at":"2026-01-01T20:40:00Z","line":"GET /\tok","name":"web","replica":2,"stream":"stdout"}"#]]
        .assert_eq(&logs::document("web", 2, &line(false, Some(at(0)))).to_string());
    expect![[r#"{"at":null,"line":"GET /\tok","name":"db","replica":1,"stream":"stderr"}"#]]
        .assert_eq(&logs::document("db", 1, &line(true, None)).to_string());
}

#[test]
fn the_previous_run_is_the_last_that_is_over() {
    use crate::model::history::LastExit;
    use crate::model::observed::{Exit as Ended, RunId};
    let exit = |ago| Ended { code: 1, oom: false, at: at(ago) };
    let of = |id: &str, started, ended, before: Option<i64>| LastExit {
        run: RunId { container: ContainerId(id.into()), started_at: at(started) },
        exit: exit(ended),
        ended_before: before.map(at),
        seen: crate::model::time::Moment::default(),
        waited: std::time::Duration::ZERO,
    };
    let running = container("web", 1, "me", ContainerState::Running { started_at: at(10) });
    let ended = container("web", 1, "me", ContainerState::Exited { exit: exit(5), started_at: at(10) });
    let run = |container: &Container, last: Option<&LastExit>| {
        runs::previous_run(container, last)
            .map(|run| (run.from.map(|at| NOW - at.as_second()), run.until.map(|at| NOW - at.as_second())))
    };
    // Of one that runs: the run before it in the same container, else none.
    assert_eq!(run(&running, None), None);
    assert_eq!(run(&running, Some(&of("web1other", 50, 40, None))), None);
    assert_eq!(run(&running, Some(&of("web1me", 50, 20, None))), Some((None, Some(15))));
    assert_eq!(run(&running, Some(&of("web1me", 50, 20, Some(60)))), Some((Some(55), Some(15))));
    // Of one that ended: its last run, also where nobody saw it end.
    assert_eq!(run(&ended, None), Some((None, None)));
    assert_eq!(run(&ended, Some(&of("web1me", 10, 5, Some(20)))), Some((Some(15), None)));
    assert_eq!(run(&ended, Some(&of("web1me", 50, 20, None))), Some((Some(15), None)));
    let run = runs::Run { from: Some(at(50)), until: Some(at(15)) };
    assert_eq!([60, 50, 16, 15].map(|ago| run.has(Some(at(ago)))), [false, true, true, false]);
}

#[test]
fn since_is_a_duration_or_a_time() {
    assert_eq!(logs::moment("10m", at(0)).expect("a duration"), at(600));
    assert_eq!(logs::moment("2026-01-01T00:00:00Z", at(0)).expect("a time").as_second(), 1_767_225_600);
    assert_eq!(logs::moment("yesterday", at(0)).expect_err("neither").exit, Exit::Usage);
}

#[test]
fn profiles_are_remembered_until_others_are_named() {
    let kept = Kept {
        at: at(0),
        uid: 0,
        environment: BTreeMap::new(),
        stack: "shop".into(),
        profiles: vec!["prod".into()],
        name: None,
        env_files: Vec::new(),
        file: "stack.toml".into(),
        snapshot: crate::model::snapshot::Snapshot::default(),
    };
    let named = |flags: &[&str]| chosen_profiles(&flags.iter().map(ToString::to_string).collect::<Vec<_>>(), Some(&kept));
    assert_eq!(named(&[]), ["prod"]);
    assert_eq!(named(&["none"]), Vec::<String>::new());
    assert_eq!(named(&["dev", "tools"]), ["dev", "tools"]);
    assert!(chosen_profiles(&[], None).is_empty());
}

fn stack() -> (StackName, InstanceId) {
    ("shop".parse().expect("a name"), InstanceId("me".into()))
}

fn container(name: &str, replica: u32, instance: &str, state: ContainerState) -> Container {
    let identity = Identity {
        stack: stack().0,
        kind: KindName::Service,
        key: ReplicaKey { name: name.parse().expect("a name"), replica },
        spec: None,
        secrets: None,
        instance: InstanceId(instance.into()),
        directory: "/elsewhere".into(),
    };
    let published = PublishedSeen { address: [127, 0, 0, 1].into(), host: 8000, container: 8000, protocol: Protocol::Tcp };
    Container {
        id: ContainerId(format!("{name}{replica}{instance}")),
        name: format!("shop-{name}-{replica}"),
        image: ImageId("sha256:1".into()),
        image_reference: "app".into(),
        state,
        identity: Some(identity),
        published: vec![published],
        networks: std::collections::BTreeMap::new(),
        volumes: Vec::new(),
        created_at: at(9),
        image_health: None,
    }
}

fn observed(containers: Vec<Container>) -> Observed {
    Observed { containers, ..Observed::default() }
}

#[test]
fn a_name_means_a_running_container_of_ours() {
    let up = || ContainerState::Running { started_at: at(5) };
    let all = observed(vec![
        container("web", 1, "me", ContainerState::Created),
        container("web", 2, "me", up()),
        container("api", 1, "other", up()),
    ]);
    let (name, instance) = stack();
    let target = target::Target { stack: &name, instance: &instance, declared: None };
    let find = |text: &str| target.find(&all, text);
    assert_eq!(find("web").expect("the one that runs").id.0, "web2me");
    assert_eq!(find("web.1").expect_err("it does not run").exit, Exit::NotRun);
    assert_eq!(find("api").expect_err("it is not ours").exit, Exit::NotRun);
    assert_eq!(find("wob").expect_err("a slip").hint.as_deref(), Some("did you mean web?"));
}

#[test]
fn a_name_without_a_running_container_is_told_what_where_and_how_to_go_on() {
    let exit = crate::model::observed::Exit { code: 7, oom: false, at: at(30) };
    let all = observed(vec![
        container("two", 1, "me", ContainerState::Exited { exit, started_at: at(90) }),
        container("two", 2, "me", ContainerState::Paused { started_at: at(90) }),
        container("new", 1, "me", ContainerState::Created),
    ]);
    let (name, instance) = stack();
    let text = format!("{ALL_KINDS}[services.two]\nimage = \"app:1\"\nreplicas = 2\n[services.new]\nimage = \"app:1\"\n");
    let declared = loaded(&text).stack;
    let target = target::Target { stack: &name, instance: &instance, declared: Some(&declared) };
    let names = ["two.1", "two.2", "two.3", "new", "web", "far", "nightly", "wbe", "zzz"];
    let said: Vec<String> = names.iter().map(|name| target.find(&all, name).expect_err("none runs").text()).collect();
    expect![[r#"
        error: two.1 of stack shop does not run: exited with code 7
         hint: `witwd logs two` shows what it wrote, `witwd up -d two` starts it
        error: two.2 of stack shop does not run: paused by hand
         hint: `docker unpause shop-two-2` lets it go on
        error: stack shop has no two.3: two has 2 replicas
         hint: `two` means the first that runs; replicas count from 1
        error: new of stack shop does not run: never started
         hint: `witwd ps` shows what it waits for
        error: web of stack shop has no container
         hint: `witwd up -d web` makes and starts it
        error: far of stack shop is a server elsewhere (`url`): there is no container of it
         hint: use a program of this machine with that address
        error: nightly of stack shop is a job and has no container: jobs are not run by this version
         hint: `witwd ps` shows what runs
        error: stack shop has no wbe
         hint: did you mean web?
        error: stack shop has no zzz
         hint: it has far, main, new, nightly, off, two, web
    "#]]
    .assert_eq(&said.concat());
}

/// The stack `shop` of this text.
fn loaded(text: &str) -> crate::config::Loaded {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("stack.toml");
    std::fs::write(&file, format!("name = \"shop\"\n{text}")).expect("writing");
    let request = crate::config::LoadRequest { file, ..crate::config::LoadRequest::default() };
    crate::config::load(&request).expect("a valid file")
}

const ALL_KINDS: &str = r#"
[services.web]
image = "app:1"
port = 8000
[services.off]
image = "app:1"
replicas = 0
[postgres.main]
image = "postgres:17"
[postgres.far]
url = "postgresql://a:b@10.0.0.7:5432/c"
[jobs.nightly]
image = "app:1"
schedule = "0 3 * * *"
"#;

#[test]
fn without_a_daemon_everything_that_the_file_names_is_listed() {
    let (name, instance) = stack();
    let web = container("web", 1, "me", ContainerState::Running { started_at: at(5) });
    let seen = super::seen::describe(&name, &instance, Some(&loaded(ALL_KINDS)), &observed(vec![web]));
    expect![[r#"
        NAME     STATE    HEALTH   PORTS           SINCE
        far      pending  unknown
            external server: nobody asks it while no daemon runs
        main     stopped
        web      running           127.0.0.1:8000  5s
        nightly  pending
            jobs are not run by this version

        No daemon runs: nobody restarts what ends. `witwd up -d` starts one.

        jobs.nightly is not run by this version
    "#]]
    .assert_eq(&ps::text(&seen, at(0), 80, false));
    let far = seen.items.iter().find(|item| item.name == "far").expect("the external server");
    assert_eq!((far.state, far.ready, far.port, far.image.as_str()), (State::Pending, false, Some(5432), ""));
}

#[test]
fn without_a_daemon_the_engine_and_the_file_are_all_there_is() {
    let (name, instance) = stack();
    let exit = crate::model::observed::Exit { code: 137, oom: true, at: at(30) };
    let gone = ContainerState::Exited { exit, started_at: at(90) };
    let all = observed(vec![
        container("web", 1, "me", ContainerState::Running { started_at: at(5) }),
        container("db", 1, "me", gone),
        container("web", 1, "other", ContainerState::Created),
    ]);
    let seen = super::seen::describe(&name, &instance, None, &all);
    expect![[r"
        NAME  STATE    PORTS           SINCE
        db    stopped  127.0.0.1:8000  30s
            killed: out of memory
        web   running  127.0.0.1:8000  5s

        No daemon runs: nobody restarts what ends. `witwd up -d` starts one.
    "]]
    .assert_eq(&ps::text(&seen, at(0), 80, false));
}

#[test]
fn doctor_knows_engines_disks_and_ports() {
    let info = |version: &str, api| EngineInfo {
        version: version.into(),
        api,
        description: "Debian".into(),
        data_root: None,
        direct: true,
    };
    let findings = [
        doctor::version(&info("29.0.1", (1, 52))),
        doctor::version(&info("20.10.24+dfsg1", (1, 41))),
        doctor::version(&info("19.3.0", (1, 40))),
        doctor::disk_finding("disk of the stack", 500 << 20),
    ];
    expect![[r"
        ok        engine             29.0.1 (API 1.52), Debian
        warning   engine             20.10.24+dfsg1 (API 1.41), Debian
                                     before Docker 28, neighbours on the same network can reach ports published to 127.0.0.1
        critical  engine             19.3.0 (API 1.40), Debian
                                     witwd needs API 1.41: Docker 20.10, Podman 4 or newer
        critical  disk of the stack  500.0 MiB free
                                     make room: `docker system df` shows what the engine holds
    "]]
    .assert_eq(&doctor::text(&findings, false));
    assert_eq!(doctor::text(&[doctor::clock(at(0))], false).split_whitespace().next(), Some("ok"));
    assert!(doctor::text(&[doctor::clock(jiff::Timestamp::UNIX_EPOCH)], false).starts_with("critical  clock  1970-01-01"));
    let (name, instance) = stack();
    let another = observed(vec![container("web", 1, "other", ContainerState::Created)]);
    let text = doctor::text(&doctor::name_taken(&name, &instance, &another).into_iter().collect::<Vec<_>>(), false);
    assert!(text.starts_with("critical  name  a stack named shop belongs to "), "{text}");
    let wanted = PublishedPort { address: [0, 0, 0, 0].into(), host: Some(8000), container: 8000, protocol: Protocol::Tcp };
    let running = || ContainerState::Running { started_at: at(5) };
    let ours = observed(vec![container("web", 1, "me", running())]);
    assert_eq!(doctor::port_taken(&name, &instance, &ours, &wanted), None);
    let theirs = observed(vec![container("web", 1, "other", running())]);
    let text = doctor::text(&doctor::port_taken(&name, &instance, &theirs, &wanted).into_iter().collect::<Vec<_>>(), false);
    assert!(text.contains("0.0.0.0:8000/tcp is taken by container shop-web-1"), "{text}");
}

#[test]
fn psql_runs_as_the_app_and_scripts_stop_at_errors() {
    let stack = loaded("[postgres.db]\nimage = \"postgres:17\"\n").stack;
    let workload = stack.in_order().next().expect("a workload");
    let settings = workload.postgres().expect("a postgres");
    let words = |superuser, is_person| db::command(settings, superuser, is_person, vec!["--list".into()]).join(" ");
    assert_eq!(words(false, true), "psql --username=shop --dbname=shop --list");
    assert_eq!(words(true, false), "psql --username=postgres --dbname=shop --no-psqlrc --set=ON_ERROR_STOP=1 --list");
}
