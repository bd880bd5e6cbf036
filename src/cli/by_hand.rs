//! What `restart`, `stop`, `start` and `scale` have in common: names that are checked, a daemon that
//! is asked, and the wait until it is done.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::Args;

use super::Done;
use super::context::Context;
use super::exit_code::{Exit, Failure};
use super::follow::{Follower, Waited};
use super::loader::no_such;
use super::progress::Progress;
use super::ps::is_unread;
use super::up::not_ready;
use crate::control::protocol::Request;
use crate::control::{Client, ConnectError, Outcome, waits_for_another};
use crate::model::status::{ItemStatus, Status};
use crate::model::wish::{Chosen, Wish, is_about};

/// How long a verb waits.
#[derive(Debug, Args)]
pub struct Patience {
    /// How long to wait until it is done
    #[arg(long, default_value = "5m", value_parser = humantime::parse_duration, value_name = "TIME")]
    timeout: Duration,
}

/// How long a daemon that only just began may take to read its file.
const TO_READ: Duration = Duration::from_secs(5);
const BETWEEN: Duration = Duration::from_millis(50);

/// A daemon that can be asked, and what it knows.
pub(super) struct Asked<'a> {
    context: &'a Context,
    client: Client,
    status: Status,
}

impl<'a> Asked<'a> {
    /// The daemon of the stack. Without one nothing is asked: to hold a part of a stack that nobody
    /// keeps would start or stop more than was named.
    pub(super) async fn daemon(context: &'a Context) -> Result<Self, Failure> {
        let client = context.daemon(&context.place()?).await?.ok_or(ConnectError::NoDaemon)?;
        let begun = context.clock.moment();
        loop {
            let status = client.status().await?;
            if !is_unread(&status) {
                return Ok(Self { context, client, status });
            }
            if context.clock.moment().since(begun) > TO_READ {
                let words = format!("the daemon (process {}) runs nothing yet", client.hello().pid);
                return Err(Failure::new(Exit::Failed, words).hint("`witwd up -d` starts the stack"));
            }
            context.clock.sleep(BETWEEN).await;
        }
    }

    /// What these words name.
    pub(super) fn chosen(&self, words: &[String]) -> Result<BTreeSet<Chosen>, Failure> {
        words.iter().map(|word| chosen(&self.status, word)).collect()
    }

    /// Asks, waits until it is done, and says so.
    pub(super) async fn carry_out(self, wish: Wish, patience: &Patience, done: &str) -> Done {
        let (context, about) = (self.context, wish.chosen());
        let lines = self.client.lines(&Request::Hand(wish)).await?;
        let mut progress = Progress::beside_document(context.output);
        let follower = Follower::about(lines, about.clone());
        let waited = follower.until_settled(&mut progress, context.clock.as_ref(), patience.timeout).await;
        progress.finish();
        let (status, exit) = match waited? {
            Waited::Settled(Outcome::Ready, status) if context.output.json => {
                context.output.document(&status)?;
                return Ok(Exit::Done);
            }
            Waited::Settled(Outcome::Ready, _) => {
                context.output.note(done);
                return Ok(Exit::Done);
            }
            Waited::Settled(_, status) => (status, Exit::Failed),
            Waited::TimedOut(Some(status)) => (status, Exit::TimedOut),
            Waited::TimedOut(None) => return Err(did_not_look(Exit::TimedOut)),
            Waited::Ended => return Err(ended(Exit::Failed)),
        };
        Err(not_ready(context, &only(*status, &about), exit).await)
    }
}

/// What a word names of the stack that the daemon keeps.
pub(super) fn chosen(status: &Status, word: &str) -> Result<Chosen, Failure> {
    let found = word.parse::<Chosen>().ok();
    let is_there = |chosen: &Chosen| status.items.iter().any(|item| item.name == chosen.name.as_str());
    found.filter(is_there).ok_or_else(|| {
        let mut names: Vec<&str> = status.items.iter().map(|item| item.name.as_str()).collect();
        names.dedup();
        no_such(&status.stack, word, &names)
    })
}

/// What a status says of those that were named; of all where they wait for another.
pub(super) fn only(mut status: Status, about: &BTreeSet<Chosen>) -> Status {
    let is_own = |item: &ItemStatus| is_about(about, &item.name, item.replica);
    if !status.items.iter().any(|item| is_own(item) && waits_for_another(item)) {
        status.items.retain(is_own);
    }
    status
}

/// Names as a list for people.
pub(super) fn list<'n>(names: impl IntoIterator<Item = &'n Chosen>) -> String {
    names.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The same as words of a command.
pub(super) fn words<'n>(names: impl IntoIterator<Item = &'n Chosen>) -> String {
    list(names).replace(',', "")
}

/// A daemon in whose time the engine said nothing.
pub(super) fn did_not_look(exit: Exit) -> Failure {
    Failure::new(exit, "the daemon did not look at the engine in time").hint("`witwd doctor` looks for the reason")
}

/// A daemon that ended with a wish unfulfilled.
pub(super) fn ended(exit: Exit) -> Failure {
    Failure::new(exit, "the daemon ended before it was done").hint("`witwd logs witwd` shows why")
}

/// A verb that was told no name.
pub(super) fn nameless(verb: &str, hint: &str) -> Failure {
    Failure::new(Exit::Usage, format!("`witwd {verb}` needs a NAME")).hint(hint)
}
