//! Images that are here, and a simulated registry.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::trace::Operation;
use crate::engine::answer::ImageFacts;
use crate::engine::request::BuildImage;
use crate::engine::{EngineError, ErrorKind};
use crate::model::hash::hex;
use crate::model::name::ImageId;

/// How a pull goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullCourse {
    /// It is over after this time.
    Takes(Duration),
    /// It begins and never goes on.
    Stalls,
    /// It breaks after this time.
    Breaks(Duration),
}

#[derive(Debug, Clone)]
struct Published {
    version: u32,
    course: PullCourse,
}

/// Images and registries.
#[derive(Debug, Default)]
pub struct Images {
    here: BTreeMap<String, ImageId>,
    facts: BTreeMap<ImageId, ImageFacts>,
    registry: BTreeMap<String, Published>,
    unreachable: BTreeSet<String>,
    /// Whether no registry answers at all.
    pub offline: bool,
    /// Whether a registry knows every image (a preview: nobody can tell).
    pub knows_all: bool,
    /// References that mean the same after a pull or build as before (a preview: as long as nobody
    /// says otherwise, there is nothing new).
    pub steady: BTreeSet<String>,
    /// How long a build takes; `None`: two seconds.
    pub build_takes: Option<Duration>,
}

impl Images {
    /// Puts an image here; returns its id.
    pub fn add(&mut self, reference: &str) -> ImageId {
        self.add_as(reference, id_of(reference, 0))
    }

    /// Puts an image here under an id that is known.
    pub fn add_as(&mut self, reference: &str, id: ImageId) -> ImageId {
        let facts = self.facts.entry(id.clone()).or_insert_with(|| facts_of(reference, id.clone()));
        facts.id = id.clone();
        self.here.insert(normal(reference), id.clone());
        id
    }

    /// Puts an image here that has lost its tag: a container was made from it as `reference`.
    pub fn hold(&mut self, reference: &str, id: &ImageId) {
        self.facts.entry(id.clone()).or_insert_with(|| facts_of(reference, id.clone()));
    }

    /// Puts an image here that says this of itself.
    pub fn add_with(&mut self, reference: &str, facts: ImageFacts) {
        self.here.insert(normal(reference), facts.id.clone());
        self.facts.insert(facts.id.clone(), facts);
    }

    /// Takes an image away.
    pub fn remove(&mut self, reference: &str) {
        let Some(id) = self.here.remove(&normal(reference)) else { return };
        if !self.here.values().any(|other| *other == id) {
            self.facts.remove(&id);
        }
    }

    /// Takes a tag away, as `docker rmi --force` does while containers use the image.
    pub fn untag(&mut self, reference: &str) {
        self.here.remove(&normal(reference));
    }

    /// Puts an image into the registry; again: the tag moves to a new image.
    pub fn publish(&mut self, reference: &str, course: PullCourse) {
        let version = self.registry.get(&normal(reference)).map_or(0, |published| published.version + 1);
        self.registry.insert(normal(reference), Published { version, course });
    }

    /// Makes one registry (`docker.io`, `127.0.0.1:5000`) answer or not.
    pub fn set_reachable(&mut self, registry: &str, reachable: bool) {
        if reachable {
            self.unreachable.remove(registry);
        } else {
            self.unreachable.insert(registry.to_owned());
        }
    }

    /// What a reference or id means here.
    pub fn id(&self, reference: &str) -> Option<ImageId> {
        // One that lost its tag to another is still here.
        let by_id = || self.facts.keys().find(|id| id.0 == reference);
        self.here.get(&normal(reference)).or_else(by_id).cloned()
    }

    /// What an image says of itself.
    pub fn facts(&self, reference: &str) -> Option<&ImageFacts> {
        self.facts.get(&self.id(reference)?)
    }

    /// Whether one of the references of this image has this word in it.
    pub(super) fn named(&self, id: &ImageId, word: &str) -> bool {
        self.here.iter().any(|(reference, here)| here == id && reference.contains(word))
    }

    /// How a pull of this reference goes.
    pub(super) fn course(&self, reference: &str) -> Result<PullCourse, EngineError> {
        let error = |kind, message: &str| EngineError::new(Operation::Pull.words(), reference, kind, message);
        if self.offline || self.unreachable.contains(registry_of(reference)) {
            return Err(error(ErrorKind::RegistryUnreachable, "no route to the registry"));
        }
        match self.registry.get(&normal(reference)) {
            Some(published) => Ok(published.course),
            None if self.knows_all => Ok(PullCourse::Takes(Duration::from_secs(2))),
            None => Err(error(ErrorKind::ImageDenied, "pull access denied, or the image does not exist")),
        }
    }

    /// What a reference that is steady means already.
    fn unchanged(&self, reference: &str) -> Option<ImageId> {
        self.steady.contains(reference).then(|| self.id(reference)).flatten()
    }

    pub(super) fn pulled(&mut self, reference: &str) -> ImageId {
        if let Some(id) = self.unchanged(reference) {
            return id;
        }
        let version = self.registry.get(&normal(reference)).map_or(0, |published| published.version);
        self.add_as(reference, id_of(reference, version))
    }

    pub(super) fn built(&mut self, request: &BuildImage) -> ImageId {
        if let Some(id) = self.unchanged(&request.tag) {
            return id;
        }
        let (context, dockerfile) = (request.context.display(), request.dockerfile.display());
        let recipe = format!("{context} {dockerfile} {:?} {:?}", request.target, request.args);
        let id = self.add_as(&request.tag, digest(&recipe));
        if let Some(facts) = self.facts.get_mut(&id) {
            facts.labels.clone_from(&request.labels);
        }
        id
    }
}

fn id_of(reference: &str, version: u32) -> ImageId {
    digest(&format!("{} {version}", normal(reference)))
}

fn digest(text: &str) -> ImageId {
    ImageId(format!("sha256:{}", hex(&Sha256::digest(text.as_bytes()))))
}

fn normal(reference: &str) -> String {
    let last = reference.rsplit('/').next().unwrap_or(reference);
    if last.contains([':', '@']) { reference.to_owned() } else { format!("{reference}:latest") }
}

fn registry_of(reference: &str) -> &str {
    match reference.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
        _ => "docker.io",
    }
}

fn facts_of(reference: &str, id: ImageId) -> ImageFacts {
    let mut facts = ImageFacts {
        id,
        env: BTreeMap::new(),
        entrypoint: vec!["/app".to_owned()],
        user: String::new(),
        volumes: Vec::new(),
        stop_signal: None,
        has_healthcheck: false,
        labels: BTreeMap::new(),
    };
    if reference.contains("tiny") {
        facts.entrypoint = vec!["/tiny".to_owned()];
    }
    if reference.contains("postgres") || reference.contains("postgis") || reference.contains("-pg") {
        let tag = normal(reference).rsplit(':').next().unwrap_or_default().to_owned();
        let major: String = tag.chars().take_while(char::is_ascii_digit).collect();
        let major = if major.is_empty() { "17".to_owned() } else { major };
        facts.env = [("PG_MAJOR", major.as_str()), ("PGDATA", "/var/lib/postgresql/data")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        facts.entrypoint = vec!["docker-entrypoint.sh".to_owned()];
        facts.volumes = vec!["/var/lib/postgresql/data".to_owned()];
        facts.stop_signal = Some("SIGINT".to_owned());
    }
    facts
}
