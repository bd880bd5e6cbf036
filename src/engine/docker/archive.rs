//! Archives that are sent to the engine: files for a container, the context of a build.

use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tar::{Builder, EntryType, Header};
use tokio::sync::mpsc;

use super::ignore::Ignore;
use crate::engine::answer::{FileContent, FileSeen};
use crate::engine::request::FileToPut;

/// Name of a Dockerfile in the archive that lies outside the context.
pub(super) const OUTSIDE: &str = ".dockerfile.witwd";
/// Never part of a context, at any depth: the daemon's own state, secrets among it.
pub(super) const STATE: &str = ".witwd";
const PIECE: usize = 64 << 10;

/// Files with owner and mode, as one archive.
pub(super) fn of_files(files: &[FileToPut]) -> io::Result<Vec<u8>> {
    let mut archive = Builder::new(Vec::new());
    for file in files {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_size(file.content.len() as u64);
        header.set_uid(u64::from(file.uid));
        header.set_gid(u64::from(file.gid));
        header.set_mode(file.mode);
        header.set_mtime(0);
        archive.append_data(&mut header, &file.path, file.content.as_slice())?;
    }
    archive.into_inner()
}

/// What the beginning of an archive is the archive of; of a file at most `most` bytes.
pub(super) fn first_entry(archive: &[u8], most: usize) -> Option<FileSeen> {
    let mut archive = tar::Archive::new(archive);
    let mut entries = archive.entries().ok()?;
    let mut first = entries.next()?.ok()?;
    let uid = first.header().uid().unwrap_or_default();
    let content = match first.header().entry_type() {
        EntryType::Directory => FileContent::Directory { empty: entries.next().is_none() },
        EntryType::Symlink => FileContent::Link(first.link_name().ok()??.display().to_string()),
        _ => {
            let mut content = Vec::new();
            // What is missing at the end was not asked for.
            let _ = first.by_ref().take(most as u64).read_to_end(&mut content);
            FileContent::File(content)
        }
    };
    Some(FileSeen { uid, content })
}

/// The context of a build.
pub(super) struct Context {
    /// The directory.
    pub root: PathBuf,
    /// Directories that are never sent.
    pub exclude: Vec<PathBuf>,
    /// What is left out.
    pub ignore: Ignore,
    /// Text of the `.dockerignore` as the engine is to see it; `None`: as it is.
    pub ignore_text: Option<String>,
    /// Path of the Dockerfile in the archive.
    pub dockerfile: String,
    /// The Dockerfile's text where it is not part of the directory.
    pub outside: Option<Vec<u8>>,
}

impl Context {
    /// Writes the archive in pieces; blocks. The last piece is an error where it failed.
    pub(super) fn send(&self, pieces: &mpsc::Sender<io::Result<Bytes>>) {
        let mut archive = Builder::new(Pieces { pieces: pieces.clone(), piece: Vec::with_capacity(PIECE) });
        archive.follow_symlinks(false);
        let written = self.write(&mut archive).and_then(|()| archive.into_inner()).and_then(|mut rest| rest.flush());
        if let Err(error) = written {
            // A receiver that is gone has its own reason.
            let _ = pieces.blocking_send(Err(error));
        }
    }

    pub(super) fn write(&self, archive: &mut Builder<impl Write>) -> io::Result<()> {
        if let Some(text) = &self.outside {
            plain(archive, OUTSIDE, text)?;
        }
        if let Some(text) = &self.ignore_text {
            plain(archive, ".dockerignore", text.as_bytes())?;
        }
        self.directory(archive, &self.root, "")
    }

    fn directory(&self, archive: &mut Builder<impl Write>, directory: &Path, below: &str) -> io::Result<()> {
        let mut names: Vec<_> = std::fs::read_dir(directory)?.collect::<io::Result<_>>()?;
        names.sort_by_key(std::fs::DirEntry::file_name);
        for entry in names {
            let name = entry.file_name();
            let path = entry.path();
            if name == STATE || self.exclude.contains(&path) {
                continue;
            }
            // The engine knows names as text only.
            let Some(name) = name.to_str() else { continue };
            let inside = if below.is_empty() { name.to_owned() } else { format!("{below}/{name}") };
            self.entry(archive, &path, &inside, &entry.metadata()?)?;
        }
        Ok(())
    }

    fn entry(&self, archive: &mut Builder<impl Write>, path: &Path, inside: &str, metadata: &Metadata) -> io::Result<()> {
        // The engine reads both and takes them out itself where they are to be left out.
        let needed = inside == self.dockerfile || inside == ".dockerignore";
        let left_out = !needed && self.ignore.leaves_out(inside);
        if inside == ".dockerignore" && self.ignore_text.is_some() {
            return Ok(());
        }
        if metadata.is_dir() {
            if !left_out {
                let mut header = header(metadata, EntryType::Directory);
                archive.append_data(&mut header, format!("{inside}/"), io::empty())?;
            } else if !self.ignore.may_take_back_below(inside) && !self.dockerfile.starts_with(&format!("{inside}/")) {
                return Ok(());
            }
            return self.directory(archive, path, inside);
        }
        if left_out {
            return Ok(());
        }
        if metadata.is_symlink() {
            let mut header = header(metadata, EntryType::Symlink);
            return archive.append_link(&mut header, inside, std::fs::read_link(path)?);
        }
        if metadata.is_file() {
            let mut header = header(metadata, EntryType::Regular);
            header.set_size(metadata.len());
            return archive.append_data(&mut header, inside, Exactly { file: File::open(path)?, left: metadata.len() });
        }
        // Sockets, pipes and devices are no content.
        Ok(())
    }
}

/// Owner and times are left out: they are this machine's, and would change the result's id.
fn header(metadata: &Metadata, typ: EntryType) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(typ);
    header.set_mode(metadata.permissions().mode() & 0o7777);
    header.set_size(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

fn plain(archive: &mut Builder<impl Write>, name: &str, text: &[u8]) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_size(text.len() as u64);
    header.set_mtime(0);
    archive.append_data(&mut header, name, text)
}

/// As much of a file as its header said, however it changes meanwhile.
struct Exactly {
    file: File,
    left: u64,
}

impl Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.file.read(&mut buffer[..most])?;
        if read == 0 && most > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a file of the context became shorter while it was read"));
        }
        self.left -= read as u64;
        Ok(read)
    }
}

/// Hands out what is written in pieces.
struct Pieces {
    pieces: mpsc::Sender<io::Result<Bytes>>,
    piece: Vec<u8>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the build ended before it had its context");
        self.pieces.blocking_send(Ok(piece.into())).map_err(gone)
    }
}
