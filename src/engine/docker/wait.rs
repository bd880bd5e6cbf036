//! Waiting for the end of a run. The engine is asked for the next exit, and the container is
//! looked at now and then: an answer may get lost, and a short run may be over before the engine
//! took note of the question.

use std::pin::pin;
use std::time::Duration;

use bollard::errors::Error;
use bollard::models::ContainerWaitResponse;
use bollard::query_parameters::WaitContainerOptions;
use futures_util::StreamExt;

use super::{DockerEngine, QUICK, error, observe};
use crate::engine::EngineError;
use crate::engine::answer::Waited;
use crate::engine::request::describe;
use crate::model::name::ContainerId;
use crate::model::observed::ContainerState;

/// How often a container that is waited for is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Returns when the container's present or next run is over.
pub(super) async fn wait(engine: &DockerEngine, container: &ContainerId) -> Result<Waited, EngineError> {
    let client = engine.client(QUICK).map_err(|error| error::classify("wait for", &describe(container), &error))?;
    let options = WaitContainerOptions { condition: "next-exit".to_owned() };
    let mut answer = pin!(client.wait_container(&container.0, Some(options)).fuse());
    let before = tokio::select! {
        biased;
        Some(said) = answer.next() => return outcome(container, said),
        before = look(engine, container) => before?,
    };
    loop {
        tokio::select! {
            biased;
            Some(said) = answer.next() => match said {
                Err(Error::RequestTimeoutError) => {}
                said => return outcome(container, said),
            },
            () = engine.inner.clock.sleep(LOOK) => {}
        }
        match look(engine, container).await? {
            ContainerState::Exited { exit, started_at } if before != (ContainerState::Exited { exit, started_at }) => {
                return Ok(Waited { code: exit.code });
            }
            _ => {}
        }
    }
}

async fn look(engine: &DockerEngine, container: &ContainerId) -> Result<ContainerState, EngineError> {
    Ok(observe::state(&observe::inspect_container(engine, "wait for", container).await?))
}

fn outcome(container: &ContainerId, said: Result<ContainerWaitResponse, Error>) -> Result<Waited, EngineError> {
    match said {
        Ok(answer) => Ok(Waited { code: answer.status_code }),
        // What bollard makes of an exit code that is not zero.
        Err(Error::DockerContainerWaitError { error, code }) if error.is_empty() => Ok(Waited { code }),
        Err(error) => Err(error::classify("wait for", &describe(container), &error)),
    }
}
