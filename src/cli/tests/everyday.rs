//! `db url`, `port`, `open` and `ls`: what they show.

use expect_test::expect;

use super::{a_shop, container, item, observed, status};
use crate::cli::ports::to_open;
use crate::cli::{db_url, ls, port};
use crate::model::observed::ContainerState;
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
