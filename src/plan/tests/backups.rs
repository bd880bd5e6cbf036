//! Sets: begun when they are due and the server is ready; what is left of them goes; nobody waits.

use expect_test::expect;

use super::fixture::World;
use crate::model::backup::Work;
use crate::model::database_snapshot::SnapshotWork;
use crate::model::family::Library;
use crate::model::workload::KindName;

#[test]
fn a_set_is_begun_when_it_is_due_and_its_server_is_ready() {
    World::demo().ground().ready("db").ready("app").set_due("db").check(expect![[r#"
        backup db | the slot of now
    "#]]);
    // It starts: the slot waits, and nobody is told that something is in the way.
    World::demo().ground().running("db").ready("app").set_due("db").check(expect![[r#"
        blocked db | no answer yet
    "#]]);
}

#[test]
fn a_set_that_is_taken_is_not_begun_again_and_holds_nobody_up() {
    World::demo().ground().ready("db").created("app").set_due("db").taking_a_set("db").check(expect![[r#"
        start app app-1 | created, all it needs is there
    "#]]);
}

#[test]
fn a_server_that_copies_a_database_is_not_stopped_for_letting_nobody_in() {
    let save = || Work::Snapshot(SnapshotWork::Save { label: "s".parse().expect("a label") });
    World::demo().ground().sick("db").at_work("db", save()).check(expect![[r#"
        create app as demo-app-1 | no container
        blocked db | GET /healthz: timed out
    "#]]);
    World::demo().ground().sick("db").at_work("db", Work::Snapshot(SnapshotWork::List)).check(expect![[r#"
        stop db db-1 | liveness lost: GET /healthz: timed out
        create app as demo-app-1 | no container
    "#]]);
}

#[test]
fn what_a_dead_daemon_left_of_a_set_goes_and_its_volume_after_it() {
    let world = || World::demo().ground().ready("db").ready("app").trial_volume("db", "demo_trial");
    world().helper("db", KindName::Verify, "left", Some("demo_trial")).check(expect![[r#"
        stop db.77 left | left by a set that was given up
    "#]]);
    world().check(expect![[r#"
        remove-volume volume demo_trial | left by a set that was given up
    "#]]);
}

#[test]
fn what_a_set_that_is_taken_uses_stays() {
    let world = World::demo().ground().ready("db").ready("app").trial_volume("db", "demo_trial");
    world.helper("db", KindName::Dump, "dump", None).taking_a_set("db").check(expect![""]);
}

#[test]
fn a_stack_that_goes_down_takes_no_set_and_leaves_none_of_its_helpers() {
    let world = World::demo().ground().ready("db").set_due("db").helper("db", KindName::Dump, "dump", None).down();
    world.check(expect![[r#"
        stop db db-1 | witwd down
        stop db.77 dump | left by a set that was given up
    "#]]);
}

#[test]
fn names_change_hands_when_those_who_need_the_database_are_stopped_and_not_before() {
    let world = || World::demo().ground().ready("db").exchange_due("db");
    world().ready("app").check(expect![[r#"
        stop app app-1 | db gets restored databases
        blocked db | waiting until app is stopped
    "#]]);
    // A start that is under way when the names are to change back comes to its end first.
    world().exited("app", 143, 0).in_flight("app").check(expect![[r#"
        blocked db | waiting until app is stopped
    "#]]);
    world().exited("app", 143, 0).check(expect![[r#"
        exchange db | restored: set 1
        blocked app | db gets restored databases
    "#]]);
    // It waits neither for a server that is not ready, which a restore may mend, nor for one that is silent.
    World::demo().ground().running("db").alive("db").exited("app", 143, 0).exchange_due("db").check(expect![[r#"
        provision db | databases and roles
        exchange db | restored: set 1
        blocked app | db gets restored databases
    "#]]);
    World::demo().ground().running("db").exited("app", 143, 0).exchange_due("db").check(expect![[r#"
        blocked app | db gets restored databases
        blocked db | no answer yet
    "#]]);
}

#[test]
fn nobody_who_needs_the_database_is_made_anew_or_healed_while_names_change_hands() {
    let world = || World::demo().ground().ready("db").exchange_due("db");
    world().sick("app").check(expect![[r#"
        stop app app-1 | db gets restored databases
        blocked db | waiting until app is stopped
    "#]]);
    world().created("app").check(expect![[r#"
        exchange db | restored: set 1
        blocked app | db gets restored databases
    "#]]);
    world().check(expect![[r#"
        exchange db | restored: set 1
        blocked app | db gets restored databases
    "#]]);
}

#[test]
fn a_server_gives_way_to_one_of_another_image_only_when_it_is_known_whether_a_set_can_be_taken() {
    let world = |world: World| {
        let library = Library::Glibc;
        let world = world.ready("app").family("postgis:17", 17, library).wants_image("db", "postgis:17-other");
        world.family("postgis:17-other", 17, library).suffixed("db", "created").matches_the_file("db")
    };
    let server = || World::demo().ground().running("db");
    world(server()).check(expect![[r#"
        blocked db | it gets another image, and whether a set of what is there can be taken before is not known yet
        wake +30s
    "#]]);
    world(server().alive("db")).check(expect![[r#"
        backup db | it gets another image
        blocked db | a set of what is there is taken before it gets another image
    "#]]);
    world(World::demo().ground().sick("db")).check(expect![[r#"
        stop db db-1 | definition changed
    "#]]);
    world(World::demo().ground().exited("db", 0, 0)).check(expect![[r#"
        start db db-new | created, all it needs is there
    "#]]);
}
