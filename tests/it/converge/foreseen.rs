//! What a preview shows is what `up` then does: over random worlds, stacks and edits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use expect_test::expect;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use witwd::engine::request::{MountFrom, MountRequest};
use witwd::engine::sim::{Call, Operation, Script, SimNetwork, World};
use witwd::host::Clock as _;
use witwd::model::name::ReplicaKey;
use witwd::model::preview::{Preview, PreviewAction};
use witwd::model::stack::Stack;
use witwd::supervisor::{Question, Up, look, preview};

use super::ENOUGH;
use super::random::{Case, Edit, case, edits};
use crate::scenarios::stacks::{loaded, stack};
use crate::scenarios::world::{DEMO, Daemon, Machine, instance};

/// How the world of a preview came to be.
#[derive(Debug, Clone, Copy)]
enum Before {
    /// Found as it is; no supervisor was there.
    Found,
    /// A supervisor brought it to rest, and is there.
    Kept,
    /// A supervisor brought it to rest, and died.
    Left,
}

/// What `up` would do, shown from what a supervisor knows, or from the disk.
pub async fn foresee(machine: &Machine, daemon: Option<&Daemon>, up: Up) -> Preview {
    let mut known = match daemon {
        Some(daemon) => daemon.handle.known().await.expect("a daemon that lives").expect("it was asked for something"),
        None => machine.kept(),
    };
    let observed = look(machine.engine.as_ref(), &up.stack, &instance(), &mut known).await.expect("an engine that answers");
    let (moment, wall) = (machine.clock.moment(), machine.clock.wall());
    let keeper = machine.keeper();
    let question = Question { up, known, observed, keeper, instance: instance(), moment, wall };
    tokio::task::spawn_blocking(move || preview(question)).await.expect("no panic").expect("a runtime")
}

/// A mutating call in the words of a plan; `None` for those that a plan does not name.
fn told(call: &Call, keys: &BTreeMap<String, String>, old: &BTreeSet<String>) -> Option<String> {
    let target = &call.target;
    let key = || keys.get(target).cloned().unwrap_or_else(|| target.clone());
    let container = |verb: &str| if old.contains(target) { format!("{verb} {target}") } else { format!("{verb} new {}", key()) };
    Some(match call.operation {
        Operation::Pull => format!("pull {target}"),
        Operation::Build => format!("build {target}"),
        Operation::CreateNetwork => "create-network".to_owned(),
        Operation::CreateVolume => format!("create-volume {}", target.trim_start_matches("demo_")),
        Operation::Create => format!("create as {target}"),
        Operation::Start => container("start"),
        Operation::Stop => container("stop"),
        Operation::Remove => container("remove"),
        Operation::Rename => format!("rename {}", key()),
        Operation::Connect => container("connect"),
        Operation::Disconnect => container("disconnect"),
        _ => return None,
    })
}

/// An action that was shown, in the same words.
fn shown(action: &PreviewAction) -> Option<String> {
    let words = action.line.split(" | ").next().unwrap_or_default();
    let rest = words.strip_prefix(&format!("{} {}", action.action, action.target)).unwrap_or_default().trim();
    Some(match action.action.as_str() {
        // What is done inside, or only read, is no call that changes the engine.
        "provision" | "examine" | "backup" => return None,
        "build-fallback" => format!("build {rest}"),
        "create-network" => "create-network".to_owned(),
        "create-volume" => format!("create-volume {}", action.target.trim_start_matches("volume ")),
        "rename" => format!("rename {}", action.target),
        verb if rest == "the new container" => format!("{verb} new {}", action.target),
        verb => format!("{verb} {rest}"),
    })
}

/// All but the starts and stops of those that did not run and are removed in the end, or whose successor
/// waits for an image: whether one stands in until the new container can be made depends on how long a
/// pull takes, which nobody can foresee.
fn without_stand_ins(lines: &BTreeSet<String>, idle: &BTreeSet<String>) -> BTreeSet<String> {
    let is_fetched = lines.iter().any(|line| line.starts_with("pull ") || line.starts_with("build "));
    let stands_in = |line: &str| {
        let id = line.strip_prefix("start ").or_else(|| line.strip_prefix("stop "));
        id.is_some_and(|id| idle.contains(id) && (is_fetched || lines.contains(&format!("remove {id}"))))
    };
    lines.iter().filter(|line| !stands_in(line)).cloned().collect()
}

/// Whose line it is: by the id of an old container, by the words for a new one, by the name of one to be made.
fn whose(line: &str, keys: &BTreeMap<String, String>) -> Option<String> {
    let (verb, rest) = line.split_once(' ')?;
    match verb {
        "create" => {
            let name = rest.strip_prefix("as demo-")?;
            let without = name.rsplit_once('-').filter(|(_, hash)| hash.len() == 8).map_or(name, |(name, _)| name);
            let (name, replica) = without.rsplit_once('-')?;
            Some(ReplicaKey { name: name.parse().ok()?, replica: replica.parse().ok()? }.to_string())
        }
        "rename" => Some(rest.to_owned()),
        _ => rest.strip_prefix("new ").map(str::to_owned).or_else(|| keys.get(rest).cloned()),
    }
}

/// The lines of each replica in their order, each once: a step that is tried again is one step.
fn in_order<'a>(
    lines: impl Iterator<Item = &'a String>,
    kept: &BTreeSet<String>,
    keys: &BTreeMap<String, String>,
) -> BTreeMap<String, Vec<String>> {
    let mut of: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in lines.filter(|line| kept.contains(*line)) {
        let Some(key) = whose(line, keys) else { continue };
        let lines = of.entry(key).or_default();
        if !lines.contains(line) {
            lines.push(line.clone());
        }
    }
    of
}

fn keys(world: &World) -> BTreeMap<String, String> {
    let key = |container: &witwd::engine::sim::SimContainer| Some(container.identity()?.key.to_string());
    world.containers.values().filter_map(|container| Some((container.id.to_string(), key(container)?))).collect()
}

/// A supervisor on a machine that came about like this, where one is there.
async fn come_about(machine: &Machine, stack: &Arc<Stack>, before: Before) -> Option<Daemon> {
    if matches!(before, Before::Found) {
        return None;
    }
    let daemon = machine.daemon(stack);
    daemon.up(stack).await;
    tokio::time::sleep(ENOUGH).await;
    if matches!(before, Before::Kept) {
        return Some(daemon);
    }
    daemon.kill().await;
    None
}

async fn is_done_as_shown(case: Case, edits: Vec<Edit>, before: Before) {
    let machine = Machine::new();
    let first = stack(&case.stack_text());
    case.furnish(&machine, &first);
    let second: Arc<Stack> = stack(&case.edited(&edits).stack_text());
    let daemon = come_about(&machine, &first, before).await;
    let calls = machine.trace().calls.len();
    let promised = foresee(&machine, daemon.as_ref(), Up::of(second.clone())).await;
    let asked = machine.trace();
    assert!(asked.calls[calls..].iter().all(|call| !call.mutating), "{:#?}", &asked.calls[calls..]);

    let (calls, mut keys_of) = (asked.calls.len(), machine.engine.with(keys));
    let old: BTreeSet<String> = machine.engine.with(|world| world.containers.keys().map(ToString::to_string).collect());
    let idle: BTreeSet<String> = machine.engine.with(|world| {
        let idle = world.containers.values().filter(|container| !container.state.is_up());
        idle.map(|container| container.id.to_string()).collect()
    });
    let daemon = daemon.unwrap_or_else(|| machine.daemon(&second));
    daemon.up(&second).await;
    tokio::time::sleep(ENOUGH).await;
    keys_of.extend(machine.engine.with(keys));
    let all = machine.trace();
    let made = all.calls[calls..].iter().filter(|call| call.mutating);
    let steps: Vec<String> = made.filter_map(|call| told(call, &keys_of, &old)).collect();
    let promised_steps: Vec<String> = promised.actions.iter().filter_map(shown).collect();
    let without = |steps: &[String]| without_stand_ins(&steps.iter().cloned().collect(), &idle);
    let (promised_lines, made) = (without(&promised_steps), without(&steps));
    assert_eq!(
        promised_lines,
        made,
        "{before:?}\n{}\n---\n{}\n{:#?}",
        case.stack_text(),
        case.edited(&edits).stack_text(),
        promised.blocked
    );
    // And each replica's in this order.
    assert_eq!(
        in_order(promised_steps.iter(), &promised_lines, &keys_of),
        in_order(steps.iter(), &made, &keys_of),
        "{before:?}\n{}\n---\n{}",
        case.stack_text(),
        case.edited(&edits).stack_text()
    );
    let waiting: BTreeSet<String> =
        daemon.handle.watch().borrow().blocked.iter().map(|blocked| format!("{} | {}", blocked.target, blocked.cause)).collect();
    let promised_waits: BTreeSet<String> =
        promised.blocked.iter().map(|blocked| format!("{} | {}", blocked.target, blocked.cause)).collect();
    assert_eq!(promised_waits, waiting);
}

proptest! {
    // A surplus replica that is ready for the blink before it is stopped may let another start while an
    // image comes: one case in a thousand, which is no reason for another verdict on the same commit.
    #![proptest_config(ProptestConfig {
        cases: 64, failure_persistence: None, rng_seed: RngSeed::Fixed(3), ..ProptestConfig::default()
    })]
    #[test]
    fn what_a_preview_shows_is_what_up_does(
        case in case(),
        edits in edits(),
        before in prop::sample::select(vec![Before::Found, Before::Kept, Before::Left]),
    ) {
        let case = case.foreseeable();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
        runtime.block_on(is_done_as_shown(case, edits, before));
    }
}

/// The stack of a text as it is asked for.
fn asked(text: &str) -> Up {
    let loaded = loaded(text);
    Up { definitions: loaded.definitions.clone(), ..Up::of(Arc::new(loaded.stack)) }
}

/// What is shown of an edit of the demo stack that runs, in short.
async fn after(edit: impl Fn(&str) -> String, with_daemon: bool) -> (Preview, String) {
    let machine = Machine::new();
    let first = asked(DEMO);
    let daemon = machine.daemon(&first.stack);
    let generation = daemon.handle.up(first).await.expect("a daemon that lives");
    daemon.settled(generation, |status| status.converged).await;
    let second = asked(&edit(DEMO));
    let told = if with_daemon {
        foresee(&machine, Some(&daemon), second).await
    } else {
        daemon.kill().await;
        foresee(&machine, None, second).await
    };
    let text = told.actions.iter().map(|action| {
        let fields = action.fields.iter().map(|field| format!(" [{} {} -> {}]", field.path, field.from, field.to));
        let gap = action.gap_seconds.map(|gap| format!(" gap {gap}")).unwrap_or_default();
        let data = action.data.as_ref().map(|data| format!(" ({data})")).unwrap_or_default();
        let line = action.line.split(" | ").next().unwrap_or_default();
        let mut line: Vec<&str> = line.split(' ').collect();
        // Ids differ between runs of a test that nobody fixed a seed for.
        line.retain(|word| !(word.len() == 12 && word.bytes().all(|byte| byte.is_ascii_hexdigit())));
        format!("{} | {}{}{gap}{data}\n", line.join(" "), action.cause, fields.collect::<String>())
    });
    let text = text.collect();
    (told, text)
}

#[tokio::test(start_paused = true)]
async fn nothing_is_foreseen_where_nothing_is_to_be_done() {
    for with_daemon in [true, false] {
        let (told, text) = after(str::to_owned, with_daemon).await;
        assert!(!told.changes && told.blocked.is_empty() && text.is_empty(), "{told:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_changed_value_is_named_with_what_it_was_also_when_the_daemon_is_gone() {
    let edit = |text: &str| text.replace("port = 8000", "port = 8000\nenv.GREETING = \"hi\"");
    let (_, text) = after(edit, true).await;
    expect![[r#"
        create app as demo-app-1-6c25a5f2 | definition changed [env.GREETING null -> "hi"]
        stop app | definition changed gap 0.2
        start app the new container | created, all it needs is there
        remove app | replaced by the new container
        rename app as demo-app-1 | takes the place of the old one
    "#]]
    .assert_eq(&text);
    let (_, without) = after(edit, false).await;
    assert_eq!(without, text);
}

#[tokio::test(start_paused = true)]
async fn a_postgres_that_goes_leaves_its_data_and_a_new_one_begins_empty() {
    let edit = |text: &str| text.replace("[postgres.db]", "[postgres.other]").replace("${db.url}", "${other.url}");
    let (told, text) = after(edit, true).await;
    let blocked: Vec<String> =
        told.blocked.iter().map(|blocked| format!("{} {}", blocked.target, blocked.protects_data)).collect();
    expect![[r#"
        create app as demo-app-1-1fa70d3c | definition changed [env.DATABASE_URL "postgresql://demo:${db.roles.demo.password}@db:5432/demo" -> "postgresql://demo:${other.roles.demo.password}@other:5432/demo"]
        app false
        db false
        other false
        volume other-17 true"#]].assert_eq(&format!("{text}{}", blocked.join("\n")));
    let dropped = "name = \"demo\"\n[services.app]\nimage = \"app:1\"\n";
    let (_, text) = after(|_| dropped.to_owned(), true).await;
    expect![[r#"
        create app as demo-app-1-88efdf3c | definition changed [env.DATABASE_URL "postgresql://demo:${db.roles.demo.password}@db:5432/demo" -> null]
        stop db | not in stack.toml
        remove db | not in stack.toml (its data stays in volume demo_db-17)
        stop app | definition changed gap 0.4
        start app the new container | created, all it needs is there
        remove app | replaced by the new container
        rename app as demo-app-1 | takes the place of the old one
    "#]].assert_eq(&text);
}

#[tokio::test(start_paused = true)]
async fn a_gap_is_as_long_as_it_was_last_time() {
    let machine = Machine::new();
    let slow = Script { slow_stop: Duration::from_secs(3), ready_after: Duration::from_secs(7), ..Script::default() };
    machine.engine.script("app", slow);
    let text = "name = \"demo\"\n[services.app]\nimage = \"app:1\"\nport = 8000\nhealth.tcp = true\n";
    let first = asked(text);
    let daemon = machine.daemon(&first.stack);
    let up = async |text: &str| {
        let generation = daemon.handle.up(asked(text)).await.expect("a daemon that lives");
        daemon.settled(generation, |status| status.converged).await;
    };
    up(text).await;
    up(&format!("{text}env.A = \"1\"\n")).await;
    let told = foresee(&machine, Some(&daemon), asked(&format!("{text}env.A = \"2\"\n"))).await;
    let gap = told.actions.iter().find_map(|action| action.gap_seconds).expect("it is away for a while");
    assert!((10.0..11.5).contains(&gap), "{gap}");
}

#[tokio::test(start_paused = true)]
async fn a_volume_that_goes_with_its_container_is_said_to_be_lost() {
    let machine = Machine::new();
    let first = asked(DEMO);
    let daemon = machine.daemon(&first.stack);
    let generation = daemon.handle.up(first).await.expect("a daemon that lives");
    daemon.settled(generation, |status| status.converged).await;
    // As on a container that somebody else's version made.
    let volume = MountRequest { source: MountFrom::Volume("ab".repeat(32)), target: "/cache".to_owned(), read_only: false };
    machine.engine.alter(|world| {
        let app = world.containers.values_mut().find(|container| container.name == "demo-app-1").expect("it runs");
        app.mounts.push(volume);
    });
    let told = foresee(&machine, Some(&daemon), asked(&DEMO.replace("app:1", "app:2"))).await;
    let losing: Vec<&str> = told.actions.iter().filter(|action| action.loses_data).map(|action| action.action.as_str()).collect();
    assert_eq!(losing, ["remove"], "{told:#?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_ready_now_is_not_taken_for_ready() {
    let machine = Machine::new();
    let first = asked("name = \"demo\"\n[services.app]\nimage = \"app:1\"\nport = 8000\nreadiness.tcp = true\n");
    let daemon = machine.daemon(&first.stack);
    let generation = daemon.handle.up(first.clone()).await.expect("a daemon that lives");
    daemon.settled(generation, |status| status.converged).await;
    machine.engine.hang("app", true);
    daemon.until("app", |item| !item.ready).await;
    let told = foresee(&machine, Some(&daemon), first).await;
    assert!(!told.changes, "{told:#?}");
    assert_eq!(told.blocked.len(), 1, "{told:#?}");
    assert!(told.blocked[0].cause.contains("timed out"), "{told:#?}");
}

#[tokio::test(start_paused = true)]
async fn definitions_of_what_is_gone_are_forgotten_and_no_secret_is_among_them() {
    let machine = Machine::new();
    let first = asked(DEMO);
    let daemon = machine.daemon(&first.stack);
    let up = async |up: Up| {
        let generation = daemon.handle.up(up).await.expect("a daemon that lives");
        daemon.settled(generation, |status| status.converged).await;
    };
    up(first).await;
    assert_eq!(machine.kept().definitions.len(), 2);
    up(asked(&DEMO.replace("app:1", "app:2"))).await;
    tokio::time::sleep(ENOUGH).await;
    let kept = machine.kept().definitions;
    assert_eq!(kept.len(), 2, "{kept:#?}");
    let text = format!("{kept:?}");
    assert!(text.contains("app:2") && text.contains("${db.roles.demo.password}") && !text.contains("password-of"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_foreign_network_is_foreseen_to_hold_all_up() {
    let machine = Machine::new();
    let demo = asked(DEMO);
    let theirs = SimNetwork { name: demo.stack.name().network(), owner: None };
    machine.engine.alter(|world| drop(world.networks.insert("0".repeat(64), theirs)));
    let told = foresee(&machine, None, demo).await;
    let verbs: BTreeSet<&str> = told.actions.iter().map(|action| action.action.as_str()).collect();
    assert_eq!(verbs, BTreeSet::from(["create-volume", "pull"]), "{told:#?}");
    let network = told.blocked.iter().find(|blocked| blocked.target == "network").expect("it is in the way");
    assert!(network.needs_operator && network.cause.contains("which is not ours"), "{told:#?}");
}
