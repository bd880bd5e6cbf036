//! What `top` knows, and what a key means. Pure.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::load::Load;
use crate::model::status::{EventRecord, ItemStatus, Status};

/// How many events are kept.
const EVENTS: usize = 200;

/// A key that means something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// The one above.
    Up,
    /// The one below.
    Down,
    /// `r`.
    Restart,
    /// `l` or Enter.
    Logs,
    /// Esc.
    Back,
    /// `q` or Ctrl-C.
    Quit,
}

/// What a key asks of the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Nothing.
    Nothing,
    /// A restart of one replica: name and number.
    Restart(String, u32),
    /// The log of the selected one.
    Logs,
    /// The end.
    End,
}

/// The log of one replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LogView {
    /// Its container.
    pub container: String,
    /// The last lines, oldest first.
    pub lines: Vec<String>,
}

/// What `top` knows.
#[derive(Debug, Clone)]
pub(super) struct View {
    /// How things are.
    pub status: Status,
    /// What happened, oldest first.
    pub events: VecDeque<EventRecord>,
    /// What each container uses.
    pub loads: BTreeMap<String, Load>,
    /// Whose row is selected: name and replica.
    selected: (String, u32),
    /// The log that is shown instead of the events.
    pub log: Option<LogView>,
    /// What the last key came to.
    pub message: String,
    /// Now, and where.
    pub now: (Timestamp, TimeZone),
}

impl View {
    /// A view of this, the first row selected.
    pub(super) fn new(status: Status, now: (Timestamp, TimeZone)) -> Self {
        let selected = status.items.first().map(key).unwrap_or_default();
        Self { status, events: VecDeque::new(), loads: BTreeMap::new(), selected, log: None, message: String::new(), now }
    }

    /// The row that is selected; the first where the one that was is gone.
    pub(super) fn selected(&self) -> usize {
        self.status.items.iter().position(|item| key(item) == self.selected).unwrap_or(0)
    }

    /// The replica that is selected.
    pub(super) fn item(&self) -> Option<&ItemStatus> {
        self.status.items.get(self.selected())
    }

    /// Takes note of what happened.
    pub(super) fn happened(&mut self, record: EventRecord) {
        if self.events.len() == EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(record);
    }

    /// What a key means; the selection moves, all else is asked of the world.
    pub(super) fn press(&mut self, pressed: Key) -> Wanted {
        self.message.clear();
        match pressed {
            Key::Up => self.select(self.selected().saturating_sub(1)),
            Key::Down => self.select(self.selected() + 1),
            Key::Restart => return self.item().map_or(Wanted::Nothing, |item| Wanted::Restart(item.name.clone(), item.replica)),
            Key::Logs => return self.open_log(),
            Key::Back => self.log = None,
            Key::Quit => return Wanted::End,
        }
        // An open log follows the selection.
        if self.log.is_some() && matches!(pressed, Key::Up | Key::Down) { self.open_log() } else { Wanted::Nothing }
    }

    fn select(&mut self, row: usize) {
        if let Some(item) = self.status.items.get(row) {
            self.selected = key(item);
        }
    }

    fn open_log(&mut self) -> Wanted {
        self.log = None;
        match self.item().map(|item| item.container.clone()) {
            Some(Some(container)) => {
                self.log = Some(LogView { container, lines: Vec::new() });
                Wanted::Logs
            }
            Some(None) => {
                "it has no container yet, and no log".clone_into(&mut self.message);
                Wanted::Nothing
            }
            None => Wanted::Nothing,
        }
    }

    /// Shows these lines, where the log of that container is open still.
    pub(super) fn log_of(&mut self, container: &str, lines: Vec<String>) {
        if let Some(log) = self.log.as_mut().filter(|log| log.container == container) {
            log.lines = lines;
        }
    }
}

fn key(item: &ItemStatus) -> (String, u32) {
    (item.name.clone(), item.replica)
}
