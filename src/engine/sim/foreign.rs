//! Foreign hands: what people and other tools do to the engine behind our back.

use std::time::Duration;

use super::containers::REMOVAL;
use super::world::{Now, SimContainer, SimVolume, World};
use crate::host::sim::SimRng;
use crate::model::container::Protocol;
use crate::model::name::ContainerId;
use crate::model::observed::ContainerState;

/// Something done by foreign hands. Containers are named by name or id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Foreign {
    /// `docker rm -f`
    Remove(String),
    /// `docker stop`
    Stop(String),
    /// `docker kill`
    Kill(String),
    /// `docker pause`
    Pause(String),
    /// `docker unpause`
    Unpause(String),
    /// `docker start`
    Start(String),
    /// `docker create --name NAME IMAGE COMMAND...`
    Create {
        /// The name.
        name: String,
        /// The image.
        image: String,
        /// The command.
        command: Vec<String>,
    },
    /// `docker network create`
    CreateNetwork(String),
    /// `docker network rm`
    RemoveNetwork(String),
    /// `docker network connect --alias ALIAS`
    Connect {
        /// The container.
        container: String,
        /// The network.
        network: String,
        /// A name for it there.
        alias: String,
    },
    /// `docker network disconnect`
    Disconnect {
        /// The container.
        container: String,
        /// The network.
        network: String,
    },
    /// `docker volume create`
    CreateVolume(String),
    /// `docker volume rm`
    RemoveVolume(String),
    /// `docker rmi`
    RemoveImage(String),
    /// A process of the host takes a TCP port.
    GrabPort(u16),
    /// And gives it back.
    FreePort(u16),
    /// One of: kill, stop, pause, remove; of any container that runs.
    Any,
}

impl Foreign {
    /// The act that a command line of the engine's own tool means; `None` for other words.
    pub fn parse(words: &[&str]) -> Option<Self> {
        let owned = |word: &&str| (*word).to_owned();
        Some(match words {
            ["rm", "-f", name] => Self::Remove(owned(name)),
            ["stop", name] => Self::Stop(owned(name)),
            ["kill", name] => Self::Kill(owned(name)),
            ["pause", name] => Self::Pause(owned(name)),
            ["unpause", name] => Self::Unpause(owned(name)),
            ["start", name] => Self::Start(owned(name)),
            ["create", "--name", name, image, command @ ..] => {
                Self::Create { name: owned(name), image: owned(image), command: command.iter().map(owned).collect() }
            }
            ["network", "create", name] => Self::CreateNetwork(owned(name)),
            ["network", "connect", "--alias", alias, network, container] => {
                Self::Connect { container: owned(container), network: owned(network), alias: owned(alias) }
            }
            ["network", "disconnect", network, container] => {
                Self::Disconnect { container: owned(container), network: owned(network) }
            }
            ["network", "rm", name] => Self::RemoveNetwork(owned(name)),
            ["volume", "create", name] => Self::CreateVolume(owned(name)),
            ["volume", "rm", name] => Self::RemoveVolume(owned(name)),
            ["rmi", name] | ["image", "rm", name] => Self::RemoveImage(owned(name)),
            _ => return None,
        })
    }
}

impl World {
    /// Does it, as far as the engine allows it; whether there was anything to do.
    pub(super) fn act(&mut self, foreign: &Foreign, rng: &SimRng, now: Now) -> Result<bool, String> {
        if *foreign == Foreign::Any {
            return self.any_act(rng).map_or(Ok(false), |act| self.act(&act, rng, now));
        }
        self.act_as(foreign, now).map(|()| true)
    }

    fn act_as(&mut self, foreign: &Foreign, now: Now) -> Result<(), String> {
        match foreign {
            Foreign::Any => Ok(()),
            Foreign::Create { name, image, command } => self.foreign_create(name, image, command, now),
            Foreign::CreateNetwork(name) => self.add_network(name, None, now).map(drop).map_err(|error| error.to_string()),
            Foreign::RemoveNetwork(name) => {
                let id = self.network(name).map(|(id, _)| id.clone()).ok_or("no such network")?;
                self.remove_network(&id, now).map(drop).map_err(|error| error.to_string())
            }
            Foreign::CreateVolume(name) => {
                self.volumes.entry(name.clone()).or_insert_with(|| SimVolume::empty(None, now));
                Ok(())
            }
            Foreign::RemoveVolume(name) => self.drop_volume(name, now).map_err(|error| error.to_string()),
            Foreign::RemoveImage(reference) => {
                let id = self.images.id(reference);
                if self.containers.values().any(|container| Some(&container.image) == id.as_ref()) {
                    self.images.untag(reference);
                } else {
                    self.images.remove(reference);
                }
                Ok(())
            }
            Foreign::GrabPort(port) => {
                self.taken_ports.insert((*port, Protocol::Tcp));
                Ok(())
            }
            Foreign::FreePort(port) => {
                self.taken_ports.remove(&(*port, Protocol::Tcp));
                Ok(())
            }
            Foreign::Remove(name)
            | Foreign::Stop(name)
            | Foreign::Kill(name)
            | Foreign::Pause(name)
            | Foreign::Unpause(name)
            | Foreign::Start(name) => {
                let id = self.id_of(name)?;
                self.act_on(foreign, &id, now)
            }
            Foreign::Connect { container, network, alias } => {
                let id = self.id_of(container)?;
                let names = std::slice::from_ref(alias);
                self.connect(&id, network, names, now).map(drop).map_err(|error| error.to_string())
            }
            Foreign::Disconnect { container, network } => {
                let id = self.id_of(container)?;
                self.disconnect(&id, network, now);
                Ok(())
            }
        }
    }

    fn id_of(&self, handle: &str) -> Result<ContainerId, String> {
        self.by_handle(handle).map(|container| container.id.clone()).ok_or_else(|| "no such container".to_owned())
    }

    fn act_on(&mut self, foreign: &Foreign, id: &ContainerId, now: Now) -> Result<(), String> {
        match foreign {
            Foreign::Start(_) => return self.start(id, now).map(drop).map_err(|error| error.to_string()),
            Foreign::Stop(_) => self.ask_to_stop(id, Duration::from_secs(10), now),
            Foreign::Kill(_) => self.kill(id, 137, false, now),
            Foreign::Pause(_) => self.pause(id, now),
            Foreign::Unpause(_) => self.unpause(id, now),
            _ => {
                self.kill(id, 137, false, now);
                if let Some(container) = self.containers.get_mut(id) {
                    container.state = ContainerState::Removing;
                    container.gone_at = Some(now.moment + REMOVAL);
                }
            }
        }
        Ok(())
    }

    fn pause(&mut self, id: &ContainerId, now: Now) {
        let Some(container) = self.containers.get_mut(id) else { return };
        if let ContainerState::Running { started_at } = container.state {
            container.state = ContainerState::Paused { started_at };
            self.emit_container(now, id, "pause");
        }
    }

    fn unpause(&mut self, id: &ContainerId, now: Now) {
        let Some(container) = self.containers.get_mut(id) else { return };
        if let ContainerState::Paused { started_at } = container.state {
            container.state = ContainerState::Running { started_at };
            self.emit_container(now, id, "unpause");
        }
    }

    fn any_act(&self, rng: &SimRng) -> Option<Foreign> {
        let running: Vec<&SimContainer> = self.containers.values().filter(|container| container.state.is_up()).collect();
        let count = u64::try_from(running.len()).ok().filter(|count| *count > 0)?;
        let chosen = usize::try_from(rng.below(count)).ok()?;
        let id = running.get(chosen)?.id.0.clone();
        Some(match rng.below(4) {
            0 => Foreign::Kill(id),
            1 => Foreign::Stop(id),
            2 => Foreign::Remove(id),
            _ => Foreign::Pause(id),
        })
    }

    fn foreign_create(&mut self, name: &str, image: &str, command: &[String], now: Now) -> Result<(), String> {
        if self.by_name(name).is_some() {
            return Err(format!("the name {name} is taken"));
        }
        let id = ContainerId(self.new_id("container"));
        let container = SimContainer {
            id,
            name: name.to_owned(),
            labels: std::collections::BTreeMap::new(),
            image: self.images.id(image).ok_or("no such image")?,
            image_reference: image.to_owned(),
            command: command.to_vec(),
            env: std::collections::BTreeMap::new(),
            mounts: Vec::new(),
            ports: Vec::new(),
            published: Vec::new(),
            networks: std::collections::BTreeMap::new(),
            read_only: false,
            keeps_log: true,
            state: ContainerState::Created,
            created_at: now.wall,
            run: None,
            ended: Vec::new(),
            gone_at: None,
            log: Vec::new(),
            files: std::collections::BTreeMap::new(),
            number: self.number(),
        };
        self.add_container(container, now);
        Ok(())
    }
}

#[async_trait::async_trait]
impl crate::engine::contract::Hand for super::SimEngine {
    async fn docker(&self, words: &[&str]) -> Result<(), String> {
        let act = Foreign::parse(words).ok_or_else(|| format!("no foreign hand knows {words:?}"))?;
        self.sleep(Duration::from_millis(50)).await;
        self.foreign(&act)?;
        self.sleep(REMOVAL).await;
        Ok(())
    }
}
