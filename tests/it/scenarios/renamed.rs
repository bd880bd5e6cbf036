//! Data under an older name: refused, then used or left as the user says, whatever was forgotten.

use std::sync::Arc;

use witwd::engine::sim::Operation;
use witwd::model::history::Fresh;
use witwd::model::stack::Stack;
use witwd::model::status::{State, Status};
use witwd::supervisor::Up;

use super::stacks::stack;
use super::world::{Daemon, Machine, instance};

const FILES: &str = r#"
name = "demo"
[services.app]
image = "app:1"
volumes = ["files:/data"]
[postgres.db]
image = "postgres:17"
[volumes]
files = {}
"#;

/// Asks to run a stack, with these words of `--fresh`.
async fn up_fresh(daemon: &Daemon, stack: &Arc<Stack>, fresh: Fresh) -> Arc<Status> {
    let up = Up { fresh, ..Up::of(stack.clone()) };
    let generation = daemon.handle.up(up).await.expect("a daemon that lives");
    daemon.settled(generation, |status| status.converged).await
}

/// An `up` that is refused to protect data, and touches nothing.
async fn refused(machine: &Machine, daemon: &Daemon, stack: &Arc<Stack>, words: &[&str]) {
    let (before, calls) = (machine.containers(), machine.trace().of(Operation::Stop).len());
    let generation = daemon.up(stack).await;
    let status = daemon.settled(generation, |status| status.items.iter().any(|item| item.protects_data)).await;
    let item = status.items.iter().find(|item| item.protects_data).expect("just seen");
    assert_eq!(item.state, State::NeedsOperator);
    assert!(words.iter().all(|word| item.cause.contains(word)), "{}", item.cause);
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    assert_eq!(machine.containers(), before);
    assert_eq!(machine.trace().of(Operation::Stop).len(), calls);
}

/// The volumes that a container mounts, and all that there are.
fn volumes(machine: &Machine, container: &str) -> (Vec<String>, Vec<String>) {
    machine.engine.with(|world| {
        let mounted = world.by_name(container).into_iter().flat_map(|found| found.volumes().map(str::to_owned)).collect();
        (mounted, world.volumes.keys().cloned().collect())
    })
}

#[tokio::test(start_paused = true)]
async fn a_volume_of_another_name_is_used_or_left_as_the_user_says() {
    let machine = Machine::new();
    let daemon = machine.daemon(&stack(FILES));
    daemon.up_and_wait(&stack(FILES)).await;
    let text = FILES.replace("files:", "media:").replace("files =", "media =");
    let words = ["`media = { renamed_from = \"files\" }`", "`witwd up --fresh media`"];
    refused(&machine, &daemon, &stack(&text), &words).await;

    let renamed = stack(&text.replace("media = {}", "media = { renamed_from = \"files\" }"));
    daemon.up_and_wait(&renamed).await;
    assert_eq!(volumes(&machine, "demo-app-1").0, ["demo_files"]);
    daemon.down_and_wait().await;
    daemon.kill().await;
    machine.forget();
    let daemon = machine.daemon(&renamed);
    daemon.up_and_wait(&renamed).await;
    assert_eq!(volumes(&machine, "demo-app-1").0, ["demo_files"]);

    refused(&machine, &daemon, &stack(&text), &words).await;
    let fresh = Fresh { volumes: ["media".parse().expect("a name")].into(), ..Fresh::default() };
    up_fresh(&daemon, &stack(&text), fresh).await;
    let all = ["demo_db-17", "demo_files", "demo_media"].map(str::to_owned).to_vec();
    assert_eq!(volumes(&machine, "demo-app-1"), (vec!["demo_media".to_owned()], all));
    // What was left behind is not asked about again.
    let more = text.replace("[postgres", "[services.more]\nimage = \"app:1\"\nvolumes = [\"more:/data\"]\n[postgres");
    daemon.up_and_wait(&stack(&format!("{more}more = {{}}\n"))).await;
    assert_eq!(volumes(&machine, "demo-more-1").0, ["demo_more"]);
    assert_eq!(machine.engine.violations(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_stack_of_another_name_uses_the_data_of_the_old_one_or_begins_anew_as_the_user_says() {
    let machine = Machine::new();
    let old = stack(&FILES.replace("\"demo\"", "\"old\""));
    machine.engine.guard(old.name(), &instance());
    let daemon = machine.daemon(&old);
    daemon.up_and_wait(&old).await;
    daemon.down_and_wait().await;
    daemon.kill().await;

    let demo = stack(FILES);
    machine.engine.guard(demo.name(), &instance());
    let daemon = machine.daemon(&demo);
    refused(&machine, &daemon, &demo, &["`renamed_from = \"old\"`", "`witwd up --fresh demo`", "old_db-17, old_files"]).await;
    let renamed = stack(&format!("renamed_from = \"old\"{FILES}"));
    daemon.up_and_wait(&renamed).await;
    let both = ["old_db-17", "old_files"].map(str::to_owned).to_vec();
    assert_eq!(volumes(&machine, "demo-app-1"), (vec!["old_files".to_owned()], both.clone()));
    assert_eq!(volumes(&machine, "demo-db-1").0, ["old_db-17"]);
    daemon.down_and_wait().await;
    daemon.kill().await;
    machine.forget();
    let daemon = machine.daemon(&renamed);
    daemon.up_and_wait(&renamed).await;
    assert_eq!(volumes(&machine, "demo-app-1"), (vec!["old_files".to_owned()], both));
    daemon.down_and_wait().await;

    refused(&machine, &daemon, &demo, &["`renamed_from = \"old\"`"]).await;
    up_fresh(&daemon, &demo, Fresh { stack: true, ..Fresh::default() }).await;
    assert_eq!(volumes(&machine, "demo-app-1").0, ["demo_files"]);
    assert_eq!(volumes(&machine, "demo-app-1").1.len(), 4, "the old data stays");
    assert_eq!(machine.engine.violations(), Vec::<String>::new());
}
