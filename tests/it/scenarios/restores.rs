//! A restore as the supervisor sees it: who is stopped, what changes hands when, and what becomes of it where something
//! is in the way. The databases are a twin's.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use witwd::health::{Outcome, SimProber};
use witwd::model::backup::{Errand, SetId, Summary, Work, WorkDone, WorkFailed};
use witwd::model::restore::{Exchange, Restore, Source};
use witwd::model::status::ItemStatus;
use witwd::model::workload::Workload;
use witwd::postgres::backup::ProgressSink;
use witwd::supervisor::{BackupTask, Backups, ErrandError};

use super::stacks::stack;
use super::world::{DEMO, Daemon, Machine};

/// Databases that are 5 before a restore and 9 after it.
#[derive(Default)]
struct Twin {
    done: Mutex<Vec<String>>,
    /// What fails, by its verb.
    failing: Mutex<Vec<&'static str>>,
    /// Whether the app is sick with the database 9.
    sick: Mutex<Option<Arc<SimProber>>>,
}

#[async_trait]
impl Backups for Twin {
    fn are_kept(&self) -> bool {
        false
    }

    fn look(&self, _: &Workload, _: Timestamp) -> Result<Summary, String> {
        Ok(Summary::default())
    }

    async fn carry_out(&self, task: BackupTask<'_>, _: ProgressSink) -> Result<WorkDone, WorkFailed> {
        let none = WorkDone::of_none();
        let (words, done) = match &task.work {
            Work::Restore(_) => {
                let databases = vec![Exchange { name: "app".to_owned(), live: Some(9), spare: Some(5) }];
                ("restore".to_owned(), WorkDone { made: Some(("7000".to_owned(), databases)), ..none })
            }
            Work::Exchange { databases, .. } => {
                let live = databases[0].live.expect("one of them");
                if let Some(prober) = self.sick.lock().expect("no panic").as_ref() {
                    let sick = (live == 9).then(|| Outcome::Failure("GET /healthz: 503".to_owned()));
                    prober.fix(&"app".parse().expect("a name"), sick);
                }
                (format!("exchange: {live} is live"), none)
            }
            Work::Clear { databases, .. } => (format!("clear {databases:?}"), none),
            other => (other.verb().to_owned(), none),
        };
        self.done.lock().expect("no panic").push(words);
        if self.failing.lock().expect("no panic").contains(&task.work.verb()) {
            return Err(WorkFailed { reason: "dump_failed".to_owned(), words: "it can't".to_owned() });
        }
        Ok(done)
    }
}

impl Twin {
    fn done(&self) -> Vec<String> {
        self.done.lock().expect("no panic").clone()
    }
}

fn restore() -> Errand {
    let set = SetId::new(Timestamp::UNIX_EPOCH, 1);
    let wanted = Restore { source: Source::Set(set), database: None, to: None, with_safety_set: true };
    Errand { of: "db".parse().expect("a name"), work: Work::Restore(wanted) }
}

fn undo() -> Errand {
    Errand { of: "db".parse().expect("a name"), work: Work::Undo }
}

fn take() -> Errand {
    Errand { of: "db".parse().expect("a name"), work: Work::Take { slot: None, missed: 0, before: None } }
}

async fn asked(daemon: &Daemon, errand: Errand) -> Result<WorkDone, ErrandError> {
    let limit = Duration::from_secs(600);
    tokio::time::timeout(limit, daemon.handle.errand(errand)).await.expect("an answer in time").expect("a daemon that lives")
}

fn machine() -> (Arc<Twin>, Machine) {
    let twin = Arc::new(Twin::default());
    (twin.clone(), Machine::new().with_backups(twin))
}

fn is_watching(item: &ItemStatus) -> bool {
    let words = item.backup.as_ref().and_then(|backup| backup.under_way.as_ref());
    words.is_some_and(|words| words.contains("waiting until app, db are ready"))
}

#[tokio::test(start_paused = true)]
async fn names_change_hands_while_the_app_is_stopped_and_what_was_there_is_kept_for_a_day() {
    let (twin, machine) = machine();
    let demo = stack(DEMO);
    let daemon = machine.daemon(&demo);
    daemon.up_and_wait(&demo).await;
    asked(&daemon, restore()).await.expect("restored");
    assert_eq!(twin.done()[..2], ["restore", "exchange: 9 is live"]);
    let app = daemon.until("app", |item| item.ready).await;
    assert_eq!(app.restarts, 0, "it is no failure of the app");
    asked(&daemon, undo()).await.expect("undone");
    asked(&daemon, undo()).await.expect("undone again");
    daemon.until("app", |item| item.ready).await;
    tokio::time::sleep(Duration::from_secs(23 * 3600)).await;
    assert!(!twin.done().contains(&"clear [5]".to_owned()), "{:?}", twin.done());
    tokio::time::sleep(Duration::from_secs(2 * 3600)).await;
    let exchanges: Vec<String> = twin.done().into_iter().filter(|words| words.starts_with("exchange")).collect();
    assert_eq!(exchanges, ["exchange: 9 is live", "exchange: 5 is live", "exchange: 9 is live"]);
    assert_eq!(twin.done().last().map(String::as_str), Some("clear [5]"));
    assert!(asked(&daemon, undo()).await.is_err(), "there is nothing to undo any more");
}

#[tokio::test(start_paused = true)]
async fn where_the_app_does_not_come_up_the_names_change_back_and_what_was_made_goes() {
    let (twin, machine) = machine();
    *twin.sick.lock().expect("no panic") = Some(machine.prober.clone());
    let demo = stack(DEMO);
    let daemon = machine.daemon(&demo);
    daemon.up_and_wait(&demo).await;
    let failed = asked(&daemon, restore()).await.expect_err("the app is sick").to_string();
    assert!(failed.starts_with("not well with what was restored: app: "), "{failed}");
    daemon.until("app", |item| item.ready).await;
    daemon.until("db", |item| item.backup.as_ref().is_some_and(|backup| backup.under_way.is_none())).await;
    assert_eq!(twin.done(), ["restore", "exchange: 9 is live", "exchange: 5 is live", "clear [9]"]);
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_is_off_while_an_app_is_waited_for_takes_nothing_back() {
    for by_down in [false, true] {
        let (twin, machine) = machine();
        let demo = stack(DEMO);
        let daemon = machine.daemon(&demo);
        daemon.up_and_wait(&demo).await;
        let app = "app".parse().expect("a name");
        // It needs a while with the new data.
        let handle = daemon.handle.clone();
        let waiting = tokio::spawn(async move { handle.errand(restore()).await });
        daemon.until("app", |item| !item.ready).await;
        machine.prober.fix(&app, Some(Outcome::Failure("GET /healthz: 503".to_owned())));
        daemon.until("db", is_watching).await;
        if by_down {
            daemon.down_and_wait().await;
            tokio::time::sleep(Duration::from_secs(3600)).await;
        }
        daemon.kill().await;
        drop(waiting);
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let next = machine.daemon(&demo);
        let generation = next.up(&demo).await;
        tokio::time::sleep(Duration::from_secs(45)).await;
        machine.prober.fix(&app, None);
        next.settled(generation, |status| status.converged).await;
        next.until("db", |item| item.backup.as_ref().is_some_and(|backup| backup.under_way.is_none())).await;
        let exchanges: Vec<String> = twin.done().into_iter().filter(|words| words.starts_with("exchange")).collect();
        assert_eq!(exchanges, ["exchange: 9 is live"], "by a down: {by_down}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_can_not_be_removed_keeps_no_set_and_no_restore_waiting_for_ever() {
    let (twin, machine) = machine();
    twin.failing.lock().expect("no panic").push("clear");
    let demo = stack(DEMO);
    let daemon = machine.daemon(&demo);
    daemon.up_and_wait(&demo).await;
    asked(&daemon, restore()).await.expect("restored");
    asked(&daemon, take()).await.expect("sets go on");
    asked(&daemon, restore()).await.expect("and restores");
    daemon.until("db", |item| item.backup.as_ref().is_some_and(|backup| backup.under_way.is_none())).await;
}

#[tokio::test(start_paused = true)]
async fn names_that_can_not_be_changed_are_given_up_and_the_app_runs_as_before() {
    let (twin, machine) = machine();
    twin.failing.lock().expect("no panic").push("exchange");
    let demo = stack(DEMO);
    let daemon = machine.daemon(&demo);
    daemon.up_and_wait(&demo).await;
    let handle = daemon.handle.clone();
    let asking = tokio::spawn(async move { handle.errand(restore()).await });
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(twin.done().contains(&"exchange: 5 is live".to_owned()), "{:?}", twin.done());
    twin.failing.lock().expect("no panic").clear();
    let failed = asking.await.expect("no panic").expect("a daemon that lives").expect_err("it failed").to_string();
    assert_eq!(failed, "it can't; what was there before is back");
    daemon.until("app", |item| item.ready).await;
}

#[tokio::test(start_paused = true)]
async fn a_postgres_that_was_not_ready_before_need_not_be_afterwards() {
    let (twin, machine) = machine();
    let demo = stack(DEMO);
    let daemon = machine.daemon(&demo);
    daemon.up_and_wait(&demo).await;
    machine.prober.fix(&"db".parse().expect("a name"), Some(Outcome::Refused("28P01: who are you".to_owned())));
    daemon.until("db", |item| !item.ready).await;
    let wanted = Restore { source: Source::Nothing, database: None, to: None, with_safety_set: true };
    let reset = Errand { of: "db".parse().expect("a name"), work: Work::Restore(wanted) };
    asked(&daemon, reset).await.expect("what is in the way may be mended by it");
    assert_eq!(twin.done()[..2], ["restore", "exchange: 9 is live"]);
}
