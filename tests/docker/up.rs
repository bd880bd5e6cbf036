//! `up`, `ps`, `down` and what must hold between them, with the real binary on the real engine.

use std::time::Duration;

use crate::recorder::Recorder;
use crate::stack::{TestStack, text};
use crate::support::{SOON, docker, end_of, eventually, inspect};

pub const TWO: &str = r#"
name = "NAME"
[services.web]
image = "TINY"
command = ["/tiny", "serve", "--port", "8080"]
entrypoint = []
port = 8080
ports = ["auto:8080"]
health.tcp = true
depends_on = ["cache"]
[services.cache]
image = "TINY"
entrypoint = []
command = ["/tiny", "serve", "--port", "6379"]
port = 6379
health.tcp = true
"#;

#[tokio::test(flavor = "multi_thread")]
async fn up_runs_the_stack_and_down_takes_it_away() {
    let stack = TestStack::new("updown", TWO).await;
    stack.done(&["up", "-d"]);
    let status = stack.ps();
    assert_eq!(status["converged"], true, "{status:#}");
    assert_eq!(status["engine"], "up");
    for name in ["web", "cache"] {
        let item = stack.item(name);
        assert_eq!((&item["state"], &item["ready"], &item["restarts"]), (&"running".into(), &true.into(), &0.into()), "{item:#}");
    }
    assert_eq!(stack.item("web")["ports"][0]["address"], "127.0.0.1");
    assert_eq!(stack.identities().len(), 2);
    stack.done(&["down"]);
    assert_eq!(stack.identities(), Vec::<String>::new());
    let networks = text(&docker(&["network", "ls", "-q", "--filter", &format!("label=dev.witwd.stack={}", stack.name)]).stdout);
    assert_eq!(networks, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_up_touches_nothing_and_a_changed_service_alone_is_recreated() {
    let stack = TestStack::new("change", TWO).await;
    stack.done(&["up", "-d"]);
    let before = stack.identities();
    stack.done(&["up", "-d"]);
    assert_eq!(stack.identities(), before);
    stack.write(&TWO.replace("[services.web]\n", "[services.web]\nenv.COLOUR = \"blue\"\n"));
    stack.done(&["up", "-d"]);
    let after = stack.identities();
    let cache = |all: &[String]| all.iter().find(|line| line.contains("-cache-1 ")).cloned();
    let web = |all: &[String]| all.iter().find(|line| line.contains("-web-1 ")).cloned();
    assert_eq!(cache(&after), cache(&before));
    assert_ne!(web(&after), web(&before));
    assert_eq!(after.len(), 2, "{after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_starts_beside_running_containers_adopts_them() {
    // First, so that it outlives the stack: its daemon reaches the engine through it to the end.
    let scratch = tempfile::tempdir().expect("a directory");
    let proxy = Recorder::start(scratch.path());
    let mut stack = TestStack::new("adopt", TWO).await;
    stack.done(&["up", "-d"]);
    let before = stack.identities();
    assert_eq!(before.len(), 2);
    kill_with_guardian(&stack).await;
    stack.docker_host = Some(format!("unix://{}", proxy.socket.display()));
    stack.done(&["up", "-d"]);
    assert_eq!(stack.identities(), before);
    let lists = proxy.seen().iter().filter(|line| line.ends_with("/containers/json")).count();
    assert!(lists >= 1, "{:?}", proxy.seen());
    assert_eq!(proxy.mutating(), Vec::<String>::new());
}

/// Ends daemon and guardian with SIGKILL and waits until nobody answers.
pub async fn kill_with_guardian(stack: &TestStack) {
    let daemon = stack.daemon_pid();
    let status = std::fs::read_to_string(format!("/proc/{daemon}/status")).expect("the daemon's status");
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).expect("a parent").trim().to_owned();
    for pid in [parent, daemon.to_string()] {
        let killed = std::process::Command::new("kill").args(["-9", &pid]).status().expect("kill");
        assert!(killed.success());
    }
    eventually(SOON, "the daemon is gone", async || crate::taking_over::is_gone(daemon).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_killed_is_back_within_a_second_and_changes_nothing() {
    let stack = TestStack::new("guard", TWO).await;
    stack.done(&["up", "-d"]);
    let before = stack.identities();
    kill_daemon(&stack).await;
    assert_eq!(stack.identities(), before);
}

/// Ends the daemon with SIGKILL and waits until its guardian has started another one.
pub async fn kill_daemon(stack: &TestStack) {
    let daemon = stack.daemon_pid();
    std::process::Command::new("kill").args(["-9", &daemon.to_string()]).status().expect("kill");
    eventually(Duration::from_secs(5), "another daemon answers", async || {
        let output = stack.run(&["ps", "--json"]);
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
        status["daemon"]["pid"].as_u64().filter(|pid| *pid != daemon)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_container_is_started_again_at_once() {
    let stack = TestStack::new("crash", TWO).await;
    stack.done(&["up", "-d"]);
    let container = stack.item("web")["container"].as_str().expect("an id").to_owned();
    docker(&["kill", &container]);
    let item = eventually(SOON, "web is back", async || {
        let item = stack.item("web");
        (item["ready"] == true && item["restarts"] == 1).then_some(item)
    })
    .await;
    assert_eq!(item["container"], container.as_str());
    assert_eq!(item["last_exit"]["code"], 137);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_name_from_another_directory_is_refused() {
    let stack = TestStack::new("twice", TWO).await;
    stack.done(&["up", "-d"]);
    let before = stack.identities();
    let other = TestStack::new("other", TWO).await;
    other.write(&TWO.replace("NAME", &stack.name));
    let output = other.run(&["up", "-d"]);
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(7), "{complaint}");
    assert!(complaint.contains(&stack.path().display().to_string()), "{complaint}");
    assert_eq!(stack.identities(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn ups_at_once_join_one_daemon() {
    let stack = TestStack::new("join", TWO).await;
    let up = || stack.command(&["up", "-d"]).stdout(std::process::Stdio::null()).spawn().expect("up");
    let children: Vec<_> = (0..6).map(|_| up()).collect();
    let codes: Vec<_> = children.into_iter().map(|mut child| end_of(&mut child).code()).collect();
    assert_eq!(codes, [Some(0); 6], "{}", stack.log());
    assert_eq!(stack.identities().len(), 2);
    // Who lost the race may still be about to end.
    let mut seen = Vec::new();
    let alone = async || {
        seen = stack.processes();
        let guardians = seen.iter().filter(|words| words.contains(" __guardian ")).count();
        (guardians == 1 && seen.len() == 2).then_some(())
    };
    let settled = tokio::time::timeout(SOON, eventually(SOON * 2, "one guardian and one daemon", alone)).await;
    assert!(settled.is_ok(), "more than one guardian and one daemon: {seen:#?}");
    let daemon = stack.daemon_pid().to_string();
    assert!(seen.iter().any(|words| words.starts_with(&format!("{daemon} ")) && !words.contains(" __guardian ")), "{seen:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_is_told_who_holds_the_stack() {
    let stack = TestStack::new("second", TWO).await;
    stack.done(&["up", "-d"]);
    let first = stack.daemon_pid();
    let output = stack.run(&["daemon"]);
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(7), "{complaint}");
    assert!(complaint.contains(&first.to_string()), "{complaint}");
    assert_eq!(stack.daemon_pid(), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_the_daemon_and_not_the_stack() {
    let stack = TestStack::new("term", TWO).await;
    stack.done(&["up", "-d"]);
    let (before, daemon) = (stack.identities(), stack.daemon_pid());
    std::process::Command::new("kill").args(["-TERM", &daemon.to_string()]).status().expect("kill");
    eventually(Duration::from_secs(10), "the daemon is gone", async || crate::taking_over::is_gone(daemon).then_some(())).await;
    assert_eq!(stack.identities(), before);
    assert_eq!(stack.item("web")["state"], "running");
}

#[tokio::test(flavor = "multi_thread")]
async fn exec_ends_with_the_code_of_the_program_or_with_125_where_none_was_run() {
    let stack = TestStack::new("exec", TWO).await;
    stack.done(&["up", "-d"]);
    for missing in
        [&["exec", "web", "missing-program"][..], &["exec", "web", "/etc"], &["exec", "-u", "nobody-here", "web", "/tiny"]]
    {
        let output = stack.run(missing);
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(125), "{missing:?}: {complaint}");
        assert!(complaint.contains("it could not be run: ") && !complaint.contains("OCI"), "{missing:?}: {complaint}");
        assert_eq!(text(&output.stdout), "", "{missing:?}: the reason is no output");
    }
    for code in ["0", "3", "126", "127"] {
        let output = stack.run(&["exec", "web", "/tiny", "exit", code]);
        assert_eq!(output.status.code(), code.parse().ok(), "{}", text(&output.stderr));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_was_taken_from_the_network_is_put_back() {
    let stack = TestStack::new("network", TWO).await;
    stack.done(&["up", "-d"]);
    let before = stack.identities();
    let cache = stack.item("cache")["container"].as_str().expect("a container").to_owned();
    let reached = || stack.run(&["exec", "web", "/tiny", "tcp", "cache:6379"]).status.success();
    assert!(reached());
    let output = docker(&["network", "disconnect", &stack.name, &cache]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    eventually(Duration::from_secs(20), "cache is reached again by its name", async || reached().then_some(())).await;
    let cause = format!("not on network {}", stack.name);
    assert!(stack.done(&["events"]).lines().any(|line| line.contains("connect") && line.contains(&cause)));
    // Its name, too, is that of the file.
    docker(&["network", "disconnect", &stack.name, &cache]);
    docker(&["network", "connect", "--alias", "web", &stack.name, &cache]);
    eventually(Duration::from_secs(20), "cache has its name again", async || {
        let names = inspect(&cache)["NetworkSettings"]["Networks"][&stack.name]["Aliases"].to_string();
        (names.contains("\"cache\"") && !names.contains("\"web\"") && reached()).then_some(())
    })
    .await;
    assert_eq!(stack.identities(), before, "nothing was restarted");
}

const KEPT: &str = r#"
name = "NAME"
[services.web]
image = "TINY"
entrypoint = []
command = ["/tiny", "serve", "--port", "8080"]
port = 8080
volumes = ["kept:/kept"]
[volumes]
kept = {}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn only_a_down_that_says_so_removes_a_volume() {
    let stack = TestStack::new("volumes", KEPT).await;
    let volume = format!("{}_kept", stack.name);
    let is_there = || docker(&["volume", "inspect", &volume]).status.success();
    stack.done(&["up", "-d"]);
    stack.done(&["down"]);
    assert!(is_there());
    let refused = stack.run(&["down", "--volumes"]);
    assert_eq!(refused.status.code(), Some(6));
    assert!(text(&refused.stderr).contains(&volume) && is_there());
    stack.done(&["down", "--volumes", "--yes"]);
    assert!(!is_there());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_others_use_is_told_by_a_down_and_removed_by_the_next() {
    let stack = TestStack::new("used", KEPT).await;
    stack.done(&["up", "-d"]);
    let volume = format!("{}_kept", stack.name);
    let (label, mounted) = (format!("{}={}", crate::support::TEST, stack.name), format!("{volume}:/kept"));
    let holder = ["run", "-d", "--label", &label, "-v", &mounted, crate::support::TINY, "sleep"];
    let theirs = text(&docker(&holder).stdout).trim().to_owned();
    let output = stack.run(&["down", "--volumes", "--yes", "--timeout", "12s"]);
    docker(&["rm", "-f", &theirs]);
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(5), "{complaint}");
    assert!(complaint.contains(&format!("volume {volume}: ")) && complaint.contains("in use"), "{complaint}");
    stack.done(&["down", "--volumes", "--yes"]);
    assert!(!docker(&["volume", "inspect", &volume]).status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_down_removes_is_named_also_where_the_file_says_another_name_by_now() {
    let stack = TestStack::new("lossname", KEPT).await;
    stack.done(&["up", "-d"]);
    let volume = format!("{}_kept", stack.name);
    stack.done(&["down"]);
    let old = stack.name.clone();
    stack.write(&KEPT.replace("name = \"NAME\"", &format!("name = \"{old}-new\"\nrenamed_from = \"{old}\"")));
    stack.done(&["up", "-d"]);
    // What runs has the data of the old name, and the file does not say so any more.
    let accepted = || stack.log().matches("save stack").count();
    for file in [KEPT.replace("NAME", &format!("{old}-new")), "name = ".to_owned()] {
        let before = accepted();
        stack.write(&file);
        if file.contains("-new") {
            eventually(SOON, "the daemon has the file too", async || (accepted() > before).then_some(())).await;
        }
        let refused = stack.run(&["down", "--volumes"]);
        let complaint = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(6), "{complaint}");
        assert!(complaint.contains(&volume) && docker(&["volume", "inspect", &volume]).status.success(), "{complaint}");
    }
    stack.done(&["down", "--volumes", "--yes"]);
    assert!(!docker(&["volume", "inspect", &volume]).status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_external_volume_stays_whoever_made_it() {
    let stack = TestStack::new("external", KEPT).await;
    stack.done(&["up", "-d"]);
    let volume = format!("{}_kept", stack.name);
    stack.done(&["down"]);
    stack.write(
        &KEPT
            .replace("kept:/kept", &format!("{volume}:/kept"))
            .replace("kept = {}", &format!("{volume} = {{ external = true }}")),
    );
    stack.done(&["up", "-d"]);
    stack.done(&["down", "--volumes", "--yes"]);
    assert!(docker(&["volume", "inspect", &volume]).status.success());
    stack.write(KEPT);
    stack.done(&["up", "-d"]);
    stack.done(&["down", "--volumes", "--yes"]);
    assert!(!docker(&["volume", "inspect", &volume]).status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_has_read_nothing_yet_hides_nothing() {
    let stack = TestStack::new("unread", TWO).await;
    stack.done(&["up", "-d"]);
    kill_with_guardian(&stack).await;
    let mut daemon = stack.command(&["daemon", "--wait"]).stderr(std::process::Stdio::null()).spawn().expect("a daemon");
    eventually(SOON, "it serves", async || (!stack.ps()["daemon"].is_null()).then_some(())).await;
    assert_eq!(stack.item("web")["state"], "running");
    let refused = stack.run(&["stop", "web"]);
    let complaint = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{complaint}");
    assert!(complaint.contains("runs nothing yet") && complaint.contains("witwd up -d"), "{complaint}");
    stack.done(&["up", "-d"]);
    stack.done(&["down"]);
    assert!(end_of(&mut daemon).success());
}

#[tokio::test(flavor = "multi_thread")]
async fn downs_at_once_are_all_done() {
    let stack = TestStack::new("downs", TWO).await;
    for _ in 0..3 {
        stack.done(&["up", "-d"]);
        // Each finds the daemon at another moment of its end, or nothing any more.
        std::thread::scope(|scope| {
            for often in 1..=4 {
                let stack = &stack;
                scope.spawn(move || {
                    for _ in 0..often {
                        stack.done(&["down"]);
                    }
                });
            }
        });
        assert_eq!(stack.identities(), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_name_in_the_file_leaves_no_stack_behind() {
    let stack = TestStack::new("renamed", TWO).await;
    stack.done(&["up", "-d"]);
    let before = stack.identities();
    stack.write(&TWO.replace("NAME", "NAME-new"));
    let refused = stack.run(&["up", "-d"]);
    let complaint = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(6), "{complaint}");
    assert!(complaint.contains(&stack.name) && complaint.contains("down"), "{complaint}");
    assert_eq!(stack.identities(), before);
    stack.write(TWO);
}

/// `web` of [`TWO`] published on this port.
fn on_port(port: u16) -> String {
    TWO.replace("auto:8080", &format!("{port}:8080"))
}

/// Web is not ready because its port is taken by `holder`, which is said; `free` ends that, and it goes on.
async fn waits_for_its_port(stack: &TestStack, port: u16, holder: &str, free: impl FnOnce()) {
    let output = stack.run(&["up", "-d"]);
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert!(complaint.contains(&format!("127.0.0.1:{port} is taken by {holder}: ")), "{complaint}");
    assert_eq!((&stack.item("cache")["ready"], &stack.item("web")["ready"]), (&true.into(), &false.into()));
    let tries = || stack.log().matches("start web").count();
    eventually(SOON, "it is tried again", async || (tries() >= 4).then_some(())).await;
    assert_eq!(tries(), 4, "after 1, 2 and 4 s: not in a hot loop\n{}", stack.log());
    free();
    eventually(SOON, "web is ready", async || (stack.item("web")["ready"] == true).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_a_process_holds_is_waited_for() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let stack = TestStack::new("portproc", &on_port(port)).await;
    let name = std::fs::read_to_string("/proc/self/comm").expect("our name");
    let holder = format!("process {} (pid {})", name.trim(), std::process::id());
    waits_for_its_port(&stack, port, &holder, || drop(listener)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_another_container_holds_is_waited_for() {
    let theirs = TestStack::new("portheld", TWO).await;
    theirs.done(&["up", "-d"]);
    let port = theirs.item("web")["ports"][0]["host"].as_u64().and_then(|port| u16::try_from(port).ok()).expect("a port");
    let stack = TestStack::new("portwant", &on_port(port)).await;
    let holder = format!("container {}-web-1", theirs.name);
    waits_for_its_port(&stack, port, &holder, || drop(theirs.done(&["down"]))).await;
}
