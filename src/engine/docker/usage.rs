//! What a container uses just now.

use bollard::models::{ContainerMemoryStats, ContainerStatsResponse};
use bollard::query_parameters::StatsOptions;
use futures_util::StreamExt;

use super::{Call, DockerEngine, QUICK};
use crate::engine::EngineError;
use crate::model::name::ContainerId;

/// What a container has used of the processors, and uses of the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Time on processors since it was started, in nanoseconds.
    pub cpu: u64,
    /// Memory in bytes, without what the kernel can give back at once.
    pub memory: u64,
}

/// One look; `None` where it does not run, or the engine does not say.
pub(super) async fn look(engine: &DockerEngine, container: &ContainerId) -> Result<Option<Usage>, EngineError> {
    let options = StatsOptions { stream: false, one_shot: true };
    let asked = engine.call(Call::on("ask for the usage of", container), QUICK, |docker| async move {
        docker.stats(&container.0, Some(options)).next().await.transpose()
    });
    Ok(asked.await?.and_then(|stats| usage(&stats)))
}

fn usage(stats: &ContainerStatsResponse) -> Option<Usage> {
    let cpu = stats.cpu_stats.as_ref()?.cpu_usage.as_ref()?.total_usage?;
    let memory = memory(stats.memory_stats.as_ref()?)?;
    Some(Usage { cpu, memory })
}

/// The file cache that nobody uses is named differently by the two versions of control groups.
fn memory(stats: &ContainerMemoryStats) -> Option<u64> {
    let of = |name: &str| stats.stats.as_ref().and_then(|stats| stats.get(name)).copied();
    let idle = of("total_inactive_file").or_else(|| of("inactive_file")).unwrap_or(0);
    Some(stats.usage?.saturating_sub(idle))
}
