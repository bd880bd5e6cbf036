//! What is said over the control socket: HTTP/1.1, JSON bodies, streams of one JSON object a line.
//! Fields and lines are added, never renamed; what a side does not know it leaves out of account.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::backup::{Errand, WorkDone};
use crate::model::status::{EngineStatus, EventRecord, Status};
use crate::model::wish::Wish;

/// The version of this protocol; another one is another language.
pub const VERSION: u32 = 1;

/// What to do about a request that makes no sense.
const HINT: &str =
    concat!("say it with the command line of witwd ", env!("CARGO_PKG_VERSION"), ", which speaks the language of this daemon");

/// Who answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Version of the protocol.
    pub v: u32,
    /// Version of witwd.
    pub version: String,
    /// The daemon's process.
    pub pid: u32,
    /// Since when.
    pub since: Timestamp,
    /// The directory of the stack.
    pub directory: PathBuf,
    /// How its last look at the engine ended: down also while there was none, nothing where the first one after a
    /// request is not over.
    #[serde(default)]
    pub engine: Option<EngineStatus>,
}

/// A verb of the daemon.
#[derive(Debug, Clone)]
pub enum Request {
    /// Who are you?
    Hello,
    /// The document of `ps`.
    Status,
    /// Run the stack as its file says now; answered with [`Line`]s until the caller hangs up.
    Up(Box<Up>),
    /// What that would do: answered with the document of `plan`; changes nothing.
    Plan(Box<Up>),
    /// Stop and remove everything; answered with [`Line`]s until the daemon ends.
    Down(Down),
    /// Restart, stop, start or scale some of it; answered with [`Line`]s until the caller hangs up.
    Hand(Wish),
    /// Take a set of a postgres, or look at one again; answered with [`Line`]s, the last of which tells what came of it.
    Errand(Errand),
    /// What happens from now on, as [`Line`]s.
    Watch,
    /// The last events, and with `follow` what comes; as [`Line`]s.
    Events {
        /// Stay.
        follow: bool,
    },
    /// End the daemon; the stack stays as it is.
    End,
}

impl Request {
    /// Method and path.
    pub fn route(&self) -> (&'static str, &'static str) {
        match self {
            Self::Hello => ("GET", "/v1/hello"),
            Self::Status => ("GET", "/v1/status"),
            Self::Up(_) => ("POST", "/v1/up"),
            Self::Plan(_) => ("POST", "/v1/plan"),
            Self::Down(_) => ("POST", "/v1/down"),
            Self::Hand(_) => ("POST", "/v1/hand"),
            Self::Errand(_) => ("POST", "/v1/errand"),
            Self::Watch => ("GET", "/v1/watch"),
            Self::Events { follow: false } => ("GET", "/v1/events"),
            Self::Events { follow: true } => ("GET", "/v1/events/follow"),
            Self::End => ("POST", "/v1/end"),
        }
    }

    /// The body.
    pub fn body(&self) -> Vec<u8> {
        let body = match self {
            Self::Up(up) | Self::Plan(up) => serde_json::to_vec(up),
            Self::Down(down) => serde_json::to_vec(down),
            Self::Hand(wish) => serde_json::to_vec(wish),
            Self::Errand(errand) => serde_json::to_vec(errand),
            _ => return Vec::new(),
        };
        // Maps with text keys and plain values: there is nothing in them that JSON can't say.
        body.unwrap_or_default()
    }
}

/// Run the stack as its file says now, under these surroundings.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Up {
    /// The variables that the stack mentions, of the caller's environment. May be secret.
    pub environment: BTreeMap<String, String>,
    /// `--env-file`, absolute.
    pub env_files: Vec<PathBuf>,
    /// `--profile`.
    pub profiles: Vec<String>,
    /// `--name`.
    pub name: Option<String>,
    /// Only these and what they need; empty: all.
    pub only: Vec<String>,
    /// Build images again.
    pub build: bool,
    /// Pull images again.
    pub pull: bool,
    /// Postgres servers that may begin with an empty volume although older data lies unused.
    pub fresh: Vec<String>,
}

impl std::fmt::Debug for Up {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&String> = self.environment.keys().collect();
        formatter
            .debug_struct("Up")
            .field("environment", &names)
            .field("profiles", &self.profiles)
            .field("only", &self.only)
            .finish_non_exhaustive()
    }
}

/// Stop and remove everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Down {
    /// These volumes too, by their engine names: the user saw them named and said yes.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub volumes: BTreeSet<String>,
}

/// A line of a stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Line {
    /// The request is accepted; statuses of this generation or a later one speak of it.
    Accepted {
        /// The request's generation.
        generation: u64,
        /// What is allowed in the file but worth a word.
        warnings: Vec<String>,
    },
    /// Something happened.
    Event(EventRecord),
    /// How things are now.
    Status {
        /// The last request that it knows of.
        generation: u64,
        /// Whether the engine was looked at since that request.
        looked: bool,
        /// The document of `ps`.
        status: Box<Status>,
    },
    /// An errand is over; nothing more will come.
    Errand {
        /// What came of it; `None`: it failed.
        done: Option<Box<WorkDone>>,
        /// Why it failed.
        fault: Option<Fault>,
        /// The word that programs know the failure by.
        reason: Option<String>,
    },
    /// This reader was too slow for so many events.
    Missed {
        /// How many.
        count: u64,
    },
    /// Nothing happened for a while. By this a daemon finds out who is gone.
    Alive,
    /// The daemon ends; nothing more will come.
    Ended {
        /// The generation of the `down` that is carried out; 0 where it ends for another reason.
        #[serde(default)]
        down: u64,
    },
    /// A line of a newer daemon.
    #[serde(other)]
    Unknown,
}

/// A request that was not carried out, in the words of `--json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// What kind: the words of `cli::exit_code`.
    pub code: String,
    /// What went wrong, the whole chain.
    pub message: String,
    /// What to do.
    #[serde(default)]
    pub hint: Option<String>,
    /// Of an invalid file: every problem, as `check --json` says it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<serde_json::Value>,
    /// Of an invalid file: the problems with their place in the text, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub snippets: Vec<String>,
}

impl Fault {
    /// A fault of this kind.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), hint: None, errors: Vec::new(), snippets: Vec::new() }
    }

    /// A request that is none of this protocol.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { hint: Some(HINT.to_owned()), ..Self::new("usage", message) }
    }
}

/// A failed answer's body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failed {
    /// What went wrong.
    pub error: Fault,
}
