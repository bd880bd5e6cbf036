//! The event stream: for each subscriber a bounded buffer that drops, as the real engine's.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::world::Now;
use crate::engine::answer::EngineEvent;
use crate::model::name::StackName;
use crate::model::time::Moment;

/// Room of a subscriber's buffer; what comes when it is full is lost.
pub const BUFFER: usize = 1024;

/// What happens to an event on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventFault {
    /// It never arrives.
    Lose,
    /// It arrives twice.
    Double,
    /// It arrives this much later, perhaps after what came after it.
    Late(Duration),
}

/// An event with the stack whose label its object carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emitted {
    /// When it happened.
    pub at: Moment,
    /// When it happened by the wall clock, as objects tell it.
    pub wall: jiff::Timestamp,
    /// `container`, `network`, `volume`, `image`.
    pub object: &'static str,
    /// What happened.
    pub action: &'static str,
    /// To what.
    pub id: String,
    /// Whose label it carries.
    pub stack: Option<StackName>,
}

#[derive(Debug, Default)]
struct Subscriber {
    stack: Option<StackName>,
    queue: VecDeque<(Moment, EngineEvent)>,
    cut: bool,
}

/// What a subscriber finds.
#[derive(Debug)]
pub(super) enum Next {
    Event(EngineEvent),
    Cut,
    Nothing,
}

/// Everything that was emitted, and who listens.
#[derive(Debug, Default)]
pub struct Bus {
    subscribers: BTreeMap<u64, Subscriber>,
    next: u64,
    faults: VecDeque<EventFault>,
    /// How many events that somebody listens for were lost, doubled or late.
    pub disturbed: u64,
    /// Every event, also those that nobody heard.
    pub journal: Vec<Emitted>,
}

impl Bus {
    /// What happens to the next event that has no fault yet.
    pub fn fault(&mut self, fault: EventFault) {
        self.faults.push_back(fault);
    }

    /// Forgets faults that no event has met.
    pub fn clear_faults(&mut self) {
        self.faults.clear();
    }

    pub(super) fn subscribe(&mut self, stack: &StackName) -> u64 {
        self.next += 1;
        self.subscribers.insert(self.next, Subscriber { stack: Some(stack.clone()), ..Subscriber::default() });
        self.next
    }

    pub(super) fn unsubscribe(&mut self, key: u64) {
        self.subscribers.remove(&key);
    }

    /// Ends every stream: the engine went away.
    pub(super) fn cut(&mut self) {
        self.subscribers.values_mut().for_each(|subscriber| subscriber.cut = true);
    }

    pub(super) fn emit(&mut self, now: Now, (object, action): (&'static str, &'static str), id: &str, stack: Option<&StackName>) {
        self.journal.push(Emitted { at: now.moment, wall: now.wall, object, action, id: id.to_owned(), stack: stack.cloned() });
        let fault = self.faults.pop_front();
        self.disturbed += u64::from(fault.is_some() && self.subscribers.values().any(|subscriber| !subscriber.cut));
        let (copies, delay) = match fault {
            None => (1, Duration::ZERO),
            Some(EventFault::Lose) => (0, Duration::ZERO),
            Some(EventFault::Double) => (2, Duration::ZERO),
            Some(EventFault::Late(delay)) => (1, delay),
        };
        for subscriber in self.subscribers.values_mut().filter(|subscriber| !subscriber.cut) {
            let ours = stack.is_some() && subscriber.stack.as_ref() == stack;
            let event = EngineEvent { object: object.to_owned(), action: action.to_owned(), id: id.to_owned(), ours };
            let room = BUFFER.saturating_sub(subscriber.queue.len());
            let wanted = std::iter::repeat_n((now.moment + delay, event), copies);
            subscriber.queue.extend(wanted.take(room));
        }
    }

    /// What has arrived for a subscriber; what came before a cut is lost with it.
    pub(super) fn next(&mut self, key: u64, now: Moment) -> Next {
        let Some(subscriber) = self.subscribers.get_mut(&key) else { return Next::Cut };
        if subscriber.cut {
            return Next::Cut;
        }
        let arrived = subscriber.queue.iter().position(|(at, _)| *at <= now);
        arrived.and_then(|index| subscriber.queue.remove(index)).map_or(Next::Nothing, |(_, event)| Next::Event(event))
    }

    /// When something is to arrive next.
    pub(super) fn due(&self, now: Moment) -> Option<Moment> {
        let queued = self.subscribers.values().flat_map(|subscriber| subscriber.queue.iter());
        queued.map(|(at, _)| *at).filter(|at| *at > now).min()
    }
}
