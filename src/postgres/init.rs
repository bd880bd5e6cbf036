//! The `init` files: one transaction that ends with the marker.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::PostgresError;
use super::marker::{self, Decision, PREFIX};
use super::provision::Work;
use super::sql::literal;
use super::whole;

/// How long all files together may take.
const LIMIT: Duration = Duration::from_secs(3600);
/// Two runs of `init` wait for each other: psql in the container outlives a daemon that is killed.
const LOCK: u64 = 7_743_218_001;
/// Most characters of an error that are shown.
const LONGEST: usize = 600;

/// The files as one input of psql.
pub(super) struct Script {
    input: Vec<u8>,
    /// Each file with the number of the line before its first.
    files: Vec<(PathBuf, usize)>,
}

impl Script {
    /// The script of these files, in this order.
    pub fn new(files: &[(PathBuf, Vec<u8>)]) -> Self {
        let mut script = Self { input: prologue().into_bytes(), files: Vec::new() };
        for (path, content) in files {
            script.files.push((path.clone(), lines(&script.input)));
            script.input.extend(content);
            script.input.extend(whole::read(&String::from_utf8_lossy(content)).closing.as_bytes());
        }
        script.input.extend(epilogue().into_bytes());
        script
    }

    /// The number of the line before the first of a file.
    #[cfg(test)]
    pub fn line_of(&self, path: &str) -> Option<usize> {
        self.files.iter().find(|(file, _)| file == Path::new(path)).map(|(_, before)| *before)
    }

    /// What psql complained, with files and their lines in place of lines of its input.
    pub fn explain(&self, complaint: &str) -> String {
        let error = first_error(complaint);
        let Some((line, words)) = error.strip_prefix("psql:<stdin>:").and_then(|rest| rest.split_once(": ")) else {
            return error;
        };
        let Ok(line) = line.parse::<usize>() else {
            return error;
        };
        match self.files.iter().rev().find(|(_, before)| line > *before) {
            Some((path, before)) => format!("{}:{}: {words}", path.display(), line - before),
            None => error,
        }
    }
}

/// Whether another run finished meanwhile, and which transaction this is.
fn prologue() -> String {
    let mut text = String::new();
    let _ = writeln!(text, "SELECT pg_catalog.pg_advisory_xact_lock({LOCK});");
    let _ = writeln!(
        text,
        "SELECT coalesce(({}), '') LIKE {} AS witwd_done, pg_catalog.txid_current() AS witwd_transaction \\gset",
        marker::QUERY,
        literal(&format!("{PREFIX}%"))
    );
    text.push_str("\\if :witwd_done\n\\q\n\\endif\n");
    text
}

/// The marker, where this is still the transaction that it began with.
fn epilogue() -> String {
    let mut text = "SELECT pg_catalog.txid_current()::text = :'witwd_transaction' AS witwd_whole \\gset\n".to_owned();
    let _ = writeln!(text, "\\if :witwd_whole\n{};\n\\endif", marker::statement(Decision::Initialise));
    text
}

fn lines(input: &[u8]) -> usize {
    input.split(|byte| *byte == b'\n').count() - 1
}

/// Runs the files in the app's database. Nothing of them is left when one fails.
pub(super) async fn run(work: &Work<'_>) -> Result<(), PostgresError> {
    let mut files = Vec::new();
    for path in &work.postgres.init {
        files.push((path.clone(), read(work, path)?));
    }
    if let Some(words) = files.iter().find_map(|(path, content)| not_whole(path, content)) {
        return Err(PostgresError::InitNotWhole(work.name.clone(), words));
    }
    let script = Script::new(&files);
    let input = script.input.clone();
    let output = work.psql(work.postgres.database.as_str(), &["--single-transaction", "-f", "-"], input, LIMIT).await?;
    match output.code {
        0 => Ok(()),
        _ => Err(PostgresError::Init(work.name.clone(), script.explain(&output.stderr))),
    }
}

fn not_whole(path: &Path, content: &[u8]) -> Option<String> {
    let (line, word) = whole::read(&String::from_utf8_lossy(content)).escape?;
    let path = path.display();
    Some(format!("{path}:{line}: {word} would end the transaction that witwd itself begins and commits; take it out"))
}

fn read(work: &Work<'_>, path: &Path) -> Result<Vec<u8>, PostgresError> {
    let (postgres, file) = (work.name.clone(), path.display().to_string());
    match work.disk.read(path) {
        Ok(Some(content)) => Ok(content),
        Ok(None) => Err(PostgresError::InitFileMissing(postgres, file)),
        Err(source) => Err(PostgresError::InitFile { postgres, file, source }),
    }
}

/// The first error among what psql complained, with its details but without the statement.
pub(super) fn first_error(complaint: &str) -> String {
    let is_error = |line: &&str| ["ERROR:", "FATAL:", "error:"].iter().any(|word| line.contains(word));
    let mut lines = complaint.lines().skip_while(|line| !is_error(line));
    let Some(first) = lines.next() else {
        let last = complaint.lines().last().unwrap_or("psql said nothing");
        return last.chars().take(LONGEST).collect();
    };
    let details = lines.filter(|line| line.starts_with("DETAIL:") || line.starts_with("HINT:")).take(2);
    let all: Vec<String> =
        std::iter::once(first).chain(details).map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    all.join(" ").chars().take(LONGEST).collect()
}
