//! The files of a set: what was written is what is read, and whatever became of it since is found (L1 alone).

use std::path::Path;

use bytes::Bytes;

use crate::postgres::backup::BackupError;
use crate::postgres::backup::check::stored;
use crate::postgres::backup::manifest::Stored;
use crate::postgres::backup::pipeline::{Reading, Writing};

/// What a dump could be: more than one piece, and not all alike.
fn dump() -> Vec<u8> {
    (0..200_000_u32).flat_map(|number| (number.wrapping_mul(2_654_435_761)).to_le_bytes()).collect()
}

async fn write(directory: &Path, content: &[u8]) -> Stored {
    let writing = Writing::begin(&directory.join("app.dump.zst")).expect("a new file");
    for piece in content.chunks(30_000) {
        writing.put(Bytes::copy_from_slice(piece)).await;
    }
    writing.finish().await.expect("it is written").stored("app.dump.zst".to_owned())
}

async fn is_found(directory: &Path, known: &Stored, damaged: &[u8]) {
    std::fs::write(directory.join(&known.file), damaged).expect("it is ours");
    let found = stored(directory, known).await;
    assert!(matches!(found, Err(BackupError::Damaged { .. })), "{} bytes: {found:?}", damaged.len());
}

#[tokio::test]
async fn what_was_written_is_what_is_read() {
    let directory = tempfile::tempdir().expect("a directory");
    for content in [Vec::new(), b"PGDMP".to_vec(), dump()] {
        let known = write(directory.path(), &content).await;
        assert_eq!(known.bytes_plain, content.len() as u64);
        stored(directory.path(), &known).await.expect("nothing happened to it");
        let mut reading = Reading::begin(&directory.path().join(&known.file)).expect("a file");
        let mut read = Vec::new();
        while let Some(piece) = reading.pieces.recv().await {
            read.extend_from_slice(&piece);
        }
        assert_eq!(reading.finish().await.expect("it is whole").difference(&known), None);
        assert!(read == content);
        std::fs::remove_file(directory.path().join(&known.file)).expect("it is ours");
    }
}

#[tokio::test]
async fn a_file_that_was_cut_anywhere_is_found() {
    let directory = tempfile::tempdir().expect("a directory");
    let known = write(directory.path(), &dump()).await;
    let whole = std::fs::read(directory.path().join(&known.file)).expect("a file");
    let anywhere = (0..64).map(|part| whole.len() * part / 64);
    for length in anywhere.chain((1..=8).map(|less| whole.len() - less)) {
        is_found(directory.path(), &known, &whole[..length]).await;
    }
}

#[tokio::test]
async fn a_flipped_bit_anywhere_and_what_was_added_are_found() {
    let directory = tempfile::tempdir().expect("a directory");
    let known = write(directory.path(), &dump()).await;
    let whole = std::fs::read(directory.path().join(&known.file)).expect("a file");
    for part in 0..64 {
        let mut damaged = whole.clone();
        let at = (whole.len() - 1) * part / 63;
        damaged[at] ^= 1 << (part % 8);
        is_found(directory.path(), &known, &damaged).await;
    }
    is_found(directory.path(), &known, &[whole.as_slice(), b"more"].concat()).await;
    // A whole frame more: it can be decompressed, and is not what was written.
    is_found(directory.path(), &known, &[whole.as_slice(), whole.as_slice()].concat()).await;
}

#[tokio::test]
async fn a_file_that_is_gone_is_found() {
    let directory = tempfile::tempdir().expect("a directory");
    let known = write(directory.path(), b"PGDMP").await;
    std::fs::remove_file(directory.path().join(&known.file)).expect("it is ours");
    let found = stored(directory.path(), &known).await;
    assert!(matches!(found, Err(BackupError::Damaged { .. })), "{found:?}");
}
