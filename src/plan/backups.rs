//! Sets of a Postgres: begun when they are due and its server is ready. Nothing waits for one, and one that can't
//! be begun stands in nobody's way.

use std::time::Duration;

use jiff::Timestamp;

use super::action::Action;
use super::gates::is_ready;
use super::inputs::Inputs;
use super::pass::Pass;
use crate::model::backup::Due;
use crate::model::observed::Container;
use crate::model::workload::Workload;

/// The wall clock may jump, and timers stop while a machine sleeps: it is asked at least so often.
const ASKED: Duration = Duration::from_secs(30);

/// Plans the work that is due.
pub fn plan(pass: &mut Pass<'_>) {
    let inputs = pass.inputs;
    for workload in inputs.stack.in_order() {
        match inputs.backups.get(&workload.name) {
            Some(Due::Now { work, cause }) => {
                if let Some(server) = server(inputs, workload) {
                    let (container, image) = (server.id.clone(), server.image.clone());
                    let action = Action::Backup { name: workload.name.clone(), container, image, work: work.clone() };
                    pass.act(action, cause.clone());
                }
            }
            Some(Due::Later(at)) => pass.wake(inputs.now + until(inputs.wall, *at)),
            None => {}
        }
    }
}

/// The container of a Postgres that can be dumped.
fn server<'a>(inputs: &Inputs<'a>, workload: &Workload) -> Option<&'a Container> {
    inputs.of_workload(&workload.name).iter().copied().find(|container| is_ready(inputs, workload, container))
}

fn until(wall: Timestamp, at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(wall)).unwrap_or_default().min(ASKED)
}
