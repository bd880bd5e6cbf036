//! `logs`: what containers wrote, also those that are gone, and what the daemon itself says.

use clap::Args;
use futures_util::StreamExt as _;
use jiff::{SignedDuration, Timestamp};

use super::Done;
use super::context::Context;
use super::exit_code::{Exit, Failure};
use super::loader::workloads;
use super::log_reader::Reader;
use super::log_sources::{Part, Selection, Sources};
use super::own_log::{OWN, OwnLog};
use super::place::Place;
use crate::engine::answer::LogLine;
use crate::engine::request::LogQuery;
use crate::model::name::ContainerId;

/// Flags of `logs`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  witwd logs -f web\n  witwd logs --since 10m --tail 100\n  \
                        witwd logs --previous web    the last run that is over (of a container that is gone, of `witwd`)\n  \
                        witwd logs witwd             what the daemon itself says")]
pub struct LogsArgs {
    /// Stay and show what comes
    #[arg(short, long)]
    follow: bool,
    /// Not older than this: a duration (10m) or a time (2026-01-31T12:00:00Z)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only the last lines of each
    #[arg(short = 'n', long, value_name = "LINES")]
    tail: Option<u32>,
    /// Only the last run that is over
    #[arg(short, long, conflicts_with = "follow")]
    previous: bool,
    /// Only these; NAME.2 is one replica, `witwd` the daemon itself
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

pub(super) async fn run(context: &Context, args: LogsArgs) -> Done {
    let place = context.place()?;
    let since = args.since.as_deref().map(|text| moment(text, context.clock.wall())).transpose()?;
    let part = Part { previous: args.previous, tail: args.tail, since };
    let (own, names): (Vec<&String>, Vec<&String>) = args.names.iter().partition(|name| *name == OWN);
    let sources = if own.is_empty() || !names.is_empty() { Some(sources(context, &place, names).await?) } else { None };
    let missing = sources.as_ref().map(Sources::missing).transpose()?.unwrap_or_default();
    reject_unknown(context, &place, &missing)?;
    let nothing = sources.as_ref().map(|sources| sources.nothing(part));
    let nothing = nothing.or_else(|| {
        args.previous.then(|| {
            Failure::new(Exit::Failed, "there is no run of the daemon that is over")
                .hint("`witwd logs witwd` shows the one that goes on")
        })
    });
    let own = if own.is_empty() { None } else { Some(own_log(context, &place, args.previous).await?) };
    let mut reader = Reader::new(context, sources, own);
    let has_any = reader.history(part).await?;
    if let (Some(nothing), false, false) = (nothing, has_any, args.follow) {
        return Err(nothing);
    }
    for name in &missing {
        context.output.note(&format!("there is no log of {name} yet"));
    }
    if args.follow {
        reader.follow(since).await?;
    }
    Ok(Exit::Done)
}

/// The daemon's own log. Only of earlier runs it matters whether one goes on.
async fn own_log(context: &Context, place: &Place, previous: bool) -> Result<OwnLog, Failure> {
    let goes_on = previous && context.daemon(place).await?.is_some();
    Ok(OwnLog::new(place, goes_on))
}

async fn sources(context: &Context, place: &Place, names: Vec<&String>) -> Result<Sources, Failure> {
    let selection = Selection::new(context, place, names).await?;
    Sources::new(context, place, selection).await
}

/// A name that has no log is a slip where the file does not have it either.
fn reject_unknown(context: &Context, place: &Place, names: &[String]) -> Result<(), Failure> {
    let Ok(loaded) = context.look(place) else { return Ok(()) };
    let whole: Vec<String> = names.iter().map(|name| whole_name(name).to_owned()).collect();
    workloads(&loaded.stack, &whole).map(|_| ())
}

/// `web` of `web` and of `web.2`.
pub(super) fn whole_name(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((whole, number)) if number.parse::<u32>().is_ok() => whole,
        _ => name,
    }
}

/// A duration before now, or a time.
pub(super) fn moment(text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let ago = humantime::parse_duration(text).ok().and_then(|ago| SignedDuration::try_from(ago).ok());
    ago.and_then(|ago| now.checked_sub(ago).ok()).ok_or_else(|| {
        Failure::new(Exit::Usage, format!("{text:?} is no time"))
            .hint("use a duration such as 10m, or a time such as 2026-01-31T12:00:00Z")
    })
}

/// The last lines of one container.
pub(super) async fn tail(context: &Context, container: &str, count: u32) -> Result<Vec<String>, Failure> {
    let engine = context.engine().await?;
    let query = LogQuery { follow: false, tail: Some(count), since: None };
    let mut stream = engine.logs(&ContainerId(container.to_owned()), &query).await?;
    let mut lines = Vec::new();
    while let Some(line) = stream.next().await {
        lines.push(line?.line);
    }
    Ok(lines)
}

/// Shows what is written from now on; what can't be shown is said, and nothing else stops.
pub(super) async fn follow_from_now(context: Context, place: Place) {
    let followed = async {
        let now = context.clock.wall();
        let sources = sources(&context, &place, Vec::new()).await?;
        let mut reader = Reader::new(&context, Some(sources), None);
        reader.follow(Some(now)).await
    };
    if let Err(failure) = followed.await {
        context.output.failure(&failure);
    }
}

/// A line of a log for programs.
pub(super) fn document(name: &str, replica: u32, line: &LogLine) -> serde_json::Value {
    let stream = if line.stderr { "stderr" } else { "stdout" };
    serde_json::json!({ "at": line.at, "name": name, "replica": replica, "stream": stream, "line": line.line })
}
