//! Files that grow by a line and never beyond a bound.

use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::process::append_to;

/// A file of lines with one older part beside it (`NAME.1`): at most twice its limit on disk.
#[derive(Debug, Clone)]
pub struct Journal {
    path: PathBuf,
    limit: u64,
}

impl Journal {
    /// The journal at `path`, of which each part holds about `limit` bytes.
    pub fn new(path: PathBuf, limit: u64) -> Self {
        Self { path, limit }
    }

    /// Adds a line.
    pub fn append(&self, line: &str) -> io::Result<()> {
        let mut file = append_to(&self.path)?;
        file.write_all(format!("{line}\n").as_bytes())?;
        if file.metadata()?.len() > self.limit {
            std::fs::rename(&self.path, self.older())?;
        }
        Ok(())
    }

    /// The last `count` lines, oldest first; none where there is no such file.
    pub fn tail(&self, count: usize) -> io::Result<Vec<String>> {
        let mut lines = read_lines(&self.older(), self.limit * 2)?;
        lines.extend(read_lines(&self.path, self.limit * 2)?);
        Ok(lines.split_off(lines.len().saturating_sub(count)))
    }

    /// Cuts a file that another process appends to: what is there moves to the older part.
    pub fn trim(&self) -> io::Result<()> {
        let size = match std::fs::metadata(&self.path) {
            Ok(facts) => facts.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        if size <= self.limit {
            return Ok(());
        }
        let kept = read_lines(&self.path, self.limit)?.join("\n") + "\n";
        let mut older = std::fs::OpenOptions::new().write(true).create(true).truncate(true).open(self.older())?;
        older.write_all(kept.as_bytes())?;
        std::fs::OpenOptions::new().write(true).open(&self.path)?.set_len(0)
    }

    fn older(&self) -> PathBuf {
        self.path.with_added_extension("1")
    }
}

/// The whole lines in the last `limit` bytes of a file.
fn read_lines(path: &Path, limit: u64) -> io::Result<Vec<String>> {
    let mut file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let start = file.metadata()?.len().saturating_sub(limit);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().skip(usize::from(start > 0)).map(str::to_owned).collect())
}
