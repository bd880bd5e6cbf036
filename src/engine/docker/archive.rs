//! Archives that are sent to the engine.

use std::io;

use tar::{Builder, EntryType, Header};

use crate::engine::request::FileToPut;

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
