//! The one owner of mutable truth: one closed enum of events, one `handle`, one task. Other tasks
//! hold a [`Handle`] or a watch receiver.
//!
//! A pass: observe, plan, apply what is not under way. Actions run concurrently and never block
//! the loop; their outcomes come back as events. An action stays "under way" until a look at the
//! engine that began after its outcome is over, so that a stale look never plans it twice.
//!
//! [`preview`] runs the same loop on a simulated engine: what `up` would do.

mod apply;
mod backups;
mod by_hand;
mod caretaker;
mod commands;
mod create;
mod definitions;
mod event;
mod families;
mod handle;
mod images;
mod journal;
mod keeper;
mod kept_logs;
mod known;
mod last_lines;
mod looks;
mod note;
mod outcome;
mod pass;
mod preview;
mod report;
mod requests;
mod restore;
mod run;
mod scope;
pub mod sim;
mod single;
mod start;
mod state;
mod told_sets;

pub use apply::{Context, PRIMITIVES, TRANSFERS};
pub use backups::{Care, ErrandError};
pub use caretaker::{BackupTask, Backups, NoBackups, PostgresBackups};
pub use commands::{BuildCommand, Commands, SystemCommands};
pub use create::OneOff;
pub use event::{ActionError, Effect, Event};
pub use handle::{Closed, Command, Down, Ends, HandError, Handle, Occasion, Published, Up, channel};
pub use keeper::{Keeper, KeeperError, PostgresKeeper};
pub use kept_logs::{KeptLog, KeptLogs, Leaving, border, last_run};
pub use known::Known;
#[cfg(test)]
pub(crate) use preview::GAPS;
pub use preview::{Question, look, preview};
pub use report::{JOBS_ARE_NOT_RUN, Report, port_of, report, sorted};
pub use requests::not_up;
pub use run::{Beginning, Supervisor, UnderWay, run};
pub use single::{Single, Step};
pub use start::{Machine, PreviewError, kept_history, known_passwords};
pub use state::{StateError, StateFile, is_readable, last_exits};
