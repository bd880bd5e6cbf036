//! A command in a running container, from its input to its exit code.

use std::time::Duration;

use bollard::container::LogOutput;
use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::ExecConfig;
use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;

use super::{Call, DockerEngine, QUICK, error, overdue};
use crate::engine::answer::ExecOutput;
use crate::engine::request::{Exec, describe};
use crate::engine::{EngineError, ErrorKind};
use crate::model::name::ContainerId;
use crate::model::time::seconds;

/// How much of each of its outputs is kept.
const MOST: usize = 1 << 20;
pub(super) const OPERATION: &str = "run a command in";

/// Runs a command until it ends, or fails when it has run for `limit`; what is done with it then says
/// [`overdue`].
pub(super) async fn run(
    engine: &DockerEngine,
    container: &ContainerId,
    exec: &Exec,
    limit: Duration,
) -> Result<ExecOutput, EngineError> {
    let failed = |kind, words: String| EngineError::new(OPERATION, describe(container), kind, words);
    if overdue::goes_on(engine, container, exec) {
        let words = "the one before did not end in time and goes on: no other is begun until it ends";
        return Err(failed(ErrorKind::Timeout, words.to_owned()));
    }
    // Also a command that nobody waits for any more is brought to its end: hence the task.
    let running = tokio::spawn(within(engine.clone(), container.clone(), exec.clone(), limit));
    running.await.unwrap_or_else(|error| Err(failed(ErrorKind::Other, error.to_string())))
}

async fn within(engine: DockerEngine, container: ContainerId, exec: Exec, limit: Duration) -> Result<ExecOutput, EngineError> {
    // The limit is the command's: one that was made known and never begun could not be taken back.
    let id = create(&engine, &container, config(&exec)).await?;
    let outcome = tokio::time::timeout(limit, run_to_end(&engine, &container, &exec, &id)).await.unwrap_or_else(|_| {
        let message = format!("it did not end within {}", seconds(limit));
        Err(EngineError::new(OPERATION, describe(&container), ErrorKind::Timeout, message))
    });
    if outcome.as_ref().is_err_and(|error| !error.kind.nothing_happened()) {
        overdue::leave(&engine, &container, &exec, id);
    }
    outcome
}

fn config(exec: &Exec) -> ExecConfig {
    ExecConfig {
        attach_stdin: Some(exec.stdin.is_some()),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some(exec.command.clone()),
        user: exec.user.clone(),
        env: Some(exec.env.clone()),
        ..Default::default()
    }
}

async fn run_to_end(engine: &DockerEngine, container: &ContainerId, exec: &Exec, id: &str) -> Result<ExecOutput, EngineError> {
    let attached = engine
        .call(
            Call::on(OPERATION, container),
            QUICK,
            |docker| async move { docker.start_exec(id, None::<StartExecOptions>).await },
        )
        .await?;
    let StartExecResults::Attached { mut output, mut input } = attached else {
        return Err(EngineError::new(OPERATION, describe(container), ErrorKind::Other, "the engine did not attach"));
    };
    let feed = async {
        if let Some(stdin) = &exec.stdin {
            // A command need not read what it is given: then the engine closes, which is no failure.
            let _ = input.write_all(stdin).await;
            let _ = input.shutdown().await;
        }
    };
    let mut kept = (Vec::new(), Vec::new());
    let read = async {
        while let Some(frame) = output.next().await {
            let frame = frame.map_err(|error| error::classify(OPERATION, &describe(container), &error))?;
            keep(&mut kept, frame);
        }
        Ok::<(), EngineError>(())
    };
    let ((), read) = tokio::join!(feed, read);
    read?;
    let code = exit_code(engine, container, id).await?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(ExecOutput { code, stdout: text(&kept.0), stderr: text(&kept.1) })
}

fn keep((stdout, stderr): &mut (Vec<u8>, Vec<u8>), frame: LogOutput) {
    let kept = if matches!(frame, LogOutput::StdErr { .. }) { stderr } else { stdout };
    let bytes = frame.into_bytes();
    let room = MOST.saturating_sub(kept.len()).min(bytes.len());
    kept.extend_from_slice(&bytes[..room]);
}

/// Makes a command known to the engine; returns its id.
pub(super) async fn create(engine: &DockerEngine, container: &ContainerId, config: ExecConfig) -> Result<String, EngineError> {
    let made = engine
        .call(Call::on(OPERATION, container), QUICK, |docker| async move { docker.create_exec(&container.0, config).await })
        .await?;
    Ok(made.id)
}

/// Whether the engine gave a command up before it began: there never was a process. One that ends
/// by itself with the codes that the engine uses for this had one.
pub(super) async fn was_not_run(engine: &DockerEngine, container: &ContainerId, id: &str) -> Result<bool, EngineError> {
    let answer =
        engine.call(Call::on(OPERATION, container), QUICK, |docker| async move { docker.inspect_exec(id).await }).await?;
    let no_process = answer.pid.unwrap_or_default() == 0;
    Ok(no_process && matches!(answer.exit_code, Some(126 | 127)))
}

/// The failure of a command that was not run, without what the engine says of its own parts.
pub(super) fn not_run(container: &ContainerId, reason: &str) -> EngineError {
    let reason = reason.trim().trim_end_matches(": unknown");
    let reason = reason.rsplit_once("unable to start container process: ").map_or(reason, |(_, end)| end);
    let reason = reason.strip_prefix("exec: ").unwrap_or(reason);
    EngineError::new(OPERATION, describe(container), ErrorKind::NotFound, format!("it could not be run: {reason}"))
}

/// How a command ended whose output is over. The engine may take a moment to know.
pub(super) async fn exit_code(engine: &DockerEngine, container: &ContainerId, id: &str) -> Result<i64, EngineError> {
    let mut pause = Duration::from_millis(5);
    loop {
        let answer =
            engine.call(Call::on(OPERATION, container), QUICK, |docker| async move { docker.inspect_exec(id).await }).await?;
        match (answer.running, answer.exit_code) {
            (Some(true), _) | (_, None) => {}
            (_, Some(code)) => return Ok(code),
        }
        engine.inner.clock.sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(500));
    }
}
