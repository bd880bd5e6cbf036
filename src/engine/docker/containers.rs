//! Containers: make, start, stop, remove, rename, put files in.

use std::time::Duration;

use futures_util::TryStreamExt as _;

use bollard::query_parameters::{
    CreateContainerOptions, DownloadFromContainerOptions, KillContainerOptions, RemoveContainerOptions, RenameContainerOptions,
    StopContainerOptions, UploadToContainerOptions,
};

use super::{Call, DockerEngine, SLOW, archive, create, facts, fine, images, observe, ports, volumes};
use crate::engine::answer::FileSeen;
use crate::engine::request::{CreateContainer, FileToPut, MountFrom};
use crate::engine::{EngineError, ErrorKind};
use crate::model::name::ContainerId;

/// What a stop may take beyond its grace: the kill, and the engine's own clearing up.
const AFTER_GRACE: Duration = Duration::from_secs(30);

/// Makes a container.
pub(super) async fn create(engine: &DockerEngine, request: &CreateContainer) -> Result<ContainerId, EngineError> {
    let facts = facts::known(engine).await?;
    let image = images::facts(engine, &request.image).await?;
    for mount in &request.mounts {
        if let MountFrom::Volume(name) = &mount.source {
            volumes::must_exist(engine, name).await?;
        }
    }
    let kept = create::kept_volumes(request, &image);
    for volume in &kept {
        volumes::create(engine, &volume.request).await?;
    }
    let body = create::body(request, &facts, &image, &kept);
    let options =
        CreateContainerOptions { name: Some(request.name.clone()), platform: request.platform.clone().unwrap_or_default() };
    let made = engine
        .call(Call::new("create container", &request.name), SLOW, |docker| async move {
            docker.create_container(Some(options), body).await
        })
        .await?;
    Ok(ContainerId(made.id))
}

/// Starts a container. One that runs is fine.
pub(super) async fn start(engine: &DockerEngine, container: &ContainerId) -> Result<(), EngineError> {
    let outcome = engine
        .call(Call::on("start", container), SLOW, |docker| async move { docker.start_container(&container.0, None).await })
        .await;
    engine.cache().forget(&container.0);
    match outcome {
        Err(error) if error.kind == ErrorKind::PortInUse => Err(ports::name_holder(engine, error).await),
        outcome => outcome.map_err(of_its_surroundings),
    }
}

/// Whether a container is up.
pub(super) async fn is_up(engine: &DockerEngine, container: &ContainerId) -> Result<bool, EngineError> {
    match observe::inspect_container(engine, "inspect", container).await {
        Ok(answer) => Ok(observe::state(&answer).is_up()),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Where its network or a mount is missing, not the container: says no wrong thing about that.
pub(super) fn of_its_surroundings(mut error: EngineError) -> EngineError {
    if error.kind == ErrorKind::NotFound && !error.message.to_lowercase().contains("no such container") {
        error.kind = ErrorKind::Other;
    }
    error
}

/// Asks a container to stop and kills it after `grace`.
pub(super) async fn stop(engine: &DockerEngine, container: &ContainerId, grace: Duration) -> Result<(), EngineError> {
    let seconds = i32::try_from(create::whole_seconds(grace)).unwrap_or(i32::MAX);
    let options = StopContainerOptions { signal: None, t: Some(seconds) };
    let outcome = engine
        .call(Call::on("stop", container), grace + AFTER_GRACE, |docker| async move {
            docker.stop_container(&container.0, Some(options)).await
        })
        .await;
    engine.cache().forget(&container.0);
    fine(outcome, &[ErrorKind::NotFound])
}

/// Passes a signal on to the first process of a container. One that does not run is fine.
pub(super) async fn signal(engine: &DockerEngine, container: &ContainerId, signal: &str) -> Result<(), EngineError> {
    let options = KillContainerOptions { signal: signal.to_owned() };
    let outcome = engine
        .call(Call::on("signal", container), super::QUICK, |docker| async move {
            docker.kill_container(&container.0, Some(options)).await
        })
        .await;
    fine(outcome, &[ErrorKind::NotFound, ErrorKind::Conflict])
}

/// Removes a stopped container and its anonymous volumes.
pub(super) async fn remove(engine: &DockerEngine, container: &ContainerId) -> Result<(), EngineError> {
    let options = RemoveContainerOptions { v: true, force: false, link: false };
    let outcome =
        engine
            .call(Call::on("remove", container), SLOW, |docker| async move {
                docker.remove_container(&container.0, Some(options)).await
            })
            .await;
    engine.cache().forget(&container.0);
    fine(outcome, &[ErrorKind::NotFound])
}

/// Gives a container another name.
pub(super) async fn rename(engine: &DockerEngine, container: &ContainerId, name: &str) -> Result<(), EngineError> {
    let options = RenameContainerOptions { name: name.to_owned() };
    engine
        .call(Call::on("rename", container), super::QUICK, |docker| async move {
            docker.rename_container(&container.0, options).await
        })
        .await
}

/// Puts files below `directory` of a container that may be stopped.
pub(super) async fn put_files(
    engine: &DockerEngine,
    container: &ContainerId,
    directory: &str,
    files: &[FileToPut],
) -> Result<(), EngineError> {
    let tar = archive::of_files(files)
        .map_err(|error| EngineError::new("put files into", container.to_string(), ErrorKind::Invalid, error.to_string()))?;
    let options = UploadToContainerOptions { path: directory.to_owned(), ..Default::default() };
    engine
        .call(Call::on("put files into", container), SLOW, |docker| async move {
            docker.upload_to_container(&container.0, Some(options), bollard::body_full(tar.into())).await
        })
        .await
}

/// What the archive of a path may hold beside the content that is wanted: headers of two entries.
const HEADERS: usize = 8 << 10;

/// What lies at a path of a container. The engine sends it as an archive, of a directory with all
/// that is in it: only the beginning is read.
pub(super) async fn read_file(
    engine: &DockerEngine,
    container: &ContainerId,
    path: &str,
    most: usize,
) -> Result<Option<FileSeen>, EngineError> {
    let options = DownloadFromContainerOptions { path: path.to_owned() };
    let read = engine
        .call(Call::on("read a file of", container), SLOW, |docker| async move {
            let mut stream = std::pin::pin!(docker.download_from_container(&container.0, Some(options)));
            let mut archive = Vec::new();
            while archive.len() < most.saturating_add(HEADERS)
                && let Some(piece) = stream.try_next().await?
            {
                archive.extend_from_slice(&piece);
            }
            Ok(archive)
        })
        .await;
    match read {
        Ok(archive) => Ok(archive::first_entry(&archive, most)),
        // It is the path that is not there, not the container.
        Err(error) if error.kind == ErrorKind::NotFound && !error.message.to_lowercase().contains("no such container:") => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
