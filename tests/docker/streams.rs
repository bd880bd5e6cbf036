//! What flows: commands in containers, logs, events, and looks that events make cheap.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;
use witwd::engine::answer::LogLine;
use witwd::engine::docker::ExecInteractive;
use witwd::engine::request::{Exec, LogQuery};
use witwd::engine::{Engine, ErrorKind};
use witwd::model::name::ContainerId;

use crate::support::{SOON, TestEngine, docker, eventually, words};

#[tokio::test]
async fn a_command_gets_its_input_and_gives_its_output_and_code() {
    let test = TestEngine::new("exec").await;
    let id = test.run("web", &["sleep"]).await;
    let run = async |words_of: &[&str], stdin: Option<Vec<u8>>| {
        let exec = Exec { command: words(words_of), stdin, env: words(&["COLOUR=red"]), ..Exec::default() };
        test.engine.exec(&id, &exec, SOON).await.unwrap()
    };
    let big = vec![b'x'; 3 << 20];
    let echoed = run(&["/tiny", "stdin"], Some(big)).await;
    assert_eq!((echoed.code, echoed.stdout.len()), (0, 1 << 20), "bounded, and read to the end");
    assert_eq!(run(&["/tiny", "env", "COLOUR"], None).await.stdout, "red\n");
    assert_eq!(run(&["/tiny", "exit", "7"], None).await.code, 7);
    let complaint = run(&["/tiny", "err", "no"], None).await;
    assert_eq!((complaint.stdout.as_str(), complaint.stderr.as_str()), ("", "no\n"));
    assert!([126, 127].contains(&run(&["/not/there"], None).await.code), "engines differ here");

    let slow = Exec { command: words(&["/tiny", "sleep"]), ..Exec::default() };
    let error = test.engine.exec(&id, &slow, Duration::from_millis(300)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Timeout);
    assert!(error.message.contains("did not end within 0.3s"), "{error}");
}

#[tokio::test]
async fn a_command_for_a_person_has_both_ways_and_a_terminal() {
    let test = TestEngine::new("tty").await;
    let id = test.run("web", &["sleep"]).await;
    let request = ExecInteractive { command: words(&["/tiny", "stdin"]), tty: false, ..ExecInteractive::default() };
    let mut session = test.engine.exec_interactive(&id, &request).await.unwrap();
    session.input.write_all(b"hello").await.unwrap();
    session.input.shutdown().await.unwrap();
    let said: Vec<_> = session.output.by_ref().map(|piece| piece.unwrap()).collect().await;
    assert_eq!(said.iter().map(|(stderr, bytes)| (*stderr, bytes.as_ref())).collect::<Vec<_>>(), [(false, b"hello".as_ref())]);
    assert_eq!(session.exit_code().await.unwrap(), 0);

    let request = ExecInteractive { command: words(&["/tiny", "stdin"]), tty: true, ..ExecInteractive::default() };
    let mut session = test.engine.exec_interactive(&id, &request).await.unwrap();
    session.resize(100, 30).await.unwrap();
    // Control characters at the beginning of a piece are bytes like others.
    session.input.write_all(b"\x01\x02hello\n\x04").await.unwrap();
    let mut said = Vec::new();
    while let Some(piece) = session.output.next().await {
        said.extend_from_slice(&piece.unwrap().1);
    }
    assert_eq!(String::from_utf8_lossy(&said).matches("hello").count(), 2, "echo of the terminal, then of the program");
    assert!(said.windows(7).any(|bytes| bytes == b"\x01\x02hello"), "{said:?}");
    assert_eq!(session.exit_code().await.unwrap(), 0);
}

#[tokio::test]
async fn a_command_that_can_not_be_run_is_a_failure_with_and_without_a_terminal() {
    let test = TestEngine::new("missing").await;
    let id = test.run("web", &["sleep"]).await;
    for tty in [false, true] {
        let request = ExecInteractive { command: words(&["/not/there"]), tty, ..ExecInteractive::default() };
        let mut session = test.engine.exec_interactive(&id, &request).await.unwrap();
        let said: Vec<_> = session.output.by_ref().collect().await;
        let [Err(error)] = said.as_slice() else { panic!("terminal {tty}: {said:?}") };
        assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
        assert!(error.message.starts_with("it could not be run: \"/not/there\""), "{error}");
    }
}

async fn log(test: &TestEngine, id: &ContainerId, query: &LogQuery) -> Vec<LogLine> {
    test.engine.logs(id, query).await.unwrap().map(|line| line.unwrap()).collect().await
}

#[tokio::test]
async fn a_log_has_times_streams_and_whole_lines() {
    let test = TestEngine::new("logs").await;
    let id = test.run("web", &["lines", "3", "words"]).await;
    test.until_state(&id, "exited").await;
    let lines = log(&test, &id, &LogQuery::default()).await;
    let texts: Vec<&str> = lines.iter().map(|line| line.line.as_str()).collect();
    assert_eq!(texts, ["1 words", "2 words", "3 words"]);
    assert!(lines.iter().all(|line| line.at.is_some() && !line.stderr));

    let last = LogQuery { tail: Some(2), ..LogQuery::default() };
    assert_eq!(log(&test, &id, &last).await.len(), 2);
    let since = lines[1].at;
    let later = LogQuery { since, ..LogQuery::default() };
    assert!(log(&test, &id, &later).await.iter().all(|line| line.at >= since));

    let loud = test.run("loud", &["err", "no"]).await;
    test.until_state(&loud, "exited").await;
    let complaint = &log(&test, &loud, &LogQuery::default()).await[0];
    assert_eq!((complaint.line.as_str(), complaint.stderr), ("no", true));

    let long = test.run("long", &["echo", &"x".repeat(100_000)]).await;
    test.until_state(&long, "exited").await;
    let lines = log(&test, &long, &LogQuery::default()).await;
    assert_eq!(lines.iter().map(|line| line.line.len()).collect::<Vec<_>>(), [100_000]);
}

#[tokio::test]
async fn a_followed_log_sends_what_comes() {
    let test = TestEngine::new("follow").await;
    let id = test.engine.create(&test.container("web", &["echo", "here"])).await.unwrap();
    let mut lines = test.engine.logs(&id, &LogQuery { follow: true, ..LogQuery::default() }).await.unwrap();
    test.engine.start(&id).await.unwrap();
    let line = tokio::time::timeout(SOON, lines.next()).await.expect("in time").expect("a line").unwrap();
    assert_eq!(line.line, "here");
}

#[tokio::test]
async fn events_tell_a_life_in_order() {
    let test = TestEngine::new("events").await;
    let mut events = test.engine.events(&test.stack).await.unwrap();
    let id = test.run("web", &["sleep"]).await;
    test.engine.stop(&id, Duration::from_secs(5)).await.unwrap();
    test.engine.remove(&id).await.unwrap();
    let mut actions = Vec::new();
    let reading = async {
        while let Some(event) = events.next().await {
            let event = event.unwrap();
            if event.id == id.0 {
                assert!(event.ours, "{event:?}");
                let over = event.action == "destroy";
                actions.push(event.action);
                if over {
                    return;
                }
            }
        }
    };
    tokio::time::timeout(SOON, reading).await.expect("in time");
    let order: Vec<&str> =
        actions.iter().map(String::as_str).filter(|action| ["create", "start", "die", "destroy"].contains(action)).collect();
    assert_eq!(order, ["create", "start", "die", "destroy"]);
}

#[tokio::test]
async fn a_look_is_right_while_events_make_it_cheap() {
    let test = TestEngine::new("cache").await;
    let _events = test.engine.events(&test.stack).await.unwrap();
    let id = test.run("web", &["sleep"]).await;
    let before = test.until_state(&id, "running").await;
    assert_eq!(test.seen(&id).await.unwrap(), before);
    // By a foreign hand: the state's word is the same, the run is another.
    docker(&["restart", "-t", "0", &id.0]);
    eventually(SOON, "another run", async || test.seen(&id).await.filter(|seen| seen.run() != before.run()).map(|_| ())).await;
}
