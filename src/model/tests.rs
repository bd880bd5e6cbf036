//! Tests of names, templates, hashes and the order of a stack.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::by_hand::ByHand;
use super::container::ContainerSettings;
use super::hash::{SpecHash, canonical};
use super::image::{ImageOrigin, ImageSource, PullPolicy};
use super::job::{Job, JobRun};
use super::name::{ReplicaKey, StackName, VolumeName, WorkloadName};
use super::probe::Probes;
use super::stack::{DaemonSettings, Stack, StackError, StackParts};
use super::template::{Part, Template};
use super::time::seconds;
use super::wish::{Chosen, Wish};
use super::workload::{Backoff, Condition, Dependency, Kind, Restart, Service, Workload};

fn workload(name: &str, needs: &[&str]) -> Workload {
    Workload {
        name: name.parse().expect("name of a test"),
        kind: Kind::Job(Job { run: JobRun::Manual, timeout: None, retries: 0, history: 20 }),
        image: ImageSource {
            reference: "tiny".to_owned(),
            origin: ImageOrigin::Pull { policy: PullPolicy::Missing, fallback: None },
            platform: None,
        },
        container: ContainerSettings::default(),
        dependencies: needs
            .iter()
            .map(|on| Dependency { on: on.parse().expect("name of a test"), condition: Condition::Ready })
            .collect(),
        spec: SpecHash::of(&serde_json::json!({})),
    }
}

fn stack(workloads: Vec<Workload>) -> Result<Stack, StackError> {
    Stack::new(StackParts {
        renamed_from: None,
        name: "demo".parse().expect("name of a test"),
        directory: PathBuf::from("/stack"),
        profiles: Vec::new(),
        workloads,
        volumes: BTreeMap::new(),
        secrets: BTreeMap::new(),
        daemon: DaemonSettings::default(),
    })
}

fn service(name: &str, needs: &[&str]) -> Workload {
    let service = Service {
        port: None,
        replicas: 1,
        restart: Restart::Always,
        backoff: Backoff::default(),
        probes: Probes { startup: None, readiness: None, liveness: None },
    };
    Workload { kind: Kind::Service(Box::new(service)), ..workload(name, needs) }
}

#[test]
fn names_follow_the_contract() {
    for good in ["a", "web", "web-2", &"a".repeat(41)] {
        assert!(good.parse::<WorkloadName>().is_ok(), "{good}");
    }
    for bad in ["", "Web", "2web", "web-", "web_1", "latest", "now", "localhost", &"a".repeat(42)] {
        assert!(bad.parse::<WorkloadName>().is_err(), "{bad}");
    }
    assert!("bridge".parse::<StackName>().is_err());
    assert!("bridge".parse::<WorkloadName>().is_ok());
    assert!("_x".parse::<VolumeName>().is_err());
    assert!("db.path".parse::<super::name::SecretName>().is_err());
}

#[test]
fn dependencies_come_first_and_equals_by_name() {
    let stack = stack(vec![workload("web", &["db", "cache"]), workload("db", &[]), workload("cache", &["db"])]).expect("a stack");
    let order: Vec<&str> = stack.in_order().map(|workload| workload.name.as_str()).collect();
    assert_eq!(order, ["db", "cache", "web"]);
}

#[test]
fn a_circle_is_named() {
    let error = stack(vec![workload("a", &["b"]), workload("b", &["c"]), workload("c", &["b"])]).expect_err("a circle");
    assert_eq!(error.to_string(), "dependencies go in a circle: b -> c -> b");
}

#[test]
fn the_hash_of_a_definition_never_changes() {
    let definition = serde_json::json!({ "image": "nginx:1.27", "env": { "B": "2", "A": "1" } });
    assert_eq!(canonical(&definition), r#"{"env":{"A":"1","B":"2"},"image":"nginx:1.27"}"#);
    let hash = SpecHash::of(&definition);
    assert_eq!(hash.to_string(), "1-9db11f0f789caed4");
    assert_eq!(SpecHash::parse("1-9db11f0f789caed4"), Some(hash));
    assert_eq!(SpecHash::parse("nonsense"), None);
}

#[test]
fn a_template_shows_its_holes_and_never_their_values() {
    let password = Part::Password { postgres: "db".parse().expect("name"), role: "app".parse().expect("name") };
    let template = Template::new([Part::Text("postgresql://app:".to_owned()), password, Part::Text("@db/app".to_owned())]);
    assert_eq!(template.to_string(), "postgresql://app:${db.roles.app.password}@db/app");
    assert_eq!(template.as_text(), None);
    assert_eq!(template.resolve(|_| Some("s3".to_owned())), Ok("postgresql://app:s3@db/app".to_owned()));
    assert!(template.resolve(|_| None).is_err());
}

#[test]
fn durations_are_short() {
    use std::time::Duration;
    assert_eq!(seconds(Duration::from_millis(300)), "0.3s");
    assert_eq!(seconds(Duration::from_millis(4000)), "4s");
    assert_eq!(seconds(Duration::from_millis(1)), "0.1s");
}

#[test]
fn the_options_of_tls_in_an_address_mean_what_they_mean_to_libpq() {
    use super::tls::{Roots, TlsMode, TlsWish};
    let of = |query: &str| TlsWish::split(&format!("postgresql://a@h/d{query}"));
    let file = || Some(Roots::File("/a b/ca.pem".into()));
    for (query, mode, roots, trusted, rest) in [
        ("", TlsMode::Prefer, None, None, ""),
        ("?sslmode=disable", TlsMode::Disable, None, None, ""),
        ("?sslmode=allow&application_name=x", TlsMode::Prefer, None, None, "?application_name=x"),
        ("?sslmode=require&channel_binding=require", TlsMode::Require, None, None, "?channel_binding=require"),
        ("?sslmode=require&sslrootcert=%2Fa%20b/ca.pem", TlsMode::Require, file(), file(), ""),
        ("?sslmode=verify-ca", TlsMode::VerifyCa, None, Some(Roots::System), ""),
        ("?sslrootcert=/a b/ca.pem&sslmode=verify-full", TlsMode::VerifyFull, file(), file(), ""),
        ("?sslrootcert=system", TlsMode::VerifyFull, Some(Roots::System), Some(Roots::System), ""),
        ("?sslmode=disable&sslmode=require&sslnegotiation=direct", TlsMode::Require, None, None, "?sslnegotiation=direct"),
    ] {
        let (wish, url) = of(query).expect("an address");
        assert_eq!(wish, TlsWish { mode, roots }, "{query}");
        assert_eq!((wish.trusted(), url), (trusted.as_ref(), format!("postgresql://a@h/d{rest}")), "{query}");
    }
    let refused = |query: &str| of(query).expect_err("refused").to_string();
    assert_eq!(
        refused("?sslmode=verify"),
        "its url says sslmode=verify: write disable, prefer, require, verify-ca or verify-full"
    );
    assert!(refused("?sslcert=c.pem").starts_with("its url says sslcert: "));
    assert_eq!(
        refused("?sslmode=require&sslrootcert=system"),
        "its url says sslmode=require with sslrootcert=system: write sslmode=verify-full"
    );
}

#[test]
fn a_word_names_all_of_a_workload_or_one_replica_and_reads_as_it_prints() {
    for word in ["web", "web.2", "web.1"] {
        let chosen: Chosen = word.parse().expect("a word");
        assert_eq!(chosen.to_string(), word);
        assert_eq!(serde_json::from_value::<Chosen>(serde_json::json!(word)).expect("a word"), chosen);
    }
    let second: Chosen = "web.2".parse().expect("a word");
    assert!(second.covers("web", 2) && !second.covers("web", 1) && !second.covers("wob", 2));
    for nonsense in ["web.0", "web.", ".2", "Web", "web.two", "", "web.2.3"] {
        assert!(nonsense.parse::<Chosen>().is_err(), "{nonsense}");
    }
}

#[test]
fn what_is_held_by_hand_is_kept_as_it_is() {
    let stack = stack(vec![service("web", &[]), service("worker", &[])]).expect("a stack");
    let mut by_hand = ByHand::default();
    let of = |words: &[&str]| words.iter().map(|word| word.parse().expect("a word")).collect();
    let one = |number| ReplicaKey { name: "web".parse().expect("a name"), replica: number };
    for wish in [
        Wish::Scale { to: [("web".parse().expect("a name"), 3)].into() },
        Wish::Stop { of: of(&["web.2", "worker"]) },
        Wish::Restart { of: of(&["web"]) },
    ] {
        by_hand.accept(&stack, &wish).expect("it makes sense");
    }
    let text = serde_json::to_string(&by_hand).expect("text");
    assert_eq!(serde_json::from_str::<ByHand>(&text).expect("read"), by_hand);
    assert!(by_hand.is_stopped(&one(2)) && !by_hand.is_stopped(&one(1)));
    assert!(by_hand.is_asked(&one(3)) && !by_hand.is_asked(&one(2)), "what is stopped is not restarted");
    // A stopped replica beyond the number is one no more.
    by_hand.accept(&stack, &Wish::Scale { to: [("web".parse().expect("a name"), 1)].into() }).expect("it makes sense");
    assert!(!by_hand.is_stopped(&one(2)));
    assert_eq!(serde_json::from_str::<ByHand>("{}").expect("an older state"), ByHand::default());
}
