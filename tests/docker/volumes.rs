//! Volumes of the file with the real binary on the real engine.

use crate::stack::{TestStack, text};

const KEEPS: &str = r#"
name = "NAME"
[services.web]
image = "TINY"
entrypoint = []
command = ["/tiny", "sleep"]
volumes = ["media:/media"]
[volumes.media]
path = "disk/media"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_at_a_path_is_that_directory_and_is_missed_when_it_is_gone() {
    let stack = TestStack::new("at-path", KEEPS).await;
    let (disk, media) = (stack.path().join("disk"), stack.path().join("disk/media"));
    std::fs::create_dir_all(&media).expect("a directory");
    stack.done(&["up", "-d"]);
    stack.done(&["exec", "web", "/tiny", "write", "/media/kept", "words"]);
    assert_eq!(std::fs::read_to_string(media.join("kept")).expect("a file on the disk"), "words\n");
    stack.done(&["down"]);
    stack.done(&["up", "-d"]);
    assert_eq!(stack.done(&["exec", "web", "/tiny", "cat", "/media/kept"]), "words\n");
    stack.done(&["down"]);

    // As when the disk is not mounted: it does not begin empty.
    std::fs::rename(&disk, stack.path().join("elsewhere")).expect("renamed");
    let output = stack.run(&["up", "-d", "--timeout", "20s"]);
    let said = text(&output.stderr);
    assert!(!output.status.success() && said.contains("no such file or directory"), "{said}");
    assert!(!disk.exists(), "somebody made it");
    std::fs::rename(stack.path().join("elsewhere"), &disk).expect("renamed");
    stack.done(&["up", "-d"]);
    assert_eq!(stack.done(&["exec", "web", "/tiny", "cat", "/media/kept"]), "words\n");
}
