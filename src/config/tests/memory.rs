//! What was read once is read again from memory, whatever became of the files.

use std::path::Path;

use super::super::{LoadRequest, Loaded, load};

const FILES: [(&str, &str); 6] = [
    (
        "stack.toml",
        "name = \"shop\"\ninclude = [\"more.toml\"]\n[services.web]\nimage = \"web:${env.TAG}\"\nenv_files = [\"web.env\", { path = \"no.env\", optional = true }]\ninputs = [\"src/*.txt\"]\n",
    ),
    ("more.toml", "[postgres.db]\nimage = \"postgres:17\"\ninit = [\"init/*.sql\"]\n"),
    ("stack.prod.toml", "[services.web]\nreplicas = 2\n"),
    (".env", "TAG=7\n"),
    ("web.env", "COLOUR=blue\n"),
    ("src/a.txt", "one"),
];

fn write(directory: &Path) {
    for (name, text) in FILES.into_iter().chain([("init/01.sql", "SELECT 1;")]) {
        let path = directory.join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(path, text).expect("a file");
    }
}

fn request(directory: &Path) -> LoadRequest {
    LoadRequest { file: directory.join("stack.toml"), profiles: vec!["prod".into()], ..LoadRequest::default() }
}

fn read(request: &LoadRequest) -> Loaded {
    load(request).unwrap_or_else(|invalid| panic!("{:#?}", invalid.problems))
}

#[test]
fn every_file_may_be_gone_or_changed() {
    let directory = tempfile::tempdir().expect("a directory");
    let directory = directory.path().canonicalize().expect("a directory");
    write(&directory);
    let first = read(&request(&directory));
    let text = serde_json::to_string(&first.snapshot).expect("JSON");
    let memory = serde_json::from_str(&text).expect("the same again");
    std::fs::write(directory.join("src/a.txt"), "two").expect("a file");
    assert_ne!(read(&request(&directory)).stack, first.stack, "an input is part of the definition");
    for (name, _) in FILES {
        std::fs::remove_file(directory.join(name)).expect("removing it");
    }
    std::fs::write(directory.join("no.env"), "COLOUR=red\n").expect("a file");
    assert!(load(&request(&directory)).is_err());
    let again = read(&LoadRequest { memory: Some(memory), ..request(&directory) });
    assert_eq!(again.stack, first.stack);
    assert_eq!((again.definitions, again.snapshot), (first.definitions, first.snapshot));
}

#[test]
fn a_renamed_directory_is_read_from_the_same_memory() {
    let root = tempfile::tempdir().expect("a directory");
    let root = root.path().canonicalize().expect("a directory");
    let (one, two) = (root.join("one"), root.join("two"));
    write(&one);
    let first = read(&request(&one));
    std::fs::rename(&one, &two).expect("renaming");
    std::fs::write(two.join("stack.toml"), "name = ").expect("a file");
    let again = read(&LoadRequest { memory: Some(first.snapshot), ..request(&two) });
    assert_eq!(again.definitions, first.definitions);
    let postgres = again.stack.in_order().find_map(|workload| workload.postgres()).expect("a postgres");
    assert_eq!(postgres.init, [two.join("init/01.sql")]);
}

#[test]
fn a_memory_does_not_show_what_may_be_secret() {
    let directory = tempfile::tempdir().expect("a directory");
    write(directory.path());
    let shown = format!("{:?}", read(&request(directory.path())).snapshot);
    assert!(shown.contains("web.env") && !shown.contains("blue"), "{shown}");
}
