//! The one owner of mutable truth: one closed enum of events, one `handle`, one task. Other tasks
//! hold a [`Handle`] or a watch receiver.
//!
//! A pass: observe, plan, apply what is not under way. Actions run concurrently and never block
//! the loop; their outcomes come back as events.

mod handle;

pub use handle::{Closed, Command, Down, Ends, Handle, Published, Up, channel};
