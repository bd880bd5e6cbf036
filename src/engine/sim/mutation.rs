//! What a call does to the world, as data: it can be done now, later (the caller gave up, the
//! engine did not) or never.

use std::time::Duration;

use super::trace::Operation;
use super::world::{Now, SimContainer, World};
use crate::engine::request::{BuildImage, CreateContainer, CreateNetwork, CreateVolume, FileToPut};
use crate::engine::{EngineError, ErrorKind, labels};
use crate::model::name::{ContainerId, ImageId, InstanceId, StackName};

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mutation {
    /// A pull is over.
    Pull(String),
    /// A build is over.
    Build(BuildImage),
    /// Make a network.
    CreateNetwork(CreateNetwork),
    /// Remove a network.
    RemoveNetwork(String),
    /// Make a volume.
    CreateVolume(CreateVolume),
    /// Remove a volume.
    RemoveVolume(String),
    /// Make a container.
    Create(Box<CreateContainer>),
    /// Start a container.
    Start(ContainerId),
    /// Ask a container to stop.
    Stop(ContainerId, Duration),
    /// Begin to remove a container.
    Remove(ContainerId),
    /// Rename a container.
    Rename(ContainerId, String),
    /// Put a container on a network, under names.
    Connect(ContainerId, String, Vec<String>),
    /// Take a container from a network.
    Disconnect(ContainerId, String),
    /// Put files into a container.
    PutFiles(ContainerId, String, Vec<FileToPut>),
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Applied {
    Done,
    Container(ContainerId),
    Image(ImageId),
}

impl Applied {
    pub(super) fn container(self) -> ContainerId {
        if let Self::Container(id) = self { id } else { ContainerId(String::new()) }
    }

    pub(super) fn image(self) -> ImageId {
        if let Self::Image(id) = self { id } else { ImageId(String::new()) }
    }
}

impl Mutation {
    /// The primitive.
    pub fn operation(&self) -> Operation {
        match self {
            Self::Pull(_) => Operation::Pull,
            Self::Build(_) => Operation::Build,
            Self::CreateNetwork(_) => Operation::CreateNetwork,
            Self::RemoveNetwork(_) => Operation::RemoveNetwork,
            Self::CreateVolume(_) => Operation::CreateVolume,
            Self::RemoveVolume(_) => Operation::RemoveVolume,
            Self::Create(_) => Operation::Create,
            Self::Start(_) => Operation::Start,
            Self::Stop(..) => Operation::Stop,
            Self::Remove(_) => Operation::Remove,
            Self::Rename(..) => Operation::Rename,
            Self::Connect(..) => Operation::Connect,
            Self::Disconnect(..) => Operation::Disconnect,
            Self::PutFiles(..) => Operation::PutFiles,
        }
    }

    /// Of what, for errors and the trace.
    pub fn target(&self) -> String {
        match self {
            Self::Pull(reference) => reference.clone(),
            Self::Build(request) => request.tag.clone(),
            Self::CreateNetwork(request) => request.name.clone(),
            Self::CreateVolume(request) => request.name.clone(),
            Self::Create(request) => request.name.clone(),
            Self::RemoveNetwork(name) | Self::RemoveVolume(name) => name.clone(),
            other => other.container().map(ToString::to_string).unwrap_or_default(),
        }
    }

    fn container(&self) -> Option<&ContainerId> {
        match self {
            Self::Start(id)
            | Self::Stop(id, _)
            | Self::Remove(id)
            | Self::Rename(id, _)
            | Self::Connect(id, ..)
            | Self::Disconnect(id, _)
            | Self::PutFiles(id, ..) => Some(id),
            _ => None,
        }
    }
}

impl World {
    /// Does what a call asks, and notes what should not have been asked.
    pub(super) fn asked(&mut self, mutation: &Mutation, now: Now) -> Result<Applied, EngineError> {
        if !self.engine.up {
            return Err(EngineError::new(
                mutation.operation().words(),
                mutation.target(),
                ErrorKind::Unavailable,
                "the engine does not answer",
            ));
        }
        self.note_foreign_target(mutation);
        let outcome = self.apply(mutation, now);
        // Only a start can make two run where one may.
        if matches!(mutation, Mutation::Start(_)) {
            self.note_state();
        }
        outcome
    }

    fn apply(&mut self, mutation: &Mutation, now: Now) -> Result<Applied, EngineError> {
        match mutation {
            Mutation::Pull(reference) => {
                let id = self.images.pulled(reference);
                self.bus.emit(now, ("image", "pull"), reference, None);
                Ok(Applied::Image(id))
            }
            Mutation::Build(request) => Ok(Applied::Image(self.images.built(request))),
            Mutation::CreateNetwork(request) => self.create_network(request, now),
            Mutation::RemoveNetwork(id) => self.remove_network(id, now),
            Mutation::CreateVolume(request) => self.create_volume(request, now),
            Mutation::RemoveVolume(name) => self.remove_volume(name, now),
            Mutation::Create(request) => self.create(request, now).map(Applied::Container),
            Mutation::Start(id) => self.start(id, now),
            Mutation::Stop(id, grace) => {
                self.ask_to_stop(id, *grace, now);
                Ok(Applied::Done)
            }
            Mutation::Remove(id) => self.begin_removal(id, now),
            Mutation::Rename(id, name) => self.rename(id, name, now),
            Mutation::Connect(id, network, names) => self.connect(id, network, names, now),
            Mutation::Disconnect(id, network) => {
                self.disconnect(id, network, now);
                Ok(Applied::Done)
            }
            Mutation::PutFiles(id, directory, files) => self.put_files(id, directory, files),
        }
    }

    fn note_foreign_target(&mut self, mutation: &Mutation) {
        let Some(guard) = &self.guard else { return };
        let theirs = match mutation {
            Mutation::RemoveNetwork(id) => self.networks.get(id).is_some_and(|network| network.owner.as_ref() != Some(guard)),
            Mutation::RemoveVolume(name) => self.volumes.get(name).is_some_and(|volume| volume.owner.as_ref() != Some(guard)),
            other => other.container().and_then(|id| self.containers.get(id)).is_some_and(|container| !belongs(container, guard)),
        };
        if theirs {
            self.breach(format!("{} {} that is not ours", mutation.operation().words(), mutation.target()));
        }
    }
}

fn belongs(container: &SimContainer, guard: &(StackName, InstanceId)) -> bool {
    labels::owner(&container.labels).as_ref() == Some(guard)
}
