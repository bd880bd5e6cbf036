//! `db url`, `port`, `open` and `ls`: what they show.

use expect_test::expect;

use super::{a_shop, container, item, observed, status};
use crate::cli::ports::to_open;
use crate::cli::{clean, db_url, images, ls, needs, port, run};
use crate::engine::answer::BuiltImage;
use crate::model::name::ImageId;
use crate::model::observed::{ContainerState, Exit};
use crate::model::status::{ItemStatus, State};
use crate::model::workload::KindName;

#[test]
fn an_address_of_a_database_keeps_every_sign_of_its_password() {
    let address = "127.0.0.1:5432".parse().expect("an address");
    assert_eq!(db_url::url("shop", "Abc123", address, "shop"), "postgresql://shop:Abc123@127.0.0.1:5432/shop");
    let address = "[::1]:5433".parse().expect("an address");
    let url = db_url::url("an app", "a/b@c:d%é", address, "x-y");
    assert_eq!(url, "postgresql://an%20app:a%2Fb%40c%3Ad%25%C3%A9@[::1]:5433/x-y");
}

#[test]
fn a_port_is_found_by_its_number_inside_and_what_is_published_is_named_else() {
    let shop = a_shop();
    let of = |name: &str, number| match port::published(&shop, &name.parse().expect("a name"), number) {
        Ok(found) => serde_json::to_string(&found).expect("JSON"),
        Err(failure) => failure.text(),
    };
    expect![[r#"[{"name":"web","replica":1,"address":"127.0.0.1","host":8080,"container":8000,"protocol":"tcp"}]"#]]
        .assert_eq(&of("web", Some(8000)));
    assert_eq!(of("web", None), of("web", Some(8000)));
    let containers = |item: ItemStatus| ItemStatus { container: Some("abc".into()), ..item };
    let shop = status(a_shop().items.into_iter().map(containers).collect());
    let of = |name: &str, number| match port::published(&shop, &name.parse().expect("a name"), number) {
        Ok(_) => String::new(),
        Err(failure) => failure.text(),
    };
    expect![[r"
        error: web of stack shop publishes no port 9 now
         hint: it publishes 127.0.0.1:8080->8000
    "]]
    .assert_eq(&of("web", Some(9)));
    assert!(of("worker.2", None).contains("worker.2 of stack shop publishes no port now\n hint: `ports = "), "a way out");
}

#[test]
fn open_means_the_named_service_and_no_postgres() {
    let shop = a_shop();
    let of = |name: &str| to_open(&shop, Some(&name.parse().expect("a name")));
    assert_eq!(to_open(&shop, None).as_deref(), Some("http://127.0.0.1:8080"));
    assert_eq!(of("web").as_deref(), Some("http://127.0.0.1:8080"));
    assert_eq!((of("db"), of("worker"), of("web.2")), (None, None, None));
    assert_eq!(to_open(&status(vec![item("db", KindName::Postgres, State::Running)]), None), None);
}

#[test]
fn stacks_are_counted_by_name_and_directory() {
    let up = || ContainerState::Running { started_at: super::at(5) };
    let mut stray = container("web", 1, "me", up());
    stray.identity = None;
    let mut once = container("web", 9, "me", up());
    once.identity.as_mut().expect("ours").kind = KindName::Run;
    let all = vec![
        container("web", 1, "me", up()),
        container("web", 2, "me", ContainerState::Created),
        container("web", 1, "other", up()),
        stray,
        once,
    ];
    let found: Vec<String> =
        ls::counts(&observed(all)).into_iter().map(|((name, _, by), counts)| format!("{name} {by:?} {counts:?}")).collect();
    assert_eq!(
        found,
        ["shop InstanceId(\"me\") Counts { running: 1, total: 2 }", "shop InstanceId(\"other\") Counts { running: 1, total: 1 }"]
    );
}

#[test]
fn clean_takes_what_nobody_waits_for_and_never_what_is_kept_or_foreign() {
    let (name, instance) = super::stack();
    let up = || ContainerState::Running { started_at: super::at(5) };
    let ended = |code| ContainerState::Exited { exit: Exit { code, oom: false, at: super::at(1) }, started_at: super::at(5) };
    let of = |kind, number, by: &str, state| {
        let mut made = container("web", number, by, state);
        made.identity.as_mut().expect("ours").kind = kind;
        made.name = format!("{}-{number}", kind.as_str());
        made
    };
    let all = vec![
        of(KindName::Service, 1, "me", ended(1)),
        of(KindName::Postgres, 1, "me", ended(1)),
        of(KindName::Run, 10, "me", up()),
        of(KindName::Run, 11, "me", up()),
        of(KindName::Run, 12, "me", ContainerState::Created),
        of(KindName::Run, 13, "me", ended(0)),
        of(KindName::Run, 14, "other", ended(0)),
        of(KindName::Job, 1, "me", ended(0)),
        of(KindName::Job, 2, "me", ended(1)),
        of(KindName::Verify, 1, "me", up()),
        of(KindName::Dump, 1, "me", ended(0)),
    ];
    let found = clean::containers(&observed(all), &name, &instance, |process| process == 10);
    expect![[r"
        removed container run-11: whoever ran it is gone
        removed container run-12: whoever ran it is gone
        removed container run-13: its run is over
        removed container job-2: it failed
        removed container dump-1: its run is over
    "]]
    .assert_eq(&clean::text(&found, false));
}

#[test]
fn clean_takes_images_without_a_tag_that_nothing_is_or_would_be_made_from() {
    let mut user = container("web", 1, "other", ContainerState::Created);
    user.image = ImageId("used".into());
    let image = |id: &str, tags: &[&str]| BuiltImage {
        id: ImageId(id.into()),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        bytes: 2048,
    };
    let built = vec![image("used", &[]), image("accepted", &[]), image("tagged", &["web:built"]), image("old", &[])];
    let found = clean::images(&observed(vec![user]), built, &[ImageId("accepted".into())].into());
    expect![[r"
        would remove image old (2.0 KiB): a newer build took its tag
        2.0 KiB in all
    "]]
    .assert_eq(&clean::text(&found, true));
}

#[test]
fn images_are_got_once_each_and_what_makes_no_sense_is_said() {
    let file = "[services.a]\nimage = \"app:1\"\n[services.b]\nimage = \"app:1\"\n[services.c]\nbuild = \".\"\n\
                [services.d]\nimage = \"own:1\"\npull = \"never\"\n[postgres.far]\nurl = \"postgresql://a:b@c:1/d\"\n";
    let stack = super::loaded(file).stack;
    let of = |way, names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        match images::wanted(&stack, way, &names) {
            Ok(actions) => format!("{:?}", actions.iter().map(crate::plan::Action::verb).collect::<Vec<_>>()),
            Err(failure) => failure.message,
        }
    };
    assert_eq!(of(images::Way::Pull, &[]), "[\"pull\"]");
    assert_eq!(of(images::Way::Build, &[]), "[\"build\"]");
    assert_eq!(of(images::Way::Build, &["a"]), "a has no build: its image is app:1");
    assert_eq!(of(images::Way::Pull, &["c"]), "c is built, not pulled");
    assert_eq!(of(images::Way::Pull, &["a", "d"]), "d says pull = \"never\"");
    assert_eq!(of(images::Way::Pull, &["far"]), "[\"pull\"]", "the image of its client");
    assert_eq!(run::runnable(&stack, "far").expect_err("refused").exit.code(), 125);
    assert!(run::runnable(&stack, "a").is_ok());
}

#[test]
fn what_is_stopped_again_after_a_run_is_what_rested_in_the_words_it_was_stopped_with() {
    let of = |replica, state, stopped_as: Option<&str>| ItemStatus {
        replica,
        stopped_as: stopped_as.map(|word| word.parse().expect("a word")),
        ..item("cache", KindName::Service, state)
    };
    let rests = |items: &[ItemStatus]| {
        let again = needs::resting(&items.iter().collect::<Vec<_>>());
        again.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(rests(&[of(1, State::Running, None), of(2, State::Stopped, Some("cache.2"))]), "cache.2");
    assert_eq!(rests(&[of(1, State::Stopped, Some("cache")), of(2, State::Stopping, Some("cache"))]), "cache");
    // On its way, or out: nobody stopped it.
    assert_eq!(rests(&[of(1, State::Starting, None), of(2, State::Blocked, None), of(3, State::Stopping, None)]), "");
    let unasked = |replica, state| ItemStatus { meant: false, ..of(replica, state, None) };
    assert_eq!(rests(&[unasked(1, State::Pending), unasked(2, State::Stopped)]), "cache");
    assert_eq!(rests(&[unasked(1, State::Running), unasked(2, State::Stopped)]), "cache.2");
}
