//! `init` in a directory as a person meets it.

use std::path::Path;

use super::cli::witwd;

fn end(directory: &Path, words: &[&str]) -> (i32, String, String) {
    let output = witwd(directory).args(words).output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().expect("a code"), text(&output.stdout), text(&output.stderr))
}

/// What lies in a directory, with its texts.
fn content(directory: &Path) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path());
    let files = entries.filter(|path| path.is_file());
    let mut files: Vec<(String, String)> =
        files.map(|path| (path.display().to_string(), std::fs::read_to_string(path).expect("a text"))).collect();
    files.sort();
    files
}

#[test]
fn what_is_written_is_valid_and_what_was_there_stays() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name);
    std::fs::write(at("Dockerfile"), "FROM scratch\nEXPOSE 8000\n").expect("a file");
    std::fs::write(at(".gitignore"), "*.log").expect("a file");
    let before = content(directory.path());

    let (code, shown, said) = end(directory.path(), &["--name", "shop", "init", "--print"]);
    assert_eq!((code, content(directory.path())), (0, before), "{said}");
    assert!(shown.contains("name = \"shop\"\n\n[services.app]\nbuild = \".\"\n"), "{shown}");
    assert!(said.contains("note: found Dockerfile"), "{said}");

    let (code, nothing, said) = end(directory.path(), &["--name", "shop", "init"]);
    assert_eq!((code, nothing.as_str()), (0, ""), "{said}");
    assert_eq!(std::fs::read_to_string(at("stack.toml")).expect("the file"), shown);
    assert_eq!(std::fs::read_to_string(at(".gitignore")).expect("a file"), "*.log\n.witwd/\n");
    assert_eq!(std::fs::read_to_string(at(".dockerignore")).expect("a file"), ".witwd/\n.git/\n");
    assert_eq!(end(directory.path(), &["check", "--strict"]).0, 0);

    let written = content(directory.path());
    let (code, _, said) = end(directory.path(), &["init"]);
    assert_eq!((code, content(directory.path())), (1, written), "nothing is touched");
    assert!(said.contains("is there already") && said.contains("`witwd check`") && said.contains("--print`"), "{said}");
}

#[test]
fn programs_get_one_document() {
    let directory = tempfile::tempdir().expect("a directory");
    let compose = "services: { app: { image: \"app:1\", environment: { KEY: \"${KEY:?set it}\" }, tty: true } }";
    std::fs::write(directory.path().join("compose.yaml"), compose).expect("a file");
    let (code, shown, said) = end(directory.path(), &["--name", "shop", "init", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&shown).expect("one document");
    assert_eq!((code, said.as_str(), &document["v"], &document["written"]), (0, "", &1.into(), &true.into()));
    let text = std::fs::read_to_string(directory.path().join("stack.toml")).expect("the file");
    assert_eq!(document["text"], text);
    let notes = document["notes"].to_string();
    assert!(notes.contains("app: not carried over: tty"), "{notes}");
    assert!(notes.contains("line 6") && notes.contains("set it"), "what is still to be done is said: {notes}");
    let (code, shown, _) = end(directory.path(), &["init", "--json"]);
    assert!(code == 1 && shown.contains("\"error\""), "{shown}");
}
