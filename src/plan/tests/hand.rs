//! What is asked for by hand: `restart`, `stop`, `start`, `scale`.

use std::collections::BTreeSet;

use expect_test::expect;

use super::fixture::{World, name, never_again, service};
use crate::model::wish::{Chosen, Wish};

fn chosen(words: &str) -> BTreeSet<Chosen> {
    words.split_whitespace().map(|word| word.parse().expect("a name")).collect()
}

pub fn restart(words: &str) -> Wish {
    Wish::Restart { of: chosen(words) }
}

pub fn stop(words: &str) -> Wish {
    Wish::Stop { of: chosen(words) }
}

fn start(words: &str) -> Wish {
    Wish::Start { of: chosen(words) }
}

pub fn scale(service: &str, count: u32) -> Wish {
    Wish::Scale { to: [(name(service), count)].into() }
}

fn up() -> World {
    World::demo().ground().ready("db").ready("app")
}

/// Two replicas of the app, both ready.
fn two() -> World {
    up().replicas("app", 2).ready_as("app", 2)
}

#[test]
fn what_is_stopped_by_hand_is_stopped_and_its_container_stays() {
    up().asks(&stop("app")).check(expect![[r#"
        stop app app-1 | stopped by hand
    "#]]);
    World::demo().ground().ready("db").exited("app", 1, 0).asks(&stop("app")).check(expect![[""]]);
}

#[test]
fn those_that_need_it_are_stopped_before_it() {
    up().asks(&stop("app db")).check(expect![[r#"
        stop app app-1 | stopped by hand
        blocked db | stopped by hand after app, which needs it
    "#]]);
    World::demo().ground().ready("db").exited("app", 0, 0).asks(&stop("app db")).check(expect![[r#"
        stop db db-1 | stopped by hand
    "#]]);
}

#[test]
fn the_order_of_a_stop_holds_through_one_that_goes_on() {
    let mut world = up();
    world.workloads.push(service("edge", &["app"]));
    world.ready("edge").asks(&stop("edge db")).check(expect![[r#"
        stop edge edge-1 | stopped by hand
        blocked db | stopped by hand after edge, which needs it
    "#]]);
}

#[test]
fn who_needs_what_is_stopped_goes_on_and_is_not_started_anew() {
    World::demo().ground().exited("db", 0, 0).ready("app").asks(&stop("db")).check(expect![[""]]);
    World::demo().ground().exited("db", 0, 0).sick("app").asks(&stop("db")).check(expect![[r#"
        blocked app | GET /healthz: timed out
    "#]]);
    World::demo().ground().exited("db", 0, 0).exited("app", 1, 0).asks(&stop("db")).check(expect![[r#"
        blocked app | waiting for db: stopped by hand, `witwd start db` starts it
    "#]]);
}

#[test]
fn nothing_is_fetched_made_or_replaced_for_what_is_stopped() {
    let world = World::demo().without_image("app:1").ground().ready("db").asks(&stop("app"));
    world.check(expect![[""]]);
    World::demo().ground().ready("db").old("app", "exited").asks(&stop("app")).check(expect![[""]]);
}

#[test]
fn one_replica_is_stopped_and_the_other_runs_on() {
    two().asks(&stop("app.2")).check(expect![[r#"
        stop app.2 app-2 | stopped by hand
    "#]]);
}

#[test]
fn what_is_started_again_runs_also_where_its_policy_would_leave_it() {
    let mut world = World::demo().ground().ready("db").exited("app", 0, 5).asks(&stop("app"));
    never_again(&mut world.workloads[0]);
    world.clone().asks(&start("app")).looked().check(expect![[r#"
        start app app-1 | asked by a user
    "#]]);
    world.history.by_hand.release(&BTreeSet::new());
    world.looked().check(expect![[r#"
        start app app-1 | asked by a user
    "#]]);
}

#[test]
fn an_up_of_others_ends_nothing() {
    let mut world = up().asks(&stop("app"));
    world.history.by_hand.release(&[name("db")].into());
    world.clone().check(expect![[r#"
        stop app app-1 | stopped by hand
    "#]]);
    world.history.by_hand.release(&[name("app")].into());
    world.looked().check(expect![[""]]);
}

#[test]
fn a_start_of_what_runs_does_nothing() {
    up().asks(&start("app")).looked().check(expect![[""]]);
}

#[test]
fn one_replica_that_is_started_leaves_the_others_stopped() {
    let world = World::demo().ground().ready("db").replicas("app", 3).asks(&stop("app")).asks(&start("app.2"));
    world.looked().check(expect![[r#"
        create app.2 as demo-app-2 | no container
    "#]]);
}

#[test]
fn a_restart_stops_the_run_and_starts_the_next_at_once() {
    up().asks(&restart("app")).looked().check(expect![[r#"
        stop app app-1 | restart asked by a user
    "#]]);
    World::demo().ground().ready("db").exited("app", 143, 7).asks(&restart("app")).looked().check(expect![[r#"
        start app app-1 | asked by a user
    "#]]);
}

#[test]
fn a_restart_waits_for_the_look_that_tells_which_run_is_meant() {
    up().asks(&restart("app")).check(expect![[r#"
        blocked app | asked by a user
    "#]]);
}

#[test]
fn what_waits_for_its_image_is_restarted_as_it_is() {
    let world = up().wants_image("app", "app:2").without_image("app:2").asks(&restart("app")).looked();
    world.check(expect![[r#"
        pull app app:2 | image not here
        stop app app-1 | restart asked by a user
        blocked app | waiting for image app:2
    "#]]);
}

#[test]
fn a_restart_is_done_once_for_another_run_is_not_meant() {
    let mut world = up().asks(&restart("app")).looked();
    world.observed.containers.retain(|container| container.workload() != Some(&name("app")));
    world.suffixed("app", "running").looked().check(expect![[r#"
        rename app as demo-app-1 | takes the place of the old one
    "#]]);
}

#[test]
fn a_restart_of_a_database_leaves_its_app_alone() {
    up().asks(&restart("db")).looked().check(expect![[r#"
        stop db db-1 | restart asked by a user
    "#]]);
    World::demo().ground().exited("db", 0, 0).asks(&restart("db")).looked().sick("app").check(expect![[r#"
        start db db-1 | asked by a user
        blocked app | GET /healthz: timed out
    "#]]);
}

#[test]
fn a_restart_of_all_begins_with_what_the_others_need() {
    up().asks(&restart("")).looked().check(expect![[r#"
        stop db db-1 | restart asked by a user
        blocked app | restart asked by a user: waiting for db, which is restarted first
    "#]]);
}

#[test]
fn a_restart_waits_while_what_it_needs_is_away() {
    World::demo().ground().running("db").ready("app").asks(&restart("app")).looked().check(expect![[r#"
        blocked app | restart asked by a user: waiting for db: not ready
        blocked db | no answer yet
    "#]]);
}

#[test]
fn replicas_are_restarted_one_after_the_other() {
    two().asks(&restart("app")).looked().check(expect![[r#"
        stop app app-1 | restart asked by a user
        blocked app.2 | restart asked by a user: waiting for app.1
    "#]]);
    // One that is not ready serves nobody: it goes first, and the other stays until it is back.
    let sick = World::demo().ground().ready("db").replicas("app", 2).sick("app").ready_as("app", 2);
    sick.asks(&restart("app")).looked().check(expect![[r#"
        stop app app-1 | restart asked by a user
        blocked app.2 | restart asked by a user: waiting for app.1
    "#]]);
}

#[test]
fn what_is_stopped_by_hand_is_not_restarted_with_the_rest() {
    World::demo().ground().ready("db").exited("app", 0, 0).asks(&stop("app")).asks(&restart("")).looked().check(expect![[r#"
        stop db db-1 | restart asked by a user
    "#]]);
}

#[test]
fn more_and_fewer_are_run_by_hand_than_the_file_says() {
    up().asks(&scale("app", 3)).check(expect![[r#"
        create app.2 as demo-app-2 | scaled to 3 by hand
        create app.3 as demo-app-3 | scaled to 3 by hand
    "#]]);
    two().asks(&scale("app", 1)).check(expect![[r#"
        stop app.2 app-2 | scaled to 1 by hand
    "#]]);
    two().replicas("app", 1).asks(&scale("app", 2)).asks(&start("app")).looked().check(expect![[r#"
        stop app.2 app-2 | more replicas than wanted
    "#]]);
}

#[test]
fn a_number_that_no_longer_makes_sense_gives_way_to_the_file() {
    let mut world = up().asks(&scale("app", 2));
    world.workloads[0].container.ports = vec![super::fixture::published(8000)];
    world.check(expect![[""]]);
}

#[test]
fn down_ends_what_is_held_too() {
    up().asks(&stop("db")).down().check(expect![[r#"
        stop app app-1 | witwd down
    "#]]);
}
