//! `doctor`: what is wrong with this machine for this stack, and what to do.

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::Done;
use super::context::Context;
use super::exit_code::{Exit, Failure};
use super::paint::{Ink, paint};
use super::place::Place;
use crate::engine::answer::EngineInfo;
use crate::engine::request::Scope;
use crate::host::listeners;
use crate::host::lock::holder;
use crate::host::runtime::{Runtime, Surroundings};
use crate::model::container::{Protocol, PublishedPort};
use crate::model::name::{InstanceId, StackName};
use crate::model::observed::{Observed, Owner};
use crate::model::stack::Stack;

/// Below this many free bytes nothing can be pulled or dumped.
const LITTLE: u64 = 1 << 30;
/// Below this many it is soon so.
const SOME: u64 = 5 << 30;
/// No machine that runs this is older: 2026-01-01.
const NOT_BEFORE: i64 = 1_767_225_600;
/// Engines before this one let neighbours on the same network reach ports published to 127.0.0.1.
const KEEPS_LOCAL: u32 = 28;

/// Flags of `doctor`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  witwd doctor || echo 'something must be mended first'")]
pub struct DoctorArgs {}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, but.
    Warning,
    /// The stack can't run like this.
    Critical,
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    check: &'static str,
    level: Level,
    message: String,
    hint: Option<String>,
}

impl Finding {
    pub(super) fn new(check: &'static str, level: Level, message: impl Into<String>, hint: &str) -> Self {
        let hint = (level != Level::Ok && !hint.is_empty()).then(|| hint.to_owned());
        Self { check, level, message: message.into(), hint }
    }
}

pub(super) async fn run(context: &Context, _: DoctorArgs) -> Done {
    let place = context.place()?;
    let mut findings = vec![clock(context.clock.wall()), permissions(&place)];
    findings.extend(runtime_directory());
    findings.push(daemon(&place));
    let loaded = context.look(&place);
    findings.push(file(&place, loaded.as_ref().err()));
    let stack = loaded.ok().map(|loaded| loaded.stack);
    findings.extend(disk("disk of the stack", &place.directory));
    if let Some(stack) = &stack {
        let is_kept = holder(&place.state).is_some();
        findings.extend(super::backup::health::findings(stack, context.clock.wall(), is_kept));
    }
    findings.extend(engine(context, &place, stack.as_ref()).await);
    report(context, &findings)
}

fn report(context: &Context, findings: &[Finding]) -> Done {
    let is_critical = findings.iter().any(|finding| finding.level == Level::Critical);
    if context.output.json {
        context.output.document(&serde_json::json!({ "v": 1, "items": findings }))?;
    } else {
        context.output.data(&text(findings, context.output.color()))?;
    }
    Ok(if is_critical { Exit::Failed } else { Exit::Done })
}

/// A line for each finding, and one for what to do about it.
pub(super) fn text(findings: &[Finding], color: bool) -> String {
    let width = findings.iter().map(|finding| finding.check.len()).max().unwrap_or(0);
    let mut text = String::new();
    for finding in findings {
        let (word, ink) = match finding.level {
            Level::Ok => ("ok      ", Ink::Green),
            Level::Warning => ("warning ", Ink::Yellow),
            Level::Critical => ("critical", Ink::Red),
        };
        let _ = writeln!(text, "{}  {:width$}  {}", paint(color, ink, word), finding.check, finding.message);
        if let Some(hint) = &finding.hint {
            let _ = writeln!(text, "          {:width$}  {}", "", paint(color, Ink::Dim, hint));
        }
    }
    text
}

pub(super) fn clock(now: Timestamp) -> Finding {
    let level = if now.as_second() < NOT_BEFORE { Level::Critical } else { Level::Ok };
    let time = now.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    Finding::new("clock", level, time, "it is set wrong; schedules and certificates depend on it: `timedatectl set-ntp true`")
}

pub(super) fn permissions(place: &Place) -> Finding {
    let writable = |path: &Path| rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok();
    let wanted = if place.state.exists() { &place.state } else { &place.directory };
    let (level, word) = if writable(wanted) { (Level::Ok, "can be written") } else { (Level::Critical, "can't be written") };
    Finding::new(
        "permissions",
        level,
        format!("{} {word}", wanted.display()),
        "give it to the user who runs witwd: `sudo chown -R $USER .witwd`",
    )
}

fn runtime_directory() -> Option<Finding> {
    let error = Runtime::open(&Surroundings::of_process()).err()?;
    Some(Finding::new("runtime", Level::Critical, super::exit_code::chain(&error), "WITWD_RUNTIME_DIR names another directory"))
}

fn daemon(place: &Place) -> Finding {
    match holder(&place.state) {
        Some(holder) => Finding::new("daemon", Level::Ok, format!("process {} since {}", holder.pid, holder.since), ""),
        None => Finding::new("daemon", Level::Ok, "none runs", ""),
    }
}

fn file(place: &Place, failure: Option<&Failure>) -> Finding {
    match failure {
        None => Finding::new("file", Level::Ok, format!("{} is valid", place.file.display()), ""),
        Some(failure) => Finding::new("file", Level::Critical, failure.message.clone(), "`witwd check` shows what is wrong"),
    }
}

fn disk(check: &'static str, path: &Path) -> Option<Finding> {
    let facts = rustix::fs::statvfs(path).ok()?;
    Some(disk_finding(check, facts.f_bavail.saturating_mul(facts.f_frsize)))
}

pub(super) fn disk_finding(check: &'static str, free: u64) -> Finding {
    let level = match free {
        ..LITTLE => Level::Critical,
        LITTLE..SOME => Level::Warning,
        _ => Level::Ok,
    };
    Finding::new(
        check,
        level,
        format!("{} free", bytesize::ByteSize(free)),
        "make room: `docker system df` shows what the engine holds",
    )
}

async fn engine(context: &Context, place: &Place, stack: Option<&Stack>) -> Vec<Finding> {
    let engine = match context.engine().await {
        Ok(engine) => engine,
        Err(failure) => {
            return vec![Finding::new("engine", Level::Critical, failure.message, failure.hint.as_deref().unwrap_or_default())];
        }
    };
    let mut findings = match engine.info().await {
        Ok(info) => engine_findings(&info),
        Err(error) => vec![Finding::new("engine", Level::Critical, error.to_string(), "`journalctl -u docker -n 50` shows why")],
    };
    if let (Some(stack), Ok(instance)) = (stack, place.instance()) {
        let scope = Scope::of(stack.name());
        match engine.observe(&scope).await {
            Ok(observed) => findings.extend(observed_findings(stack, &instance, &observed)),
            Err(error) => findings.push(Finding::new("engine", Level::Critical, error.to_string(), "")),
        }
    }
    findings
}

fn engine_findings(info: &EngineInfo) -> Vec<Finding> {
    let mut findings = vec![version(info)];
    if let Some(root) = &info.data_root {
        findings.extend(disk("disk of the engine", root));
    }
    findings
}

pub(super) fn version(info: &EngineInfo) -> Finding {
    let text = format!("{} (API {}.{}), {}", info.version, info.api.0, info.api.1, info.description);
    let major: Option<u32> = info.version.split('.').next().and_then(|major| major.parse().ok());
    if info.api < (1, 41) {
        return Finding::new("engine", Level::Critical, text, "witwd needs API 1.41: Docker 20.10, Podman 4 or newer");
    }
    let level = if major.is_some_and(|major| major >= KEEPS_LOCAL) || info.description.contains("Podman") {
        Level::Ok
    } else {
        Level::Warning
    };
    Finding::new("engine", level, text, "before Docker 28, neighbours on the same network can reach ports published to 127.0.0.1")
}

/// Whether the name and the ports of the stack are free, or ours.
fn observed_findings(stack: &Stack, instance: &InstanceId, observed: &Observed) -> Vec<Finding> {
    let mut findings: Vec<Finding> = name_taken(stack.name(), instance, observed).into_iter().collect();
    let wanted: Vec<&PublishedPort> = stack.in_order().flat_map(|workload| &workload.container.ports).collect();
    let taken: Vec<Finding> = wanted.iter().filter_map(|port| port_taken(stack.name(), instance, observed, port)).collect();
    if taken.is_empty() && !wanted.is_empty() {
        findings.push(Finding::new("ports", Level::Ok, "free, or held by this stack", ""));
    }
    findings.extend(taken);
    findings
}

pub(super) fn name_taken(stack: &StackName, instance: &InstanceId, observed: &Observed) -> Option<Finding> {
    let other = observed.containers.iter().find_map(|container| match container.owner(stack, instance) {
        Owner::OtherInstance { directory } => Some(directory),
        _ => None,
    })?;
    Some(Finding::new(
        "name",
        Level::Critical,
        format!("a stack named {stack} belongs to {other}"),
        "`witwd down` there, or `witwd --name NAME up` here",
    ))
}

pub(super) fn port_taken(stack: &StackName, instance: &InstanceId, observed: &Observed, port: &PublishedPort) -> Option<Finding> {
    let number = port.host?;
    let address = SocketAddr::new(port.address, number);
    let container = observed.containers.iter().find(|container| container.publishes(address, Some(port.protocol)));
    let who = match container {
        Some(container) if container.owner(stack, instance) == Owner::Ours => return None,
        Some(container) => format!("container {}", container.name),
        None if port.protocol == Protocol::Tcp && is_bound(address) => listeners::describe(address),
        None => return None,
    };
    let message = format!("{address}/{} is taken by {who}", port.protocol.as_str());
    Some(Finding::new("ports", Level::Critical, message, "end that, or publish another port in stack.toml"))
}

fn is_bound(address: SocketAddr) -> bool {
    TcpListener::bind(address).is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse)
}
