//! Which of two readings is run, on the simulated engine.

use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;

use super::*;
use crate::engine::Engine as _;
use crate::engine::request::CreateVolume;
use crate::engine::sim::{Operation, SimEngine};
use crate::host::runtime::{Runtime, Surroundings};
use crate::host::{Clock as _, SystemClock, SystemDisk};
use crate::model::name::InstanceId;
use crate::model::status::DaemonStatus;

/// The loader of a daemon in a directory of the test's own, whose stack needs `TAG`.
struct Loading {
    loader: FileLoader,
    engine: SimEngine,
    _directory: tempfile::TempDir,
}

impl Loading {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().canonicalize().expect("its path");
        let file = path.join("stack.toml");
        std::fs::write(&file, "name = \"shop\"\n[services.web]\nimage = \"app:${env.TAG}\"\n").expect("a file");
        let clock = Arc::new(SystemClock::new());
        let of_test = Surroundings { uid: rustix::process::geteuid().as_raw(), chosen: Some(path.join("run")), xdg: None };
        let engine = SimEngine::new(clock.clone());
        let parts = Parts {
            disk: Arc::new(SystemDisk),
            engine: Arc::new(engine.clone()),
            instance: InstanceId("here".to_owned()),
            runtime: Runtime::open(&of_test).expect("a runtime directory"),
            daemon: DaemonStatus { pid: 1, version: "0".to_owned(), since: clock.wall() },
            place: super::super::place::Place { state: path.join(".witwd"), directory: path, file },
            clock,
        };
        Self { loader: FileLoader::of(parts), engine, _directory: directory }
    }

    /// The tag that is kept, which a daemon that is started again runs.
    fn kept(&self) -> String {
        self.loader.kept().expect("kept").environment["TAG"].clone()
    }
}

fn up(tag: &str) -> Up {
    Up { environment: [("TAG".to_owned(), tag.to_owned())].into(), ..Up::default() }
}

#[tokio::test]
async fn a_save_that_was_read_under_older_surroundings_does_not_undo_an_up() {
    let loading = Loading::new();
    let loader = &loading.loader;
    good(loader.prepare(up("1"), own()).await);
    // The `up` began first, and its engine was slow.
    let wanted = good(loader.wanted(&up("2")).await);
    let saved = good(loader.saved(Known::default()).await);
    assert!(loader.accept(&wanted.read, 0).expect("kept"));
    assert!(loader.take_saved(saved, None).expect("no fault").is_none(), "it is looked at again");
    assert_eq!(loading.kept(), "2");
}

#[tokio::test]
async fn what_a_daemon_goes_on_with_is_older_than_every_up() {
    let loading = Loading::new();
    let loader = &loading.loader;
    good(loader.prepare(up("1"), own()).await);
    let before = loader.kept().expect("kept");
    good(loader.prepare(up("2"), own()).await);
    let (resumed, _) = good(loader.go_on(before).await);
    assert_eq!((loading.kept().as_str(), resumed.reading), ("2", RESUMED));
}

#[tokio::test]
async fn what_an_up_leaves_beside_the_file_is_written_where_it_is_another() {
    let loading = Loading::new();
    let state = &loading.loader.parts.place.state;
    let (environment, schema) = (state.join("environment.json"), state.join("stack.schema.json"));
    // What is written is a new file in the place of the former.
    let files = || [&environment, &schema].map(|path| std::fs::metadata(path).expect("it is there").ino());
    good(loading.loader.prepare(up("1"), own()).await);
    let first = files();
    good(loading.loader.prepare(up("1"), own()).await);
    assert_eq!(files(), first);
    std::fs::write(&schema, "{}").expect("written");
    good(loading.loader.prepare(up("2"), own()).await);
    assert!(files()[0] != first[0] && files()[1] != first[1]);
    let text = std::fs::read_to_string(&schema).expect("readable");
    assert_eq!(text, super::super::assembly::schema());
}

#[tokio::test]
async fn whose_the_stack_is_is_asked_once_and_again_where_it_needs_more() {
    let loading = Loading::new();
    let engine = loading.engine.clone();
    let looks = || engine.calls().of(Operation::Observe).len();
    good(loading.loader.prepare(up("1"), own()).await);
    good(loading.loader.prepare(up("2"), own()).await);
    assert_eq!(looks(), 2, "there was nothing yet: another one could have begun");
    let with = |volumes: &str| {
        let text = format!(
            "name = \"shop\"\n[services.web]\nimage = \"app:${{env.TAG}}\"\nvolumes = [{volumes}]\n[volumes]\ndata = {{}}\nmore = {{}}\n"
        );
        std::fs::write(&loading.loader.parts.place.file, text).expect("a file");
    };
    with("\"data:/data\"");
    engine.create_volume(&volume(&loading)).await.expect("made");
    good(loading.loader.prepare(up("2"), own()).await);
    good(loading.loader.prepare(up("3"), own()).await);
    assert_eq!(looks(), 3, "what is there holds the name");
    with("\"data:/data\", \"more:/more\"");
    good(loading.loader.prepare(up("3"), own()).await);
    assert_eq!(looks(), 4, "a volume that another instance may have made");
}

/// The volume `data` as this daemon would make it.
fn volume(loading: &Loading) -> CreateVolume {
    let place = &loading.loader.parts.place;
    CreateVolume {
        name: "shop_data".to_owned(),
        volume: "data".to_owned(),
        stack: "shop".parse().expect("a name"),
        instance: place.instance().expect("an instance"),
        directory: place.directory.display().to_string(),
        of_image: false,
        data_of: None,
        trial_of: None,
        driver: None,
        options: BTreeMap::new(),
        labels: BTreeMap::new(),
    }
}

fn good<T>(result: Result<T, Failure>) -> T {
    result.unwrap_or_else(|failure| panic!("{}", failure.message))
}

fn own() -> Peer {
    Peer { uid: 0, gid: 0, pid: None }
}
