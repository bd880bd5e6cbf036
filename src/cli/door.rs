//! `daemon.group`: a second socket, which the members of a group may open. The first one stays its
//! user's own, so that nobody is locked out by what the file says.

use std::path::PathBuf;

use tokio::sync::watch;

use super::exit_code::{Exit, Failure};
use super::place::Place;
use crate::control::{Admission, ControlSocket, Service, SocketAccess, serve};
use crate::host::group::{self, Group};
use crate::host::instance::own_id;
use crate::host::runtime::{Runtime, Surroundings};
use crate::model::stack::Stack;

/// A socket for a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Door {
    path: PathBuf,
    group: Group,
}

/// The door that a stack asks for, its place made; `None` where it asks for none.
pub(super) fn prepare(place: &Place, stack: &Stack) -> Result<Option<Door>, Failure> {
    let Some(name) = stack.daemon().group.as_deref() else { return Ok(None) };
    let Some(group) = group::find(name) else {
        let words = format!("failed to open the control socket to the group {name}: this machine has no such group");
        return Err(Failure::new(Exit::InvalidFile, words));
    };
    let failed = |error| {
        Failure::of(Exit::Failed, &format!("failed to open the control socket to the group {name}"), &error)
            .hint("run the daemon as root, or as a member of the group: only they may give it away")
    };
    // A session's own runtime directory lets nobody else pass.
    let runtime = Runtime::open(&Surroundings { xdg: None, ..Surroundings::of_process() })?;
    let own = own_id(&place.directory).map_err(failed)?;
    let path = runtime.open_door(&own, group.gid).map_err(failed)?;
    Ok(Some(Door { path, group }))
}

/// Serves at the door that is wanted until the daemon ends.
pub(super) async fn keep(mut wanted: watch::Receiver<Option<Door>>, service: Service) {
    loop {
        let door = wanted.borrow_and_update().clone();
        tokio::select! {
            biased;
            () = serve_at(door, &service) => return,
            changed = wanted.changed() => if changed.is_err() { return },
        }
    }
}

/// Returns when the daemon ends.
async fn serve_at(door: Option<Door>, service: &Service) {
    let opened = door.map(|door| (ControlSocket::open(&door.path, SocketAccess::Group(door.group.gid)), door));
    match opened {
        Some((Ok(mut socket), door)) => {
            let group = Some((door.group.gid, door.group.members));
            let admission = Admission { group, ..service.admission.clone() };
            if let Some(listener) = socket.take_listener() {
                serve(listener, Service { admission, ..service.clone() }).await;
            }
        }
        Some((Err(error), door)) => {
            tracing::error!(%error, "failed to open {}: the group is not let in", door.path.display());
            over(service).await;
        }
        None => over(service).await,
    }
}

async fn over(service: &Service) {
    // The daemon keeps a sender for as long as it lives.
    let _ = service.ending.subscribe().wait_for(|ending| *ending).await;
}
