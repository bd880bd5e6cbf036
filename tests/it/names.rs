//! Names that mean more than a name to a shell, to `psql`, to a path or to the engine: each is refused where
//! the file is read, so that no command and no request ever carries one.

use witwd::config::{LoadRequest, load};

/// Texts that would be something else where a name is put.
const HOSTILE: [&str; 14] = [
    "",
    "a;rm -rf /",
    "-Fp",
    "--help",
    "x host=evil",
    "postgresql://evil/x",
    "$(id)",
    "`id`",
    "a\nb",
    "a\0b",
    "a'b",
    "../../etc/shadow",
    "a/b",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];

/// Where a name stands in a file: `HERE` is the name, quoted.
const PLACES: [&str; 16] = [
    "name = HERE\n[services.app]\nimage = \"app:1\"\n",
    "[services.HERE]\nimage = \"app:1\"\n",
    "[postgres.HERE]\nimage = \"postgres:17\"\n",
    "[jobs.HERE]\nimage = \"app:1\"\ncommand = [\"x\"]\n",
    "[postgres.db]\nimage = \"postgres:17\"\ndatabase = HERE\n",
    "[postgres.db]\nimage = \"postgres:17\"\nuser = HERE\n",
    "[postgres.db]\nimage = \"postgres:17\"\ndatabases = [HERE]\n",
    "[postgres.db]\nimage = \"postgres:17\"\nroles.HERE = {}\n",
    "[postgres.db]\nimage = \"postgres:17\"\nextensions = [HERE]\n",
    "[services.app]\nimage = \"app:1\"\n[volumes]\nHERE = {}\n",
    "[services.app]\nimage = \"app:1\"\nsecrets = [HERE]\n[secrets]\nHERE = { env = \"X\" }\n",
    "renamed_from = HERE\n[services.app]\nimage = \"app:1\"\n",
    "[services.app]\nimage = \"app:1\"\n[volumes]\nkept = { renamed_from = HERE }\n",
    "[services.app]\nimage = \"app:1\"\nhostname = HERE\n",
    "[postgres.db]\nimage = \"postgres:17\"\nvolume = HERE\n",
    "[services.app]\nimage = \"app:1\"\naliases = [HERE]\n",
];

#[test]
fn what_is_more_than_a_name_is_refused_wherever_a_name_stands() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("stack.toml");
    let mut taken = Vec::new();
    for place in PLACES {
        let is_read = |name: &str| {
            // As a basic string, which may hold everything, as a key too.
            let quoted = format!("{name:?}").replace("\\0", "\\u0000");
            let begin = if place.starts_with("name = ") { "" } else { "name = \"shop\"\n" };
            std::fs::write(&file, format!("{begin}{}", place.replace("HERE", &quoted))).expect("a file");
            load(&LoadRequest { file: file.clone(), ..LoadRequest::default() }).map(drop)
        };
        is_read("good").unwrap_or_else(|invalid| panic!("{place}: {:#?}", invalid.problems));
        for name in HOSTILE {
            match is_read(name) {
                Ok(()) => taken.push(format!("{name:?} in {place}")),
                Err(invalid) => assert!(!invalid.problems.is_empty(), "{name:?} in {place}"),
            }
        }
    }
    assert!(taken.is_empty(), "{}", taken.join("\n"));
}
