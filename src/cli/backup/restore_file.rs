//! `restore --file`: an archive that `pg_dump` made elsewhere, in the place of a database or beside it.

use std::path::Path;

use super::restore::{RestoreArgs, agreed, told};
use super::tell;
use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::errand;
use crate::cli::exit_code::{Exit, Failure};
use crate::model::backup::{Errand, Work};
use crate::model::restore::{Restore, Source};
use crate::model::workload::Workload;

pub(super) async fn run(context: &Context, args: &RestoreArgs, path: &Path, workload: &Workload) -> Done {
    let unread = |error: std::io::Error| Failure::new(Exit::Usage, format!("the file {} can't be read: {error}", path.display()));
    let path = path.canonicalize().map_err(unread)?;
    let facts = std::fs::metadata(&path).map_err(unread)?;
    if !facts.is_file() {
        return Err(unread(std::io::Error::new(std::io::ErrorKind::InvalidInput, "it is no file")));
    }
    let bytes = facts.len();
    let own = workload.postgres().map(|postgres| postgres.database.to_string());
    let name = args.database.clone().or(own).unwrap_or_default();
    context.output.note(&format!("file {}, {}: restored by a role that may do nothing else", path.display(), tell::size(bytes)));
    let (database, to) = (args.database.clone(), args.to.clone());
    if let Some(to) = &to {
        context.output.note(&format!("it becomes database {to}, beside the others"));
    } else {
        let safety = if args.without_safety_set { "" } else { "a set of what is there now is taken first; " };
        let words = format!("it takes the place of {name}; {safety}what is there now is kept for 24 hours");
        context.output.note(&format!("{words}: `witwd restore undo`"));
    }
    agreed(context, args.yes || to.is_some())?;
    let with_safety_set = !args.without_safety_set;
    let wanted = Restore { source: Source::File(path), database, to, with_safety_set };
    let done = errand::carry_out(context, Errand { of: workload.name.clone(), work: Work::Restore(wanted.clone()) }).await?;
    told(context, &wanted, &done)
}
