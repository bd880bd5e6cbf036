//! How a stack that is on its way is shown: lines that move on a terminal, a line for each change
//! elsewhere.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::fit::{cut, hang};
use super::output::Output;
use super::paint::{Ink, paint, printable};
use super::ps::{state_ink, state_text};
use crate::model::status::{EngineStatus, EventRecord, ItemStatus, State, Status};

/// The spinner before a line that moves, and the gap behind it.
const SPINNER: usize = 2;

/// What was shown of each replica.
type Shown = BTreeMap<(String, u32), String>;

/// Shows how a stack changes.
pub(super) struct Progress {
    output: Output,
    shown: Shown,
    moving: Option<Moving>,
    engine: EngineStatus,
    /// Whether a look at the engine was shown: before the first one nothing is known of it.
    has_shown: bool,
    /// Whether programs are told what happens.
    streams: bool,
}

struct Moving {
    all: MultiProgress,
    bars: BTreeMap<(String, u32), ProgressBar>,
}

impl Progress {
    /// Shows nothing yet.
    pub(super) fn new(output: Output) -> Self {
        let moving = output.moves().then(|| Moving { all: MultiProgress::new(), bars: BTreeMap::new() });
        Self { output, shown: BTreeMap::new(), moving, engine: EngineStatus::Up, has_shown: false, streams: true }
    }

    /// The same where programs get one document and no stream.
    pub(super) fn beside_document(output: Output) -> Self {
        Self { streams: false, ..Self::new(output) }
    }

    /// The same without anything that moves: beside logs.
    pub(super) fn plain(output: Output) -> Self {
        Self { output, shown: BTreeMap::new(), moving: None, engine: EngineStatus::Up, has_shown: false, streams: true }
    }

    /// Shows how things are now.
    pub(super) fn status(&mut self, status: &Status) {
        if self.output.json || self.output.quiet {
            return;
        }
        self.engine(status.engine);
        self.has_shown = true;
        let lines = changes(&mut self.shown, status);
        match &mut self.moving {
            Some(moving) => moving.show(status),
            None => lines.iter().for_each(|line| self.output.note(&hang(line, Output::note_width(), 4))),
        }
    }

    /// Says once that the engine went away.
    pub(super) fn engine(&mut self, engine: EngineStatus) {
        if engine == EngineStatus::Down && self.engine == EngineStatus::Up && self.has_shown && !self.output.json {
            self.say("the engine does not answer; waiting for it");
        }
        self.engine = engine;
    }

    /// Shows something that happened: for programs each, for people how far images are.
    pub(super) fn event(&mut self, record: &EventRecord) -> Result<(), super::exit_code::Failure> {
        if self.output.json {
            return if self.streams { self.output.document(record) } else { Ok(()) };
        }
        if let (Some(moving), "progress") = (&mut self.moving, record.kind.as_str()) {
            moving.remark(record);
        }
        Ok(())
    }

    /// Says a line above what moves.
    pub(super) fn say(&self, text: &str) {
        match &self.moving {
            // A terminal that can't be written to shows nothing either way.
            Some(moving) => drop(moving.all.println(text)),
            None => self.output.note(text),
        }
    }

    /// Ends what moves; the last state of each item stays to be read.
    pub(super) fn finish(self) {
        if let Some(moving) = self.moving {
            moving.bars.values().for_each(ProgressBar::abandon);
        }
    }
}

impl Moving {
    fn show(&mut self, status: &Status) {
        let width = status.items.iter().map(|item| label(item).len()).max().unwrap_or(0);
        let room = Output::note_width().saturating_sub(SPINNER);
        for item in &status.items {
            let bar = self.bars.entry((item.name.clone(), item.replica)).or_insert_with(|| spinner(&self.all));
            bar.set_message(moving_text(item, width, room, true));
            if item.ready || matches!(item.state, State::Completed | State::Stopped) {
                bar.disable_steady_tick();
            } else {
                bar.enable_steady_tick(Duration::from_millis(120));
            }
        }
        let here = |key: &(String, u32)| status.items.iter().any(|item| (&item.name, item.replica) == (&key.0, key.1));
        self.bars.retain(|key, bar| {
            let stays = here(key);
            if !stays {
                bar.finish_and_clear();
            }
            stays
        });
    }

    fn remark(&mut self, record: &EventRecord) {
        let of_target = |key: &&(String, u32)| key.0 == record.target;
        if let Some(key) = self.bars.keys().find(of_target).cloned()
            && let Some(bar) = self.bars.get(&key)
        {
            bar.set_message(format!("{}  {}", record.target, printable(&record.cause)));
        }
    }
}

fn spinner(all: &MultiProgress) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    all.add(ProgressBar::new_spinner().with_style(style))
}

/// A line that moves: whom it is about in a column of this width, its state, and as much of the cause as
/// there is room for. The whole cause is said where it is the end of it, and by `ps`.
pub(super) fn moving_text(item: &ItemStatus, width: usize, room: usize, color: bool) -> String {
    let state = settled_text(item);
    let left = room.saturating_sub(width.max(label(item).len()) + state.len() + 4);
    let line = format!("{:width$}  {}", label(item), paint(color, state_ink(item), &state));
    match cut(&printable(&item.cause), left) {
        cause if cause.is_empty() => line,
        cause => format!("{line}  {}", paint(color, Ink::Dim, &cause)),
    }
}

fn label(item: &ItemStatus) -> String {
    replica_label(&item.name, item.replica)
}

fn replica_label(name: &str, replica: u32) -> String {
    if replica == 1 { name.to_owned() } else { format!("{name}.{replica}") }
}

/// The state, or `ready`: what `up` waits for.
fn settled_text(item: &ItemStatus) -> String {
    if item.state == State::Running && item.ready { "ready".to_owned() } else { state_text(item) }
}

/// A line for each item that is not as it was shown last.
pub(super) fn changes(shown: &mut Shown, status: &Status) -> Vec<String> {
    let mut lines = Vec::new();
    for item in &status.items {
        let cause = if item.cause.is_empty() { String::new() } else { format!(": {}", printable(&item.cause)) };
        let line = format!("{}  {}{cause}", label(item), settled_text(item));
        let before = shown.insert((item.name.clone(), item.replica), line.clone());
        if before.as_ref() != Some(&line) && (before.is_some() || item.state != State::Pending) {
            lines.push(line);
        }
    }
    let here = |key: &(String, u32)| status.items.iter().any(|item| (&item.name, item.replica) == (&key.0, key.1));
    let gone: Vec<(String, u32)> = shown.keys().filter(|key| !here(key)).cloned().collect();
    for key in gone {
        shown.remove(&key);
        lines.push(format!("{}  removed", replica_label(&key.0, key.1)));
    }
    lines
}
