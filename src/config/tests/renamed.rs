//! `renamed_from` of a stack: what its data is called.

use super::Stack;

const NEW: &str = r#"
name = "new-name"
renamed_from = "old-name"
[services.app]
image = "app:1"
env.DATABASE = "${db.database}"
[postgres.db]
image = "postgres:17"
"#;

fn database(stack: &Stack) -> (String, String, String) {
    let loaded = stack.loaded();
    let workload = |name: &str| loaded.stack.workload(&name.parse().expect("a name")).expect("it is declared").clone();
    let (app, db) = (workload("app"), workload("db"));
    let postgres = db.postgres().expect("a postgres");
    assert_eq!(app.container.env["DATABASE"].to_string(), postgres.database.to_string());
    (postgres.database.to_string(), postgres.user.to_string(), loaded.stack.engine_volume(&postgres.volume))
}

#[test]
fn a_renamed_stack_has_the_database_the_role_and_the_volumes_of_its_old_name() {
    let whole = |name: &str, volume: &str| (name.to_owned(), name.to_owned(), volume.to_owned());
    assert_eq!(database(&Stack::of(NEW)), whole("old_name", "old-name_db-17"));
    assert!(Stack::of(NEW).loaded().not_carried_out.iter().all(|words| !words.contains("renamed_from")));
    // A name that was given has nothing to do with what the file says of its own.
    let mut other = Stack::of(NEW);
    other.request.name = Some("other".to_owned());
    assert_eq!(database(&other), whole("other", "other_db-17"));
}

#[test]
fn a_stack_is_not_renamed_from_its_own_name_or_from_no_name() {
    assert!(Stack::of(&NEW.replace("old-name", "new-name")).said().contains("`new-name` is the name that the stack has"));
    assert!(Stack::of(&NEW.replace("old-name", "Old")).said().contains("\"Old\" is not a name of a stack"));
}

const SERVER: &str = r#"
name = "demo"
[postgres.store]
image = "postgres:17"
renamed_from = "db"
"#;

#[test]
fn a_renamed_postgres_has_the_volume_of_its_old_name_unless_that_has_a_name_of_its_own() {
    let volume = |text: &str| {
        let loaded = Stack::of(text).loaded();
        let postgres = loaded.stack.workload(&"store".parse().expect("a name")).expect("it is declared").clone();
        loaded.stack.engine_volume(&postgres.postgres().expect("a postgres").volume)
    };
    assert_eq!(volume(SERVER), "demo_db-17");
    assert_eq!(volume(&SERVER.replace("renamed_from", "volume = \"data\"\nrenamed_from")), "demo_data");
    let also = format!("{SERVER}[volumes]\nstore-17 = {{ renamed_from = \"db-17\" }}\n");
    assert_eq!(volume(&also), "demo_db-17", "said twice");
    assert!(Stack::of(&also.replace("db-17", "other")).said().contains("can't come both from `db-17` and from `other`"));
    assert!(Stack::of(&SERVER.replace("\"db\"", "\"store\"")).said().contains("`store` is the name that this postgres has"));
    let both = format!("{SERVER}[postgres.db]\nimage = \"postgres:17\"\n");
    let said = Stack::of(&both).said();
    assert!(
        said.starts_with("stack.toml:5:16: volume `store-17` would have the data of `db-17`, and so would `postgres.db`"),
        "{said}"
    );
}

#[test]
fn a_volume_with_the_data_of_one_that_is_used_is_told_where_it_says_so() {
    let text = "name = \"demo\"\n[volumes]\nold = {}\nnew = { renamed_from = \"old\" }\n";
    let said = Stack::of(text).said();
    assert!(said.contains("stack.toml:4:24: volume `new` would have the data of `old`, and so would volume `old`"), "{said}");
}
