//! How runs end, and how that is seen.

use std::time::Duration;

use futures_util::StreamExt as _;

use super::bench::{Bench, Broken, Claim, ensure, refused, same};
use crate::engine::ErrorKind;
use crate::engine::request::LogQuery;
use crate::model::name::ContainerId;

const SERVE: [&str; 3] = ["serve", "--port", "8080"];
const DEAF: [&str; 6] = ["serve", "--port", "8080", "--ignore-term", "--print", "deaf now"];
const GRACE: Duration = Duration::from_secs(15);

/// A container that hears no SIGTERM any more: before it said so it still would.
async fn deaf(bench: &Bench) -> Claim<ContainerId> {
    let id = bench.started(&DEAF).await?;
    let mut said = bench.engine.logs(&id, &LogQuery { follow: true, ..LogQuery::default() }).await?;
    said.next().await.ok_or_else(|| Broken::from("it says nothing".to_owned()))??;
    Ok(id)
}

pub(super) async fn exit_codes_are_seen(bench: &Bench) -> Claim {
    let id = bench.started(&["exit", "7"]).await?;
    let exit = bench.end(&id).await?;
    same("the exit code", &exit.code, &7)?;
    same("the verdict of memory", &exit.oom, &false)
}

pub(super) async fn a_late_exit_is_seen(bench: &Bench) -> Claim {
    let id = bench.started(&["serve", "--exit-after", "1s", "--code", "5"]).await?;
    same("its first state", &bench.listed(&id).await?.state.word(), &"running")?;
    same("the exit code", &bench.end(&id).await?.code, &5)
}

pub(super) async fn a_killed_container_shows_137(bench: &Bench) -> Claim {
    let id = bench.started(&SERVE).await?;
    bench.hand.docker(&["kill", &id.0]).await?;
    same("the exit code", &bench.end(&id).await?.code, &137)
}

pub(super) async fn a_stop_that_is_honoured_ends_early(bench: &Bench) -> Claim {
    let id = bench.started(&["serve", "--term-code", "21"]).await?;
    bench.clock.sleep(Duration::from_millis(300)).await;
    let began = bench.clock.moment();
    bench.engine.stop(&id, GRACE).await?;
    let took = bench.clock.moment().since(began);
    same("the exit code", &bench.end(&id).await?.code, &21)?;
    ensure(took < Duration::from_secs(5), || format!("it took {took:?}"))
}

pub(super) async fn a_stop_that_is_ignored_ends_after_its_grace_with_137(bench: &Bench) -> Claim {
    let id = deaf(bench).await?;
    let began = bench.clock.moment();
    bench.engine.stop(&id, Duration::from_secs(1)).await?;
    let took = bench.clock.moment().since(began);
    same("the exit code", &bench.end(&id).await?.code, &137)?;
    ensure(took >= Duration::from_millis(900) && took < Duration::from_secs(8), || format!("it took {took:?}"))
}

pub(super) async fn a_stop_without_grace_kills(bench: &Bench) -> Claim {
    let id = deaf(bench).await?;
    bench.engine.stop(&id, Duration::ZERO).await?;
    same("the exit code", &bench.end(&id).await?.code, &137)
}

pub(super) async fn a_stop_returns_when_it_is_over(bench: &Bench) -> Claim {
    let id = bench.started(&SERVE).await?;
    bench.engine.stop(&id, GRACE).await?;
    same("its state", &bench.listed(&id).await?.state.word(), &"exited")
}

pub(super) async fn stopping_a_stopped_container_is_fine(bench: &Bench) -> Claim {
    let id = bench.started(&["exit", "4"]).await?;
    bench.end(&id).await?;
    bench.engine.stop(&id, GRACE).await?;
    same("the exit code", &bench.end(&id).await?.code, &4)
}

pub(super) async fn stop_of_created_is_fine(bench: &Bench) -> Claim {
    let id = bench.created(&SERVE).await?;
    bench.engine.stop(&id, GRACE).await?;
    same("its state", &bench.listed(&id).await?.state.word(), &"created")
}

pub(super) async fn stopping_a_missing_container_is_fine(bench: &Bench) -> Claim {
    Ok(bench.engine.stop(&ContainerId("f".repeat(64)), GRACE).await?)
}

pub(super) async fn a_paused_container_can_be_stopped(bench: &Bench) -> Claim {
    let id = bench.started(&SERVE).await?;
    bench.hand.docker(&["pause", &id.0]).await?;
    bench.engine.stop(&id, GRACE).await?;
    same("its state", &bench.listed(&id).await?.state.word(), &"exited")
}

pub(super) async fn wait_before_start_sees_the_exit_code(bench: &Bench) -> Claim {
    let id = bench.created(&["exit", "6"]).await?;
    let start = async {
        bench.clock.sleep(Duration::from_millis(300)).await;
        bench.engine.start(&id).await
    };
    let (waited, started) = futures_util::join!(bench.engine.wait(&id), start);
    started?;
    same("the exit code", &waited?.code, &6)
}

pub(super) async fn wait_of_an_ended_container_sees_its_next_run(bench: &Bench) -> Claim {
    let id = bench.started(&["exit", "0"]).await?;
    bench.end(&id).await?;
    let again = async {
        bench.clock.sleep(Duration::from_millis(300)).await;
        let before = bench.clock.moment();
        bench.engine.start(&id).await.map(|()| before)
    };
    let over = async {
        let waited = bench.engine.wait(&id).await;
        (waited, bench.clock.moment())
    };
    let ((waited, over), started) = futures_util::join!(over, again);
    same("the exit code", &waited?.code, &0)?;
    let started = started?;
    ensure(over > started, || "it returned before the next run".to_owned())
}

pub(super) async fn wait_of_a_running_container_sees_its_end(bench: &Bench) -> Claim {
    let id = bench.started(&["serve", "--exit-after", "1s", "--code", "9"]).await?;
    same("the exit code", &bench.engine.wait(&id).await?.code, &9)
}

pub(super) async fn wait_sees_a_kill(bench: &Bench) -> Claim {
    let id = bench.started(&SERVE).await?;
    let kill = async {
        bench.clock.sleep(Duration::from_millis(300)).await;
        bench.hand.docker(&["kill", &id.0]).await
    };
    let (waited, killed) = futures_util::join!(bench.engine.wait(&id), kill);
    killed?;
    same("the exit code", &waited?.code, &137)
}

pub(super) async fn waiting_for_a_missing_container_is_not_found(bench: &Bench) -> Claim {
    refused(bench.engine.wait(&ContainerId("f".repeat(64))).await, ErrorKind::NotFound)
}
