//! Probes of containers: by their addresses, by commands in them, and when the engine is no help.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use witwd::engine::Engine;
use witwd::health::{Asked, Outcome, Prober, SystemProber};
use witwd::host::SystemClock;
use witwd::host::sim::{SimDisk, SimRng};
use witwd::model::name::ContainerId;
use witwd::model::observed::RunId;
use witwd::model::probe::{Check, Probe};
use witwd::postgres::Passwords;

use crate::support::{SOON, TestEngine, docker, eventually, words};

fn prober(test: &TestEngine) -> SystemProber {
    let (passwords, _) = Passwords::open(Arc::new(SimDisk::default()), Arc::new(SimRng::new(1)), "/secrets.json".into());
    SystemProber::new(Arc::new(test.engine.clone()), Arc::new(SystemClock::new()), Arc::new(passwords))
}

fn asked(container: &ContainerId) -> Asked {
    let run = RunId { container: container.clone(), started_at: Timestamp::UNIX_EPOCH };
    Asked::Container { workload: "web".parse().unwrap(), run }
}

fn probe(check: Check) -> Probe {
    Probe { timeout: Duration::from_secs(1), ..Probe::new(check, Some(80)) }
}

fn http() -> Probe {
    probe(Check::Http { path: "/".to_owned(), headers: BTreeMap::new(), status: (200, 399) })
}

fn exec(command: &[&str]) -> Probe {
    probe(Check::Exec(words(command)))
}

#[tokio::test]
async fn a_container_is_asked_over_http_tcp_and_by_a_command() {
    let test = TestEngine::new("probes").await;
    test.engine.create_network(&test.network()).await.unwrap();
    let mut request = test.container("web", &["serve", "--port", "80"]);
    request.network = Some(test.stack.network());
    let id = test.engine.create(&request).await.unwrap();
    let prober = prober(&test);
    let ask = async |probe: &Probe| prober.probe(&asked(&id), probe).await;
    // The engine itself says that it does not run; a command in it can't be begun.
    for probe in [http(), probe(Check::Tcp)] {
        assert_eq!(ask(&probe).await, Outcome::Failure("it does not run".to_owned()), "{probe:?}");
    }
    assert!(matches!(ask(&exec(&["/tiny", "exit", "0"])).await, Outcome::NotMade(_)));

    test.engine.start(&id).await.unwrap();
    eventually(SOON, "an answer", async || (ask(&http()).await == Outcome::Success).then_some(())).await;
    assert_eq!(ask(&probe(Check::Tcp)).await, Outcome::Success);
    let dead = Probe { port: Some(81), ..probe(Check::Tcp) };
    assert_eq!(ask(&dead).await, Outcome::Failure("tcp: connection refused".to_owned()));
    assert_eq!(ask(&exec(&["/tiny", "exit", "0"])).await, Outcome::Success);
    assert_eq!(ask(&exec(&["/tiny", "exit", "3"])).await, Outcome::Failure("exec: exit code 3".to_owned()));
    assert_eq!(
        ask(&exec(&["/tiny", "nonsense"])).await,
        Outcome::Failure("exec: exit code 2: tiny: no command 'nonsense'; `tiny help` lists them".to_owned())
    );
    assert!(matches!(ask(&exec(&["/none"])).await, Outcome::Failure(_)));
    assert_eq!(ask(&exec(&["/tiny", "sleep"])).await, Outcome::Failure("exec: timed out after 1s".to_owned()));

    docker(&["pause", &id.0]);
    let frozen = (ask(&http()).await, ask(&exec(&["/tiny", "exit", "0"])).await);
    docker(&["unpause", &id.0]);
    assert_eq!(frozen.0, Outcome::Failure("GET /: timed out after 1s".to_owned()));
    assert!(matches!(frozen.1, Outcome::NotMade(_)), "{:?}", frozen.1);
}

#[tokio::test]
async fn an_address_that_is_remembered_is_never_that_of_somebody_else() {
    let test = TestEngine::new("moved").await;
    test.engine.create_network(&test.network()).await.unwrap();
    let make = async |name: &str, words: &[&str]| {
        let mut request = test.container(name, words);
        request.network = Some(test.stack.network());
        test.engine.create(&request).await.unwrap()
    };
    let prober = prober(&test);
    let (dumb, web) = (make("dumb", &["sleep"]).await, make("web", &["serve", "--port", "80"]).await);
    test.engine.start(&dumb).await.unwrap();
    assert!(matches!(prober.probe(&asked(&dumb), &http()).await, Outcome::Failure(_)));
    // The engine gives the freed address to the next who comes.
    test.engine.stop(&dumb, Duration::ZERO).await.unwrap();
    test.engine.start(&web).await.unwrap();
    test.engine.start(&dumb).await.unwrap();
    for _ in 0..20 {
        assert_ne!(prober.probe(&asked(&dumb), &http()).await, Outcome::Success);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
