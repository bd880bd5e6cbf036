//! What keeps the data of a Postgres, with the real binary on the real engine: passwords that were
//! lost, images of another family, data under an old name.

use crate::postgres::{IMAGE, image};
use crate::stack::{TestStack, text};
use crate::support::docker;
use crate::up::kill_with_guardian;

pub const TEXT: &str = r#"
name = "NAME"
[postgres.db]
image = "IMAGE"
pull = "never"
backup.enabled = false
[services.app]
image = "localhost/witwd-test-postgres:17"
pull = "never"
entrypoint = []
command = ["sleep", "3600"]
hardening.init = true
env.DATABASE_URL = "${db.url}"
health.exec = ["sh", "-c", "exec psql -X $DATABASE_URL -c 'SELECT 1'"]
"#;

pub async fn stack(name: &str) -> TestStack {
    image().await;
    TestStack::new(name, &TEXT.replace("IMAGE", IMAGE)).await
}

/// What the app gets for a query; `Err`: the words of psql.
pub fn query(stack: &TestStack, query: &str) -> Result<String, String> {
    let app = stack.item("app")["container"].as_str().expect("a container").to_owned();
    let output = docker(&["exec", &app, "sh", "-c", &format!("psql -X -qAt $DATABASE_URL -c \"{query}\"")]);
    if output.status.success() { Ok(text(&output.stdout).trim().to_owned()) } else { Err(text(&output.stderr)) }
}

pub fn of(stack: &TestStack, name: &str) -> String {
    let line = stack.identities().into_iter().find(|line| line.contains(&format!("-{name}-1")));
    line.unwrap_or_else(|| panic!("no {name}"))
}

/// What was started. A container that is to follow one of them may be made already, and waits.
fn started(stack: &TestStack) -> Vec<String> {
    stack.identities().into_iter().filter(|line| line.split(' ').nth(2) != Some("0")).collect()
}

/// An `up` that must be refused to protect data, with these words, and without touching what runs.
fn refused(stack: &TestStack, words: &str) {
    let before = started(stack);
    let output = stack.run(&["up", "-d", "--timeout", "60s"]);
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(6), "{complaint}\n{}", stack.log());
    assert!(complaint.contains(words), "{complaint}");
    assert_eq!(started(stack), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_that_were_lost_are_made_anew_for_the_server_and_for_the_app() {
    let stack = stack("lost").await;
    stack.done(&["up", "-d"]);
    query(&stack, "CREATE TABLE kept AS SELECT 1 AS n").expect("a table");
    let (db, app) = (of(&stack, "db"), of(&stack, "app"));
    kill_with_guardian(&stack).await;
    for name in ["secrets.json", "secrets.json.1"] {
        std::fs::remove_file(stack.path().join(".witwd").join(name)).expect("the store and its copy");
    }
    stack.done(&["up", "-d"]);
    assert_eq!(of(&stack, "db"), db, "the server runs on");
    assert_ne!(of(&stack, "app"), app);
    assert_eq!(query(&stack, "SELECT n FROM kept").as_deref(), Ok("1"));
    assert!(stack.log().contains("its passwords were lost and made anew"), "{}", stack.log());
    let after = stack.identities();
    stack.done(&["up", "-d"]);
    assert_eq!(stack.identities(), after);
}

/// An image made from another, removed with the test.
pub struct Derived(pub String);

impl Derived {
    fn new(stack: &TestStack, tag: &str, environment: &str) -> Self {
        Self::with(stack, tag, &format!("ENV {environment}\n"))
    }

    /// With an instruction of a Dockerfile more; `libc` is a file that says it is another glibc.
    pub fn with(stack: &TestStack, tag: &str, instruction: &str) -> Self {
        let name = format!("localhost/{}-pg:{tag}", stack.name);
        let directory = tempfile::tempdir().expect("a directory");
        let dockerfile = format!("FROM {IMAGE}\n{instruction}\n");
        std::fs::write(directory.path().join("libc"), "GNU C Library (X) stable release version 2.36.\n").expect("a file");
        std::fs::write(directory.path().join("Dockerfile"), dockerfile).expect("a Dockerfile");
        let output = docker(&["build", "-q", "-t", &name, &directory.path().display().to_string()]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        Self(name)
    }
}

impl Drop for Derived {
    fn drop(&mut self) {
        docker(&["image", "rm", "-f", &self.0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_another_family_or_major_is_refused_and_nothing_is_stopped() {
    let stack = stack("family").await;
    stack.done(&["up", "-d"]);
    let alpine = Derived::new(&stack, "17-other", "PG_SHA256=00");
    stack.write(&TEXT.replace("IMAGE", &alpine.0));
    refused(&stack, "data directory made by Debian (glibc), image is Alpine (musl)");
    assert_eq!(query(&stack, "SELECT 1").as_deref(), Ok("1"));

    // Also where all that was remembered is gone.
    kill_with_guardian(&stack).await;
    std::fs::remove_file(stack.path().join(".witwd/state.json")).expect("the state");
    refused(&stack, "data directory made by Debian (glibc), image is Alpine (musl)");

    let newer = Derived::new(&stack, "18", "PG_MAJOR=18");
    stack.write(&TEXT.replace("IMAGE", &newer.0));
    refused(&stack, "data directory of major 17, image is 18");

    let db = of(&stack, "db");
    stack.write(&TEXT.replace("IMAGE", IMAGE));
    stack.done(&["up", "-d"]);
    assert_eq!(of(&stack, "db"), db);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_that_says_its_old_name_goes_on_with_its_data() {
    let stack = stack("moved").await;
    stack.done(&["up", "-d"]);
    query(&stack, "CREATE TABLE kept AS SELECT 1 AS n").expect("a table");
    let moved = TEXT.replace("IMAGE", IMAGE).replace("postgres.db", "postgres.store").replace("db.url", "store.url");
    stack.write(&moved);
    refused(&stack, "lies unused");
    stack.write(&moved.replace("[postgres.store]", "[postgres.store]\nrenamed_from = \"db\""));
    stack.done(&["up", "-d"]);
    assert_eq!(query(&stack, "SELECT n FROM kept").as_deref(), Ok("1"));
    assert_eq!(stack.identities().len(), 2, "the old server is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn data_under_an_old_name_is_refused_then_kept_or_left_as_the_user_says() {
    let stack = stack("renamed").await;
    stack.done(&["up", "-d"]);
    query(&stack, "CREATE TABLE kept AS SELECT 1 AS n").expect("a table");
    let moved = TEXT.replace("IMAGE", IMAGE).replace("pull = \"never\"\nbackup", "pull = \"never\"\nvolume = \"store\"\nbackup");
    stack.write(&moved);
    refused(&stack, "`store = { renamed_from = \"db-17\" }`");

    stack.write(&format!("{moved}[volumes]\nstore = {{ renamed_from = \"db-17\" }}\n"));
    stack.done(&["up", "-d"]);
    assert_eq!(query(&stack, "SELECT n FROM kept").as_deref(), Ok("1"));

    stack.write(&moved);
    refused(&stack, "`witwd up --fresh db`");
    stack.done(&["up", "-d", "--fresh", "db"]);
    let gone = query(&stack, "SELECT n FROM kept").expect_err("a new data directory");
    assert!(gone.contains("does not exist"), "{gone}");
    assert!(docker(&["volume", "inspect", &format!("{}_db-17", stack.name)]).status.success(), "the old data stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_and_a_volume_of_other_names_have_their_data() {
    let stack = stack("old").await;
    let text = |name: &str, top: &str, mount: &str, volumes: &str| {
        let text = TEXT.replace("IMAGE", IMAGE).replace("name = \"NAME\"", &format!("name = \"{name}\"\n{top}"));
        format!(
            "{}[volumes]\n{volumes}\n",
            text.replace("entrypoint = []", &format!("entrypoint = []\nvolumes = [\"{mount}:/files\"]"))
        )
    };
    let note = |words: &str| {
        let app = stack.item("app")["container"].as_str().expect("a container").to_owned();
        self::text(&docker(&["exec", &app, "sh", "-c", words]).stdout)
    };
    stack.write(&text("NAME", "", "files", "files = {}"));
    stack.done(&["up", "-d"]);
    query(&stack, "CREATE TABLE kept AS SELECT 1 AS n").expect("a table");
    note("echo kept > /files/note");

    stack.write(&text("NAME", "", "media", "media = {}"));
    refused(&stack, "`media = { renamed_from = \"files\" }`");
    refused(&stack, "`witwd up --fresh media`");
    assert_eq!(query(&stack, "SELECT n FROM kept").as_deref(), Ok("1"), "all runs on");
    stack.write(&text("NAME", "", "media", "media = { renamed_from = \"files\" }"));
    stack.done(&["up", "-d"]);
    assert_eq!(note("cat /files/note"), "kept\n");
    stack.done(&["down"]);

    let media = "media = { renamed_from = \"files\" }";
    stack.write(&text("NAME-new", "", "media", media));
    refused(&stack, &format!("`renamed_from = \"{}\"`", stack.name));
    refused(&stack, &format!("`witwd up --fresh {}-new`", stack.name));
    stack.done(&["down"]);
    std::fs::remove_file(stack.path().join(".witwd/state.json")).expect("the state");
    stack.write(&text("NAME-new", "renamed_from = \"NAME\"", "media", media));
    stack.done(&["up", "-d"]);
    assert_eq!(query(&stack, "SELECT n FROM kept").as_deref(), Ok("1"));
    assert_eq!(note("cat /files/note"), "kept\n");
    let ended = stack.run(&["down", "--volumes", "--yes"]);
    let said = self::text(&ended.stderr);
    assert!(ended.status.success() && said.contains(&format!("{}_files", stack.name)), "{said}");
    let left = docker(&["volume", "ls", "-q", "--filter", &format!("name={}", stack.name)]);
    assert_eq!(self::text(&left.stdout), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nothing_is_remembered_of_is_looked_into_before_it_is_started() {
    let stack = stack("examined").await;
    let text_of = |image: &str, volume: &str| {
        let volume = format!("pull = \"never\"\nvolume = \"{volume}\"\nbackup");
        TEXT.replace("IMAGE", image).replace("pull = \"never\"\nbackup", &volume)
    };
    stack.write(&text_of(IMAGE, "store"));
    stack.done(&["up", "-d"]);
    query(&stack, "CREATE TABLE kept AS SELECT 1 AS n").expect("a table");

    // Another version of glibc: the new container is made and looked into, the old one runs on.
    let library = docker(&["run", "--rm", "--entrypoint", "sh", IMAGE, "-c", "readlink -f /lib/*-linux-gnu/libc.so.6"]);
    let older = Derived::with(&stack, "17-older", &format!("COPY libc {}", text(&library.stdout).trim()));
    stack.write(&text_of(&older.0, "store"));
    let db = of(&stack, "db");
    let output = stack.run(&["up", "-d", "--timeout", "60s"]);
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(6), "{complaint}\n{}", stack.log());
    assert!(complaint.contains("data directory sorted by glibc 2.41, image has glibc 2.36"), "{complaint}");
    assert!(stack.identities().contains(&db), "the server runs on");

    // Containers and memory are lost, and only the volume is there, of another major.
    stack.done(&["down"]);
    std::fs::remove_file(stack.path().join(".witwd/state.json")).expect("the state");
    let newer = Derived::new(&stack, "18", "PG_MAJOR=18");
    stack.write(&text_of(&newer.0, "store"));
    let refusal = |words: &str| {
        let output = stack.run(&["up", "-d", "--timeout", "60s"]);
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(6), "{complaint}\n{}", stack.log());
        assert!(complaint.contains(words), "{complaint}");
        assert!(!stack.log().contains("start db"), "{}", stack.log());
    };
    std::fs::remove_file(stack.path().join(".witwd/daemon.log")).expect("the log so far");
    refusal("data directory of major 17, image is 18");

    // Something that is no data directory.
    let odd = format!("{}-odd", stack.name);
    let label = format!("dev.witwd.directory={}", stack.path().canonicalize().expect("its directory").display());
    docker(&["volume", "create", "--label", &label, &odd]);
    docker(&["run", "--rm", "-v", &format!("{odd}:/x"), "--entrypoint", "touch", IMAGE, "/x/file"]);
    stack.write(&format!("{}[volumes]\n{odd} = {{ external = true }}\n", text_of(IMAGE, &odd)));
    refusal("is not empty and holds no data directory of a Postgres");

    // The same data under the image that made it.
    stack.write(&text_of(IMAGE, "store"));
    stack.done(&["up", "-d"]);
    assert_eq!(query(&stack, "SELECT n FROM kept").as_deref(), Ok("1"));
}
