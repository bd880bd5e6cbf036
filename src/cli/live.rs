//! The live file: what is saved is applied by itself; where that could hurt it waits for `witwd up`;
//! what can't be used changes nothing and is told.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::exit_code::{Exit, Failure};
use super::file::{self, surroundings};
use super::loader::{FileLoader, Saved};
use crate::config::{InvalidFile, Loaded, Problem};
use crate::host::Clock;
use crate::host::kept::Kept;
use crate::host::watch::FileWatch;
use crate::model::stack::Reload;
use crate::model::status::FileStatus;
use crate::supervisor::Handle;

/// After so long without another change a file is looked at.
const QUIET: Duration = Duration::from_millis(150);
/// A file that changes all the time is looked at this often: what is saved is applied within two seconds.
const LONGEST: Duration = Duration::from_millis(1200);
/// What can't be used is looked at again after this before it is told: it may be half-written.
const HALF_WRITTEN: Duration = Duration::from_millis(400);
/// When the engine could not be asked what a change would do.
const AGAIN: Duration = Duration::from_secs(1);

/// Follows the file of a daemon.
pub(super) struct Live {
    /// Reads it, and keeps what is accepted.
    pub loader: Arc<FileLoader>,
    /// Carries it out.
    pub handle: Handle,
    /// What a save does where the file does not say.
    pub reload: Reload,
}

/// What a look at the file left to do.
enum Next {
    /// Nothing until something changes.
    Rest,
    /// Another look after this.
    Look(Duration),
}

/// What became of a saved file.
enum Applied {
    /// It runs.
    Done,
    /// An `up` that read the file later was accepted first.
    Overtaken,
    /// Its socket can't be given away: only a person can go on, and nothing is accepted.
    Refused(Failure),
}

/// Follows until `ending` is true.
pub(super) async fn follow(live: Live, mut ending: watch::Receiver<bool>) {
    let following = async {
        let (files, changes) = FileWatch::new(live.loader.parts.clock.clone(), &live.loader.parts.place.directory);
        Following { live, files, suspect: None, trouble: None }.run(changes).await;
    };
    tokio::select! {
        biased;
        // Without a sender nobody is left to end it otherwise.
        _ = ending.wait_for(|ending| *ending) => {}
        () = following => {}
    }
}

struct Following {
    live: Live,
    files: FileWatch,
    /// What was wrong at the last look, not told yet.
    suspect: Option<Vec<Problem>>,
    /// Why the last look failed, told already.
    trouble: Option<String>,
}

impl Following {
    async fn run(mut self, mut changes: mpsc::UnboundedReceiver<()>) {
        let clock = self.live.loader.parts.clock.clone();
        self.live.loader.accepted.notified().await;
        loop {
            let next = match self.look().await {
                Ok(next) => {
                    self.trouble = None;
                    next
                }
                Err(failure) => self.again(failure).await,
            };
            let wait = async {
                match next {
                    Next::Rest => std::future::pending().await,
                    Next::Look(after) => clock.sleep(after).await,
                }
            };
            tokio::select! {
                biased;
                // Who asked is served first: what was read for him is what is there.
                () = self.live.loader.accepted.notified() => clock.sleep(QUIET).await,
                change = changes.recv() => match change {
                    Some(()) => settle(clock.as_ref(), &mut changes).await,
                    None => return,
                },
                () = wait => {}
            }
        }
    }

    /// Another look after one that failed; why is said once, and shown until one succeeds.
    async fn again(&mut self, failure: Failure) -> Next {
        if self.trouble.as_ref() != Some(&failure.message) {
            tracing::warn!("the file can't be looked at: {}", failure.message);
            let applied = file::status(&self.live.loader.parts.place, None);
            // Nobody is told by a daemon that ends.
            let _ = self.tell(FileStatus { pending: true, reasons: vec![failure.message.clone()], ..applied }).await;
        }
        self.trouble = Some(failure.message);
        Next::Look(AGAIN)
    }

    async fn look(&mut self) -> Result<Next, Failure> {
        let Some(kept) = self.live.loader.kept() else { return Ok(Next::Rest) };
        let request = surroundings(&kept, self.live.loader.parts.place.file.clone());
        let loading = tokio::task::spawn_blocking(move || file::load(&request)).await;
        match loading.map_err(|error| Failure::of(Exit::Failed, "failed to read the file", &error))? {
            Ok(loaded) => {
                self.suspect = None;
                self.files.watch(&loaded.files);
                self.valid(&kept, loaded).await
            }
            Err(invalid) => {
                let known: BTreeSet<_> = invalid.files.iter().cloned().chain([invalid.file.clone()]).collect();
                self.files.watch(&known);
                self.invalid(invalid).await
            }
        }
    }

    async fn invalid(&mut self, invalid: InvalidFile) -> Result<Next, Failure> {
        if is_told(&mut self.suspect, &invalid.problems) {
            self.tell(file::status(&self.live.loader.parts.place, Some(&invalid))).await?;
            return Ok(Next::Rest);
        }
        Ok(Next::Look(HALF_WRITTEN))
    }

    async fn valid(&self, kept: &Kept, loaded: Loaded) -> Result<Next, Failure> {
        let applied = file::status(&self.live.loader.parts.place, None);
        if loaded.snapshot == kept.snapshot {
            self.tell(applied).await?;
            return Ok(Next::Rest);
        }
        let known = self.live.handle.known().await.map_err(|closed| Failure::of(Exit::Failed, "failed to ask", &closed))?;
        let Some(known) = known else { return Ok(Next::Rest) };
        let saved = match self.live.loader.saved(known).await {
            Ok(saved) => saved,
            Err(failure) => {
                // Not this directory's to run, or renamed while it runs: only a person can go on. Else what it
                // would do can't be known now: the engine does not answer.
                let next = if matches!(failure.exit, Exit::Refused | Exit::Held) { Next::Rest } else { Next::Look(AGAIN) };
                self.tell(FileStatus { pending: true, reasons: vec![failure.message], ..applied }).await?;
                return Ok(next);
            }
        };
        let reload = loaded.stack.daemon().reload.unwrap_or(self.live.reload);
        let mut reasons = saved.preview.held.clone();
        if reasons.is_empty() && reload == Reload::Up && saved.preview.changes {
            reasons.push("this daemon applies a saved file only when asked".to_owned());
        }
        if reasons.is_empty() {
            match self.apply(saved).await? {
                Applied::Done => {}
                // What was read is older than what runs.
                Applied::Overtaken => return Ok(Next::Look(Duration::ZERO)),
                Applied::Refused(failure) => reasons.push(failure.message),
            }
        }
        if !reasons.is_empty() {
            self.tell(FileStatus { pending: true, reasons, ..applied }).await?;
        }
        Ok(Next::Rest)
    }

    /// Has a saved file carried out.
    async fn apply(&self, saved: Saved) -> Result<Applied, Failure> {
        let door = match self.live.loader.door_of(&saved) {
            Ok(door) => door,
            Err(failure) => return Ok(Applied::Refused(failure)),
        };
        let Some(up) = self.live.loader.take_saved(saved, door.as_ref())? else { return Ok(Applied::Overtaken) };
        self.live.handle.up(up).await.map_err(|closed| Failure::of(Exit::Failed, "failed to apply the file", &closed))?;
        Ok(Applied::Done)
    }

    async fn tell(&self, file: FileStatus) -> Result<(), Failure> {
        self.live.handle.file(file).await.map_err(|closed| Failure::of(Exit::Failed, "failed to tell of the file", &closed))
    }
}

/// Whether these problems are told: those that the look before showed too. Of a file that is half written
/// nobody is told.
fn is_told(suspect: &mut Option<Vec<Problem>>, problems: &[Problem]) -> bool {
    let is_told = suspect.as_deref() == Some(problems);
    *suspect = Some(problems.to_vec());
    is_told
}

/// Waits until saves are over, or for the longest.
async fn settle(clock: &dyn Clock, changes: &mut mpsc::UnboundedReceiver<()>) {
    let begun = clock.moment();
    while clock.moment().since(begun) < LONGEST {
        tokio::select! {
            biased;
            change = changes.recv() => if change.is_none() { return },
            () = clock.sleep(QUIET) => return,
        }
    }
}

#[cfg(test)]
mod tests;
