//! A command in a container that a person looks at: terminal or raw streams, both ways.

use std::pin::Pin;

use bollard::container::LogOutput;
use bollard::exec::StartExecResults;
use bollard::models::ExecConfig;
use bollard::query_parameters::ResizeExecOptions;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWrite, ReadHalf};

use super::{Call, DockerEngine, QUICK, error, exec, upgrade};
use crate::engine::request::describe;
use crate::engine::{EngineError, ErrorKind};
use crate::model::name::ContainerId;

const OPERATION: &str = "run a command in";

/// A command to be run for a person. Its words are published in the engine's event stream: no
/// secret may be in them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExecInteractive {
    /// The words.
    pub command: Vec<String>,
    /// `None`: the container's.
    pub user: Option<String>,
    /// Whether it gets a terminal.
    pub tty: bool,
    /// More environment, as `NAME=VALUE`.
    pub env: Vec<String>,
}

/// A piece of output: whether it was written to standard error, and the bytes. With a terminal
/// all of it is standard output.
pub type ExecBytes = (bool, Bytes);

/// A command that runs.
pub struct ExecSession {
    /// What it reads; shutting it down ends its input.
    pub input: Pin<Box<dyn AsyncWrite + Send>>,
    /// What it writes, until it ends.
    pub output: BoxStream<'static, Result<ExecBytes, EngineError>>,
    engine: DockerEngine,
    container: ContainerId,
    id: String,
}

impl ExecSession {
    /// Tells the command the size of its terminal, in characters.
    pub async fn resize(&self, width: u16, height: u16) -> Result<(), EngineError> {
        let options = ResizeExecOptions { w: i32::from(width), h: i32::from(height) };
        let id = &self.id;
        self.engine
            .call(Call::on(OPERATION, &self.container), QUICK, |docker| async move { docker.resize_exec(id, options).await })
            .await
    }

    /// How it ended. Ask when its output is over.
    pub async fn exit_code(&self) -> Result<i64, EngineError> {
        exec::exit_code(&self.engine, &self.container, &self.id).await
    }
}

/// Begins a command.
pub(super) async fn open(
    engine: &DockerEngine,
    container: &ContainerId,
    request: &ExecInteractive,
) -> Result<ExecSession, EngineError> {
    let config = ExecConfig {
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        tty: Some(request.tty),
        cmd: Some(request.command.clone()),
        user: request.user.clone(),
        env: Some(request.env.clone()),
        ..Default::default()
    };
    let id = exec::create(engine, container, config).await?;
    let (input, output) = if request.tty { terminal(engine, container, &id).await? } else { raw(engine, container, &id).await? };
    let output = output_of_command(engine.clone(), container.clone(), id.clone(), output);
    Ok(ExecSession { input, output, engine: engine.clone(), container: container.clone(), id })
}

/// What the command writes. Where it could not be run, the engine writes its reason there as if it
/// were output: that is a failure.
fn output_of_command(engine: DockerEngine, container: ContainerId, id: String, mut output: Output) -> Output {
    let checked = async move {
        let first = output.next().await;
        let whole = match exec::was_not_run(&engine, &container, &id).await {
            Ok(false) => return stream::iter(first).chain(output).boxed(),
            Ok(true) => stream::iter(first).chain(output).filter_map(async |piece| piece.ok()).collect::<Vec<_>>().await,
            Err(error) => return stream::iter([Err(error)]).boxed(),
        };
        let reason: Vec<u8> = whole.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect();
        let error = exec::not_run(&container, &String::from_utf8_lossy(&reason));
        stream::iter([Err(error)]).boxed()
    };
    stream::once(checked).flatten().boxed()
}

type Input = Pin<Box<dyn AsyncWrite + Send>>;
type Output = BoxStream<'static, Result<ExecBytes, EngineError>>;

async fn terminal(engine: &DockerEngine, container: &ContainerId, id: &str) -> Result<(Input, Output), EngineError> {
    let stream = upgrade::start(engine, Call::on(OPERATION, container), id).await?;
    let (read, write) = tokio::io::split(stream);
    let target = describe(container);
    let output = stream::unfold(Some(read), move |read| next_bytes(read, target.clone()));
    Ok((Box::pin(write), output.boxed()))
}

type Read = ReadHalf<TokioIo<Upgraded>>;

async fn next_bytes(read: Option<Read>, target: String) -> Option<(Result<ExecBytes, EngineError>, Option<Read>)> {
    let mut read = read?;
    let mut bytes = BytesMut::with_capacity(8 << 10);
    match read.read_buf(&mut bytes).await {
        Ok(0) => None,
        Ok(_) => Some((Ok((false, bytes.freeze())), Some(read))),
        Err(error) => Some((Err(EngineError::new(OPERATION, target, ErrorKind::Unavailable, error.to_string())), None)),
    }
}

async fn raw(engine: &DockerEngine, container: &ContainerId, id: &str) -> Result<(Input, Output), EngineError> {
    let attached =
        engine.call(Call::on(OPERATION, container), QUICK, |docker| async move { docker.start_exec(id, None).await }).await?;
    let StartExecResults::Attached { output, input } = attached else {
        return Err(EngineError::new(OPERATION, describe(container), ErrorKind::Other, "the engine did not attach"));
    };
    let target = describe(container);
    let output = output.map(move |frame| match frame {
        Ok(frame) => Ok((matches!(frame, LogOutput::StdErr { .. }), frame.into_bytes())),
        Err(error) => Err(error::classify(OPERATION, &target, &error)),
    });
    Ok((input, output.boxed()))
}
