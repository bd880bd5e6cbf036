//! From the course of a preview to what a user is shown: fields, data, words. Pure.

use serde_json::json;

use super::course::{Course, Step, replica};
use crate::engine::sim::SimContainer;
use crate::model::name::{ImageId, ReplicaKey};
use crate::model::observed::{Container, Observed};
use crate::model::preview::{FieldChange, Preview, PreviewAction, PreviewBlock};
use crate::model::template::Template;
use crate::model::workload::Workload;
use crate::plan::{Action, Divergence, fields, held, is_kept};
use crate::supervisor::handle::Up;
use crate::supervisor::known::Known;

const PULLS: &str = "what a pull or build brings is known only then: where it is another image, what runs on it is recreated";
pub(crate) const GAPS: &str = "gaps are estimates: from how long it took last time, else as quickly as a small app does";

/// What a preview is told from.
pub struct Told<'a> {
    /// The request.
    pub up: &'a Up,
    /// What is known.
    pub known: &'a Known,
    /// What is there now.
    pub observed: &'a Observed,
    /// The containers of the simulated engine at the end.
    pub made: Vec<SimContainer>,
}

impl Told<'_> {
    /// The document.
    pub fn document(&self, course: Course) -> Preview {
        let actions: Vec<PreviewAction> = course.steps.iter().map(|step| self.action(step)).collect();
        let begun = course.steps.iter().map(|step| &step.planned.action);
        let held = self.known.stack.as_ref().map(|old| held(old, &self.up.stack, begun)).unwrap_or_default();
        let blocked = course.blocked.into_iter().map(|blocked| PreviewBlock {
            target: blocked.target.to_string(),
            cause: self.without_new_ids(&blocked.cause),
            needs_operator: blocked.needs_operator,
            protects_data: blocked.protects_data,
        });
        Preview {
            v: 1,
            stack: self.up.stack.name().to_string(),
            changes: !actions.is_empty(),
            blocked: blocked.collect(),
            held,
            notes: notes(&course.steps),
            actions,
        }
    }

    fn action(&self, step: &Step) -> PreviewAction {
        let action = &step.planned.action;
        let divergence = Divergence::of_cause(&step.planned.cause).filter(|_| matches!(action, Action::Create { .. }));
        let fields = match (divergence, replica(action)) {
            (Some(divergence), Some(key)) => self.fields(divergence, &key),
            _ => Vec::new(),
        };
        let unknown = divergence == Some(Divergence::Definition) && fields.is_empty();
        let cause = self.without_new_ids(&step.planned.cause);
        let (loses_data, data) = self.data(action);
        PreviewAction {
            action: action.verb().to_owned(),
            target: action.target().to_string(),
            cause: if unknown { format!("{cause} (fields unknown)") } else { cause },
            fields,
            gap_seconds: step.gap.map(|gap| (gap.as_secs_f64() * 10.0).round() / 10.0),
            loses_data,
            data,
            line: self.without_new_ids(&step.planned.to_string()),
        }
    }

    /// The ids of containers that are only played mean nothing to anybody.
    fn without_new_ids(&self, text: &str) -> String {
        let is_new = |container: &&SimContainer| self.observed.containers.iter().all(|seen| seen.id != container.id);
        let new = self.made.iter().filter(is_new);
        new.fold(text.to_owned(), |text, container| text.replace(&container.id.to_string(), "the new container"))
    }

    fn fields(&self, divergence: Divergence, key: &ReplicaKey) -> Vec<FieldChange> {
        let Some(workload) = self.up.stack.workload(&key.name) else { return Vec::new() };
        let old: Vec<&Container> = self.of_replica(key).collect();
        match divergence {
            Divergence::Definition => self.definition(workload, &old),
            Divergence::Volume => {
                let from = old.iter().flat_map(|container| &container.volumes).find(|volume| !is_anonymous(volume));
                let to = workload.postgres().map(|postgres| self.up.stack.engine_volume(&postgres.volume));
                vec![FieldChange { path: "volume".to_owned(), from: json!(from), to: json!(to) }]
            }
            Divergence::Port => Vec::new(),
            Divergence::Image => self.image(workload, key, &old).into_iter().collect(),
            Divergence::LostPasswords | Divergence::Secret => secret(workload).into_iter().collect(),
        }
    }

    /// What differs from the definition that an older container was made from, where that is known.
    fn definition(&self, workload: &Workload, old: &[&Container]) -> Vec<FieldChange> {
        let specs = old.iter().filter_map(|container| container.identity.as_ref()?.spec.as_ref());
        let from = specs.filter(|spec| **spec != workload.spec).find_map(|spec| self.known.definitions.get(&spec.to_string()));
        let (Some(from), Some(to)) = (from, self.up.definitions.get(&workload.name)) else { return Vec::new() };
        let found = fields(from, to);
        if found.is_empty() {
            // Only what is masked differs.
            let masked = FieldChange { path: "a password in the file".to_owned(), from: json!("********"), to: json!("changed") };
            return vec![masked];
        }
        found
    }

    fn image(&self, workload: &Workload, key: &ReplicaKey, old: &[&Container]) -> Option<FieldChange> {
        let from = old.first()?;
        let name = self.up.stack.name().container(key);
        let made = self.made.iter().find(|container| container.name == name);
        let is_known = |id: &ImageId| self.observed.images.values().any(|seen| seen == id);
        let to = made.map(|container| &container.image).filter(|id| is_known(id));
        let to = to.map_or_else(|| "a new one".to_owned(), short);
        Some(FieldChange { path: format!("image {}", workload.image.reference), from: json!(short(&from.image)), to: json!(to) })
    }

    /// Whether data is lost by an action, and what becomes of data with it.
    fn data(&self, action: &Action) -> (bool, Option<String>) {
        match action {
            Action::Remove { container, .. } => {
                let seen = self.observed.containers.iter().find(|seen| &seen.id == container);
                seen.map_or((false, None), |seen| self.data_of_removed(seen))
            }
            Action::RemoveVolume { name } => (true, Some(format!("all in volume {name} is lost"))),
            Action::CreateVolume { volume } => (false, self.unused_data(volume)),
            _ => (false, None),
        }
    }

    fn data_of_removed(&self, container: &Container) -> (bool, Option<String>) {
        let (lost, kept): (Vec<&String>, Vec<&String>) = container.volumes.iter().partition(|volume| is_anonymous(volume));
        if !lost.is_empty() {
            let words = "what is in its anonymous volume is lost: an image's VOLUME without an entry in `volumes`";
            return (true, Some(words.to_owned()));
        }
        let is_declared = container.workload().is_some_and(|name| self.up.stack.workload(name).is_some());
        let names: Vec<&str> = kept.iter().map(|volume| volume.as_str()).collect();
        let words = (!is_declared && !names.is_empty()).then(|| format!("its data stays in volume {}", names.join(", ")));
        (false, words)
    }

    /// Of a data directory that begins empty: where the data of its postgres lies until now.
    fn unused_data(&self, volume: &crate::model::name::VolumeName) -> Option<String> {
        let postgres = self.up.stack.data_of(volume)?;
        let new = self.up.stack.engine_volume(volume);
        let noted = self.known.history.postgres.get(&postgres.name).and_then(|known| known.volume().map(str::to_owned));
        let mounted = self.observed.containers.iter().filter(|container| container.workload() == Some(&postgres.name));
        let mut old = noted.into_iter().chain(mounted.flat_map(|container| container.volumes.clone()));
        let old = old.find(|old| *old != new && !is_anonymous(old));
        Some(match old {
            Some(old) => format!("{} begins empty; its data until now stays in volume {old}", postgres.name),
            None => format!("{} begins empty", postgres.name),
        })
    }

    fn of_replica<'a>(&'a self, key: &'a ReplicaKey) -> impl Iterator<Item = &'a Container> {
        let is_one = move |container: &&Container| container.identity.as_ref().is_some_and(|identity| &identity.key == key);
        self.observed.containers.iter().filter(|container| is_kept(container)).filter(is_one)
    }
}

/// Which variables hold secrets: one of them changed, and which one a keyed hash does not tell.
fn secret(workload: &Workload) -> Option<FieldChange> {
    let holes = |template: &Template| template.holes().next().is_some();
    let names = workload.container.env.iter().filter(|(_, value)| holes(value)).map(|(name, _)| format!("env.{name}"));
    let path = names.collect::<Vec<_>>().join(" or ");
    (!path.is_empty()).then(|| FieldChange { path, from: json!("********"), to: json!("changed") })
}

/// Whether the engine named a volume itself: it goes with its container.
fn is_anonymous(volume: &str) -> bool {
    volume.len() == 64 && volume.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn short(id: &ImageId) -> String {
    let digits = id.0.strip_prefix("sha256:").unwrap_or(&id.0);
    digits.get(..12).unwrap_or(digits).to_owned()
}

fn notes(steps: &[Step]) -> Vec<String> {
    let brings = |step: &Step| matches!(step.planned.action, Action::Pull { .. } | Action::Build { .. });
    let pulls = steps.iter().any(brings).then(|| PULLS.to_owned());
    let gaps = steps.iter().any(|step| step.gap.is_some()).then(|| GAPS.to_owned());
    pulls.into_iter().chain(gaps).collect()
}
