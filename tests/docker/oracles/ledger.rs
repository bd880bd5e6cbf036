//! The ledger: rows are written into a Postgres one after the other, and each that was committed is
//! noted in a file of ours, synced, before the next. Whatever happens to the server, to its engine or
//! to witwd: what is noted must be in the table, once.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio_postgres::{Client, NoTls};

use crate::support::eventually;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS ledger (seq bigint NOT NULL, mark uuid NOT NULL)";
/// How long a connection or a statement may take before the line counts as dead.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between two rows, and before a dead line is tried again.
const PAUSE: Duration = Duration::from_millis(20);

/// Where a server is asked for.
#[derive(Debug, Clone)]
pub struct Server {
    /// The network it is reached from, as `/proc/PID/ns/net`; `None`: from here.
    pub network: Option<PathBuf>,
    /// As a connection string says it.
    pub address: String,
}

/// A writer that goes on until it is asked for the balance.
pub struct Ledger {
    server: Server,
    noted: Arc<AtomicU64>,
    ends: Arc<AtomicBool>,
    notes: PathBuf,
    writer: Option<JoinHandle<()>>,
    _directory: tempfile::TempDir,
}

/// What the table has beside the notes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Balance {
    /// So many rows are noted as committed.
    pub noted: usize,
    /// Noted and not there, or there with another mark.
    pub lost: Vec<u64>,
    /// There more than once.
    pub doubled: Vec<u64>,
}

impl Balance {
    /// Fails where a row is lost or there twice, or where nothing was written at all.
    pub fn is_even(&self) {
        assert!(self.noted > 0, "the ledger wrote nothing");
        assert!(self.lost.is_empty() && self.doubled.is_empty(), "{self:?}");
    }
}

impl Ledger {
    /// Begins to write; waits until the first row is noted.
    pub async fn start(server: Server) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let notes = directory.path().join("noted");
        let (noted, ends) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (there, file, count, end) = (server.clone(), notes.clone(), noted.clone(), ends.clone());
        let writer = std::thread::spawn(move || in_network(&there, write(&there, &file, &count, &end)));
        let ledger = Self { server, noted, ends, notes, writer: Some(writer), _directory: directory };
        ledger.grows().await;
        ledger
    }

    /// Waits until another row is noted: the server is there and takes rows.
    pub async fn grows(&self) {
        let before = self.noted.load(Ordering::SeqCst);
        eventually(Duration::from_secs(60), "the ledger has another row", async || self.is_beyond(before).then_some(())).await;
    }

    /// How many rows are noted.
    pub fn noted(&self) -> u64 {
        self.noted.load(Ordering::SeqCst)
    }

    fn is_beyond(&self, before: u64) -> bool {
        self.noted() > before
    }

    /// Ends the writer and compares.
    pub fn balance(mut self) -> Balance {
        self.end();
        let server = self.server.clone();
        let rows = std::thread::spawn(move || in_network(&server, read(&server))).join().expect("no panic of the reader");
        let notes = std::fs::read_to_string(&self.notes).expect("the notes");
        compare(&notes, &rows)
    }

    /// Compares while it goes on: rows that are noted meanwhile are in the table already.
    pub fn balance_so_far(&self) -> Balance {
        let notes = std::fs::read_to_string(&self.notes).expect("the notes");
        let server = self.server.clone();
        let rows = std::thread::spawn(move || in_network(&server, read(&server))).join().expect("no panic of the reader");
        compare(&notes, &rows)
    }

    fn end(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        if let Some(writer) = self.writer.take() {
            assert!(writer.join().is_ok() || std::thread::panicking(), "the writer panicked");
        }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.end();
    }
}

fn compare(notes: &str, rows: &[(i64, String)]) -> Balance {
    let mut table: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
    for (seq, mark) in rows {
        table.entry(u64::try_from(*seq).expect("a number of ours")).or_default().push(mark);
    }
    // A last line without its end was never acknowledged to anybody.
    let whole = &notes[..notes.rfind('\n').map_or(0, |end| end + 1)];
    let noted: Vec<(u64, &str)> = whole
        .lines()
        .map(|line| line.split_once(' ').expect("number and mark"))
        .map(|(seq, mark)| (seq.parse().expect("a number"), mark))
        .collect();
    let is_there = |seq: &u64, mark: &str| table.get(seq).is_some_and(|marks| marks.contains(&mark));
    Balance {
        noted: noted.len(),
        lost: noted.iter().filter(|(seq, mark)| !is_there(seq, mark)).map(|(seq, _)| *seq).collect(),
        doubled: table.iter().filter(|(_, marks)| marks.len() > 1).map(|(seq, _)| *seq).collect(),
    }
}

/// Runs in a thread of its own, for a thread stays in the network it has gone to.
pub fn in_network<T>(server: &Server, work: impl Future<Output = T>) -> T {
    if let Some(network) = &server.network {
        let file = std::fs::File::open(network).expect("the network");
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).expect("going there needs root");
    }
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

async fn connect(server: &Server) -> Option<Client> {
    let connecting = tokio::time::timeout(PATIENCE, tokio_postgres::connect(&server.address, NoTls)).await;
    let (client, connection) = connecting.ok()?.ok()?;
    tokio::spawn(connection);
    Some(client)
}

async fn write(server: &Server, notes: &Path, noted: &AtomicU64, ends: &AtomicBool) {
    let mut file = std::fs::File::create(notes).expect("the notes");
    let (mut client, mut seq) = (None, 0_u64);
    while !ends.load(Ordering::SeqCst) {
        if client.is_none() {
            client = connect(server).await;
        }
        seq += 1;
        let mark = mark();
        let is_committed = match &client {
            Some(client) => tokio::time::timeout(PATIENCE, insert(client, seq, &mark)).await.is_ok_and(|done| done.is_ok()),
            None => false,
        };
        if is_committed {
            writeln!(file, "{seq} {mark}").and_then(|()| file.sync_data()).expect("a synced note");
            noted.fetch_add(1, Ordering::SeqCst);
        } else {
            // Whether it was committed is not known: that number is not used again.
            client = None;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn insert(client: &Client, seq: u64, mark: &str) -> Result<(), tokio_postgres::Error> {
    if seq == 1 || seq.is_multiple_of(50) {
        client.batch_execute(TABLE).await?;
    }
    client.batch_execute(&format!("INSERT INTO ledger VALUES ({seq}, '{mark}')")).await
}

/// A random number as a uuid is written.
fn mark() -> String {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).expect("a random number");
    let hex = format!("{:032x}", u128::from_be_bytes(bytes));
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

async fn read(server: &Server) -> Vec<(i64, String)> {
    let rows = async || {
        let client = connect(server).await?;
        let rows = client.query("SELECT seq, mark::text FROM ledger", &[]).await.ok()?;
        Some(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    };
    eventually(Duration::from_secs(60), "the ledger can be read", rows).await
}

#[test]
fn a_lost_and_a_doubled_row_are_seen() {
    let rows: Vec<(i64, String)> =
        [(1, "a"), (2, "b"), (2, "b"), (4, "x"), (9, "z")].map(|(seq, mark)| (seq, mark.to_owned())).into();
    let balance = compare("1 a\n2 b\n3 c\n4 d\n5 e", &rows);
    assert_eq!(balance, Balance { noted: 4, lost: vec![3, 4], doubled: vec![2] });
}
