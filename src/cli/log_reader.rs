//! Shows logs: what was written, merged by time, and what comes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::context::Context;
use super::exit_code::Failure;
use super::log_sources::{Part, Piece, Source, Sources, Whose, collect, piece, since};
use super::log_text::{label_width, line_text};
use super::logs::document;
use super::merge::{Merge, forward};
use super::output::Output;
use super::own_log::OwnLog;
use super::paint::Ink;
use crate::engine::EngineError;
use crate::engine::answer::LogLine;
use crate::engine::request::LogQuery;
use crate::host::Clock;
use crate::model::name::ContainerId;

/// How often a follower looks for new containers.
const ROUND: Duration = Duration::from_secs(1);

/// Shows logs.
pub(super) struct Reader {
    output: Output,
    clock: Arc<dyn Clock>,
    /// Those of containers, where any are wanted.
    sources: Option<Sources>,
    /// The daemon's own, where it is wanted.
    own: Option<OwnLog>,
    /// The longest label.
    longest: usize,
    inks: BTreeMap<String, usize>,
}

impl Reader {
    /// A reader of these logs, of which nothing was shown.
    pub(super) fn new(context: &Context, sources: Option<Sources>, own: Option<OwnLog>) -> Self {
        let (output, clock) = (context.output, context.clock.clone());
        let mut reader = Self { output, clock, sources, own, longest: 0, inks: BTreeMap::new() };
        reader.know_sources();
        reader
    }

    fn know_sources(&mut self) {
        let held = self.sources.iter().flat_map(|sources| &sources.held);
        let shown: Vec<Whose> = held.map(|source| Whose::from(&source.key)).collect();
        self.know(&shown);
    }

    /// Gives each that is shown its ink and the labels their width.
    fn know(&mut self, shown: &[Whose]) {
        for whose in shown {
            self.longest = self.longest.max(whose.label().len());
            let next = self.inks.len();
            self.inks.entry(whose.name.clone()).or_insert(next);
        }
    }

    /// Shows what was written, merged by time; whether there was any log.
    pub(super) async fn history(&mut self, part: Part) -> Result<bool, Failure> {
        let mut pieces = match &self.sources {
            Some(sources) if part.previous => sources.previous(part).await?,
            Some(sources) => sources.everything(part).await?,
            None => Vec::new(),
        };
        if let Some(own) = &mut self.own {
            let lines = if part.previous { own.previous()? } else { own.history()? };
            if !(part.previous && lines.is_empty()) {
                pieces.push(piece(Whose::daemon(), None, since(lines, part.since)));
            }
        }
        if let Some(count) = part.tail {
            pieces = last_lines(pieces, count as usize).await?;
        }
        let shown: Vec<Whose> = pieces.iter().map(|piece| piece.whose.clone()).collect();
        self.know(&shown);
        let mut merge = Merge::default();
        let mut whose = Vec::new();
        for piece in pieces {
            merge.add(piece.lines).await?;
            whose.push((piece.whose, piece.container));
        }
        while let Some((index, line)) = merge.next().await? {
            let (whose, container) = &whose[index];
            self.show(whose, container.as_ref(), &line)?;
        }
        Ok(!whose.is_empty())
    }

    /// Shows what is written from now on, also by containers that come later, for ever.
    pub(super) async fn follow(&mut self, since: Option<Timestamp>) -> Result<(), Failure> {
        let (sender, mut lines) = mpsc::channel::<(ContainerId, Option<LogLine>)>(1024);
        loop {
            self.begin_following(since, &sender);
            let round = self.clock.clone();
            let mut round = std::pin::pin!(round.sleep(ROUND));
            loop {
                tokio::select! {
                    biased;
                    Some((container, line)) = lines.recv() => self.take(&container, line.as_ref())?,
                    () = &mut round => break,
                }
            }
            let own = self.own.as_mut().map(OwnLog::more).transpose()?.unwrap_or_default();
            own.iter().try_for_each(|line| self.show(&Whose::daemon(), None, line))?;
            // The engine may be away for a while; what it wrote meanwhile comes with `since`.
            if let Some(sources) = &mut self.sources {
                let _ = sources.look().await;
            }
            self.know_sources();
        }
    }

    /// Follows what is not followed yet, or not any more.
    fn begin_following(&mut self, since: Option<Timestamp>, lines: &mpsc::Sender<(ContainerId, Option<LogLine>)>) {
        let Some(sources) = &mut self.sources else { return };
        for source in sources.held.iter_mut().filter(|source| !source.is_read) {
            source.is_read = true;
            let query = LogQuery { follow: true, tail: None, since: source.last.or(since) };
            tokio::spawn(forward(sources.engine.clone(), source.container.id.clone(), query, lines.clone()));
        }
    }

    fn source(&mut self, container: &ContainerId) -> Option<&mut Source> {
        self.sources.as_mut()?.held.iter_mut().find(|source| &source.container.id == container)
    }

    fn take(&mut self, container: &ContainerId, line: Option<&LogLine>) -> Result<(), Failure> {
        let Some(source) = self.source(container) else { return Ok(()) };
        match line {
            Some(line) if line.at.is_some() && line.at <= source.last => Ok(()),
            Some(line) => {
                let whose = Whose::from(&source.key);
                self.show(&whose, Some(container), line)
            }
            None => {
                source.is_read = false;
                Ok(())
            }
        }
    }

    fn show(&mut self, whose: &Whose, container: Option<&ContainerId>, line: &LogLine) -> Result<(), Failure> {
        if let Some(source) = container.and_then(|container| self.source(container)) {
            source.last = line.at.or(source.last);
        }
        if self.output.json {
            return self.output.document(&document(&whose.name, whose.replica, line));
        }
        let columns = Output::width();
        let label = (whose.label(), label_width(self.longest, columns));
        let ink = Ink::Name(self.inks.get(&whose.name).copied().unwrap_or(0));
        let text = line_text((&label.0, label.1), ink, &line.line, columns, self.output.color());
        self.output.data(&(text + "\n"))
    }
}

/// Of each the last `count` lines, over all its pieces, the last piece being the newest.
async fn last_lines(pieces: Vec<Piece>, count: usize) -> Result<Vec<Piece>, EngineError> {
    let mut room: BTreeMap<Whose, usize> = BTreeMap::new();
    let mut last = Vec::new();
    for Piece { whose, container, lines } in pieces.into_iter().rev() {
        let mut lines = collect(lines).await?;
        let room = room.entry(whose.clone()).or_insert(count);
        let lines = lines.split_off(lines.len().saturating_sub(*room));
        *room -= lines.len();
        last.push(piece(whose, container, lines));
    }
    last.reverse();
    Ok(last)
}
