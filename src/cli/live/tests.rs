//! How long a save waits, in virtual time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::{HALF_WRITTEN, LONGEST, QUIET, is_told, settle};
use crate::config::{LoadRequest, load};
use crate::host::{Clock as _, SystemClock};

/// What is saved is applied within this.
const PROMISED: Duration = Duration::from_secs(2);
/// What a look, a preview and a request to the supervisor may take of it, each a few milliseconds.
const WORK: Duration = Duration::from_millis(200);

/// Saves in this rhythm for so long; returns how long each wait for their end took.
async fn waits(pace: Duration, lasting: Duration) -> Vec<Duration> {
    let clock = Arc::new(SystemClock::new());
    let (changed, mut changes) = mpsc::unbounded_channel();
    let saving = clock.clone();
    tokio::spawn(async move {
        let begun = saving.moment();
        while saving.moment().since(begun) < lasting {
            changed.send(()).expect("somebody listens");
            saving.sleep(pace).await;
        }
    });
    let mut waits = Vec::new();
    while changes.recv().await.is_some() {
        let begun = clock.moment();
        settle(clock.as_ref(), &mut changes).await;
        waits.push(clock.moment().since(begun));
    }
    waits
}

#[tokio::test(start_paused = true)]
async fn a_save_is_looked_at_in_time_also_while_saves_never_cease() {
    let slack = Duration::from_millis(10);
    for pace in [1, 10, 50, 140, 149].map(Duration::from_millis) {
        let waits = waits(pace, Duration::from_secs(60)).await;
        let longest = waits.iter().max().copied().unwrap_or_default();
        assert!(longest + WORK + slack < PROMISED, "{longest:?} at a save every {pace:?}");
        // No more looks than the rule permits: each wait but the last lasts to its limit.
        let most = 60_000 / LONGEST.as_millis() + 1;
        assert!(waits.len() as u128 <= most, "{} looks at a save every {pace:?}", waits.len());
    }
}

#[tokio::test(start_paused = true)]
async fn a_save_by_itself_is_looked_at_at_once_and_a_broken_one_is_told_in_time() {
    let waits = waits(Duration::from_secs(1), Duration::from_secs(5)).await;
    assert_eq!(waits, [QUIET; 5].to_vec().into_iter().take(waits.len()).collect::<Vec<_>>());
    assert_eq!(waits.len(), 5);
    assert!(LONGEST + HALF_WRITTEN + WORK * 2 <= PROMISED, "looked at twice, and told");
}

#[test]
fn a_broken_file_is_told_at_the_second_look_that_shows_the_same() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("stack.toml");
    let problems = |text: &str| {
        std::fs::write(&file, text).expect("a file");
        load(&LoadRequest { file: file.clone(), ..LoadRequest::default() }).expect_err("it is broken").problems
    };
    let (half, more, broken) = (problems(""), problems("name = "), problems("name = 1"));
    let mut suspect = None;
    let told = [&half, &more, &half, &broken, &broken, &broken].map(|seen| is_told(&mut suspect, seen));
    assert_eq!(told, [false, false, false, false, true, true]);
    // What was valid in between begins anew.
    suspect = None;
    assert!(!is_told(&mut suspect, &broken));
}
