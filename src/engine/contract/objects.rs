//! Networks, volumes, ports, events.

use std::time::Duration;

use futures_util::StreamExt as _;

use super::bench::{Bench, Broken, Claim, ensure, refused, same};
use crate::engine::answer::EngineEvent;
use crate::engine::request::Scope;
use crate::engine::{ErrorKind, EventStream};
use crate::model::name::{ContainerId, InstanceId};

const GRACE: Duration = Duration::from_secs(10);

pub(super) async fn the_engine_says_what_it_is(bench: &Bench) -> Claim {
    let info = bench.engine.info().await?;
    ensure(!info.version.is_empty() && info.api >= (1, 41), || format!("{info:?}"))
}

pub(super) async fn network_of_the_same_name_is_a_conflict(bench: &Bench) -> Claim {
    bench.network().await?;
    refused(bench.engine.create_network(&bench.network_request()).await, ErrorKind::Conflict)
}

pub(super) async fn removing_a_missing_network_is_fine(bench: &Bench) -> Claim {
    Ok(bench.engine.remove_network(&"e".repeat(64)).await?)
}

pub(super) async fn networks_show_their_owner(bench: &Bench) -> Claim {
    let name = bench.network().await?;
    let seen = bench.observe().await?;
    let owners: Vec<_> = seen.networks.iter().map(|network| (network.name.clone(), network.owner.clone())).collect();
    same("networks", &owners, &vec![(name, Some((bench.stack.clone(), bench.instance.clone())))])
}

pub(super) async fn a_removed_network_is_gone(bench: &Bench) -> Claim {
    bench.network().await?;
    for network in bench.observe().await?.networks {
        bench.engine.remove_network(&network.id).await?;
    }
    ensure(bench.observe().await?.networks.is_empty(), || "it is still there".to_owned())
}

pub(super) async fn a_container_shows_its_networks(bench: &Bench) -> Claim {
    let network = bench.network().await?;
    let id = bench.start(&bench.publishing(&network, None)?).await?;
    let networks: Vec<String> = bench.listed(&id).await?.networks.into_keys().collect();
    same("its networks", &networks, &vec![network])
}

/// A running container that is known as `one` and `two` on this stack's network.
async fn known(bench: &Bench) -> Claim<(ContainerId, String)> {
    let network = bench.network().await?;
    let mut request = bench.publishing(&network, None)?;
    request.aliases = ["one", "two"].map(str::to_owned).to_vec();
    Ok((bench.start(&request).await?, network))
}

/// Its names on a network. Some engines add its host name, which is the name of its workload here.
async fn names_on(bench: &Bench, id: &ContainerId, network: &str) -> Claim<Option<Vec<String>>> {
    let listed = bench.listed(id).await?;
    let host = listed.identity.map(|identity| identity.key.name.to_string());
    let given = |name: &&String| Some(*name) != host.as_ref();
    Ok(listed.networks.get(network).map(|names| names.iter().filter(given).cloned().collect()))
}

pub(super) async fn a_container_shows_its_names_on_a_network(bench: &Bench) -> Claim {
    let (id, network) = known(bench).await?;
    same("its names", &names_on(bench, &id, &network).await?, &Some(vec!["one".to_owned(), "two".to_owned()]))
}

pub(super) async fn a_disconnected_container_is_on_no_network(bench: &Bench) -> Claim {
    let (id, network) = known(bench).await?;
    let run = bench.listed(&id).await?.run();
    bench.engine.disconnect(&id, &network).await?;
    same("its names", &names_on(bench, &id, &network).await?, &None)?;
    same("its run", &bench.listed(&id).await?.run(), &run)?;
    ensure(bench.engine.reach(&id, 8080).await.is_err(), || "it is reached".to_owned())
}

pub(super) async fn what_foreign_hands_disconnect_is_seen(bench: &Bench) -> Claim {
    let _events = bench.engine.events(&bench.stack).await?;
    let (id, network) = known(bench).await?;
    names_on(bench, &id, &network).await?;
    bench.hand.docker(&["network", "disconnect", &network, &id.0]).await?;
    same("its names", &names_on(bench, &id, &network).await?, &None)?;
    bench.hand.docker(&["network", "connect", "--alias", "three", &network, &id.0]).await?;
    same("its names", &names_on(bench, &id, &network).await?, &Some(vec!["three".to_owned()]))
}

pub(super) async fn disconnecting_what_is_not_connected_is_fine(bench: &Bench) -> Claim {
    let (id, network) = known(bench).await?;
    bench.engine.disconnect(&id, &network).await?;
    bench.engine.disconnect(&id, &network).await?;
    Ok(bench.engine.disconnect(&ContainerId("e".repeat(64)), &network).await?)
}

pub(super) async fn a_connected_container_has_its_names_and_keeps_its_run(bench: &Bench) -> Claim {
    let (id, network) = known(bench).await?;
    let before = bench.listed(&id).await?;
    bench.engine.disconnect(&id, &network).await?;
    bench.engine.connect(&id, &network, &["other".to_owned()]).await?;
    same("its names", &names_on(bench, &id, &network).await?, &Some(vec!["other".to_owned()]))?;
    let after = bench.listed(&id).await?;
    same("its run", &after.run(), &before.run())?;
    same("whether it is published", &after.published.len(), &before.published.len())?;
    bench.engine.reach(&id, 8080).await?;
    Ok(())
}

pub(super) async fn connecting_a_running_container_twice_is_a_conflict(bench: &Bench) -> Claim {
    let (id, network) = known(bench).await?;
    refused(bench.engine.connect(&id, &network, &["other".to_owned()]).await, ErrorKind::Conflict)?;
    same("its names", &names_on(bench, &id, &network).await?, &Some(vec!["one".to_owned(), "two".to_owned()]))
}

pub(super) async fn connecting_a_missing_container_is_not_found(bench: &Bench) -> Claim {
    let network = bench.network().await?;
    refused(bench.engine.connect(&ContainerId("e".repeat(64)), &network, &[]).await, ErrorKind::NotFound)
}

pub(super) async fn connecting_to_a_missing_network_does_not_blame_the_container(bench: &Bench) -> Claim {
    let (id, _) = known(bench).await?;
    refused(bench.engine.connect(&id, &bench.fresh("missing"), &[]).await, ErrorKind::Other)
}

pub(super) async fn starting_on_a_missing_network_does_not_blame_the_container(bench: &Bench) -> Claim {
    let network = bench.network().await?;
    let id = bench.engine.create(&bench.publishing(&network, None)?).await?;
    for network in bench.observe().await?.networks {
        bench.engine.remove_network(&network.id).await?;
    }
    refused(bench.engine.start(&id).await, ErrorKind::Other)
}

pub(super) async fn volume_create_is_idempotent_for_ours(bench: &Bench) -> Claim {
    let (name, _) = bench.volume("/data").await?;
    bench.engine.create_volume(&bench.volume_request(&name)).await?;
    same("how many there are", &bench.observe().await?.volumes.len(), &1)
}

pub(super) async fn a_foreign_volume_of_that_name_is_a_conflict(bench: &Bench) -> Claim {
    let name = bench.foreign_made(["volume", "create"], ["volume", "rm"]).await?;
    refused(bench.engine.create_volume(&bench.volume_request(&name)).await, ErrorKind::Conflict)
}

pub(super) async fn a_volume_of_another_instance_is_a_conflict(bench: &Bench) -> Claim {
    let (name, _) = bench.volume("/data").await?;
    let mut request = bench.volume_request(&name);
    request.instance = InstanceId("elsewhere".to_owned());
    refused(bench.engine.create_volume(&request).await, ErrorKind::Conflict)
}

pub(super) async fn a_container_is_not_made_on_a_missing_volume(bench: &Bench) -> Claim {
    let (name, mount) = bench.volume("/data").await?;
    bench.engine.remove_volume(&name).await?;
    let mut request = bench.request(&["exit", "0"])?;
    request.mounts = vec![mount];
    refused(bench.engine.create(&request).await, ErrorKind::NotFound)?;
    let seen = bench.observe().await?.volumes;
    ensure(seen.iter().all(|seen| seen.name != name), || "it was made by the way".to_owned())
}

pub(super) async fn a_volume_in_use_cannot_be_removed(bench: &Bench) -> Claim {
    let (name, mount) = bench.volume("/data").await?;
    let mut request = bench.request(&["serve", "--port", "8080"])?;
    request.mounts = vec![mount];
    bench.start(&request).await?;
    refused(bench.engine.remove_volume(&name).await, ErrorKind::InUse)
}

pub(super) async fn a_volume_of_a_stopped_container_is_in_use(bench: &Bench) -> Claim {
    let (name, mount) = bench.volume("/data").await?;
    let mut request = bench.request(&["exit", "0"])?;
    request.mounts = vec![mount];
    let id = bench.start(&request).await?;
    bench.end(&id).await?;
    refused(bench.engine.remove_volume(&name).await, ErrorKind::InUse)
}

pub(super) async fn a_volume_stays_when_its_container_goes(bench: &Bench) -> Claim {
    let (name, mount) = bench.volume("/data").await?;
    let mut request = bench.request(&["exit", "0"])?;
    request.mounts = vec![mount];
    let id = bench.engine.create(&request).await?;
    bench.engine.remove(&id).await?;
    let volumes: Vec<String> = bench.observe().await?.volumes.into_iter().map(|volume| volume.name).collect();
    same("volumes", &volumes, &vec![name])
}

pub(super) async fn removing_a_missing_volume_is_fine(bench: &Bench) -> Claim {
    Ok(bench.engine.remove_volume(&bench.fresh("missing")).await?)
}

pub(super) async fn volumes_show_their_owner(bench: &Bench) -> Claim {
    bench.volume("/data").await?;
    let seen = bench.observe().await?;
    let owners: Vec<_> = seen.volumes.iter().map(|volume| volume.owner.clone()).collect();
    same("owners", &owners, &vec![Some((bench.stack.clone(), bench.instance.clone()))])?;
    ensure(seen.volumes.iter().all(|volume| volume.driver == "local" && volume.created_at.is_some()), || format!("{seen:?}"))
}

pub(super) async fn foreign_volumes_that_are_asked_for_are_seen_without_owner(bench: &Bench) -> Claim {
    let name = bench.foreign_made(["volume", "create"], ["volume", "rm"]).await?;
    let scope = Scope { volumes: vec![name.clone()], ..Scope::of(&bench.stack) };
    let seen = bench.engine.observe(&scope).await?.volumes;
    ensure(matches!(seen.as_slice(), [volume] if volume.name == name && volume.owner.is_none()), || format!("{seen:?}"))
}

/// The port of the host that a running container was given.
async fn port_of(bench: &Bench, id: &ContainerId) -> Claim<u16> {
    let listed = bench.listed(id).await?;
    let port = listed.published.first().filter(|port| port.container == 8080 && port.host != 0 && port.address.is_loopback());
    port.map(|port| port.host).ok_or_else(|| Broken::from(format!("published: {:?}", listed.published)))
}

pub(super) async fn published_ports_are_seen_while_running(bench: &Bench) -> Claim {
    let network = bench.network().await?;
    let id = bench.start(&bench.publishing(&network, None)?).await?;
    port_of(bench, &id).await?;
    bench.engine.stop(&id, GRACE).await?;
    same("ports after the stop", &bench.listed(&id).await?.published, &Vec::new())
}

pub(super) async fn a_chosen_port_is_the_one_that_is_given(bench: &Bench) -> Claim {
    let network = bench.network().await?;
    let first = bench.start(&bench.publishing(&network, None)?).await?;
    let port = port_of(bench, &first).await?;
    bench.engine.stop(&first, GRACE).await?;
    let second = bench.start(&bench.publishing(&network, Some(port))?).await?;
    same("its port", &port_of(bench, &second).await?, &port)
}

pub(super) async fn a_taken_port_fails_the_start_not_the_create(bench: &Bench) -> Claim {
    let network = bench.network().await?;
    let first = bench.start(&bench.publishing(&network, None)?).await?;
    let port = port_of(bench, &first).await?;
    let second = bench.engine.create(&bench.publishing(&network, Some(port))?).await?;
    refused(bench.engine.start(&second).await, ErrorKind::PortInUse)?;
    same("its state", &bench.listed(&second).await?.state.word(), &"created")
}

pub(super) async fn a_start_works_once_the_port_is_free(bench: &Bench) -> Claim {
    let network = bench.network().await?;
    let first = bench.start(&bench.publishing(&network, None)?).await?;
    let port = port_of(bench, &first).await?;
    let second = bench.engine.create(&bench.publishing(&network, Some(port))?).await?;
    refused(bench.engine.start(&second).await, ErrorKind::PortInUse)?;
    bench.engine.stop(&first, GRACE).await?;
    Ok(bench.engine.start(&second).await?)
}

pub(super) async fn a_running_container_is_reached(bench: &Bench) -> Claim {
    let network = bench.network().await?;
    let id = bench.start(&bench.publishing(&network, None)?).await?;
    bench.engine.reach(&id, 8080).await?;
    Ok(())
}

pub(super) async fn a_stopped_container_is_not_reached(bench: &Bench) -> Claim {
    let network = bench.network().await?;
    let id = bench.engine.create(&bench.publishing(&network, None)?).await?;
    ensure(bench.engine.reach(&id, 8080).await.is_err(), || "it is reached before it runs".to_owned())
}

/// Events until the container is destroyed.
async fn until_destroyed(bench: &Bench, mut events: EventStream, id: &str) -> Claim<Vec<EngineEvent>> {
    let mut heard = Vec::new();
    let all = async {
        while let Some(event) = events.next().await {
            let event = event?;
            let mine = event.object == "container" && event.id == id;
            let last = mine && event.action == "destroy";
            heard.extend(mine.then_some(event));
            if last {
                return Ok(());
            }
        }
        Err(Broken::from("the stream ended".to_owned()))
    };
    tokio::select! {
        biased;
        all = all => all?,
        () = bench.clock.sleep(Duration::from_secs(10)) => return Err(Broken::from("no destroy within ten seconds".to_owned())),
    }
    Ok(heard)
}

pub(super) async fn events_of_one_container_come_in_order(bench: &Bench) -> Claim {
    let events = bench.engine.events(&bench.stack).await?;
    let id = bench.started(&["exit", "0"]).await?;
    bench.end(&id).await?;
    bench.engine.remove(&id).await?;
    let heard = until_destroyed(bench, events, &id.0).await?;
    ensure(heard.iter().all(|event| event.ours), || format!("{heard:?}"))?;
    let wanted = ["create", "start", "die", "destroy"];
    let actions: Vec<&str> = heard.iter().map(|event| event.action.as_str()).filter(|action| wanted.contains(action)).collect();
    same("the events", &actions, &wanted.to_vec())
}

pub(super) async fn events_of_other_stacks_are_not_ours(bench: &Bench) -> Claim {
    let events = bench.engine.events(&bench.stack).await?;
    let mut request = bench.request(&["exit", "0"])?;
    let other = format!("{}x", bench.stack);
    request.identity.stack = other.parse().map_err(|error| Broken::from(format!("{error}")))?;
    let id = bench.engine.create(&request).await?;
    bench.engine.remove(&id).await?;
    match until_destroyed(bench, events, &id.0).await {
        Ok(heard) => ensure(heard.iter().all(|event| !event.ours), || format!("{heard:?}")),
        // An engine that is asked for the events of a stack alone does not tell of others at all.
        Err(_) => Ok(()),
    }
}
