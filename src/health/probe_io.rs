//! Probes as they are: over HTTP, TCP, in the container, and as a query to a Postgres.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;

use super::addresses::Addresses;
use super::http::{Get, HttpProbe};
use super::prober::{Asked, Outcome, Prober};
use super::tcp;
use super::words::{first_words, within};
use crate::engine::answer::Reach;
use crate::engine::request::Exec;
use crate::engine::{Engine, EngineError, ErrorKind};
use crate::host::Clock;
use crate::model::name::{ContainerId, WorkloadName};
use crate::model::observed::RunId;
use crate::model::probe::{Check, Probe};
use crate::model::time::seconds;
use crate::postgres::readiness::{self, Answer};
use crate::postgres::{PORT, Passwords};

/// How long the engine may take to say whether it answers at all.
const ENGINE_ANSWERS: Duration = Duration::from_secs(2);

/// Makes probes with the machine's network and the engine.
pub struct SystemProber {
    engine: Arc<dyn Engine>,
    clock: Arc<dyn Clock>,
    passwords: Arc<Passwords>,
    http: HttpProbe,
    addresses: Mutex<Addresses>,
}

impl std::fmt::Debug for SystemProber {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SystemProber").finish_non_exhaustive()
    }
}

#[async_trait]
impl Prober for SystemProber {
    async fn probe(&self, asked: &Asked, probe: &Probe) -> Outcome {
        match (asked, &probe.check) {
            (_, Check::Image) => Outcome::NotMade("the engine itself asks".to_owned()),
            (Asked::External { workload }, Check::Postgres) => self.postgres(workload, None, probe).await,
            (Asked::External { .. }, _) => Outcome::NotMade("only a query can be asked of an external server".to_owned()),
            (Asked::Container { run, .. }, Check::Exec(command)) => self.exec(&run.container, command, probe.timeout).await,
            (Asked::Container { workload, run }, check) => {
                let port = if *check == Check::Postgres { Some(PORT) } else { probe.port };
                match port {
                    Some(port) => self.over_network(workload, run, port, probe).await,
                    None => Outcome::NotMade("no port is known to ask".to_owned()),
                }
            }
        }
    }
}

/// What it says of a container that the engine tells no address of: one that ended gives no answer, as
/// anybody finds out who asks it. Of any other error nothing follows.
fn unreached(error: &EngineError) -> Outcome {
    if error.kind == ErrorKind::Conflict {
        Outcome::Failure("it does not run".to_owned())
    } else {
        Outcome::NotMade(error.to_string())
    }
}

impl SystemProber {
    /// A prober that reaches containers as `engine` says.
    pub fn new(engine: Arc<dyn Engine>, clock: Arc<dyn Clock>, passwords: Arc<Passwords>) -> Self {
        Self { engine, clock, passwords, http: HttpProbe::new(), addresses: Mutex::default() }
    }

    /// Asks where the port was last seen, for the engine need not be asked at every quick attempt.
    /// A success there counts only when the port is still there.
    async fn over_network(&self, workload: &WorkloadName, run: &RunId, port: u16, probe: &Probe) -> Outcome {
        let known = self.addresses().known(run, port, self.clock.moment());
        if let Some(known) = known {
            let outcome = self.at(workload, known, probe).await;
            if matches!(outcome, Outcome::Failure(_)) {
                return outcome;
            }
            match self.reach(run, port).await {
                Ok(now) if now == known => return outcome,
                Ok(_) => {}
                Err(error) => return unreached(&error),
            }
        }
        match self.reach(run, port).await {
            Ok(reach) => self.at(workload, reach, probe).await,
            Err(error) => unreached(&error),
        }
    }

    async fn at(&self, workload: &WorkloadName, reach: Reach, probe: &Probe) -> Outcome {
        match &probe.check {
            Check::Http { path, headers, status } => {
                let (Reach::Direct(address) | Reach::Published(address)) = reach;
                self.http.ask(address, Get { path, headers, status: *status }, probe.timeout).await
            }
            Check::Tcp => tcp::ask(self.clock.as_ref(), reach, probe.timeout).await,
            Check::Postgres => {
                let (Reach::Direct(address) | Reach::Published(address)) = reach;
                self.postgres(workload, Some(address), probe).await
            }
            Check::Exec(_) | Check::Image => Outcome::NotMade("this is not asked over the network".to_owned()),
        }
    }

    fn addresses(&self) -> MutexGuard<'_, Addresses> {
        self.addresses.lock().expect("no panic while addresses are held")
    }

    async fn reach(&self, run: &RunId, port: u16) -> Result<Reach, EngineError> {
        let reach = self.engine.reach(&run.container, port).await?;
        self.addresses().keep(run, port, reach, self.clock.moment());
        Ok(reach)
    }

    async fn exec(&self, container: &ContainerId, command: &[String], timeout: Duration) -> Outcome {
        let exec = Exec { command: command.to_vec(), ..Exec::default() };
        match self.engine.exec(container, &exec, timeout).await {
            Ok(output) if output.code == 0 => Outcome::Success,
            Ok(output) => {
                let said = [output.stderr, output.stdout].iter().find_map(|text| first_words(text)).unwrap_or_default();
                Outcome::Failure(format!("exec: exit code {}{said}", output.code))
            }
            Err(error) if error.kind == ErrorKind::Timeout => self.slow_command(timeout).await,
            Err(error) => Outcome::NotMade(error.to_string()),
        }
    }

    /// A command that did not end in time failed, unless it is the engine that does not answer.
    async fn slow_command(&self, timeout: Duration) -> Outcome {
        match within(self.clock.as_ref(), ENGINE_ANSWERS, self.engine.info()).await {
            Some(Ok(_)) => Outcome::Failure(format!("exec: timed out after {}", seconds(timeout))),
            _ => Outcome::NotMade("the engine does not answer".to_owned()),
        }
    }

    async fn postgres(&self, workload: &WorkloadName, address: Option<SocketAddr>, probe: &Probe) -> Outcome {
        let Some(access) = self.passwords.access(workload) else {
            return Outcome::NotMade(format!("it is not known how to get into {workload}"));
        };
        match readiness::ask(&access, address, self.clock.as_ref(), probe.timeout).await {
            Ok(Answer::Ready) => Outcome::Success,
            Ok(Answer::Refused(words)) => Outcome::Refused(format!("query: {words}")),
            Ok(Answer::Unfit(words)) => Outcome::Unfit(format!("query: {words}")),
            Ok(Answer::Silent(words)) => Outcome::Failure(format!("query: {words}")),
            Err(words) => Outcome::NotMade(words),
        }
    }
}
