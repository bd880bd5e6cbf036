//! Volumes. Nothing but [`remove`] takes one away, and that only with a user's explicit command.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{Volume, VolumeCreateRequest};
use bollard::query_parameters::RemoveVolumeOptions;

use super::{Call, DockerEngine, QUICK, SLOW, fine};
use crate::engine::request::CreateVolume;
use crate::engine::{EngineError, ErrorKind, labels};
use crate::model::workload::KindName;

/// Makes a volume. One of ours of that name is fine; another's is a conflict.
pub(super) async fn create(engine: &DockerEngine, request: &CreateVolume) -> Result<(), EngineError> {
    match inspect(engine, &request.name).await {
        Ok(volume) => return check_owner(request, volume),
        Err(error) if error.kind == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut all_labels: HashMap<String, String> = request.labels.clone().into_iter().collect();
    all_labels.extend(labels::of_owner(&request.stack, &request.instance, &request.directory));
    all_labels.insert(labels::VOLUME.to_owned(), request.volume.clone());
    if request.of_image {
        all_labels.insert(labels::OF_IMAGE.to_owned(), "true".to_owned());
    }
    for (kind, postgres) in [(KindName::Postgres, &request.data_of), (KindName::Verify, &request.trial_of)] {
        all_labels.extend(postgres.iter().flat_map(|postgres| labels::of_data(kind, postgres)));
    }
    let body = VolumeCreateRequest {
        name: Some(request.name.clone()),
        driver: Some(request.driver.clone().unwrap_or_else(|| "local".to_owned())),
        driver_opts: Some(request.options.clone().into_iter().collect()),
        labels: Some(all_labels),
        ..Default::default()
    };
    let made = engine
        .call(Call::new("create volume", &request.name), SLOW, |docker| async move { docker.create_volume(body).await })
        .await?;
    // The engine hands out a volume of that name where somebody made one meanwhile.
    check_owner(request, made)
}

fn check_owner(request: &CreateVolume, volume: Volume) -> Result<(), EngineError> {
    let labels: BTreeMap<String, String> = volume.labels.into_iter().collect();
    let wanted = (request.stack.clone(), request.instance.clone());
    if labels::owner(&labels).as_ref() == Some(&wanted) {
        return Ok(());
    }
    let message = "a volume of this name is there and was not made by this stack";
    Err(EngineError::new("create volume", &request.name, ErrorKind::Conflict, message))
}

/// Whether a volume is there: the engine would make a missing one without our labels.
pub(super) async fn must_exist(engine: &DockerEngine, name: &str) -> Result<(), EngineError> {
    inspect(engine, name).await.map(|_| ())
}

async fn inspect(engine: &DockerEngine, name: &str) -> Result<Volume, EngineError> {
    engine.call(Call::new("inspect volume", name), QUICK, |docker| async move { docker.inspect_volume(name).await }).await
}

/// Removes a volume. None there is fine.
pub(super) async fn remove(engine: &DockerEngine, name: &str) -> Result<(), EngineError> {
    let outcome = engine
        .call(Call::new("remove volume", name), SLOW, |docker| async move {
            docker.remove_volume(name, None::<RemoveVolumeOptions>).await
        })
        .await;
    fine(outcome, &[ErrorKind::NotFound])
}
