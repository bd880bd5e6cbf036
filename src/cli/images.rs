//! `build` and `pull`: images only. What runs goes on with the image that it was made from; that a tag
//! moved is acted upon by `up --build` and `up --pull`, and by nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::Done;
use super::assembly;
use super::context::Context;
use super::exit_code::{Exit, Failure};
use super::loader;
use super::progress::Progress;
use crate::engine::Engine;
use crate::engine::request::Scope;
use crate::host::Clock;
use crate::model::image::{ImageOrigin, PullPolicy};
use crate::model::name::{ImageId, WorkloadName};
use crate::model::stack::Stack;
use crate::model::status::{EngineStatus, FileStatus, Health, ItemStatus, State, Status};
use crate::model::time::Moment;
use crate::model::workload::Workload;
use crate::plan::Action;
use crate::supervisor::{Effect, Single, Step};

/// How often progress is shown: as often as that of an `up`.
const SHOWN_EVERY: Duration = Duration::from_millis(200);

/// Flags of `build`.
#[derive(Debug, Args)]
#[command(after_help = "Nothing that runs is touched: `witwd up -d --build` runs what was built. Without NAME, all that has \
                        `build`; a named service with a `fallback` builds that.\n\n\
                        Example:\n  witwd build api && witwd up -d --build api")]
pub struct BuildArgs {
    /// Only these
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

/// Flags of `pull`.
#[derive(Debug, Args)]
#[command(after_help = "Nothing that runs is touched: `witwd up -d --pull` runs what a tag means now. Without NAME, all that \
                        is pulled, less what says `pull = \"never\"`.\n\n\
                        Example:\n  witwd pull && witwd up -d --pull")]
pub struct PullArgs {
    /// Only these
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

/// How images are got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Made here.
    Build,
    /// From a registry.
    Pull,
}

impl Way {
    fn verb(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Pull => "pull",
        }
    }

    fn state(self) -> State {
        match self {
            Self::Build => State::Building,
            Self::Pull => State::Pulling,
        }
    }
}

/// What became of an image, for programs.
#[derive(Debug, Serialize)]
pub(super) struct Got {
    name: String,
    /// The reference.
    pub image: String,
    digest: String,
    /// Whether the tag meant another image before, or none.
    changed: bool,
}

pub(super) async fn build(context: &Context, args: BuildArgs) -> Done {
    run(context, Way::Build, &args.names).await
}

pub(super) async fn pull(context: &Context, args: PullArgs) -> Done {
    run(context, Way::Pull, &args.names).await
}

async fn run(context: &Context, way: Way, names: &[String]) -> Done {
    let place = context.place()?;
    let stack = Arc::new(context.look(&place)?.stack);
    let actions = wanted(&stack, way, names)?;
    let engine = context.engine().await?;
    let mut single = assembly::single(context, &place, engine.clone(), stack.clone())?;
    let got = fetch(context, (engine.as_ref(), &mut single), (&stack, way), &actions).await?;
    if context.output.json {
        context.output.document(&serde_json::json!({ "v": 1, "items": got }))?;
    } else {
        context.output.note(&summary(way, &got));
    }
    Ok(Exit::Done)
}

/// Gets images, showing how far they are; every one of them, or why not.
pub(super) async fn fetch(
    context: &Context,
    (engine, single): (&dyn Engine, &mut Single),
    (stack, way): (&Stack, Way),
    actions: &[Action],
) -> Result<Vec<Got>, Failure> {
    let before = here(engine, stack, actions).await?;
    let mut board = Board::new(context, stack, way, actions);
    single.carry_out(actions, |step| board.heard(step, &before)).await;
    let Board { progress, got, failed, .. } = board;
    progress.finish();
    if failed.is_empty() {
        return Ok(got);
    }
    let words = format!("failed to {} {}", way.verb(), failed.join("; "));
    Err(Failure::new(Exit::Failed, words).hint("what runs is untouched"))
}

fn summary(way: Way, got: &[Got]) -> String {
    match (way, got.iter().filter(|got| got.changed).count()) {
        _ if got.is_empty() => format!("there is nothing to {} in this stack", way.verb()),
        (_, 0) => "every image is as it was".to_owned(),
        (Way::Build, _) => "nothing that runs was touched: `witwd up -d --build` runs what is new".to_owned(),
        (Way::Pull, _) => "nothing that runs was touched: `witwd up -d --pull` runs what is new".to_owned(),
    }
}

/// What is to be done for these names, or for all: each image once.
pub(super) fn wanted(stack: &Stack, way: Way, names: &[String]) -> Result<Vec<Action>, Failure> {
    let mut actions: BTreeMap<String, Action> = BTreeMap::new();
    let named = loader::workloads(stack, names)?;
    for workload in stack.in_order().filter(|workload| named.is_empty() || named.contains(&workload.name)) {
        match action(workload, way, !named.is_empty()) {
            Ok(action) => drop(actions.entry(image(&action).to_owned()).or_insert(action)),
            Err(failure) if named.is_empty() => tracing::debug!("left out: {}", failure.message),
            Err(failure) => return Err(failure),
        }
    }
    Ok(actions.into_values().collect())
}

/// What gets the image of a workload, or why that makes no sense. A fallback is built where it is asked
/// for by name: one that is there is used in place of a pull.
fn action(workload: &Workload, way: Way, is_named: bool) -> Result<Action, Failure> {
    let (name, reference) = (workload.name.clone(), workload.image.reference.clone());
    let no = |why: &str, hint: String| Err(Failure::new(Exit::Usage, format!("{} {why}", workload.name)).hint(hint));
    // It has no container; asked for by name, its image is the client for psql.
    if !is_named && workload.postgres().is_some_and(crate::model::postgres::Postgres::is_external) {
        return no("is a server elsewhere (`url`)", format!("`witwd pull {name}` gets the image of its client"));
    }
    match (way, &workload.image.origin) {
        (Way::Build, ImageOrigin::Build(_)) => Ok(Action::Build { workload: name, reference }),
        (Way::Build, ImageOrigin::Pull { fallback: Some(fallback), .. }) if is_named => {
            Ok(Action::BuildFallback { workload: name, reference: fallback.tag.clone() })
        }
        (Way::Build, ImageOrigin::Pull { .. }) => {
            no(&format!("has no build: its image is {reference}"), format!("`witwd pull {name}` asks its registry"))
        }
        (Way::Pull, ImageOrigin::Build(_)) => no("is built, not pulled", format!("`witwd build {name}` builds its image")),
        (Way::Pull, ImageOrigin::Pull { policy: PullPolicy::Never, .. }) => {
            no("says pull = \"never\"", format!("`docker pull {reference}` asks the registry all the same"))
        }
        (Way::Pull, ImageOrigin::Pull { .. }) => Ok(Action::Pull { workload: name, reference }),
    }
}

/// For whom an action gets which image.
fn parts(action: &Action) -> Option<(&WorkloadName, &str)> {
    match action {
        Action::Pull { workload, reference }
        | Action::Build { workload, reference }
        | Action::BuildFallback { workload, reference } => Some((workload, reference)),
        _ => None,
    }
}

fn image(action: &Action) -> &str {
    parts(action).map_or("", |(_, reference)| reference)
}

/// What the tags mean now, where they are here.
async fn here(engine: &dyn Engine, stack: &Stack, actions: &[Action]) -> Result<BTreeMap<String, ImageId>, Failure> {
    let images = actions.iter().map(|action| image(action).to_owned()).collect();
    Ok(engine.observe(&Scope { images, ..Scope::of(stack.name()) }).await?.images)
}

/// Shows how images are got as an `up` shows it, and remembers what came of them.
struct Board {
    progress: Progress,
    status: Status,
    way: Way,
    clock: Arc<dyn Clock>,
    due: Moment,
    got: Vec<Got>,
    failed: Vec<String>,
}

impl Board {
    fn new(context: &Context, stack: &Stack, way: Way, actions: &[Action]) -> Self {
        let mut board = Self {
            progress: Progress::beside_document(context.output),
            status: status(stack, way, actions),
            way,
            clock: context.clock.clone(),
            due: context.clock.moment(),
            got: Vec::new(),
            failed: Vec::new(),
        };
        board.progress.status(&board.status);
        board
    }

    fn heard(&mut self, step: Step, before: &BTreeMap<String, ImageId>) {
        let now = self.clock.moment();
        match step {
            Step::Progress(action, words) => {
                self.set(&action, self.way.state(), words);
                if now < self.due {
                    return;
                }
            }
            Step::Done(action, Ok(Effect::Image { reference, id })) => {
                let changed = before.get(&reference) != Some(&id);
                let words = format!("{reference} {}", if changed { "is new" } else { "is as it was" });
                self.set(&action, State::Completed, words);
                let name = parts(&action).map(|(name, _)| name.to_string()).unwrap_or_default();
                self.got.push(Got { name, image: reference, digest: id.0, changed });
            }
            // There is no other effect of getting an image.
            Step::Done(_, Ok(_)) => {}
            Step::Done(action, Err(error)) => {
                let name = parts(&action).map(|(name, _)| name.to_string()).unwrap_or_default();
                self.set(&action, State::Failed, String::new());
                self.failed.push(format!("{name}: {}", error.message));
            }
        }
        self.due = now + SHOWN_EVERY;
        self.progress.status(&self.status);
    }

    fn set(&mut self, action: &Action, state: State, cause: String) {
        let name = parts(action).map(|(name, _)| name.as_str());
        if let Some(item) = self.status.items.iter_mut().find(|item| Some(item.name.as_str()) == name) {
            (item.state, item.cause) = (state, cause);
        }
    }
}

/// The images as items of a status.
fn status(stack: &Stack, way: Way, actions: &[Action]) -> Status {
    let workloads = actions.iter().filter_map(|action| stack.workload(parts(action)?.0));
    Status {
        v: 1,
        stack: stack.name().to_string(),
        profiles: Vec::new(),
        file: FileStatus::applied(String::new()),
        daemon: None,
        engine: EngineStatus::Up,
        converged: false,
        reached: false,
        others: Vec::new(),
        items: workloads.map(|workload| item(workload, way)).collect(),
        notes: Vec::new(),
    }
}

fn item(workload: &Workload, way: Way) -> ItemStatus {
    ItemStatus {
        name: workload.name.to_string(),
        kind: workload.kind_name(),
        replica: 1,
        state: way.state(),
        meant: true,
        protects_data: false,
        held: false,
        health: Health::None,
        stopped_as: None,
        restart_asked: false,
        waits_for_hand: false,
        ready: false,
        restarts: 0,
        attempt: 0,
        cause: String::new(),
        container: None,
        image: workload.image.reference.clone(),
        digest: None,
        port: None,
        ports: Vec::new(),
        since: None,
        next: None,
        last_exit: None,
        backup: None,
    }
}
