//! Small files that can tell whether they are whole: a checksum stands in them, and another copy beside
//! them. What is damaged is read from the copy and moved aside, never overwritten.
//!
//! The content is a JSON object as `serde_json` prints it; the checksum is its first field, so that
//! the rest stays readable for people and for versions that know nothing of it.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::{Disk, DiskError};
use crate::model::hash::hex;

/// What the checksum is computed over stands with this in its place.
const BLANK: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// How the first field begins.
const FIELD: &str = "{\n  \"checksum\": \"";

/// What was read of a file.
#[derive(Debug)]
pub struct Reading<T> {
    /// Its content, or that of the copy; `None` where neither can be used, or nothing was ever written.
    pub content: Option<T>,
    /// Why the file itself can't be used, without any of its content; `None` where it can, or never was.
    pub damage: Option<String>,
}

/// Which copy there is of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copy {
    /// What the file was before it was written last: costs next to nothing, and may be a step behind.
    Former,
    /// The same once more.
    Same,
}

/// Seals a JSON object and writes it as a whole.
pub fn write(disk: &dyn Disk, path: &Path, object: &[u8], copy: Copy) -> Result<(), DiskError> {
    let sealed = seal(object);
    match copy {
        Copy::Former => disk.replace_keeping(path, &copy_of(path), &sealed),
        Copy::Same => {
            disk.write_atomic(&copy_of(path), &sealed)?;
            disk.write_atomic(path, &sealed)
        }
    }
}

/// Reads a file with `parse`, which says why it can't; where it can't be used, its copy. Nothing is
/// changed.
pub fn read<T>(disk: &dyn Disk, path: &Path, parse: impl Fn(&[u8]) -> Result<T, String>) -> Reading<T> {
    let damage = match read_one(disk, path, &parse) {
        Ok(Some(content)) => return Reading { content: Some(content), damage: None },
        Ok(None) => None,
        Err(damage) => Some(damage),
    };
    let content = read_one(disk, &copy_of(path), &parse).ok().flatten();
    // Without the file there is no copy either, but where somebody took the file away.
    let lost = || content.is_some().then(|| "is gone".to_owned());
    Reading { damage: damage.or_else(lost), content }
}

fn read_one<T>(disk: &dyn Disk, path: &Path, parse: impl Fn(&[u8]) -> Result<T, String>) -> Result<Option<T>, String> {
    let content = disk.read(path).map_err(|error| format!("can't be read ({})", error.source))?;
    let Some(content) = content else { return Ok(None) };
    if is_whole(&content) == Some(false) {
        return Err("is damaged (its checksum is another one)".to_owned());
    }
    parse(&content).map(Some)
}

/// What a file is for people, and what goes on where it can't be used.
pub struct Words {
    /// What it is.
    pub what: &'static str,
    /// With its copy.
    pub restored: &'static str,
    /// Without.
    pub lost: &'static str,
}

/// Reads as [`read`] does, for whoever goes on with it: a file that can't be used is moved aside. What it
/// came to where that is so, for people.
pub fn load<T>(
    disk: &dyn Disk,
    path: &Path,
    words: &Words,
    parse: impl Fn(&[u8]) -> Result<T, String>,
) -> (Option<T>, Option<String>) {
    let reading = read(disk, path, parse);
    let told = reading.damage.as_ref().map(|damage| {
        let aside = set_aside(disk, path);
        let moved = aside.map(|aside| format!(", it was moved to {}", aside.display())).unwrap_or_default();
        let rest = if reading.content.is_some() { words.restored } else { words.lost };
        format!("{} {damage}{moved}: {rest}", words.what)
    });
    (reading.content, told)
}

/// Moves a file aside that can't be used; where it lies now. `None`: there is nothing, or it can't be
/// moved, which its next writer is told.
pub fn set_aside(disk: &dyn Disk, path: &Path) -> Option<PathBuf> {
    let taken = disk.list(path.parent()?).ok()?;
    let is_taken = |path: &PathBuf| path.file_name().is_some_and(|name| taken.contains(&name.to_string_lossy().into_owned()));
    let numbered = (2..).map(|number| path.with_added_extension(format!("damaged-{number}")));
    let free = std::iter::once(path.with_added_extension("damaged")).chain(numbered).find(|path| !is_taken(path))?;
    disk.rename(path, &free).ok().map(|()| free)
}

/// Whether content carries a checksum at all; a version of a file that has one must carry it.
pub fn is_sealed(content: &[u8]) -> bool {
    is_whole(content).is_some()
}

fn copy_of(path: &Path) -> PathBuf {
    path.with_added_extension("1")
}

fn seal(object: &[u8]) -> Vec<u8> {
    let rest = object.strip_prefix(b"{").unwrap_or(object);
    let mut sealed = format!("{FIELD}{BLANK}\",").into_bytes();
    sealed.extend_from_slice(rest);
    let checksum = hex(&Sha256::digest(&sealed));
    sealed[FIELD.len()..FIELD.len() + BLANK.len()].copy_from_slice(checksum.as_bytes());
    sealed
}

/// `None`: it carries no checksum.
fn is_whole(content: &[u8]) -> Option<bool> {
    let rest = content.strip_prefix(FIELD.as_bytes())?;
    let (told, rest) = rest.split_at_checked(BLANK.len())?;
    let mut digest = Sha256::new();
    digest.update(FIELD.as_bytes());
    digest.update(BLANK.as_bytes());
    digest.update(rest);
    Some(hex(&digest.finalize()).as_bytes() == told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::sim::SimDisk;

    fn parse(content: &[u8]) -> Result<u64, String> {
        let value: serde_json::Value = serde_json::from_slice(content).map_err(|error| error.to_string())?;
        if !is_sealed(content) {
            return Err("is damaged (it has no checksum)".to_owned());
        }
        value["n"].as_u64().ok_or_else(|| "has no n".to_owned())
    }

    fn write_number(disk: &SimDisk, number: u64, copy: Copy) {
        let object = serde_json::to_vec_pretty(&serde_json::json!({ "n": number })).expect("JSON");
        write(disk, Path::new("/s/f"), &object, copy).expect("a disk in memory");
    }

    #[test]
    fn any_flip_and_any_truncation_is_noticed_and_the_copy_read() {
        for (copy, copied) in [(Copy::Former, 1), (Copy::Same, 2)] {
            let disk = SimDisk::default();
            write_number(&disk, 1, copy);
            write_number(&disk, 2, copy);
            let path = Path::new("/s/f");
            let whole = disk.read(path).expect("read").expect("there");
            let flips = (0..whole.len()).flat_map(|at| (0..8).map(move |bit| (at, bit)));
            let flipped = flips.map(|(at, bit)| {
                let mut content = whole.clone();
                content[at] ^= 1 << bit;
                content
            });
            let cut = (0..whole.len()).map(|length| whole[..length].to_vec());
            for content in flipped.chain(cut) {
                disk.write_atomic(path, &content).expect("written");
                let reading = read(&disk, path, parse);
                assert_eq!((reading.content, reading.damage.is_some()), (Some(copied), true), "{content:?}");
            }
            disk.write_atomic(path, &whole).expect("written");
            assert_eq!(read(&disk, path, parse).content, Some(2));
        }
    }

    #[test]
    fn without_file_and_copy_nothing_was_ever_written() {
        let reading = read(&SimDisk::default(), Path::new("/s/f"), parse);
        assert_eq!((reading.content, reading.damage), (None, None));
    }

    #[test]
    fn what_is_set_aside_is_never_overwritten() {
        let disk = SimDisk::default();
        for _ in 0..3 {
            write_number(&disk, 1, Copy::Former);
            set_aside(&disk, Path::new("/s/f")).expect("a free name");
        }
        assert_eq!(disk.list(Path::new("/s")).expect("listed"), ["f.damaged", "f.damaged-2", "f.damaged-3"]);
        assert_eq!(set_aside(&disk, Path::new("/s/f")), None);
    }
}
