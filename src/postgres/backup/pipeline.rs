//! From the bytes of a dump to a file and back: sums of both sides, zstd between them. Each runs on a thread
//! of its own behind a short queue: a dump of any size takes a few megabytes of memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::manifest::Stored;
use crate::model::hash::hex;

/// The level of compression: higher ones take three times as long for nothing (`postgres-facts.md`, 3.2).
const LEVEL: i32 = 3;
/// What every archive in the custom format begins with.
pub const MAGIC: &[u8] = b"PGDMP";
/// How many pieces wait in a queue: the engine's are of at most 32 kB.
const QUEUE: usize = 16;
/// How much is read of a file at a time, and the size of a piece of what it holds.
const PIECE: usize = 64 << 10;

/// What was written or read: the sums and sizes of both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sums {
    /// The sum of what went in.
    pub sha256_plain: String,
    /// The sum of the file.
    pub sha256_file: String,
    /// How much went in.
    pub bytes_plain: u64,
    /// The size of the file.
    pub bytes_file: u64,
}

impl Sums {
    /// As they stand in a manifest, with the name of the file.
    pub fn stored(self, file: String) -> Stored {
        let Self { sha256_plain, sha256_file, bytes_plain, bytes_file } = self;
        Stored { file, sha256_plain, sha256_file, bytes_plain, bytes_file }
    }

    /// What differs from what a manifest says, for people; `None`: nothing.
    pub fn difference(&self, stored: &Stored) -> Option<String> {
        if self.bytes_file != stored.bytes_file {
            return Some(format!("it has {} bytes, and {} were written", self.bytes_file, stored.bytes_file));
        }
        if self.sha256_file != stored.sha256_file {
            return Some("its bytes are not those that were written (sha256 of the file)".to_owned());
        }
        let is_same = self.bytes_plain == stored.bytes_plain && self.sha256_plain == stored.sha256_plain;
        (!is_same).then(|| "what it holds is not what was dumped (sha256 of the dump)".to_owned())
    }
}

/// Counts and sums up what passes.
struct Summed<T> {
    inner: T,
    sum: Sha256,
    bytes: u64,
}

impl<T> Summed<T> {
    fn new(inner: T) -> Self {
        Self { inner, sum: Sha256::new(), bytes: 0 }
    }

    fn note(&mut self, piece: &[u8]) {
        self.sum.update(piece);
        self.bytes += piece.len() as u64;
    }

    fn finish(self) -> (T, String, u64) {
        (self.inner, hex(&self.sum.finalize()), self.bytes)
    }
}

impl<T: Write> Write for Summed<T> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(piece)?;
        self.note(&piece[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Read for Summed<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.note(&buffer[..read]);
        Ok(read)
    }
}

/// A dump on its way into a file.
pub struct Writing {
    pieces: mpsc::Sender<Bytes>,
    thread: JoinHandle<io::Result<Sums>>,
}

impl Writing {
    /// Begins a new file, which only its owner may read.
    pub fn begin(path: &Path) -> io::Result<Self> {
        let file = create(path)?;
        let (pieces, queue) = mpsc::channel(QUEUE);
        Ok(Self { pieces, thread: tokio::task::spawn_blocking(move || write(file, queue)) })
    }

    /// Takes the next piece. One that can't be written any more is told by [`Writing::finish`].
    pub async fn put(&self, piece: Bytes) {
        let _ = self.pieces.send(piece).await;
    }

    /// Whether it goes on: a disk that is full ends it.
    pub fn is_open(&self) -> bool {
        !self.pieces.is_closed()
    }

    /// Ends the file and waits until the disk has it.
    pub async fn finish(self) -> io::Result<Sums> {
        drop(self.pieces);
        self.thread.await.map_err(io::Error::other)?
    }
}

fn create(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    File::options().write(true).create_new(true).mode(0o600).open(path)
}

fn write(file: File, mut pieces: mpsc::Receiver<Bytes>) -> io::Result<Sums> {
    let mut encoder = zstd::Encoder::new(Summed::new(file), LEVEL)?;
    encoder.include_checksum(true)?;
    let mut plain = Summed::new(encoder);
    while let Some(piece) = pieces.blocking_recv() {
        plain.write_all(&piece)?;
    }
    let (encoder, sha256_plain, bytes_plain) = plain.finish();
    let (file, sha256_file, bytes_file) = encoder.finish()?.finish();
    file.sync_all()?;
    Ok(Sums { sha256_plain, sha256_file, bytes_plain, bytes_file })
}

/// What a file holds, on its way out.
pub struct Reading {
    /// The pieces, in order. Whoever takes no more of them need not: it ends.
    pub pieces: mpsc::Receiver<Bytes>,
    thread: JoinHandle<io::Result<Sums>>,
}

impl Reading {
    /// Begins to read a file that was written by [`Writing`], or an archive of others: as it is, or through gzip.
    pub fn begin(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let (queue, pieces) = mpsc::channel(QUEUE);
        Ok(Self { pieces, thread: tokio::task::spawn_blocking(move || read(file, &queue)) })
    }

    /// The sums of the whole file, once every piece was taken. What was left in the queue is an error.
    pub async fn finish(self) -> io::Result<Sums> {
        drop(self.pieces);
        self.thread.await.map_err(io::Error::other)?
    }
}

fn read(file: File, pieces: &mpsc::Sender<Bytes>) -> io::Result<Sums> {
    let mut file = Summed::new(file);
    let (sha256_plain, bytes_plain) = read_out(&mut file, pieces)?;
    let (_, sha256_file, bytes_file) = file.finish();
    Ok(Sums { sha256_plain, sha256_file, bytes_plain, bytes_file })
}

/// How a file keeps what it holds, by how it begins.
fn decoder<'a>(mut buffered: impl BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let begun = buffered.fill_buf()?;
    Ok(match begun {
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::Decoder::with_buffer(buffered)?),
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(buffered)),
        begun if begun.starts_with(MAGIC) => Box::new(buffered),
        begun => return Err(io::Error::new(io::ErrorKind::InvalidData, what_it_is(begun))),
    })
}

/// What a file is that is no archive, for people.
fn what_it_is(begun: &[u8]) -> &'static str {
    let is_text = !begun.is_empty() && begun.iter().take(200).all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
    let is_tar = begun.get(257..262) == Some(b"ustar");
    match (begun.is_empty(), is_tar, is_text) {
        (true, ..) => "it is empty",
        (_, true, _) => "it is a tar, and no archive in the custom format (`pg_dump -Fc`)",
        (_, _, true) => "it is text, and no archive in the custom format (`pg_dump -Fc`)",
        _ => "it is no archive in the custom format (`pg_dump -Fc`), nor one through gzip or zstd",
    }
}

/// Passes on what a file holds, and sums it up.
fn read_out(file: &mut Summed<File>, pieces: &mpsc::Sender<Bytes>) -> io::Result<(String, u64)> {
    let mut plain = Summed::new(decoder(BufReader::with_capacity(PIECE, file))?);
    loop {
        let mut piece = vec![0; PIECE];
        let read = plain.read(&mut piece)?;
        if read == 0 {
            break;
        }
        piece.truncate(read);
        if pieces.blocking_send(piece.into()).is_err() {
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, "nobody reads on"));
        }
    }
    let (_, sha256_plain, bytes_plain) = plain.finish();
    Ok((sha256_plain, bytes_plain))
}

/// The sums of a file as it lies there, read whole; its content goes nowhere.
pub async fn sums(path: &Path) -> io::Result<Sums> {
    let mut reading = Reading::begin(path)?;
    while reading.pieces.recv().await.is_some() {}
    reading.finish().await
}
