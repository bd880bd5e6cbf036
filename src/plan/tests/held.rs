//! Which saves wait for `witwd up`, and which do not.

use super::fixture::{name, postgres, service, stack_of};
use crate::model::name::{ContainerId, ReplicaKey};
use crate::model::stack::Stack;
use crate::model::workload::Workload;
use crate::plan::{Action, held};

fn key(text: &str) -> ReplicaKey {
    ReplicaKey { name: name(text), replica: 1 }
}

fn stop(text: &str) -> Action {
    Action::Stop {
        key: key(text),
        container: ContainerId(format!("{text}-1")),
        grace: std::time::Duration::from_secs(10),
        failed: false,
    }
}

fn create(text: &str) -> Action {
    Action::Create { key: key(text), name: format!("demo-{text}-1"), image: "app:1".to_owned() }
}

fn services(names: &[&str]) -> Vec<Workload> {
    names.iter().map(|name| service(name, &[])).collect()
}

fn shop() -> Vec<Workload> {
    vec![service("app", &[]), service("web", &[]), postgres("db")]
}

fn reasons(old: &Stack, new: &Stack, actions: &[Action]) -> String {
    held(old, new, actions).join("; ")
}

#[test]
fn what_could_hurt_waits_and_says_why() {
    let shop = || stack_of(shop());
    let six = || stack_of(services(&["a", "b", "c", "d", "e", "f"]));
    let five = || stack_of(services(&["a", "b", "c", "d", "e"]));
    let without_web = stack_of(vec![service("app", &[]), postgres("db")]);
    let without_db = stack_of(services(&["app", "web"]));
    let db_as_service = stack_of(services(&["app", "db", "web"]));
    let more = stack_of([shop_and("extra"), services(&["other"])].concat());
    let recreate = |names: &[&str]| names.iter().flat_map(|name| [create(name), stop(name)]).collect::<Vec<_>>();
    let table: Vec<(&str, Stack, Stack, Vec<Action>, &str)> = vec![
        ("nothing changed", shop(), shop(), Vec::new(), ""),
        ("a service is recreated", shop(), shop(), recreate(&["app"]), ""),
        ("services are added", shop(), more, vec![create("extra"), create("other")], ""),
        ("a service is dropped", shop(), without_web, vec![stop("web")], "it drops service web"),
        ("a postgres is dropped", shop(), without_db, vec![stop("db")], "it drops postgres db"),
        ("a postgres becomes a service", shop(), db_as_service, vec![stop("db")], "it drops postgres db"),
        ("a postgres is recreated", shop(), shop(), recreate(&["db"]), "it recreates postgres db"),
        ("a postgres is stopped", shop(), shop(), vec![stop("db")], "it stops postgres db"),
        (
            "a postgres gets a role",
            shop(),
            shop(),
            vec![Action::Provision { key: key("db"), container: ContainerId("db-1".into()) }],
            "",
        ),
        ("half of six", six(), six(), recreate(&["a", "b", "c"]), ""),
        ("more than half of six", six(), six(), recreate(&["a", "b", "c", "d"]), "it touches 4 of 6"),
        ("all of five", five(), five(), recreate(&["a", "b", "c", "d", "e"]), ""),
    ];
    for (what, old, new, actions, expected) in table {
        assert_eq!(reasons(&old, &new, &actions), expected, "{what}");
    }
}

fn shop_and(more: &str) -> Vec<Workload> {
    let mut all = shop();
    all.push(service(more, &[]));
    all
}

#[test]
fn every_reason_is_said() {
    let old = stack_of([shop(), services(&["a", "b", "c"])].concat());
    let new = stack_of([vec![service("app", &[]), postgres("db")], services(&["a", "b", "c"])].concat());
    let actions = ["app", "web", "a", "b"].map(stop).into_iter().chain([create("db"), stop("db")]).collect::<Vec<_>>();
    assert_eq!(reasons(&old, &new, &actions), "it drops service web; it recreates postgres db; it touches 5 of 6");
}
