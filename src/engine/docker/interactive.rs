//! What a person looks at, a command in a container or a container itself: terminal or raw streams,
//! both ways.

use std::pin::Pin;

use bollard::container::LogOutput;
use bollard::exec::StartExecResults;
use bollard::models::ExecConfig;
use bollard::query_parameters::{AttachContainerOptions, ResizeContainerTTYOptions, ResizeExecOptions};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWrite, ReadHalf};
use tokio::task::JoinHandle;

use super::upgrade::Ask;
use super::{Call, DockerEngine, QUICK, error, exec, upgrade, wait};
use crate::engine::answer::Waited;
use crate::engine::request::describe;
use crate::engine::{EngineError, ErrorKind};
use crate::model::name::ContainerId;

const OPERATION: &str = "run a command in";
const ATTACH: &str = "attach to";

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

/// A command, or a container, that somebody is joined to.
pub struct Session {
    /// What it reads; shutting it down ends its input.
    pub input: Pin<Box<dyn AsyncWrite + Send>>,
    /// What it writes, until it ends.
    pub output: BoxStream<'static, Result<ExecBytes, EngineError>>,
    engine: DockerEngine,
    container: ContainerId,
    joined: Joined,
}

/// What somebody is joined to.
enum Joined {
    /// A command, by its id.
    Command(String),
    /// The container, whose end is waited for since before its start.
    Container(tokio::sync::Mutex<JoinHandle<Result<Waited, EngineError>>>),
}

impl Session {
    /// Tells the command the size of its terminal, in characters.
    pub async fn resize(&self, width: u16, height: u16) -> Result<(), EngineError> {
        let (w, h) = (i32::from(width), i32::from(height));
        let (call, container) = (Call::on(OPERATION, &self.container), &self.container.0);
        let outcome = self.engine.call(call, QUICK, |docker| async move {
            match &self.joined {
                Joined::Command(id) => docker.resize_exec(id, ResizeExecOptions { w, h }).await,
                Joined::Container(_) => docker.resize_container_tty(container, ResizeContainerTTYOptions { w, h }).await,
            }
        });
        outcome.await
    }

    /// The same in words that every engine has.
    pub(super) fn joined(self) -> crate::engine::Joined {
        let Self { input, output, engine, container, joined } = self;
        let exit_code = Box::pin(async move { joined.exit_code(&engine, &container).await });
        crate::engine::Joined { input, output, exit_code }
    }

    /// How it ended. Ask when its output is over.
    pub async fn exit_code(&self) -> Result<i64, EngineError> {
        self.joined.exit_code(&self.engine, &self.container).await
    }
}

impl Joined {
    async fn exit_code(&self, engine: &DockerEngine, container: &ContainerId) -> Result<i64, EngineError> {
        match self {
            Self::Command(id) => exec::exit_code(engine, container, id).await,
            Self::Container(ending) => {
                let lost = |_| EngineError::new("wait for", describe(container), ErrorKind::Other, "nobody waits for it");
                Ok((&mut *ending.lock().await).await.map_err(lost)??.code)
            }
        }
    }
}

/// Joins a container that was made to be attached to and is not started yet: nothing of its output is
/// missed, and its end is seen.
pub(super) async fn attach(engine: &DockerEngine, container: &ContainerId, tty: bool) -> Result<Session, EngineError> {
    let (waiting, id) = (engine.clone(), container.clone());
    let ending = tokio::spawn(async move { wait::wait(&waiting, &id).await });
    let (input, output) = if tty {
        let uri = format!("/containers/{container}/attach?stream=1&stdin=1&stdout=1&stderr=1");
        terminal(engine, container, Ask { uri, body: b"" }).await?
    } else {
        let options = AttachContainerOptions { stream: true, stdin: true, stdout: true, stderr: true, ..Default::default() };
        let call = Call::on(ATTACH, container);
        let attached =
            engine.call(call, QUICK, |docker| async move { docker.attach_container(&container.0, Some(options)).await }).await?;
        (attached.input, frames(attached.output, ATTACH, describe(container)))
    };
    let joined = Joined::Container(tokio::sync::Mutex::new(ending));
    Ok(Session { input, output, engine: engine.clone(), container: container.clone(), joined })
}

/// Begins a command.
pub(super) async fn open(
    engine: &DockerEngine,
    container: &ContainerId,
    request: &ExecInteractive,
) -> Result<Session, EngineError> {
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
    let (input, output) =
        if request.tty { terminal(engine, container, command(&id)).await? } else { raw(engine, container, &id).await? };
    let output = output_of_command(engine.clone(), container.clone(), id.clone(), output);
    Ok(Session { input, output, engine: engine.clone(), container: container.clone(), joined: Joined::Command(id) })
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

/// What starts a command at a terminal.
fn command(id: &str) -> Ask {
    Ask { uri: format!("/exec/{id}/start"), body: br#"{"Detach":false,"Tty":true}"# }
}

async fn terminal(engine: &DockerEngine, container: &ContainerId, ask: Ask) -> Result<(Input, Output), EngineError> {
    let stream = upgrade::start(engine, Call::on(OPERATION, container), ask).await?;
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
    Ok((input, frames(output, OPERATION, describe(container))))
}

/// Raw streams, told apart.
fn frames<S>(output: S, operation: &'static str, target: String) -> Output
where
    S: futures_util::Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send + 'static,
{
    let piece = move |frame| match frame {
        Ok(frame) => Ok((matches!(frame, LogOutput::StdErr { .. }), LogOutput::into_bytes(frame))),
        Err(error) => Err(error::classify(operation, &target, &error)),
    };
    output.map(piece).boxed()
}
