//! Making, starting, removing and naming.

use std::time::Duration;

use super::bench::{Bench, Claim, ensure, refused, same};
use crate::engine::ErrorKind;
use crate::model::hash::{Fingerprint, SpecHash};
use crate::model::name::ContainerId;
use crate::model::observed::ContainerState;

const SERVE: [&str; 3] = ["serve", "--port", "8080"];

fn missing() -> ContainerId {
    ContainerId("0123456789abcdef".repeat(4))
}

pub(super) async fn starting_a_running_container_is_fine(bench: &Bench) -> Claim {
    let id = bench.started(&SERVE).await?;
    Ok(bench.engine.start(&id).await?)
}

pub(super) async fn a_second_start_keeps_the_run(bench: &Bench) -> Claim {
    let id = bench.started(&SERVE).await?;
    let first = bench.listed(&id).await?.run();
    bench.engine.start(&id).await?;
    ensure(first.is_some(), || "a running container has no run".to_owned())?;
    same("the run", &bench.listed(&id).await?.run(), &first)
}

pub(super) async fn starting_a_missing_container_is_not_found(bench: &Bench) -> Claim {
    refused(bench.engine.start(&missing()).await, ErrorKind::NotFound)
}

pub(super) async fn an_ended_container_can_be_started_again(bench: &Bench) -> Claim {
    let id = bench.started(&["exit", "0"]).await?;
    bench.end(&id).await?;
    Ok(bench.engine.start(&id).await?)
}

pub(super) async fn removing_a_missing_container_is_fine(bench: &Bench) -> Claim {
    Ok(bench.engine.remove(&missing()).await?)
}

pub(super) async fn removing_a_running_container_is_a_conflict(bench: &Bench) -> Claim {
    let id = bench.started(&SERVE).await?;
    refused(bench.engine.remove(&id).await, ErrorKind::Conflict)?;
    same("its state", &bench.listed(&id).await?.state.word(), &"running")
}

pub(super) async fn removing_a_paused_container_is_a_conflict(bench: &Bench) -> Claim {
    let id = bench.started(&SERVE).await?;
    bench.hand.docker(&["pause", &id.0]).await?;
    refused(bench.engine.remove(&id).await, ErrorKind::Conflict)
}

pub(super) async fn a_removed_container_is_not_listed(bench: &Bench) -> Claim {
    let id = bench.created(&SERVE).await?;
    bench.engine.remove(&id).await?;
    ensure(bench.listed(&id).await.is_err(), || "it is still listed".to_owned())
}

pub(super) async fn a_removed_container_can_be_removed_again(bench: &Bench) -> Claim {
    let id = bench.created(&SERVE).await?;
    bench.engine.remove(&id).await?;
    Ok(bench.engine.remove(&id).await?)
}

/// How many ask for the removal of one container at the same moment.
const REMOVERS: usize = 16;
/// How many containers are removed so until somebody came while one was being removed: a quick engine may
/// be done with one before the next asks.
const ROUNDS: usize = 20;

pub(super) async fn many_removals_at_once_are_refused_as_in_progress_or_done(bench: &Bench) -> Claim {
    for _ in 0..ROUNDS {
        if refused_removals(bench).await? > 0 {
            return Ok(());
        }
    }
    ensure(false, || "nobody ever came while one was being removed".to_owned())
}

/// Removes a container many times at once; how many were refused.
async fn refused_removals(bench: &Bench) -> Claim<usize> {
    let id = bench.created(&SERVE).await?;
    let outcomes = futures_util::future::join_all((0..REMOVERS).map(|_| bench.engine.remove(&id))).await;
    let refusals: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    let other = refusals.iter().find(|error| error.kind != ErrorKind::RemovalInProgress);
    ensure(other.is_none(), || format!("{other:?}"))?;
    ensure(refusals.len() < REMOVERS, || "nobody's removal was carried out".to_owned())?;
    ensure(bench.listed(&id).await.is_err(), || "it is still listed".to_owned())?;
    bench.engine.remove(&id).await?;
    Ok(refusals.len())
}

pub(super) async fn a_taken_name_is_a_conflict(bench: &Bench) -> Claim {
    let request = bench.request(&SERVE)?;
    bench.engine.create(&request).await?;
    refused(bench.engine.create(&request).await, ErrorKind::Conflict)
}

pub(super) async fn a_foreign_container_takes_a_name_too(bench: &Bench) -> Claim {
    let mut request = bench.request(&SERVE)?;
    request.name = bench.foreign_made(["create", "--name"], ["rm", "-f"]).await?;
    refused(bench.engine.create(&request).await, ErrorKind::Conflict)
}

pub(super) async fn a_name_is_free_after_a_removal(bench: &Bench) -> Claim {
    let request = bench.request(&SERVE)?;
    let first = bench.engine.create(&request).await?;
    bench.engine.remove(&first).await?;
    let second = bench.engine.create(&request).await?;
    ensure(first != second, || "two containers have one id".to_owned())
}

pub(super) async fn creating_with_a_missing_image_is_not_found(bench: &Bench) -> Claim {
    let mut request = bench.request(&SERVE)?;
    "localhost/witwd-contract-missing:1".clone_into(&mut request.image);
    refused(bench.engine.create(&request).await, ErrorKind::NotFound)
}

pub(super) async fn an_image_can_be_named_by_its_id(bench: &Bench) -> Claim {
    let mut request = bench.request(&["exit", "3"])?;
    request.image = bench.engine.image(&bench.image).await?.id.0;
    let id = bench.start(&request).await?;
    same("its exit code", &bench.end(&id).await?.code, &3)
}

pub(super) async fn renaming_to_a_taken_name_is_a_conflict(bench: &Bench) -> Claim {
    let request = bench.request(&SERVE)?;
    bench.engine.create(&request).await?;
    let other = bench.created(&SERVE).await?;
    refused(bench.engine.rename(&other, &request.name).await, ErrorKind::Conflict)
}

pub(super) async fn renaming_keeps_the_run(bench: &Bench) -> Claim {
    let id = bench.started(&SERVE).await?;
    let run = bench.listed(&id).await?.run();
    let name = bench.fresh("renamed");
    bench.engine.rename(&id, &name).await?;
    let listed = bench.listed(&id).await?;
    same("its name", &listed.name, &name)?;
    same("its run", &listed.run(), &run)
}

pub(super) async fn renaming_a_missing_container_is_not_found(bench: &Bench) -> Claim {
    refused(bench.engine.rename(&missing(), &bench.fresh("renamed")).await, ErrorKind::NotFound)
}

pub(super) async fn observe_shows_created_then_running_then_exited(bench: &Bench) -> Claim {
    let id = bench.created(&SERVE).await?;
    same("its first state", &bench.listed(&id).await?.state, &ContainerState::Created)?;
    bench.engine.start(&id).await?;
    same("its second state", &bench.listed(&id).await?.state.word(), &"running")?;
    bench.engine.stop(&id, std::time::Duration::from_secs(10)).await?;
    same("its third state", &bench.listed(&id).await?.state.word(), &"exited")
}

pub(super) async fn started_at_changes_with_each_run(bench: &Bench) -> Claim {
    let id = bench.started(&["exit", "0"]).await?;
    bench.end(&id).await?;
    let first = bench.listed(&id).await?.run();
    bench.engine.start(&id).await?;
    bench.end(&id).await?;
    ensure(bench.listed(&id).await?.run() != first, || "two runs began at one time".to_owned())
}

pub(super) async fn an_end_keeps_the_start_of_its_run(bench: &Bench) -> Claim {
    let id = bench.started(&SERVE).await?;
    let run = bench.listed(&id).await?.run();
    bench.engine.stop(&id, std::time::Duration::from_secs(10)).await?;
    same("the run", &bench.listed(&id).await?.run(), &run)
}

pub(super) async fn a_paused_container_is_seen_paused(bench: &Bench) -> Claim {
    let id = bench.started(&SERVE).await?;
    bench.hand.docker(&["pause", &id.0]).await?;
    same("its state", &bench.listed(&id).await?.state.word(), &"paused")
}

pub(super) async fn only_what_runs_or_is_paused_is_up(bench: &Bench) -> Claim {
    let id = bench.created(&SERVE).await?;
    same("whether it is up when made", &bench.engine.is_up(&id).await?, &false)?;
    bench.engine.start(&id).await?;
    same("whether it is up when started", &bench.engine.is_up(&id).await?, &true)?;
    bench.hand.docker(&["pause", &id.0]).await?;
    same("whether it is up when paused", &bench.engine.is_up(&id).await?, &true)?;
    bench.hand.docker(&["unpause", &id.0]).await?;
    bench.engine.stop(&id, Duration::ZERO).await?;
    same("whether it is up when stopped", &bench.engine.is_up(&id).await?, &false)
}

pub(super) async fn a_missing_container_is_not_up(bench: &Bench) -> Claim {
    same("whether it is up", &bench.engine.is_up(&missing()).await?, &false)
}

pub(super) async fn starting_a_paused_container_is_a_conflict(bench: &Bench) -> Claim {
    let id = bench.started(&SERVE).await?;
    bench.hand.docker(&["pause", &id.0]).await?;
    refused(bench.engine.start(&id).await, ErrorKind::Conflict)
}

pub(super) async fn labels_come_back_as_identity(bench: &Bench) -> Claim {
    let mut request = bench.request(&SERVE)?;
    request.identity.spec = SpecHash::parse("1-0123456789abcdef");
    request.identity.secrets = Fingerprint::parse("k1-00ff");
    request.identity.key.replica = 3;
    let id = bench.engine.create(&request).await?;
    same("its identity", &bench.listed(&id).await?.identity, &Some(request.identity))
}

pub(super) async fn what_a_container_was_made_with_comes_back(bench: &Bench) -> Claim {
    let request = bench.request(&SERVE)?;
    let id = bench.engine.create(&request).await?;
    let listed = bench.listed(&id).await?;
    same("its name", &listed.name, &request.name)?;
    same("its image", &listed.image_reference, &bench.image)?;
    same("the id of its image", &listed.image, &bench.engine.image(&bench.image).await?.id)
}

pub(super) async fn foreign_containers_are_listed_without_identity(bench: &Bench) -> Claim {
    let name = bench.foreign_made(["create", "--name"], ["rm", "-f"]).await?;
    let seen = bench.observe().await?;
    let foreign = seen.containers.iter().find(|container| container.name == name);
    ensure(foreign.is_some_and(|container| container.identity.is_none()), || format!("{foreign:?}"))
}

pub(super) async fn two_containers_of_one_replica_are_both_listed(bench: &Bench) -> Claim {
    let first = bench.request(&SERVE)?;
    let mut second = first.clone();
    second.name = bench.fresh("second");
    let ids = [bench.engine.create(&first).await?, bench.engine.create(&second).await?];
    let seen = bench.observe().await?;
    let listed = seen.containers.iter().filter(|container| ids.contains(&container.id)).count();
    same("how many are listed", &listed, &2)
}

pub(super) async fn observe_is_sorted(bench: &Bench) -> Claim {
    for _ in 0..5 {
        bench.created(&SERVE).await?;
        bench.volume("/data").await?;
    }
    let seen = bench.observe().await?;
    ensure(seen.containers.is_sorted_by_key(|container| container.id.clone()), || "containers are not sorted by id".to_owned())?;
    ensure(seen.volumes.len() == 5 && seen.volumes.is_sorted_by_key(|volume| volume.name.clone()), || {
        format!("{:?}", seen.volumes)
    })
}
