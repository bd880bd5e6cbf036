//! What is done with sets where no daemon runs: the command is one until it is done.

use crate::backups::{first, sets};
use crate::restore::{canonical, nothing_is_left, set_of_now, sql, stack};
use crate::stack::{TestStack, text};
use crate::up::kill_with_guardian;

#[tokio::test(flavor = "multi_thread")]
async fn without_a_daemon_a_command_keeps_the_stack_until_it_is_done() {
    let stack = stack("no-daemon").await;
    sql(&stack, "CREATE TABLE t AS SELECT generate_series(1, 500) AS n");
    let before = canonical(&stack, "app");
    let identities = stack.identities();
    kill_with_guardian(&stack).await;

    let output = stack.run(&["backup", "now"]);
    let said = text(&output.stderr);
    assert!(output.status.success() && said.contains("no daemon runs: this command keeps the stack until it is done"), "{said}");
    assert!(stack.ps()["daemon"].is_null(), "it ends with the command");
    assert_eq!(stack.identities(), identities, "and touches nothing that runs");
    let set = sets(&stack)[0]["id"].as_str().expect("an id").to_owned();
    stack.done(&["up", "-d"]);
    sql(&stack, "DROP TABLE t");
    kill_with_guardian(&stack).await;
    stack.done(&["restore", &set, "--yes", "--without-safety-set"]);
    assert!(stack.ps()["daemon"].is_null(), "{}", stack.ps());
    // The next one finds nothing under way.
    stack.done(&["snapshot", "save", "s"]);
    stack.done(&["restore", "undo", "--yes"]);
    stack.done(&["snapshot", "restore", "s", "--yes"]);
    stack.done(&["up", "-d"]);
    assert_eq!(canonical(&stack, "app"), before);
    nothing_is_left(&stack);
    // What is down is not brought up for a set.
    first(&stack).await;
    set_of_now(&stack);
    stack.done(&["down"]);
    let down = stack.run(&["backup", "now"]);
    assert_eq!(down.status.code(), Some(1), "{}", text(&down.stderr));
    assert_eq!(stack.identities(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_that_nobody_brought_up_is_not_brought_up_by_a_backup() {
    let stack = TestStack::new("never-up", "name = \"NAME\"\n[postgres.db]\nimage = \"postgres:17\"\n").await;
    let output = stack.run(&["backup", "now"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("`witwd up -d` starts one"), "{}", text(&output.stderr));
    assert_eq!(stack.identities(), Vec::<String>::new());
}
