//! `top`: states, health, processors, memory and what happens, as it is now. What is shown is drawn by
//! [`screen`] from [`view`] alone.

mod load;
mod sampler;
mod screen;
mod terminal;
#[cfg(test)]
mod tests;
mod view;

use clap::Args;
use jiff::tz::TimeZone;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use super::Done;
use super::attach::{is_terminal, signalled};
use super::context::Context;
use super::exit_code::{Exit, Failure};
use crate::control::protocol::{Line, Request};
use crate::control::{Client, ConnectError, Lines};
use crate::model::name::ReplicaKey;
use crate::model::wish::{Chosen, Wish};
use sampler::{Asked, Sample, sample};
use terminal::{Input, Screen, inputs};
use view::{View, Wanted};

/// The time between two looks at the clock.
const TICK: std::time::Duration = std::time::Duration::from_secs(1);

/// Flags of `top`.
#[derive(Debug, Args)]
#[command(after_help = "Keys: up and down (or k and j) select, r restarts the selected replica, l or Enter shows its log, Esc \
                        the events again, q or Ctrl-C quits.\n\n\
                        Example:\n  witwd top")]
pub struct TopArgs {}

pub(super) async fn run(context: &Context, _: TopArgs) -> Done {
    if context.output.json || !is_terminal() {
        return Err(Failure::new(Exit::Usage, "`witwd top` is for a person at a terminal").hint("`witwd ps` shows the same once"));
    }
    let place = context.place()?;
    let client = context.daemon(&place).await?.ok_or(ConnectError::NoDaemon)?;
    // What is watched first loses nothing of what happens while the rest is asked for.
    let lines = client.lines(&Request::Watch).await?;
    let mut view = View::new(client.status().await?, now(context));
    let mut earlier = client.lines(&Request::Events { follow: false }).await?;
    while let Some(line) = earlier.next().await? {
        if let Line::Event(record) = line {
            view.happened(record);
        }
    }
    Top::new(context, client, lines, view).run().await
}

fn now(context: &Context) -> (jiff::Timestamp, TimeZone) {
    (context.clock.wall(), TimeZone::system())
}

/// What goes on while it is shown.
struct Top<'c> {
    context: &'c Context,
    client: Client,
    lines: Lines,
    view: View,
    asked: watch::Sender<Asked>,
    samples: mpsc::Receiver<Sample>,
    /// What became of restarts that were asked for.
    answers: (mpsc::Sender<String>, mpsc::Receiver<String>),
}

impl<'c> Top<'c> {
    fn new(context: &'c Context, client: Client, lines: Lines, view: View) -> Self {
        let (asked, wanted) = watch::channel(Asked::default());
        let (sender, samples) = mpsc::channel(4);
        tokio::spawn(sample(context.clone(), wanted, sender));
        Self { context, client, lines, view, asked, samples, answers: mpsc::channel(4) }
    }

    async fn run(mut self) -> Done {
        let failed = |error: std::io::Error| Failure::of(Exit::Failed, "failed to use the terminal", &error);
        let mut screen = Screen::open().map_err(failed)?;
        let mut inputs = inputs();
        let (mut ended, mut hung_up) = (signal(SignalKind::terminate()).ok(), signal(SignalKind::hangup()).ok());
        let clock = self.context.clock.clone();
        loop {
            self.ask();
            self.view.now = now(self.context);
            screen.show(&self.view).map_err(failed)?;
            tokio::select! {
                input = inputs.recv() => match input {
                    Some(Input::Key(key)) => if self.press(key) { return Ok(Exit::Done) },
                    Some(Input::Resized) => {}
                    None => return Err(Failure::new(Exit::Failed, "the terminal is gone")),
                },
                line = self.lines.next() => self.take(line.ok().flatten())?,
                Some(sample) = self.samples.recv() => match sample {
                    Sample::Loads(loads) => self.view.loads = loads,
                    Sample::Log(container, lines) => self.view.log_of(&container, lines),
                },
                Some(answer) = self.answers.1.recv() => self.view.message = answer,
                () = signalled(&mut ended) => return Ok(Exit::Of(128 + 15)),
                () = signalled(&mut hung_up) => return Ok(Exit::Of(128 + 1)),
                () = clock.sleep(TICK) => {}
            }
        }
    }

    /// Tells the sampler what is shown now.
    fn ask(&self) {
        let containers = self.view.status.items.iter().filter_map(|item| item.container.clone()).collect();
        let asked = Asked { containers, log: self.view.log.as_ref().map(|log| log.container.clone()) };
        self.asked.send_if_modified(|before| {
            let is_new = *before != asked;
            *before = asked;
            is_new
        });
    }

    /// Whether it is over.
    fn press(&mut self, key: view::Key) -> bool {
        match self.view.press(key) {
            Wanted::End => return true,
            Wanted::Restart(name, replica) => self.restart(&name, replica),
            Wanted::Logs | Wanted::Nothing => {}
        }
        false
    }

    /// Asks the daemon for a restart; what becomes of it is seen in the table.
    fn restart(&mut self, name: &str, replica: u32) {
        let Ok(name) = name.parse() else { return };
        let chosen = Chosen::one(&ReplicaKey { name, replica });
        let (client, answers, whom) = (self.client.clone(), self.answers.0.clone(), chosen.to_string());
        self.view.message = format!("asking for a restart of {whom}");
        tokio::spawn(async move {
            let wish = Request::Hand(Wish::Restart { of: [chosen].into() });
            let answer = match client.lines(&wish).await {
                Ok(_) => format!("{whom} is restarted"),
                Err(error) => Failure::from(error).message,
            };
            // Whoever quit meanwhile does not want to know.
            let _ = answers.send(answer).await;
        });
    }

    /// Takes what the daemon says; the end where it ended.
    fn take(&mut self, line: Option<Line>) -> Result<(), Failure> {
        match line {
            Some(Line::Event(record)) => self.view.happened(record),
            Some(Line::Status { status, .. }) => self.view.status = *status,
            Some(Line::Ended { down }) if down > 0 => return Err(Failure::new(Exit::Failed, "the stack is taken down")),
            Some(Line::Ended { .. }) | None => {
                return Err(Failure::new(Exit::Failed, "the daemon ended").hint("`witwd up -d` starts one"));
            }
            Some(Line::Accepted { .. } | Line::Missed { .. } | Line::Errand { .. } | Line::Alive | Line::Unknown) => {}
        }
        Ok(())
    }
}
