//! `build` and `pull` with the real binary on the real engine: images only.

use serde_json::Value;

use crate::registry::Registry;
use crate::stack::{TestStack, text};
use crate::support::{TEST, TINY, TestEngine, docker};

fn json(stack: &TestStack, words: &[&str]) -> Value {
    serde_json::from_str(&stack.done(words)).expect("JSON")
}

/// Pushes another version of an image under the same name, and leaves the engine what it had.
async fn push(test: &TestEngine, name: &str, colour: &str) {
    let made = test.image(&format!("ENV COLOUR={colour}")).await;
    let had = text(&docker(&["image", "inspect", "-f", "{{.Id}}", name]).stdout);
    docker(&["tag", &made, name]);
    let pushed = docker(&["push", "-q", name]);
    assert!(pushed.status.success(), "{}", text(&pushed.stderr));
    match had.trim() {
        "" => docker(&["image", "rm", name]),
        had => docker(&["tag", had, name]),
    };
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pulled_tag_that_moved_is_acted_upon_by_up_with_pull_alone() {
    let test = TestEngine::new("moved").await;
    let registry = Registry::start(test.directory.path(), false).await;
    let name = format!("127.0.0.1:{}/{}:1", registry.port, test.stack);
    push(&test, &name, "red").await;
    let file = format!(
        "name = \"NAME\"\n[services.web]\nimage = \"{name}\"\ncommand = [\"sleep\"]\n[services.kept]\nimage = \"TINY\"\n\
         pull = \"never\"\ncommand = [\"sleep\"]\n"
    );
    let stack = TestStack::new("pull", &file).await;
    // Without a daemon, and without one afterwards.
    let got = json(&stack, &["pull", "--json"]);
    let items = got["items"].as_array().expect("items");
    assert_eq!(items.len(), 1, "{got:#}");
    assert_eq!(
        (&items[0]["name"], &items[0]["image"], &items[0]["changed"]),
        (&"web".into(), &name.as_str().into(), &true.into())
    );
    assert_eq!((stack.identities().len(), stack.ps()["daemon"].is_null()), (0, true));
    assert_eq!(json(&stack, &["pull", "web", "--json"])["items"][0]["changed"], false);

    stack.done(&["up", "-d"]);
    let before = stack.identities();
    push(&test, &name, "blue").await;
    let output = stack.run(&["pull"]);
    let said = text(&output.stderr);
    assert!(output.status.success() && said.contains("web  completed") && said.contains("`witwd up -d --pull`"), "{said}");
    stack.done(&["up", "-d"]);
    assert_eq!(stack.identities(), before, "a moved tag is no reason");
    stack.done(&["up", "-d", "--pull"]);
    let web = |lines: &[String]| lines.iter().find(|line| line.contains("-web-")).cloned();
    assert_ne!(web(&stack.identities()), web(&before));

    let refused = stack.run(&["pull", "kept"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("kept says pull = \"never\""), "{}", text(&refused.stderr));
    drop(registry);
    let failed = stack.run(&["pull", "web"]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(text(&failed.stderr).contains("failed to pull web: "), "{}", text(&failed.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn build_makes_images_and_touches_nothing_that_runs() {
    let test = TestEngine::new("builds").await;
    let file = "name = \"NAME\"\n[services.web]\nbuild = \".\"\ncommand = [\"sleep\"]\n[services.plain]\nimage = \"TINY\"\n\
                command = [\"sleep\"]\n";
    let stack = TestStack::new("build", file).await;
    let dockerfile = |more: &str| {
        let text = format!("FROM {TINY}\nLABEL {TEST}={}\n{more}\n", test.stack);
        std::fs::write(stack.path().join("Dockerfile"), text).expect("a Dockerfile");
    };
    dockerfile("ENV COLOUR=red");
    let got = json(&stack, &["build", "--json"]);
    assert_eq!((&got["items"][0]["name"], &got["items"][0]["changed"]), (&"web".into(), &true.into()), "{got:#}");
    let digest = got["items"][0]["digest"].as_str().expect("an id").to_owned();
    assert!(docker(&["image", "inspect", &digest]).status.success());
    assert_eq!((stack.identities().len(), stack.ps()["daemon"].is_null()), (0, true));

    stack.done(&["up", "-d"]);
    let before = stack.identities();
    assert_eq!(stack.item("web")["digest"], digest.as_str());
    dockerfile("ENV COLOUR=blue");
    assert_ne!(json(&stack, &["build", "web", "--json"])["items"][0]["digest"], digest.as_str());
    stack.done(&["restart", "web"]);
    assert_eq!(stack.item("web")["digest"], digest.as_str(), "a restart is no `up`");
    stack.done(&["up", "-d", "--build"]);
    let plain = |lines: &[String]| lines.iter().find(|line| line.contains("-plain-")).cloned();
    assert_ne!(stack.item("web")["digest"], digest.as_str());
    assert_eq!(plain(&stack.identities()), plain(&before));

    let refused = stack.run(&["build", "plain"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("plain has no build"), "{}", text(&refused.stderr));
    dockerfile("RUN [\"/tiny\", \"exit\", \"9\"]");
    let failed = stack.run(&["build", "--json"]);
    assert_eq!(failed.status.code(), Some(1));
    let document: Value = serde_json::from_slice(&failed.stdout).expect("one document");
    assert!(document["error"]["message"].as_str().expect("words").contains("failed to build web: "), "{document}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_fails_or_leaves_no_image_is_told() {
    let file = "name = \"NAME\"\n[services.broken]\nbuild = { command = \"false\" }\n\
                [services.idle]\nbuild = { command = \"true\" }\n";
    let stack = TestStack::new("unmade", file).await;
    for (name, told) in [("broken", "with `false`"), ("idle", "`true` ended well but left no image")] {
        let failed = stack.run(&["build", name]);
        assert_eq!(failed.status.code(), Some(1), "{name}");
        assert!(text(&failed.stderr).contains(told), "{}", text(&failed.stderr));
    }
}
