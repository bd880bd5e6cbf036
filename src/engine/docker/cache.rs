//! What inspecting containers and images said, so that looking at a world in which nothing
//! happens costs three lists. Trusted only while an event stream is open that would have told of
//! a change, for one state of one container, and for ten seconds at most.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::name::ImageId;
use crate::model::observed::{Attachments, ContainerState};
use crate::model::time::Moment;

const LIFE: Duration = Duration::from_secs(10);

/// What only an inspect tells of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Detail {
    pub state: ContainerState,
    pub image_reference: String,
    pub networks: Attachments,
}

/// Remembered inspects.
#[derive(Debug, Default)]
pub(super) struct Cache {
    /// Counts what was forgotten: an answer about a thing that was asked for before that was forgotten is
    /// not kept. While many containers are made, each look goes on knowing those that nothing happened to.
    version: u64,
    /// When everything was forgotten last, all images, and single containers since.
    everything: u64,
    all_images: u64,
    containers: BTreeMap<String, u64>,
    born: Moment,
    streams: usize,
    details: BTreeMap<String, (String, Detail)>,
    images: BTreeMap<String, ImageId>,
}

impl Cache {
    /// The beginning of a look at time `now`; what it learns is kept under the returned version.
    pub(super) fn begin(&mut self, now: Moment) -> u64 {
        if now.since(self.born) >= LIFE {
            self.forget_all();
            self.born = now;
        }
        self.version
    }

    /// What is known of a container that the list shows in this state.
    pub(super) fn detail(&self, id: &str, state: &str) -> Option<Detail> {
        let (known_state, detail) = self.details.get(id)?;
        (self.streams > 0 && known_state == state).then(|| detail.clone())
    }

    /// What is known of an image.
    pub(super) fn image(&self, reference: &str) -> Option<ImageId> {
        self.images.get(reference).filter(|_| self.streams > 0).cloned()
    }

    /// Keeps what a look of `version` learned of a container.
    pub(super) fn keep_detail(&mut self, version: u64, id: &str, state: &str, detail: &Detail) {
        let forgotten = self.containers.get(id).copied().unwrap_or(self.everything);
        if forgotten <= version {
            self.details.insert(id.to_owned(), (state.to_owned(), detail.clone()));
        }
    }

    /// Keeps what a look of `version` learned of an image.
    pub(super) fn keep_image(&mut self, version: u64, reference: &str, id: &ImageId) {
        if self.all_images <= version {
            self.images.insert(reference.to_owned(), id.clone());
        }
    }

    /// Something happened to a container.
    pub(super) fn forget(&mut self, id: &str) {
        self.version += 1;
        self.containers.insert(id.to_owned(), self.version);
        self.details.remove(id);
    }

    /// Something happened to an image.
    pub(super) fn forget_images(&mut self) {
        self.version += 1;
        self.all_images = self.version;
        self.images.clear();
    }

    /// Anything may have happened.
    pub(super) fn forget_all(&mut self) {
        self.version += 1;
        (self.everything, self.all_images) = (self.version, self.version);
        self.containers.clear();
        self.details.clear();
        self.images.clear();
    }

    /// An event stream was opened.
    pub(super) fn stream_opened(&mut self) {
        self.forget_all();
        self.streams += 1;
    }

    /// An event stream ended.
    pub(super) fn stream_closed(&mut self) {
        self.streams = self.streams.saturating_sub(1);
        self.forget_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detail() -> Detail {
        Detail { state: ContainerState::Created, image_reference: "app:1".to_owned(), networks: Attachments::new() }
    }

    fn cache() -> Cache {
        let mut cache = Cache::default();
        cache.stream_opened();
        cache
    }

    #[test]
    fn what_happens_to_one_container_says_nothing_of_another() {
        let mut cache = cache();
        let look = cache.begin(Moment::default());
        cache.forget("busy");
        for id in ["busy", "quiet"] {
            cache.keep_detail(look, id, "created", &detail());
        }
        assert_eq!((cache.detail("busy", "created"), cache.detail("quiet", "created")), (None, Some(detail())));
        let later = cache.begin(Moment::default());
        cache.keep_detail(later, "busy", "created", &detail());
        assert_eq!(cache.detail("busy", "created"), Some(detail()));
        assert_eq!(cache.detail("busy", "running"), None, "known of one state only");
    }

    #[test]
    fn what_was_asked_before_all_was_forgotten_is_not_kept() {
        let mut cache = cache();
        let look = cache.begin(Moment::default());
        cache.forget("one");
        cache.forget_all();
        for id in ["one", "two"] {
            cache.keep_detail(look, id, "created", &detail());
        }
        cache.keep_image(look, "app:1", &ImageId("sha256:1".to_owned()));
        let nothing = cache.detail("one", "created").or(cache.detail("two", "created"));
        assert_eq!((nothing, cache.image("app:1")), (None, None));
    }

    #[test]
    fn nothing_is_trusted_for_long_or_without_events() {
        let mut cache = cache();
        let look = cache.begin(Moment::default());
        cache.keep_detail(look, "one", "created", &detail());
        cache.begin(Moment::default() + LIFE);
        assert_eq!(cache.detail("one", "created"), None);
        let look = cache.begin(Moment::default() + LIFE);
        cache.keep_detail(look, "one", "created", &detail());
        cache.stream_closed();
        assert_eq!(cache.detail("one", "created"), None);
    }
}
