//! What the engine is: asked once, and again after it went away.

use std::path::PathBuf;

use jiff::Timestamp;

use super::{Call, DockerEngine, QUICK};
use crate::engine::EngineError;
use crate::engine::answer::EngineInfo;

/// What does not change while the engine runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    pub info: EngineInfo,
    /// Log drivers, by name.
    pub log_drivers: Vec<String>,
}

/// What it is; also the question whether it answers: never from memory.
pub(super) async fn info(engine: &DockerEngine) -> Result<EngineInfo, EngineError> {
    let (facts, _) = ask(engine).await?;
    let info = facts.info.clone();
    *engine.inner.facts.lock().await = Some(facts);
    Ok(info)
}

/// What it is, from memory where it was asked before.
pub(super) async fn known(engine: &DockerEngine) -> Result<Facts, EngineError> {
    let mut known = engine.inner.facts.lock().await;
    if let Some(facts) = &*known {
        return Ok(facts.clone());
    }
    let (facts, _) = ask(engine).await?;
    *known = Some(facts.clone());
    Ok(facts)
}

/// What time it is for the engine, which stamps its events.
pub(super) async fn engine_time(engine: &DockerEngine) -> Result<Option<Timestamp>, EngineError> {
    let (facts, time) = ask(engine).await?;
    *engine.inner.facts.lock().await = Some(facts);
    Ok(time)
}

async fn ask(engine: &DockerEngine) -> Result<(Facts, Option<Timestamp>), EngineError> {
    let what = || Call::new("ask", "the engine");
    let (version, system) = tokio::join!(
        engine.call(what(), QUICK, |docker| async move { docker.version().await }),
        engine.call(what(), QUICK, |docker| async move { docker.info().await }),
    );
    let (version, system) = (version?, system?);
    let os = system.operating_system.unwrap_or_default();
    let rootless = system.security_options.iter().flatten().any(|option| option.contains("rootless"));
    let linux = system.os_type.as_deref() == Some("linux") && cfg!(target_os = "linux");
    let direct = linux && !rootless && !os.contains("Docker Desktop");
    let mut parts = version.components.iter().flatten();
    let podman = if parts.any(|part| part.name.contains("Podman")) { "Podman on " } else { "" };
    let time = system.system_time.as_deref().and_then(|text| text.parse().ok());
    let info = EngineInfo {
        version: version.version.unwrap_or_default(),
        api: parse_api(&version.api_version.unwrap_or_default()).unwrap_or_default(),
        description: format!("{podman}{os}{}, {}", if rootless { " (rootless)" } else { "" }, system.name.unwrap_or_default()),
        data_root: system.docker_root_dir.map(PathBuf::from),
        direct,
    };
    let log_drivers = system.plugins.and_then(|plugins| plugins.log).unwrap_or_default();
    Ok((Facts { info, log_drivers }, time))
}

/// `1.41` as `(1, 41)`.
pub(super) fn parse_api(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
