//! The primitives of the simulated engine, at realistic costs.

use std::time::Duration;

use async_trait::async_trait;

use super::engine::{SimEngine, same_engine};
use super::images::PullCourse;
use super::mutation::Mutation;
use super::streams;
use super::trace::Operation;
use crate::engine::answer::{EngineInfo, ExecOutput, FileSeen, ImageFacts, Progress, Reach, Waited};
use crate::engine::request::{
    BuildImage, CreateContainer, CreateNetwork, CreateVolume, Exec, FileToPut, LogQuery, PullImage, Scope,
};
use crate::engine::{Engine, EngineError, ErrorKind, EventStream, LogStream, ProgressSink};
use crate::model::name::{ContainerId, ImageId, StackName};
use crate::model::observed::{ContainerState, Observed};

const READ: Duration = Duration::from_millis(2);
const CREATE: Duration = Duration::from_millis(60);
const START: Duration = Duration::from_millis(80);
const NETWORK: Duration = Duration::from_millis(100);
const SMALL: Duration = Duration::from_millis(10);
/// How many looks are remembered as they were told.
const TOLD: usize = 4;
/// How long a caller waits for a removal.
const REMOVAL_PATIENCE: Duration = Duration::from_secs(60);

#[async_trait]
impl Engine for SimEngine {
    async fn info(&self) -> Result<EngineInfo, EngineError> {
        let info = EngineInfo {
            version: "20.10.24".to_owned(),
            api: (1, 41),
            description: "simulated engine".to_owned(),
            data_root: None,
            direct: true,
        };
        self.call(Operation::Info, "engine", None, self.read(Operation::Info, "engine", |_| Ok(info))).await
    }

    async fn observe(&self, scope: &Scope) -> Result<Observed, EngineError> {
        let work = async {
            self.answering(Operation::Observe, "engine").await?;
            self.sleep(READ).await;
            self.answering(Operation::Observe, "engine").await?;
            Ok(self.see(|world, now| world.observed(scope, now)))
        };
        let observed = self.call(Operation::Observe, "engine", None, work).await?;
        self.alter(|world| {
            world.told.push_back(observed.clone());
            if world.told.len() > TOLD {
                world.told.pop_front();
            }
        });
        Ok(observed)
    }

    async fn events(&self, stack: &StackName) -> Result<EventStream, EngineError> {
        let work = async {
            self.answering(Operation::Events, "engine").await?;
            Ok(streams::events(self, stack))
        };
        self.call(Operation::Events, "engine", None, work).await
    }

    async fn pull(&self, request: &PullImage, progress: ProgressSink) -> Result<ImageId, EngineError> {
        let mutation = Mutation::Pull(request.reference.clone());
        let work = async {
            self.answering(Operation::Pull, &request.reference).await?;
            let course = self.see(|world, _| world.images.course(&request.reference))?;
            let failed = |kind, message: &str| EngineError::new(Operation::Pull.words(), &request.reference, kind, message);
            progress(layer("downloading", 0));
            match course {
                PullCourse::Stalls => {
                    self.sleep(request.inactivity).await;
                    Err(failed(ErrorKind::Timeout, "no progress"))
                }
                PullCourse::Breaks(after) => {
                    self.sleep(after).await;
                    Err(failed(ErrorKind::Other, "unexpected EOF"))
                }
                PullCourse::Takes(time) => {
                    self.sleep(time / 2).await;
                    progress(layer("downloading", 50));
                    self.sleep(time / 2).await;
                    let pulled = self.perform(mutation.clone(), Duration::ZERO).await;
                    progress(layer("done", 100));
                    pulled.map(super::mutation::Applied::image)
                }
            }
        };
        self.call(Operation::Pull, &request.reference, Some(mutation.clone()), work).await
    }

    async fn build(&self, request: &BuildImage, progress: ProgressSink) -> Result<ImageId, EngineError> {
        let mutation = Mutation::Build(request.clone());
        let work = async {
            self.answering(Operation::Build, &request.tag).await?;
            let takes = self.see(|world, _| world.images.build_takes).unwrap_or(Duration::from_secs(2));
            self.sleep(takes / 2).await;
            for step in ["Step 1/2 : FROM scratch", "Step 2/2 : COPY app /"] {
                progress(Progress::Line(step.to_owned()));
            }
            self.sleep(takes / 2).await;
            self.perform(mutation.clone(), Duration::ZERO).await.map(super::mutation::Applied::image)
        };
        self.call(Operation::Build, &request.tag, Some(mutation.clone()), work).await
    }

    async fn image(&self, reference: &str) -> Result<ImageFacts, EngineError> {
        let work = self.read(Operation::Image, reference, |world| {
            let missing = || format!("No such image: {reference}");
            let facts = world.images.facts(reference).cloned();
            facts.ok_or_else(|| EngineError::new(Operation::Image.words(), reference, ErrorKind::NotFound, missing()))
        });
        self.call(Operation::Image, reference, None, work).await
    }

    async fn create_network(&self, request: &CreateNetwork) -> Result<(), EngineError> {
        self.change(Mutation::CreateNetwork(request.clone()), NETWORK).await
    }

    async fn remove_network(&self, id: &str) -> Result<(), EngineError> {
        self.change(Mutation::RemoveNetwork(id.to_owned()), NETWORK).await
    }

    async fn create_volume(&self, request: &CreateVolume) -> Result<(), EngineError> {
        self.change(Mutation::CreateVolume(request.clone()), SMALL).await
    }

    async fn remove_volume(&self, name: &str) -> Result<(), EngineError> {
        self.change(Mutation::RemoveVolume(name.to_owned()), SMALL).await
    }

    async fn create(&self, request: &CreateContainer) -> Result<ContainerId, EngineError> {
        let mutation = Mutation::Create(Box::new(request.clone()));
        let work = self.perform(mutation.clone(), CREATE);
        self.call(Operation::Create, &request.name, Some(mutation), work).await.map(super::mutation::Applied::container)
    }

    async fn start(&self, container: &ContainerId) -> Result<(), EngineError> {
        let delay = self.see(|world, _| world.containers.get(container).map(|found| world.script(found).start_delay));
        self.change(Mutation::Start(container.clone()), START + delay.unwrap_or_default()).await
    }

    async fn stop(&self, container: &ContainerId, grace: Duration) -> Result<(), EngineError> {
        let mutation = Mutation::Stop(container.clone(), grace);
        let target = mutation.target();
        let work = async {
            let epoch = self.answering(Operation::Stop, &target).await?;
            self.perform(mutation.clone(), SMALL).await?;
            self.until(|world, _| match same_engine(world, epoch, Operation::Stop, &target) {
                Err(error) => Some(Err(error)),
                Ok(()) => (!world.containers.get(container).is_some_and(|found| found.state.is_up())).then_some(Ok(())),
            })
            .await
        };
        self.call(Operation::Stop, &target, Some(mutation.clone()), work).await
    }

    async fn remove(&self, container: &ContainerId) -> Result<(), EngineError> {
        let mutation = Mutation::Remove(container.clone());
        let target = mutation.target();
        let work = async {
            let epoch = self.answering(Operation::Remove, &target).await?;
            self.perform(mutation.clone(), SMALL).await?;
            let gone = self.until(|world, _| match same_engine(world, epoch, Operation::Remove, &target) {
                Err(error) => Some(Err(error)),
                Ok(()) => (!world.containers.contains_key(container)).then_some(Ok(())),
            });
            tokio::select! {
                biased;
                gone = gone => gone,
                () = self.sleep(REMOVAL_PATIENCE) => {
                    Err(EngineError::new(Operation::Remove.words(), &target, ErrorKind::Timeout, "no answer in time"))
                }
            }
        };
        self.call(Operation::Remove, &target, Some(mutation.clone()), work).await
    }

    async fn rename(&self, container: &ContainerId, name: &str) -> Result<(), EngineError> {
        self.change(Mutation::Rename(container.clone(), name.to_owned()), SMALL).await
    }

    async fn connect(&self, container: &ContainerId, network: &str, names: &[String]) -> Result<(), EngineError> {
        self.change(Mutation::Connect(container.clone(), network.to_owned(), names.to_vec()), SMALL).await
    }

    async fn disconnect(&self, container: &ContainerId, network: &str) -> Result<(), EngineError> {
        self.change(Mutation::Disconnect(container.clone(), network.to_owned()), SMALL).await
    }

    async fn put_files(&self, container: &ContainerId, directory: &str, files: &[FileToPut]) -> Result<(), EngineError> {
        self.change(Mutation::PutFiles(container.clone(), directory.to_owned(), files.to_vec()), SMALL).await
    }

    async fn read_file(&self, container: &ContainerId, path: &str, most: usize) -> Result<Option<FileSeen>, EngineError> {
        let target = format!("container {container}");
        let work = self.read(Operation::ReadFile, &target, |world| {
            let found = world.find(Operation::ReadFile, container)?;
            Ok(world.lies_at(found, path, most))
        });
        self.call(Operation::ReadFile, &target, None, work).await
    }

    async fn exec(&self, container: &ContainerId, exec: &Exec, limit: Duration) -> Result<ExecOutput, EngineError> {
        let target = format!("container {container}");
        self.call(Operation::Exec, &target, None, self.run_command(container, exec, limit)).await
    }

    async fn is_up(&self, container: &ContainerId) -> Result<bool, EngineError> {
        let target = format!("container {container}");
        let work = self
            .read(Operation::IsUp, &target, |world| Ok(world.containers.get(container).is_some_and(|found| found.state.is_up())));
        self.call(Operation::IsUp, &target, None, work).await
    }

    async fn wait(&self, container: &ContainerId) -> Result<Waited, EngineError> {
        let target = format!("container {container}");
        self.call(Operation::Wait, &target, None, self.wait_for(container)).await
    }

    async fn logs(&self, container: &ContainerId, query: &LogQuery) -> Result<LogStream, EngineError> {
        let target = format!("container {container}");
        let work = async {
            self.answering(Operation::Logs, &target).await?;
            self.sleep(READ).await;
            streams::logs(self, container, query)
        };
        self.call(Operation::Logs, &target, None, work).await
    }

    async fn reach(&self, container: &ContainerId, port: u16) -> Result<Reach, EngineError> {
        let target = format!("container {container}");
        let work = self.read(Operation::Reach, &target, |world| {
            let found = world.find(Operation::Reach, container)?;
            let running = matches!(found.state, ContainerState::Running { .. } | ContainerState::Paused { .. });
            if !running || found.networks.is_empty() {
                let message = if running { "it is on no network" } else { "it is not running" };
                return Err(EngineError::new(Operation::Reach.words(), &target, ErrorKind::Conflict, message));
            }
            let [.., high, low] = found.number.to_be_bytes();
            Ok(Reach::Direct(std::net::SocketAddr::from(([172, 18, high, low], port))))
        });
        self.call(Operation::Reach, &target, None, work).await
    }
}

impl SimEngine {
    async fn change(&self, mutation: Mutation, cost: Duration) -> Result<(), EngineError> {
        let (operation, target) = (mutation.operation(), mutation.target());
        self.call(operation, &target, Some(mutation.clone()), self.perform(mutation, cost)).await.map(drop)
    }

    async fn read<T>(
        &self,
        operation: Operation,
        target: &str,
        look: impl FnOnce(&mut super::world::World) -> Result<T, EngineError> + Send,
    ) -> Result<T, EngineError> {
        self.answering(operation, target).await?;
        self.sleep(READ).await;
        self.see(|world, _| look(world))
    }
}

fn layer(status: &str, percent: u64) -> Progress {
    Progress::Layer { layer: "5f70bf18a086".to_owned(), status: status.to_owned(), bytes: Some((percent << 20, 100 << 20)) }
}
