//! Names of files for databases of any name. Pure.

use std::fmt::Write as _;

/// What a dump's file ends with.
const SUFFIX: &str = ".dump.zst";
/// A name in a directory may have 255 bytes.
const LONGEST: usize = 200;

/// The file of a database in a set: its own name where that can be one, every other byte as `%2F`.
pub fn dump_file(database: &str) -> String {
    let mut name = String::new();
    for (at, byte) in database.bytes().enumerate() {
        let is_plain = byte.is_ascii_alphanumeric() || byte == b'_' || (at > 0 && (byte == b'-' || byte == b'.'));
        if is_plain {
            name.push(char::from(byte));
        } else {
            let _ = write!(name, "%{byte:02X}");
        }
    }
    // 63 bytes, all of them escaped, are 189 letters.
    debug_assert!(name.len() <= LONGEST, "a name of a database has at most 63 bytes");
    format!("{name}{SUFFIX}")
}

/// Whether a text is the name of a file of a set, and leads nowhere else.
pub fn is_plain(file: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.%".contains(&byte);
    !file.is_empty() && !file.starts_with(['.', '-']) && file.bytes().all(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_of_any_name_has_a_file_of_its_own() {
        let table = [
            ("app", "app.dump.zst"),
            ("my-app.v2", "my-app.v2.dump.zst"),
            ("../up", "%2E.%2Fup.dump.zst"),
            ("-rf", "%2Drf.dump.zst"),
            ("a b=\"c'", "a%20b%3D%22c%27.dump.zst"),
            ("100%", "100%25.dump.zst"),
            ("K\u{f6}ln", "K%C3%B6ln.dump.zst"),
        ];
        for (database, file) in table {
            assert_eq!(dump_file(database), file);
            assert!(is_plain(&dump_file(database)), "{file}");
        }
    }

    #[test]
    fn a_file_of_a_set_lies_in_its_directory() {
        for bad in ["", ".", "..", "../x", "a/b", ".hidden", "-x", "a\0b", "a b"] {
            assert!(!is_plain(bad), "{bad:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn two_databases_never_share_a_file(one in "\\PC{1,20}", other in "\\PC{1,20}") {
            proptest::prop_assert!(one == other || dump_file(&one) != dump_file(&other));
            proptest::prop_assert!(is_plain(&dump_file(&one)));
        }
    }
}
