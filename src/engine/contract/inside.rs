//! Logs, commands and files.

use std::time::Duration;

use futures_util::StreamExt as _;

use super::bench::{Bench, Broken, Claim, ensure, refused, same};
use crate::engine::answer::{ExecOutput, FileContent};
use crate::engine::request::{Exec, FileToPut, LogQuery};
use crate::engine::{EngineError, ErrorKind};
use crate::model::name::ContainerId;

const SERVE: [&str; 3] = ["serve", "--port", "8080"];
const LIMIT: Duration = Duration::from_secs(10);

async fn lines(bench: &Bench, id: &ContainerId, query: &LogQuery) -> Claim<Vec<String>> {
    let stream = bench.engine.logs(id, query).await?;
    let lines: Vec<_> = stream.collect().await;
    lines.into_iter().map(|line| line.map(|line| line.line).map_err(Broken::from)).collect()
}

fn exec(words: &[&str]) -> Exec {
    Exec { command: words.iter().map(|word| (*word).to_owned()).collect(), ..Exec::default() }
}

fn file(path: &str, content: &str) -> FileToPut {
    FileToPut { path: path.to_owned(), content: content.as_bytes().to_owned(), uid: 0, gid: 0, mode: 0o400 }
}

pub(super) async fn logs_are_lines_in_order(bench: &Bench) -> Claim {
    let id = bench.started(&["lines", "3", "x"]).await?;
    bench.end(&id).await?;
    same("the log", &lines(bench, &id, &LogQuery::default()).await?, &["1 x", "2 x", "3 x"].map(str::to_owned).to_vec())
}

pub(super) async fn the_tail_of_a_log_is_its_last_lines(bench: &Bench) -> Claim {
    let id = bench.started(&["lines", "3", "x"]).await?;
    bench.end(&id).await?;
    let query = LogQuery { tail: Some(2), ..LogQuery::default() };
    same("the tail", &lines(bench, &id, &query).await?, &["2 x", "3 x"].map(str::to_owned).to_vec())
}

pub(super) async fn lines_of_a_log_have_a_time_and_a_stream(bench: &Bench) -> Claim {
    let id = bench.started(&["echo", "one"]).await?;
    bench.end(&id).await?;
    let mut stream = bench.engine.logs(&id, &LogQuery::default()).await?;
    let line = stream.next().await.ok_or_else(|| Broken::from("the log is empty".to_owned()))??;
    ensure(line.at.is_some() && !line.stderr, || format!("{line:?}"))
}

pub(super) async fn followed_logs_end_with_the_container(bench: &Bench) -> Claim {
    let id = bench.started(&SERVE).await?;
    let query = LogQuery { follow: true, ..LogQuery::default() };
    let stop = async {
        bench.clock.sleep(Duration::from_millis(300)).await;
        bench.engine.stop(&id, LIMIT).await
    };
    let (lines, stopped) = futures_util::join!(lines(bench, &id, &query), stop);
    stopped?;
    lines.map(drop)
}

pub(super) async fn the_log_of_a_missing_container_is_not_found(bench: &Bench) -> Claim {
    match lines(bench, &ContainerId("f".repeat(64)), &LogQuery::default()).await {
        Ok(lines) => Err(Broken::from(format!("it has lines: {lines:?}"))),
        Err(broken) => ensure(broken.to_string().contains("NotFound"), || broken.to_string()),
    }
}

pub(super) async fn a_log_spans_the_runs_of_a_container(bench: &Bench) -> Claim {
    let id = bench.started(&["echo", "one"]).await?;
    bench.end(&id).await?;
    bench.engine.start(&id).await?;
    bench.end(&id).await?;
    same("the log", &lines(bench, &id, &LogQuery::default()).await?, &["one", "one"].map(str::to_owned).to_vec())
}

pub(super) async fn exec_returns_the_exit_code(bench: &Bench) -> Claim {
    let id = bench.started(&SERVE).await?;
    same("the exit code", &bench.engine.exec(&id, &exec(&["/tiny", "exit", "7"]), LIMIT).await?.code, &7)
}

pub(super) async fn exec_returns_what_was_written(bench: &Bench) -> Claim {
    let id = bench.started(&SERVE).await?;
    let output = bench.engine.exec(&id, &exec(&["/tiny", "lines", "2", "x"]), LIMIT).await?;
    same("the output", &output, &ExecOutput { code: 0, stdout: "1 x\n2 x\n".to_owned(), stderr: String::new() })
}

pub(super) async fn exec_reads_what_it_is_given(bench: &Bench) -> Claim {
    let id = bench.started(&SERVE).await?;
    let exec = Exec { stdin: Some(b"one\ntwo\n".to_vec()), ..exec(&["/tiny", "stdin"]) };
    same("the output", &bench.engine.exec(&id, &exec, LIMIT).await?.stdout, &"one\ntwo\n".to_owned())
}

pub(super) async fn exec_in_a_stopped_container_fails(bench: &Bench) -> Claim {
    let id = bench.started(&["exit", "0"]).await?;
    bench.end(&id).await?;
    refused(bench.engine.exec(&id, &exec(&["/tiny", "exit", "0"]), LIMIT).await, ErrorKind::Conflict)
}

pub(super) async fn exec_in_a_created_container_fails(bench: &Bench) -> Claim {
    let id = bench.created(&SERVE).await?;
    refused(bench.engine.exec(&id, &exec(&["/tiny", "exit", "0"]), LIMIT).await, ErrorKind::Conflict)
}

pub(super) async fn exec_in_a_paused_container_fails(bench: &Bench) -> Claim {
    let id = bench.started(&SERVE).await?;
    bench.hand.docker(&["pause", &id.0]).await?;
    refused(bench.engine.exec(&id, &exec(&["/tiny", "exit", "0"]), LIMIT).await, ErrorKind::Conflict)
}

pub(super) async fn exec_in_a_missing_container_is_not_found(bench: &Bench) -> Claim {
    let missing = ContainerId("f".repeat(64));
    refused(bench.engine.exec(&missing, &exec(&["/tiny", "exit", "0"]), LIMIT).await, ErrorKind::NotFound)
}

pub(super) async fn an_exec_that_takes_too_long_times_out(bench: &Bench) -> Claim {
    let id = bench.started(&SERVE).await?;
    let began = bench.clock.moment();
    refused(bench.engine.exec(&id, &exec(&["/tiny", "sleep"]), Duration::from_secs(1)).await, ErrorKind::Timeout)?;
    let took = bench.clock.moment().since(began);
    ensure(took < Duration::from_secs(5), || format!("it took {took:?}"))
}

pub(super) async fn put_files_into_a_created_container(bench: &Bench) -> Claim {
    let (_, mount) = bench.volume("/run/secrets").await?;
    let mut request = bench.request(&["cat", "/run/secrets/x"])?;
    request.mounts = vec![mount];
    let id = bench.engine.create(&request).await?;
    bench.engine.put_files(&id, "/run/secrets", &[file("x", "hello\n")]).await?;
    bench.engine.start(&id).await?;
    same("the exit code", &bench.end(&id).await?.code, &0)?;
    same("the file", &lines(bench, &id, &LogQuery::default()).await?, &vec!["hello".to_owned()])
}

pub(super) async fn files_in_a_volume_outlive_the_container(bench: &Bench) -> Claim {
    let (_, mount) = bench.volume("/run/secrets").await?;
    let mut request = bench.request(&["cat", "/run/secrets/x"])?;
    request.mounts = vec![mount.clone()];
    let first = bench.engine.create(&request).await?;
    bench.engine.put_files(&first, "/run/secrets", &[file("x", "kept\n")]).await?;
    bench.engine.remove(&first).await?;
    let second = bench.start(&request).await?;
    bench.end(&second).await?;
    same("the file", &lines(bench, &second, &LogQuery::default()).await?, &vec!["kept".to_owned()])
}

pub(super) async fn putting_files_into_a_missing_container_is_not_found(bench: &Bench) -> Claim {
    let missing = ContainerId("f".repeat(64));
    refused(bench.engine.put_files(&missing, "/run/secrets", &[file("x", "hello\n")]).await, ErrorKind::NotFound)
}

pub(super) async fn files_of_a_created_container_are_read(bench: &Bench) -> Claim {
    let (_, mount) = bench.volume("/run/secrets").await?;
    let mut request = bench.request(&SERVE)?;
    request.mounts = vec![mount];
    let id = bench.engine.create(&request).await?;
    let read = async |path: &str| Ok::<_, EngineError>(bench.engine.read_file(&id, path, 3).await?.map(|seen| seen.content));
    same("an empty directory", &read("/run/secrets").await?, &Some(FileContent::Directory { empty: true }))?;
    bench.engine.put_files(&id, "/run/secrets", &[file("x", "hello\n")]).await?;
    same("a directory", &read("/run/secrets").await?, &Some(FileContent::Directory { empty: false }))?;
    same("the beginning of a file", &read("/run/secrets/x").await?, &Some(FileContent::File(b"hel".to_vec())))?;
    same("what is not there", &read("/run/secrets/y").await?, &None)
}

pub(super) async fn reading_a_file_of_a_missing_container_is_not_found(bench: &Bench) -> Claim {
    let missing = ContainerId("f".repeat(64));
    refused(bench.engine.read_file(&missing, "/run/secrets/x", 3).await, ErrorKind::NotFound)
}
