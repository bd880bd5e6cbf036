//! Whether a set is what was written (L1) and can be read whole (L2).

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::io::AsyncWriteExt as _;

use super::Sets;
use super::dump::{ended_well, keep_last};
use super::error::BackupError;
use super::helper::Helper;
use super::listing::Listing;
use super::manifest::{Database, Manifest, Stored};
use super::pipeline::{self, Reading};
use super::progress::Meter;
use super::take::Order;
use crate::engine::Joined;
use crate::engine::request::Exec;
use crate::model::name::ContainerId;
use crate::postgres::connect::within;

/// How long the reading of a set may take whatever its dump took.
const AT_LEAST: Duration = Duration::from_secs(60);
/// How long it may take beyond what its dump took (`postgres-facts.md`, 4.4).
const TIMES: u32 = 10;
/// How much is read in a second at the least: the wall clock may have been set during the dump.
const SLOWEST: u64 = 2 << 20;
/// How long a program that reads nothing more is waited for.
const SILENCE: Duration = Duration::from_secs(300);

/// Whether a file is what was written: its sum, and the sum of what it holds (L1).
pub async fn stored(set: &Path, stored: &Stored) -> Result<(), BackupError> {
    let damaged = |words: String| BackupError::Damaged { file: stored.file.clone(), words };
    let sums = match pipeline::sums(&set.join(&stored.file)).await {
        Ok(sums) => sums,
        Err(error) if is_damage(&error) => return Err(damaged(format!("it can't be decompressed: {error}"))),
        Err(error) => return Err(BackupError::file("read", &set.join(&stored.file), error)),
    };
    sums.difference(stored).map_or(Ok(()), |words| Err(damaged(words)))
}

/// Whether an error is of the bytes and not of the disk that they lie on.
pub(super) fn is_damage(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{InvalidData, InvalidInput, NotFound, Other, UnexpectedEof};
    matches!(error.kind(), InvalidData | InvalidInput | NotFound | Other | UnexpectedEof)
}

/// An archive of a set, and where it is read.
#[derive(Clone, Copy)]
struct Archive<'a> {
    order: &'a Order<'a>,
    container: &'a ContainerId,
    set: &'a Path,
    manifest: &'a Manifest,
    database: &'a Database,
}

/// A program in a container that is fed what a file of a set holds.
pub(super) struct Feeding<'a> {
    pub container: &'a ContainerId,
    pub command: Vec<String>,
    /// As whom; `None`: as the container's.
    pub user: Option<&'a str>,
    pub path: &'a Path,
}

/// What a program did with what it was fed.
pub(super) struct Fed {
    /// Its exit code.
    pub code: i64,
    /// The end of what it complained of.
    pub said: Vec<u8>,
}

impl Sets {
    /// Makes and starts a container without a network in which archives are read.
    pub(super) async fn reader(&self, order: &Order<'_>) -> Result<ContainerId, BackupError> {
        let helper = Helper::idle([("LC_ALL".to_owned(), "C".to_owned())].into(), Vec::new(), false);
        let container = self.make(order, helper).await?;
        match self.engine.start(&container).await {
            Ok(()) => Ok(container),
            Err(error) => {
                self.end(&container).await;
                Err(BackupError::Engine("start a container that reads the set", error))
            }
        }
    }

    /// Whether every archive of a set is decoded whole by the image's own program, and holds what the database
    /// held (L2). Returns the entries of each, in order.
    pub(super) async fn read(
        &self,
        order: &Order<'_>,
        set: &Path,
        manifest: &Manifest,
        known: bool,
    ) -> Result<Vec<u32>, BackupError> {
        let container = self.reader(order).await?;
        let mut entries = Vec::new();
        let mut outcome = Ok(());
        for database in &manifest.databases {
            let known = known.then_some(database.toc_entries);
            let archive = Archive { order, container: &container, set, manifest, database };
            match self.read_one(archive, known).await {
                Ok(found) => entries.push(found),
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        self.end(&container).await;
        outcome.map(|()| entries)
    }

    async fn read_one(&self, archive: Archive<'_>, known: Option<u32>) -> Result<u32, BackupError> {
        let Archive { order, container, set, manifest, database } = archive;
        let damaged = |words: String| BackupError::Damaged { file: database.stored.file.clone(), words };
        let path = set.join(&database.stored.file);
        let took = Duration::try_from(manifest.finished.duration_since(manifest.started)).unwrap_or_default();
        let by_size = Duration::from_secs(database.stored.bytes_plain / SLOWEST);
        let limit = AT_LEAST.max(took * TIMES).max(by_size);
        let meter =
            Meter::begin(self.clock.as_ref(), &order.progress, reading(&database.name), Some(database.stored.bytes_plain));
        let decoded = self.decode(container, &path, meter);
        let late = || BackupError::Slow { what: format!("reading {}", database.stored.file), limit, silent: false };
        within(self.clock.as_ref(), limit, decoded).await.ok_or_else(late)?.map_err(|error| of_bytes(error, &damaged))?;
        let listing = within(self.clock.as_ref(), limit, self.list(container, &path)).await.ok_or_else(late)?;
        let listing = listing.map_err(|error| of_bytes(error, &damaged))?;
        let difference = listing.difference(database, short(&manifest.server_version), known);
        difference.map_or(Ok(listing.entries.unwrap_or_default()), |words| Err(damaged(words)))
    }

    /// Decodes an archive whole: its end is reached, or there is an error.
    async fn decode(&self, container: &ContainerId, path: &Path, mut meter: Meter<'_>) -> Result<(), BackupError> {
        let command = ["pg_restore", "-f", "/dev/null"].map(str::to_owned).to_vec();
        let feeding = Feeding { container, command, user: None, path };
        let fed = self.feed(feeding, |_| (), |bytes| meter.add(bytes)).await?;
        ended_well("pg_restore", fed.code, &fed.said)
    }

    async fn list(&self, container: &ContainerId, path: &Path) -> Result<Listing, BackupError> {
        let mut listing = Listing::default();
        self.table_of_contents(container, path, |line| listing.line(line)).await?;
        Ok(listing)
    }

    /// The table of contents, line by line. The program reads no more than that, and what is left is not missed.
    pub(super) async fn table_of_contents(
        &self,
        container: &ContainerId,
        path: &Path,
        mut tell: impl FnMut(&str),
    ) -> Result<(), BackupError> {
        let command = ["pg_restore", "--list"].map(str::to_owned).to_vec();
        let mut rest = Vec::new();
        let feeding = Feeding { container, command, user: None, path };
        let fed = self.feed(feeding, |bytes| lines(&mut rest, bytes, &mut tell), |_| ()).await?;
        ended_well("pg_restore --list", fed.code, &fed.said)
    }

    /// Runs a program in a container and feeds it what a file of a set holds.
    pub(super) async fn feed(
        &self,
        feeding: Feeding<'_>,
        mut wrote: impl FnMut(&Bytes),
        mut passed: impl FnMut(usize),
    ) -> Result<Fed, BackupError> {
        let Feeding { container, command, user, path } = feeding;
        let program = command[0].clone();
        let env = vec!["LC_ALL=C".to_owned(), "PGOPTIONS=".to_owned()];
        let exec = Exec { command, user: user.map(str::to_owned), stdin: None, env };
        let joined = self.engine.join_command(container, &exec).await;
        let Joined { mut input, mut output, exit_code } = joined.map_err(|error| BackupError::Engine("read the set", error))?;
        let mut reading = Reading::begin(path).map_err(|error| BackupError::file("read", path, error))?;
        let feeding = async {
            while let Some(piece) = reading.pieces.recv().await {
                // A program that read all it wants closes its input: how it ended says whether that is well.
                if input.write_all(&piece).await.is_err() {
                    return Ok(());
                }
                passed(piece.len());
            }
            let _ = input.shutdown().await;
            reading.finish().await.map(|_| ()).map_err(|error| BackupError::file("read", path, error))
        };
        let mut said = Vec::new();
        let listening = async {
            while let Some(piece) = output.next().await {
                let (is_error, bytes) = piece.map_err(|error| BackupError::Cut(program.clone(), error))?;
                if is_error { keep_last(&mut said, &bytes) } else { wrote(&bytes) }
            }
            Ok::<(), BackupError>(())
        };
        // A program may end before it has read all: then nobody takes what is still fed.
        let mut feeding = std::pin::pin!(feeding);
        let mut listening = std::pin::pin!(listening);
        let mut fed = None;
        let heard = loop {
            tokio::select! {
                biased;
                heard = &mut listening => break heard,
                done = &mut feeding, if fed.is_none() => fed = Some(done),
            }
        };
        heard?;
        let code = within(self.clock.as_ref(), SILENCE, exit_code).await;
        let late = || BackupError::Slow { what: program.clone(), limit: SILENCE, silent: false };
        let code = code.ok_or_else(late)?.map_err(|error| BackupError::Cut(program.clone(), error))?;
        fed.unwrap_or(Ok(()))?;
        Ok(Fed { code, said })
    }
}

fn reading(database: &str) -> String {
    format!("reading {database}")
}

/// `15.18` of `15.18 (Debian 15.18-0+deb12u1)`.
fn short(version: &str) -> &str {
    version.split_whitespace().next().unwrap_or(version)
}

/// A program that ends with 1 at an archive says that the archive is damaged. Other codes say that it was ended.
fn of_bytes(error: BackupError, damaged: &impl Fn(String) -> BackupError) -> BackupError {
    match error {
        BackupError::Program { program, code: code @ 1, words } => damaged(format!("{program} ended with {code}: {words}")),
        BackupError::File { source, .. } if is_damage(&source) => damaged(format!("it can't be decompressed: {source}")),
        other => other,
    }
}

/// Takes in bytes and tells of every whole line; what is left of the last one stays in `rest`.
fn lines(rest: &mut Vec<u8>, bytes: &[u8], mut tell: impl FnMut(&str)) {
    rest.extend_from_slice(bytes);
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let line: Vec<u8> = rest.drain(..=end).collect();
        tell(String::from_utf8_lossy(&line[..end]).trim_end_matches('\r'));
    }
}
