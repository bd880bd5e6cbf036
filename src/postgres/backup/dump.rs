//! One program of the image whose output becomes a file: `pg_dump` of a database, `pg_dumpall` of the globals.

use std::path::PathBuf;
use std::time::Duration;

use futures_util::StreamExt as _;

use super::Sets;
use super::error::BackupError;
use super::helper::{Helper, client_environment};
use super::pipeline::{MAGIC, Sums, Writing};
use super::progress::Meter;
use super::take::Order;
use crate::engine::Joined;
use crate::engine::request::Streams;
use crate::model::name::ContainerId;
use crate::model::workload::KindName;
use crate::postgres::connect::within;

/// A dump that brings nothing for so long hangs.
const SILENCE: Duration = Duration::from_secs(300);
/// How long a dump may take at most.
const LIMIT: Duration = Duration::from_secs(6 * 3600);
/// How long a dump waits for a table that somebody changes.
const LOCK_WAIT: &str = "--lock-wait-timeout=30000";
/// How much of what a program says of a failure is kept.
const LAST_WORDS: usize = 2000;

/// A program whose output is kept.
pub(super) struct Program<'a> {
    pub words: Vec<String>,
    /// The database that it is told to connect to.
    pub database: &'a str,
    /// The file that it becomes.
    pub path: PathBuf,
    /// Whether its output is an archive; else text.
    pub is_archive: bool,
}

impl<'a> Program<'a> {
    /// Dumps a database as it is in an exported snapshot.
    pub fn of_database(database: &'a str, snapshot: &str, path: PathBuf) -> Self {
        let snapshot = format!("--snapshot={snapshot}");
        let words = ["pg_dump", "--format=custom", "--compress=0", "--no-password", LOCK_WAIT, &snapshot];
        Self { words: words.map(str::to_owned).to_vec(), database, path, is_archive: true }
    }

    /// Dumps roles, their memberships and settings, and tablespaces.
    pub fn of_globals(path: PathBuf) -> Self {
        let words = ["pg_dumpall", "--globals-only", "--no-password", LOCK_WAIT];
        Self { words: words.map(str::to_owned).to_vec(), database: "postgres", path, is_archive: false }
    }
}

impl Sets {
    /// Runs a program in a container of its own and keeps what it writes in a new file. Only a program that
    /// ended well, and all of whose output was read, leaves one that counts (L0).
    pub(super) async fn dump(&self, order: &Order<'_>, program: &Program<'_>, meter: Meter<'_>) -> Result<Sums, BackupError> {
        let (directory, mount) = self.password_mount(order)?;
        // What the engine wrote there may be root's, in a directory that is ours.
        let _directory = Removed(directory);
        let helper = Helper {
            kind: KindName::Dump,
            entrypoint: Some(vec![program.words[0].clone()]),
            command: program.words[1..].to_vec(),
            env: client_environment(order, program.database),
            mounts: vec![mount],
            on_network: true,
            streams: Streams::Attached,
            has_log: false,
        };
        let container = self.make(order, helper).await?;
        let kept = self.run(order, &container, program, meter).await;
        self.end(&container).await;
        kept
    }

    async fn run(
        &self,
        order: &Order<'_>,
        container: &ContainerId,
        program: &Program<'_>,
        mut meter: Meter<'_>,
    ) -> Result<Sums, BackupError> {
        self.put_password(order, container).await?;
        let joined = self.engine.join_container(container).await.map_err(|error| BackupError::Engine("join a dump", error))?;
        self.engine.start(container).await.map_err(|error| BackupError::Engine("start a dump", error))?;
        let writing = Writing::begin(&program.path).map_err(|error| BackupError::file("write", &program.path, error))?;
        let keeping = within(self.clock.as_ref(), LIMIT, self.keep(joined, program, &writing, &mut meter));
        let late = || Err(BackupError::Slow { what: program.words[0].clone(), limit: LIMIT, silent: false });
        let kept = tokio::select! {
            biased;
            kept = keeping => kept.unwrap_or_else(late),
            ended = self.server_ends(order) => Err(ended),
        };
        let sums = writing.finish().await.map_err(|error| BackupError::file("write", &program.path, error));
        // A disk that is full ends the program too: the disk's own words say why.
        let sums = sums?;
        kept?;
        Ok(sums)
    }

    /// Waits until the server's container ends. Its network goes with it: a dump that much was on its way to may never
    /// hear of that.
    async fn server_ends(&self, order: &Order<'_>) -> BackupError {
        if self.engine.wait(&order.container).await.is_err() {
            // That nobody could tell is no end.
            std::future::pending::<()>().await;
        }
        BackupError::Unavailable(order.workload.name.clone(), "its container ended".to_owned())
    }

    /// Reads what the program writes to its end, and how it ended.
    async fn keep(
        &self,
        joined: Joined,
        program: &Program<'_>,
        writing: &Writing,
        meter: &mut Meter<'_>,
    ) -> Result<(), BackupError> {
        let name = &program.words[0];
        let Joined { input, mut output, exit_code } = joined;
        let (mut begun, mut said) = (Vec::new(), Vec::new());
        // It reads nothing; the input stays open as long as we listen.
        let _input = input;
        while writing.is_open() {
            let next = within(self.clock.as_ref(), SILENCE, output.next()).await;
            let next = next.ok_or_else(|| BackupError::Slow { what: name.clone(), limit: SILENCE, silent: true })?;
            let Some(piece) = next else { break };
            let (is_error, bytes) = piece.map_err(|error| BackupError::Cut(name.clone(), error))?;
            if is_error {
                keep_last(&mut said, &bytes);
                continue;
            }
            if begun.len() < MAGIC.len() {
                begun.extend_from_slice(&bytes[..bytes.len().min(MAGIC.len() - begun.len())]);
            }
            meter.add(bytes.len());
            writing.put(bytes).await;
        }
        if !writing.is_open() {
            return Ok(());
        }
        let code = exit_code.await.map_err(|error| BackupError::Cut(name.clone(), error))?;
        ended_well(name, code, &said)?;
        begins_well(program, &begun)
    }
}

/// A directory that goes with whoever needs it, also where that is given up.
pub(super) struct Removed(pub(super) PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Whether a program ended as one does that did all it was to do.
pub(super) fn ended_well(program: &str, code: i64, said: &[u8]) -> Result<(), BackupError> {
    if code == 0 {
        return Ok(());
    }
    let words = String::from_utf8_lossy(said).split_whitespace().collect::<Vec<_>>().join(" ");
    Err(BackupError::Program { program: program.to_owned(), code, words })
}

/// Whether what came begins as what was asked for.
fn begins_well(program: &Program<'_>, begun: &[u8]) -> Result<(), BackupError> {
    let words = match (begun.is_empty(), program.is_archive && begun != MAGIC) {
        (true, _) => "it brought nothing",
        (_, true) => "what it brought is no archive",
        _ => return Ok(()),
    };
    Err(BackupError::Damaged { file: program.words[0].clone(), words: words.to_owned() })
}

/// Keeps the end of what a program says.
pub(super) fn keep_last(said: &mut Vec<u8>, more: &[u8]) {
    said.extend_from_slice(more);
    let surplus = said.len().saturating_sub(LAST_WORDS);
    said.drain(..surplus);
}
