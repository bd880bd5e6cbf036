//! The marker of a finished initialisation: a comment on the database `postgres`. Comments on
//! databases are shared by the whole server, so the transaction that runs `init` in the app's
//! database can set it: all or nothing. Pure.
//!
//! A server answers over TCP only when the image's entrypoint is done with a new data directory. So
//! one that was made in the very run that answers is whole, and gets [`MADE`] first of all: from
//! then on a restart in the middle of roles, databases and `init` is harmless.

use super::sql::literal;

/// What every marker begins with.
pub(super) const PREFIX: &str = "witwd: ";

/// The comment on a server whose data directory is whole and that is not initialised yet.
pub(super) const MADE: &str = "witwd has yet to initialise this server";

/// The statement that sets [`MADE`].
pub(super) fn made_statement() -> String {
    format!("COMMENT ON DATABASE postgres IS {}", literal(MADE))
}

/// Whether the data directory was made in the run that began then, from the time stamp of
/// `PG_VERSION`, which is written once. File systems keep whole seconds at least.
pub(super) const MADE_SINCE: &str = "SELECT (pg_catalog.pg_stat_file('PG_VERSION')).modification >= $1::text::timestamptz";

/// What the caller knows of the data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// It was empty when this run began.
    Fresh,
    /// It was made for us in an earlier run, and nothing says that this came to its end.
    Interrupted,
    /// It was there before we knew of it, or was finished.
    Settled,
}

/// What is to be done about initialisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// It is done.
    Nothing,
    /// Run `init`, then set the marker, in one transaction.
    Initialise,
    /// An older data directory: set the marker, run nothing.
    Adopt,
    /// Only a person can say what is to become of it.
    Refuse,
}

/// Decides by the comment on the database `postgres` and what the caller knows.
pub(super) fn decide(comment: Option<&str>, freshness: Freshness) -> Decision {
    if comment == Some(MADE) {
        return Decision::Initialise;
    }
    let marked = comment.is_some_and(|comment| comment.starts_with(PREFIX));
    match (marked, freshness) {
        (true, _) => Decision::Nothing,
        (false, Freshness::Fresh) => Decision::Initialise,
        (false, Freshness::Interrupted) => Decision::Refuse,
        (false, Freshness::Settled) => Decision::Adopt,
    }
}

/// The statement that sets the marker.
pub(super) fn statement(decision: Decision) -> String {
    let how = if decision == Decision::Adopt { "adopted" } else { "initialised" };
    let text = format!("{PREFIX}{how} by version {}", env!("CARGO_PKG_VERSION"));
    format!("COMMENT ON DATABASE postgres IS {}", literal(&text))
}

/// The statement that goes with a change of names, after it; `None`: the marker is right as it is. What was not
/// initialised anew is not to be: `init` would run in data of users. The comment goes with the database `postgres`.
pub(super) fn after_exchange(
    comment: Option<&str>,
    initialise: bool,
    app_changes: bool,
    postgres_changes: bool,
) -> Option<String> {
    let set = |text: &str| format!("COMMENT ON DATABASE postgres IS {}", literal(text));
    match comment.filter(|comment| comment.starts_with(PREFIX)) {
        _ if initialise => Some(made_statement()),
        Some(marked) => postgres_changes.then(|| set(marked)),
        None => app_changes.then(|| statement(Decision::Adopt)),
    }
}

/// The query for the comment.
pub(super) const QUERY: &str =
    "SELECT pg_catalog.shobj_description(oid, 'pg_database') FROM pg_catalog.pg_database WHERE datname = 'postgres'";
