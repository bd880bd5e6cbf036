//! A disk that only looks as if it were written to.

use std::path::Path;
use std::sync::Arc;

use super::sim::SimDisk;
use super::{Disk, DiskError};

/// Reads another disk. What is written stays in memory and is seen here alone.
pub struct ShadowDisk {
    below: Arc<dyn Disk>,
    written: SimDisk,
}

impl ShadowDisk {
    /// The shadow of a disk.
    pub fn of(below: Arc<dyn Disk>) -> Self {
        Self { below, written: SimDisk::default() }
    }
}

impl Disk for ShadowDisk {
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, DiskError> {
        match self.written.read(path)? {
            Some(content) => Ok(Some(content)),
            None => self.below.read(path),
        }
    }

    fn write_atomic(&self, path: &Path, content: &[u8]) -> Result<(), DiskError> {
        self.written.write_atomic(path, content)
    }

    fn replace_keeping(&self, path: &Path, former: &Path, content: &[u8]) -> Result<(), DiskError> {
        if let Some(old) = self.read(path)? {
            self.written.write_atomic(former, &old)?;
        }
        self.written.write_atomic(path, content)
    }

    fn list(&self, directory: &Path) -> Result<Vec<String>, DiskError> {
        let mut names = self.below.list(directory)?;
        names.extend(self.written.list(directory)?);
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// The file below stays.
    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        self.written.remove(path)
    }

    fn make_directory(&self, path: &Path, mode: u32) -> Result<(), DiskError> {
        self.written.make_directory(path, mode)
    }

    /// The file below stays where it is.
    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        let content = self.read(from)?.ok_or_else(|| DiskError::new("rename", from, std::io::ErrorKind::NotFound.into()))?;
        self.written.remove(from)?;
        self.written.write_atomic(to, &content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_seen_here_and_not_below() {
        let below: Arc<dyn Disk> = Arc::new(SimDisk::default());
        let (one, two, three) = (Path::new("/s/one"), Path::new("/s/two"), Path::new("/s/three"));
        below.write_atomic(one, b"old").expect("a disk in memory");
        let shadow = ShadowDisk::of(below.clone());
        assert_eq!(shadow.read(one).expect("read").as_deref(), Some(b"old".as_slice()));
        shadow.write_atomic(one, b"new").expect("written");
        shadow.write_atomic(two, b"more").expect("written");
        shadow.rename(two, three).expect("renamed");
        assert_eq!(shadow.read(one).expect("read").as_deref(), Some(b"new".as_slice()));
        assert_eq!(shadow.list(Path::new("/s")).expect("listed"), ["one", "three"]);
        assert_eq!(below.read(one).expect("read").as_deref(), Some(b"old".as_slice()));
        assert_eq!(below.list(Path::new("/s")).expect("listed"), ["one"]);
    }
}
