//! The planner's tables: a world in a few words, the plan as text.

mod backups;
mod fixture;
mod hand;
mod held;
mod properties;

use expect_test::expect;
use fixture::World;

use super::Action;
use crate::model::family::{DataFound, Family, Glibc, Library};
use crate::model::name::InstanceId;
use crate::model::stack::Volume;
use crate::model::workload::Restart;

#[test]
fn nothing_there_gives_network_image_and_volume_first() {
    World::demo().without_image("postgis:17").check(expect![[r#"
        create-network network | no network
        pull db postgis:17 | image not here
        create-volume volume db-17 | no volume
        blocked app | waiting for the network
        blocked db | waiting for image postgis:17
    "#]]);
}

#[test]
fn all_is_created_at_once_and_only_starts_wait() {
    World::demo().ground().check(expect![[r#"
        create db as demo-db-1 | no container
        create app as demo-app-1 | no container
    "#]]);
}

#[test]
fn a_database_is_started_before_its_app() {
    World::demo().ground().made_empty("db", "demo_db-17").created("db").created("app").check(expect![[r#"
        start db db-1 | created, all it needs is there
        blocked app | waiting for db: not ready
    "#]]);
}

#[test]
fn a_database_that_answers_is_provisioned_before_it_is_ready() {
    World::demo().ground().running("db").alive("db").created("app").check(expect![[r#"
        provision db | databases and roles
        blocked app | waiting for db: its databases and roles are being made
    "#]]);
}

#[test]
fn a_ready_database_opens_the_gate() {
    World::demo().ground().ready("db").created("app").check(expect![[r#"
        start app app-1 | created, all it needs is there
    "#]]);
}

#[test]
fn a_converged_world_has_an_empty_plan() {
    World::demo().ground().ready("db").ready("app").check(expect![[""]]);
}

#[test]
fn what_is_under_way_is_not_planned_again() {
    World::demo().ground().ready("db").created("app").in_flight("app").check(expect![[""]]);
}

#[test]
fn a_changed_definition_creates_the_new_container_first() {
    World::demo().ground().ready("db").ready("app").changed("app").check(expect![[r#"
        create app as demo-app-1-bbe0479d | definition changed
    "#]]);
}

#[test]
fn the_old_container_is_stopped_once_the_new_one_is_there() {
    World::demo().ground().ready("db").old("app", "running").suffixed("app", "created").check(expect![[r#"
        stop app app-old | definition changed
    "#]]);
}

#[test]
fn the_old_one_runs_on_while_the_new_one_may_not_start() {
    World::demo().ground().running("db").old("app", "running").suffixed("app", "created").check(expect![[r#"
        blocked app | waiting for db: not ready
        blocked db | no answer yet
    "#]]);
}

#[test]
fn the_new_container_starts_when_the_old_one_is_seen_stopped() {
    World::demo().ground().ready("db").old("app", "exited").suffixed("app", "created").check(expect![[r#"
        start app app-new | created, all it needs is there
    "#]]);
}

#[test]
fn the_old_one_goes_when_the_new_one_runs() {
    World::demo().ground().ready("db").old("app", "exited").suffixed("app", "running").check(expect![[r#"
        remove app app-old | replaced by app-new
    "#]]);
}

#[test]
fn the_new_one_takes_the_name_at_the_end() {
    World::demo().ground().ready("db").suffixed("app", "running").check(expect![[r#"
        rename app as demo-app-1 | takes the place of the old one
    "#]]);
}

#[test]
fn of_two_that_run_one_is_stopped() {
    World::demo().ground().ready("db").ready("app").suffixed("app", "running").check(expect![[r#"
        stop app app-new | replaced by app-1
    "#]]);
}

#[test]
fn a_removal_that_fails_is_waited_for_and_holds_up_nothing_else() {
    let stuck = || World::demo().ground().ready("db").old("app", "dead").stuck("app", "it is stuck");
    stuck().suffixed("app", "running").check(expect![[r#"
        blocked app | it is stuck
        wake +2s
    "#]]);
    stuck().exited("app", 137, 0).check(expect![[r#"
        start app app-1 | killed (exit 137)
    "#]]);
    stuck().created("app").check(expect![[r#"
        start app app-1 | created, all it needs is there
    "#]]);
    stuck().suffixed("app", "running").down().check(expect![[r#"
        stop app app-new | witwd down
    "#]]);
    // The other way round, a start that failed is waited for.
    World::demo().ground().ready("db").exited("app", 137, 0).failed("app", "no such file").check(expect![[r#"
        blocked app | no such file
        wake +2s
    "#]]);
}

#[test]
fn a_crash_is_restarted_at_once_the_first_time() {
    World::demo().ground().ready("db").exited("app", 137, 0).check(expect![[r#"
        start app app-1 | killed (exit 137)
    "#]]);
}

#[test]
fn later_restarts_wait_and_say_how_long() {
    World::demo().ground().ready("db").exited("app", 1, 3).check(expect![[r#"
        blocked app | exited with code 1; restart 4 in 4.6s
        wake +4.6s
    "#]]);
}

#[test]
fn lost_liveness_stops_and_the_next_pass_starts() {
    World::demo().ground().ready("db").sick("app").check(expect![[r#"
        stop app app-1 | liveness lost: GET /healthz: timed out
    "#]]);
}

#[test]
fn what_was_stopped_for_its_lost_liveness_failed_whatever_its_exit_code() {
    let ended = || World::demo().ground().ready("db").restart("app", Restart::OnFailure);
    ended().exited("app", 0, 0).check(expect![[""]]);
    ended().exited("app", 0, 0).lost_liveness("app").check(expect![[r#"
        start app app-1 | stopped for its lost liveness, exited with code 0
    "#]]);
    ended().exited("app", 0, 3).lost_liveness("app").check(expect![[r#"
        blocked app | stopped for its lost liveness, exited with code 0; restart 4 in 4.6s
        wake +4.6s
    "#]]);
    let never = World::demo().ground().ready("db").restart("app", Restart::Never);
    never.exited("app", 0, 0).lost_liveness("app").check(expect![[""]]);
}

#[test]
fn the_plan_says_which_stop_is_one_of_a_failure() {
    let failed = |world: World| matches!(world.plan().actions[0].action, super::Action::Stop { failed: true, .. });
    assert!(failed(World::demo().ground().ready("db").sick("app")));
    assert!(!failed(World::demo().ground().ready("db").ready("app").orphan("cache", "running")));
}

#[test]
fn liveness_of_dependents_is_suspended_while_the_database_is_away() {
    World::demo().ground().running("db").sick("app").check(expect![[r#"
        blocked app | GET /healthz: timed out
        blocked db | no answer yet
    "#]]);
}

#[test]
fn who_lost_its_liveness_is_stopped_only_once_what_it_depends_on_was_asked() {
    let world = || World::demo().ground().sick("app");
    world().ready("db").check(expect![[r#"
        stop app app-1 | liveness lost: GET /healthz: timed out
    "#]]);
    world().ready("db").unasked("db").check(expect![[r#"
        blocked app | liveness lost: GET /healthz: timed out; what it depends on is asked first
    "#]]);
    world().ready("db").shaken("db").check(expect![[r#"
        blocked app | GET /healthz: timed out
    "#]]);
}

#[test]
fn what_foreign_hands_took_from_the_network_is_put_back() {
    let world = || World::demo().ground().ready("db").ready("app");
    world().known_as("app", &[]).check(expect![[r#"
        connect app app-1 | not on network demo
    "#]]);
    // Without a network there is nothing to be put on.
    world().known_as("app", &[]).without_network().check(expect![[r#"
        create-network network | no network
    "#]]);
    // What is to be replaced, and what does not run, is left as it is.
    world().known_as("app", &[]).changed("app").check(expect![[r#"
        create app as demo-app-1-bbe0479d | definition changed
    "#]]);
    World::demo().ground().ready("db").exited("app", 1, 0).known_as("app", &[]).check(expect![[r#"
        start app app-1 | exited with code 1
    "#]]);
    // It comes before its health: nobody reaches it.
    World::demo().ground().ready("db").sick("app").known_as("app", &[]).check(expect![[r#"
        connect app app-1 | not on network demo
    "#]]);
}

#[test]
fn names_on_the_network_that_are_missing_or_of_another_are_put_right() {
    let world = || World::demo().ground().ready("db").ready("app");
    world().known_as("db", &["other"]).check(expect![[r#"
        disconnect db db-1 | not known as db on network demo
    "#]]);
    world().known_as("app", &["app", "db"]).check(expect![[r#"
        disconnect app app-1 | known as db on network demo, which is a name of db
    "#]]);
    world().known_as("app", &["app", "a-name-of-a-person"]).check(expect![[""]]);
    // Its host name is a name that the engine gives it again and again.
    let mut hosted = world().known_as("app", &["app", "db"]);
    hosted.workloads[0].container.hostname = Some("db".to_owned());
    hosted.check(expect![[""]]);
}

#[test]
fn an_orphan_is_stopped_and_removed_and_its_volume_stays() {
    World::demo().ground().ready("db").ready("app").orphan("cache", "running").check(expect![[r#"
        stop cache cache-1 | not in stack.toml
    "#]]);
    World::demo().ground().ready("db").ready("app").orphan("cache", "exited").check(expect![[r#"
        remove cache cache-1 | not in stack.toml
    "#]]);
}

#[test]
fn surplus_replicas_end_and_missing_ones_are_created() {
    World::demo().ground().ready("db").ready("app").replicas("app", 3).ready_replica("app", 5).check(expect![[r#"
        create app.2 as demo-app-2 | no container
        create app.3 as demo-app-3 | no container
        stop app.5 app-5 | more replicas than wanted
    "#]]);
}

#[test]
fn a_foreign_container_with_our_name_is_named_and_left_alone() {
    World::demo().ground().ready("db").foreign("demo-app-1").check(expect![[r#"
        blocked app | the name demo-app-1 is taken by container foreign-demo, which is not ours: remove or rename that one
    "#]]);
}

#[test]
fn containers_of_another_instance_hold_the_whole_stack() {
    World::demo().ground().other_instance("db").check(expect![[r#"
        blocked network | a stack named demo of /elsewhere has containers here (demo-db-1): give one of the two another name
    "#]]);
}

#[test]
fn a_foreign_volume_is_not_mounted() {
    World::demo().ground().ready("app").foreign_volume("demo_db-17").check(expect![[r#"
        blocked db | waiting for a volume
        blocked volume db-17 | volume demo_db-17 exists and is not ours: to use it, say external = true under its own name; else rename yours
    "#]]);
}

#[test]
fn a_vanished_data_directory_is_never_made_anew() {
    World::demo().ground().provisioned("db").without_volume("demo_db-17").ready("app").check(expect![[r#"
        blocked db | waiting for a volume
        blocked volume db-17 | the volume demo_db-17 with the data of db (database demo) is gone: an empty one is not put in its place. Bring it back, or begin anew with `witwd up --fresh db`
    "#]]);
}

#[test]
fn another_major_is_refused_before_anything_is_stopped() {
    World::demo().ground().ready("db").ready("app").major("db", 16).changed("db").check(expect![[r#"
        blocked db | postgis:17 does not fit the data of db: data directory of major 16, image is 17: go back to an image of 16; or dump it (`witwd exec db pg_dumpall -U postgres`), give it another `volume`, begin anew there with `witwd up --fresh db`, and load the dump
    "#]]);
}

#[test]
fn another_major_is_refused_by_what_the_image_says_and_not_by_its_tag_alone() {
    let moved = World::demo().ground().ready("db").ready("app").major("db", 17).wants_image("db", "postgis:latest");
    moved.family("postgis:latest", 18, Library::Glibc).check(expect![[r#"
        blocked db | postgis:latest does not fit the data of db: data directory of major 17, image is 18: go back to an image of 17; or dump it (`witwd exec db pg_dumpall -U postgres`), give it another `volume`, begin anew there with `witwd up --fresh db`, and load the dump
    "#]]);
}

#[test]
fn another_image_family_is_refused_before_anything_is_stopped() {
    let world = World::demo().ground().ready("db").ready("app").made_with("db", Library::Glibc);
    world.wants_image("db", "postgis:17-alpine").family("postgis:17-alpine", 17, Library::Musl).check(expect![[r#"
        blocked db | postgis:17-alpine does not fit the data of db: data directory made by Debian (glibc), image is Alpine (musl): they sort text differently, and indexes would give wrong answers. Go back to an image of Debian (glibc); or dump it (`witwd exec db pg_dumpall -U postgres`), give it another `volume`, begin anew there with `witwd up --fresh db`, and load the dump
    "#]]);
}

#[test]
fn the_family_is_that_of_the_container_where_its_history_was_lost() {
    let world = World::demo().ground().ready("db").ready("app").family("postgis:17", 17, Library::Glibc);
    world.wants_image("db", "postgis:17-alpine").family("postgis:17-alpine", 17, Library::Musl).check(expect![[r#"
        blocked db | postgis:17-alpine does not fit the data of db: data directory made by Debian (glibc), image is Alpine (musl): they sort text differently, and indexes would give wrong answers. Go back to an image of Debian (glibc); or dump it (`witwd exec db pg_dumpall -U postgres`), give it another `volume`, begin anew there with `witwd up --fresh db`, and load the dump
    "#]]);
    // The oldest image counts, also where a newer container was made and never run.
    World::demo().ground().ready("db").ready("app").wants_image("db", "postgis:18").check(expect![[r#"
        blocked db | postgis:18 does not fit the data of db: data directory of major 17, image is 18: go back to an image of 17; or dump it (`witwd exec db pg_dumpall -U postgres`), give it another `volume`, begin anew there with `witwd up --fresh db`, and load the dump
    "#]]);
}

#[test]
fn another_version_of_glibc_is_found_in_the_new_container_and_the_old_one_runs_on() {
    let world = World::demo().ground().ready("app").major("db", 17).provisioned("db").sorted_by("db", Glibc(2, 36));
    let world = world.old("db", "running").suffixed("db", "created");
    let data = || DataFound::Made(Family { major: Some(17), library: Some(Library::Glibc), glibc: None });
    world.clone().check(expect![[r#"
        examine db db-new | what its image sorts text by is not known
    "#]]);
    world.clone().examined("db-new", Glibc(2, 41), data()).check(expect![[r#"
        blocked db | postgis:17 does not fit the data of db in volume demo_db-17: data directory sorted by glibc 2.36, image has glibc 2.41: the two sort text differently, and indexes would give wrong answers. Go back to an image with glibc 2.36 (of the same Debian release); or dump it (`witwd exec db pg_dumpall -U postgres`), give it another `volume`, begin anew there with `witwd up --fresh db`, and load the dump
    "#]]);
    world.examined("db-new", Glibc(2, 36), data()).check(expect![[r#"
        stop db db-old | definition changed
    "#]]);
    // Where text is sorted alike by all, nothing is asked.
    let world = World::demo().ground().ready("app").major("db", 17).provisioned("db");
    world.old("db", "running").suffixed("db", "created").check(expect![[r#"
        stop db db-old | definition changed
    "#]]);
}

#[test]
fn of_two_networks_of_its_name_a_stack_keeps_one() {
    let mut world = World::demo().ground();
    let second = crate::model::observed::Network { id: "net-2".to_owned(), ..world.observed.networks[0].clone() };
    world.observed.networks.push(second);
    world.check(expect![[r#"
        remove-network network | another one has its name
        blocked app | waiting for the network
        blocked db | waiting for the network
    "#]]);
}

#[test]
fn no_server_starts_on_an_empty_volume_in_the_place_of_its_data() {
    let world = World::demo().ground().ready("app").major("db", 17).provisioned("db").sorted_by("db", Glibc(2, 36)).created("db");
    world.examined("db-1", Glibc(2, 36), DataFound::Empty).check(expect![[r#"
        blocked db | the volume demo_db-17 is empty, but db had data in it: an empty database is not put in its place. Remove that volume (`docker volume rm demo_db-17`), then bring the old one back, or begin anew with `witwd up --fresh db`
    "#]]);
}

#[test]
fn a_volume_of_which_nothing_is_known_is_looked_into_before_a_server_starts_on_it() {
    let world = || World::demo().ground().ready("app").created("db").family("postgis:17", 17, Library::Glibc);
    let of = |major, library| DataFound::Made(Family { major: Some(major), library: Some(library), glibc: None });
    world().check(expect![[r#"
        examine db db-1 | what is in its volume is not known
    "#]]);
    world().examined("db-1", Glibc(2, 41), of(15, Library::Glibc)).check(expect![[r#"
        blocked db | postgis:17 does not fit the data of db in volume demo_db-17: data directory of major 15, image is 17: go back to an image of 15; or dump it (`witwd exec db pg_dumpall -U postgres`), give it another `volume`, begin anew there with `witwd up --fresh db`, and load the dump
    "#]]);
    world().examined("db-1", Glibc(2, 41), of(17, Library::Musl)).check(expect![[r#"
        blocked db | postgis:17 does not fit the data of db in volume demo_db-17: data directory made by Alpine (musl), image is Debian (glibc): they sort text differently, and indexes would give wrong answers. Go back to an image of Alpine (musl); or dump it (`witwd exec db pg_dumpall -U postgres`), give it another `volume`, begin anew there with `witwd up --fresh db`, and load the dump
    "#]]);
    world().examined("db-1", Glibc(2, 41), DataFound::Other).check(expect![[r#"
        blocked db | the volume demo_db-17 of db is not empty and holds no data directory of a Postgres (no PG_VERSION): empty it, or give db another `volume`
    "#]]);
    world().examined("db-1", Glibc(2, 41), of(17, Library::Glibc)).check(expect![[r#"
        start db db-1 | created, all it needs is there
    "#]]);
    world().examined("db-1", Glibc(2, 41), DataFound::Empty).check(expect![[r#"
        start db db-1 | created, all it needs is there
    "#]]);
    // What was refused is no fallback for what is refused after it; what ran on the data is.
    let refused =
        || World::demo().ground().ready("app").suffixed("db", "created").examined("db-new", Glibc(2, 41), DataFound::Other);
    refused().old("db", "created").check(expect![[r#"
        blocked db | the volume demo_db-17 of db is not empty and holds no data directory of a Postgres (no PG_VERSION): empty it, or give db another `volume`
    "#]]);
    // Nor does it say what the data is made with.
    World::demo().ground().ready("app").created("db").wants_image("db", "postgis:18").check(expect![[r#"
        create db as demo-db-1-bbe0479d | definition changed
    "#]]);
    // One that we made empty ourselves has no secrets, nor has one that a server of ours ran on.
    world().made_empty("db", "demo_db-17").check(expect![[r#"
        start db db-1 | created, all it needs is there
    "#]]);
    World::demo().ground().ready("app").suffixed("db", "created").old("db", "exited").check(expect![[r#"
        start db db-new | created, all it needs is there
    "#]]);
}

#[test]
fn an_image_of_the_same_family_takes_the_place_of_another() {
    let world = World::demo().ground().ready("db").ready("app").major("db", 17).made_with("db", Library::Glibc);
    let world = world.wants_image("db", "localhost/demo-db:latest").family("localhost/demo-db:latest", 17, Library::Glibc);
    world.check(expect![[r#"
        create db as demo-db-1-bbe0479d | definition changed
    "#]]);
}

#[test]
fn passwords_that_changed_or_were_lost_recreate_those_who_use_them() {
    let world = || World::demo().ground().ready("db").ready("app");
    world().secrets("app", "key1-aa", "key1-aa").check(expect![[""]]);
    world().secrets("app", "key1-aa", "key1-bb").check(expect![[r#"
        create app as demo-app-1-82c17a76 | a secret changed
    "#]]);
    world().secrets("app", "key1-aa", "key2-cc").check(expect![[r#"
        create app as demo-app-1-82c17a76 | its passwords were lost and made anew
    "#]]);
}

#[test]
fn data_under_an_old_name_is_not_left_behind_for_an_empty_volume() {
    let world = || World::demo().ground().ready("db").ready("app").provisioned("db").data_in("db", "store");
    world().check(expect![[r#"
        blocked db | waiting for a volume
        blocked volume store | db would begin with an empty volume demo_store, while the data of db lies unused in demo_db-17: to go on with that, write `store = { renamed_from = "db-17" }` below `[volumes]`; to begin anew, `witwd up --fresh db`
    "#]]);
    // Also where its definition is the same, for only `renamed_from` was taken away.
    World::demo().ground().ready("db").ready("app").mounting("db", "demo_main-17").check(expect![[r#"
        create db as demo-db-1-7f23ac5c | its data is to be in another volume
    "#]]);
    // The other ways: it was renamed, or it is to begin anew.
    world().renamed_from("store", "db-17").check(expect![[r#"
        create db as demo-db-1-bbe0479d | definition changed
    "#]]);
    world().fresh("store").check(expect![[r#"
        create-volume volume store | no volume
        blocked db | waiting for a volume
    "#]]);
}

#[test]
fn another_major_in_a_volume_of_its_own_is_refused_with_the_same_words() {
    let world = || World::demo().ground().ready("db").ready("app").wants_image("db", "postgis:18").data_in("db", "db-18");
    world().check(expect![[r#"
        blocked db | waiting for a volume
        blocked volume db-18 | postgis:18 does not fit the data of db in volume demo_db-17: data directory of major 17, image is 18: go back to an image of 17; or dump it (`witwd exec db pg_dumpall -U postgres`), give it another `volume`, begin anew there with `witwd up --fresh db`, and load the dump
    "#]]);
    world().fresh("db-18").check(expect![[r#"
        create-volume volume db-18 | no volume
        blocked db | waiting for a volume
    "#]]);
}

#[test]
fn a_renamed_postgres_starts_when_the_old_one_no_longer_runs_on_its_data() {
    let world = World::demo().ground().ready("db").named("db", "store").data_in("store", "store-17");
    world.clone().check(expect![[r#"
        create app as demo-app-1 | no container
        blocked db | not in stack.toml; kept until it is said which data is meant
        blocked store | waiting for a volume
        blocked volume store-17 | store would begin with an empty volume demo_store-17, while the data of db lies unused in demo_db-17: to go on with that, write `store-17 = { renamed_from = "db-17" }` below `[volumes]`; to begin anew, `witwd up --fresh store`
    "#]]);
    world.clone().renamed_from("store-17", "db-17").check(expect![[r#"
        create store as demo-store-1 | no container
        create app as demo-app-1 | no container
        stop db db-1 | not in stack.toml
    "#]]);
    world.renamed_from("store-17", "db-17").created_on("store", "demo_db-17").check(expect![[r#"
        create app as demo-app-1 | no container
        stop db db-1 | not in stack.toml
        blocked store | waiting for demo-db-1: it runs on the same data
    "#]]);
}

#[test]
fn a_volume_is_not_made_empty_while_one_that_was_renamed_lies_unused() {
    let old = || World::demo().ground().made_under("demo", "demo_files", None).ready("db").ready("app");
    let world = || old().mounting("app", "demo_files").mounts("app", "media").changed("app");
    world().check(expect![[r#"
        blocked app | waiting for a volume
        blocked volume media | media would begin with an empty volume demo_media, while the data of files lies unused in demo_files: to go on with that, write `media = { renamed_from = "files" }` below `[volumes]`; to begin anew, `witwd up --fresh media`
    "#]]);
    world().renamed_from("media", "files").check(expect![[r#"
        create app as demo-app-1-bbe0479d | definition changed
    "#]]);
    world().fresh("media").check(expect![[r#"
        create-volume volume media | no volume
        blocked app | waiting for a volume
    "#]]);
    // What the file left behind earlier, what an image asked for and what holds a database is not meant.
    world().left("demo_files").check(expect![[r#"
        create-volume volume media | no volume
        blocked app | waiting for a volume
    "#]]);
    world().of_images("demo_files").check(expect![[r#"
        create-volume volume media | no volume
        blocked app | waiting for a volume
    "#]]);
    World::demo().ground().made_under("demo", "demo_other-17", Some("other")).mounts("app", "media").check(expect![[r#"
        create db as demo-db-1 | no container
        create-volume volume media | no volume
        blocked app | waiting for a volume
    "#]]);
    // Nor is anything made empty where `renamed_from` was written for data that lies under the new name.
    let other_way = World::demo().ground().made_under("demo", "demo_media", None).mounts("app", "media");
    other_way.renamed_from("media", "files").check(expect![[r#"
        create db as demo-db-1 | no container
        blocked app | waiting for a volume
        blocked volume media | media would begin with an empty volume demo_files, while the data of media lies unused in demo_media: to go on with that, take `renamed_from` of `media` away; to begin anew, `witwd up --fresh media`
    "#]]);
}

#[test]
fn a_container_on_the_volume_of_another_name_is_recreated_onto_the_one_that_is_meant() {
    let old = World::demo().ground().made_under("demo", "demo_files", None).made_under("demo", "demo_media", None);
    let world = old.ready("db").mounts("app", "media").ready("app");
    world.clone().check(expect![[""]]);
    world.renamed_from("media", "files").check(expect![[r#"
        create app as demo-app-1-82c17a76 | its data is to be in another volume
    "#]]);
}

#[test]
fn who_mounts_data_goes_on_while_it_is_refused() {
    let world = World::demo().ground().made_under("demo", "demo_files", None).ready("db").ready("app").orphan("web", "running");
    world.mounting("web", "demo_files").mounts("app", "media").changed("app").check(expect![[r#"
        blocked app | waiting for a volume
        blocked web | not in stack.toml; kept until it is said which data is meant
        blocked volume media | media would begin with an empty volume demo_media, while the data of files lies unused in demo_files: to go on with that, write `media = { renamed_from = "files" }` below `[volumes]`; to begin anew, `witwd up --fresh media`
    "#]]);
}

#[test]
fn a_stack_of_another_name_does_not_leave_its_data_behind() {
    let world = || World::demo().made_under("old", "old_db-17", Some("db")).made_under("old", "old_files", None);
    world().check(expect![[r#"
        blocked network | stack demo would begin without data, while that of old lies unused in old_db-17, old_files: to go on with that, write `renamed_from = "old"` at the top of stack.toml, or put the old name back; to begin anew, `witwd up --fresh demo`
    "#]]);
    world().stack_renamed_from("old").check(expect![[r#"
        create-network network | no network
        blocked app | waiting for the network
        blocked db | waiting for the network
    "#]]);
    world().left("old_db-17").left("old_files").check(expect![[r#"
        create-network network | no network
        create-volume volume db-17 | no volume
        blocked app | waiting for the network
        blocked db | waiting for the network
    "#]]);
    // It has data of its own: nothing was renamed just now.
    world().ground().check(expect![[r#"
        create db as demo-db-1 | no container
        create app as demo-app-1 | no container
    "#]]);
    World::demo().ground().stack_renamed_from("old").check(expect![[r#"
        blocked network | stack demo would begin without data, while that of demo lies unused in demo_db-17: to go on with that, take `renamed_from` at the top of stack.toml away; to begin anew, `witwd up --fresh demo`
    "#]]);
}

#[test]
fn a_renamed_stack_owns_the_volumes_of_its_old_name_to_the_end() {
    let world = || World::demo().made_under("old", "old_db-17", Some("db")).stack_renamed_from("old").down();
    world().check(expect![[""]]);
    let mut dropped = world();
    dropped.history.drop_volumes = ["old_db-17".to_owned()].into();
    dropped.clone().check(expect![[r#"
        remove-volume volume old_db-17 | witwd down --volumes
    "#]]);
    // What was made since nobody saw named; what is named and another instance's is not touched.
    dropped = dropped.made_under("old", "old_since", None).has_volume("old_media", Some(InstanceId("elsewhere".to_owned())));
    dropped.history.drop_volumes.insert("old_media".to_owned());
    dropped.clone().check(expect![[r#"
        remove-volume volume old_db-17 | witwd down --volumes
    "#]]);
    // Also where the file does not say any more what the stack was called.
    dropped.renamed_from = None;
    dropped.clone().check(expect![[r#"
        remove-volume volume old_db-17 | witwd down --volumes
    "#]]);
    // What the file declares external is somebody else's, also where this instance made it once.
    let external = Volume { external: true, ..Volume::default() };
    dropped.volumes.insert("old_db-17".parse().expect("a name"), external);
    dropped.check(expect![[""]]);
}

#[test]
fn a_failed_action_waits_with_its_error() {
    World::demo().ground().ready("db").created("app").failed("app", "failed to start container app-1: port 8000 is taken").check(
        expect![[r#"
        blocked app | failed to start container app-1: port 8000 is taken
        wake +2s
    "#]],
    );
}

#[test]
fn a_container_whose_free_port_was_taken_is_made_anew_unless_it_runs() {
    let taken = |world: World, host| {
        let mut world = world.publishes("app", host);
        let app = world.observed.containers.iter().find(|seen| seen.name.contains("app")).expect("the app's");
        let key = app.identity.as_ref().expect("ours").key.clone();
        world.history.port_taken = [(key, app.id.clone())].into();
        world
    };
    let world = || World::demo().ground().ready("db");
    taken(world().created("app"), None).check(expect![[r#"
        create app as demo-app-1-82c17a76 | its port was taken, and any will do
    "#]]);
    taken(world().exited("app", 1, 0), None).check(expect![[r#"
        create app as demo-app-1-82c17a76 | its port was taken, and any will do
    "#]]);
    taken(world().ready("app"), None).check(expect![[""]]);
    // No other will do for a port that the file names.
    taken(world().created("app"), Some(8000)).check(expect![[r#"
        start app app-1 | created, all it needs is there
    "#]]);
}

#[test]
fn where_no_registry_answers_the_fallback_is_built() {
    World::demo().ground().without_image("postgis:17").with_fallback("db").unreachable("db").check(expect![[r#"
        build-fallback db localhost/demo-db:latest | no registry answers
        create app as demo-app-1 | no container
        blocked db | waiting for image postgis:17
    "#]]);
}

#[test]
fn where_a_registry_answers_without_the_image_the_fallback_is_not_built() {
    let denied = "failed to pull image postgis:17: pull access denied";
    World::demo().ground().without_image("postgis:17").with_fallback("db").denied("db", denied).check(expect![[r#"
        create app as demo-app-1 | no container
        blocked db | waiting for image postgis:17
        blocked db | failed to pull image postgis:17: pull access denied
        wake +2s
    "#]]);
}

#[test]
fn a_fallback_stays_in_use_when_the_image_appears() {
    World::demo().ground().with_fallback("db").image("localhost/demo-db:latest").created("app").check(expect![[r#"
        create db as demo-db-1 | no container
        blocked app | waiting for db: not ready
    "#]]);
}

#[test]
fn down_stops_dependents_first() {
    World::demo().ground().ready("db").ready("app").down().check(expect![[r#"
        stop app app-1 | witwd down
    "#]]);
    World::demo().ground().ready("db").exited("app", 0, 0).down().check(expect![[r#"
        remove app app-1 | witwd down
        stop db db-1 | witwd down
    "#]]);
    World::demo().ground().down().check(expect![[r#"
        remove-network network | witwd down
    "#]]);
}

#[test]
fn a_moved_tag_recreates_nothing_until_it_was_accepted() {
    World::demo().ground().ready("db").ready("app").moved_tag("app", "sha256:moved").check(expect![[""]]);
    World::demo().ground().ready("db").ready("app").moved_tag("app", "sha256:moved").accepted("app", "sha256:moved").check(
        expect![[r#"
            create app as demo-app-1-82c17a76 | image changed
        "#]],
    );
}

#[test]
fn there_are_never_more_than_two_containers_of_a_replica() {
    World::demo().ground().ready("db").old("app", "running").suffixed("app", "created").changed("app").check(expect![[r#"
        remove app app-new | an older attempt that never took its place
    "#]]);
}

#[test]
fn an_up_that_names_some_leaves_the_rest() {
    World::demo().ground().ready("db").old("app", "running").only("db").check(expect![[r#"
        blocked app | no answer yet
    "#]]);
}

#[test]
fn what_was_accepted_under_another_reference_says_nothing_any_more() {
    let mut world = World::demo().ground().ready("db").ready("app").accepted("app", "sha256:of-app-2");
    world.history.images.values_mut().for_each(|accepted| accepted.reference = "app:2".to_owned());
    world.check(expect![[""]]);
}

#[test]
fn an_image_without_its_tag_is_not_pulled_while_containers_are_made_from_it() {
    let world = World::demo().ground().ready("db").ready("app").replicas("app", 2).without_image("app:1");
    world.accepted("app", "sha256:app:1").check(expect![[r#"
        create app.2 as demo-app-2 | no container
    "#]]);
}

#[test]
fn two_servers_never_share_a_data_directory() {
    let mut world = World::demo().ground().running("db").alive("db");
    world.workloads = vec![fixture::postgres("main")];
    world.created("main").check(expect![[r#"
        stop db db-1 | not in stack.toml
        blocked main | waiting for demo-db-1: it runs on the same data
    "#]]);
}

/// Who is started, and who must have ended before: the engine is asked for each of them.
fn must_have_ended(world: &World) -> Vec<String> {
    let actions = world.plan().actions;
    let starts = actions.iter().filter_map(|planned| match &planned.action {
        Action::Start { container, ended, .. } => Some(format!("{container} after {ended:?}")),
        _ => None,
    });
    starts.collect()
}

#[test]
fn who_may_not_run_beside_it_must_have_ended_before_a_start() {
    let alone = World::demo().ground().ready("db").created("app");
    assert_eq!(must_have_ended(&alone), ["app-1 after {}"]);
    let recreated = World::demo().ground().ready("db").old("app", "exited").suffixed("app", "created");
    assert_eq!(must_have_ended(&recreated), [r#"app-new after {ContainerId("app-old")}"#]);
    let again = World::demo().ground().ready("db").exited("app", 1, 0).suffixed("app", "created");
    assert_eq!(must_have_ended(&again), [r#"app-1 after {ContainerId("app-new")}"#]);
    let mut same_data = World::demo().ground().exited("db", 0, 0);
    same_data.workloads = vec![fixture::postgres("main")];
    assert_eq!(must_have_ended(&same_data.created("main")), [r#"main-1 after {ContainerId("db-1")}"#]);
}

#[test]
fn whose_start_may_still_come_goes_before_another_is_started() {
    let world = || World::demo().ground().ready("db").old("app", "exited").suffixed("app", "created");
    world().asked("app", "app-old").check(expect![[r#"
        remove app app-old | the engine did not answer its start, which may still come
    "#]]);
    // Its own start is tried again.
    world().asked("app", "app-new").check(expect![[r#"
        start app app-new | created, all it needs is there
    "#]]);
}

#[test]
fn of_two_old_ones_that_run_one_is_stopped_whatever_else_waits() {
    World::demo()
        .ground()
        .running("db")
        .without_image("app:1")
        .old("app", "running")
        .ready_replica("app", 1)
        .changed("app")
        .check(expect![[r#"
        pull app app:1 | image not here
        stop app app-old | replaced by app-1
        blocked db | no answer yet
    "#]]);
}

#[test]
fn a_database_gets_its_roles_before_what_it_replaced_is_removed() {
    World::demo().ground().running("db").alive("db").old("db", "exited").check(expect![[r#"
        provision db | databases and roles
        create app as demo-app-1 | no container
    "#]]);
}

#[test]
fn what_ended_for_good_takes_its_place_all_the_same() {
    let mut world = World::demo().ground().ready("db").old("app", "exited").suffixed("app", "exited");
    world.workloads.iter_mut().for_each(fixture::never_again);
    world.check(expect![[r#"
        remove app app-old | replaced by app-new
    "#]]);
}

#[test]
fn an_up_that_names_some_ends_no_replica_of_the_rest() {
    let surplus = World::demo().ground().ready("db").ready("app").ready_replica("app", 2);
    surplus.clone().check(expect![[r#"
        stop app.2 app-2 | more replicas than wanted
    "#]]);
    surplus.only("db").check(expect![[""]]);
}

#[test]
fn an_up_that_names_some_makes_no_volumes_for_the_rest() {
    let mut world = World::demo().ground().without_volume("demo_db-17").only("cache");
    world.workloads.push(fixture::service("cache", &[]));
    world.check(expect![[r#"
        create cache as demo-cache-1 | no container
    "#]]);
}

#[test]
fn a_network_that_is_being_removed_is_waited_for() {
    let mut world = World::demo().ground();
    world.in_flight.insert(crate::model::history::Target::Network, super::Action::RemoveNetwork { id: "net".to_owned() });
    world.check(expect![[r#"
        blocked app | waiting for the network
        blocked db | waiting for the network
    "#]]);
}
