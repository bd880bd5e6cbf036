//! What inspecting containers and images said, so that looking at a world in which nothing
//! happens costs three lists. Trusted only while an event stream is open that would have told of
//! a change, and for what the list still shows of the container. Events may be lost: where the list
//! tells one run of a container from the next it is trusted for ten minutes, else for ten seconds.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::name::ImageId;
use crate::model::observed::{Attachments, ContainerState, PublishedSeen};
use crate::model::time::Moment;

/// How long an answer is trusted that only events would have called wrong.
const LIFE: Duration = Duration::from_secs(10);
/// How long one is trusted that the list itself would call wrong.
const LONG_LIFE: Duration = Duration::from_secs(600);

/// What the list shows of a container and an inspect's answer goes with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Shown {
    /// The word for its state.
    pub state: String,
    /// Its place in each of its networks: a container that is started gets new ones, as does one that is
    /// connected.
    pub endpoints: BTreeMap<String, String>,
}

impl Shown {
    /// Whether another run of the container, or other names of it, would show.
    fn tells_runs_apart(&self) -> bool {
        self.state == "running" && !self.endpoints.is_empty() && self.endpoints.values().all(|endpoint| !endpoint.is_empty())
    }
}

/// A look that has begun: what it learns is kept unless it was forgotten since.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    version: u64,
    at: Moment,
}

/// A remembered inspect of a container.
#[derive(Debug)]
struct Known {
    shown: Shown,
    since: Moment,
    detail: Detail,
}

impl Known {
    fn is_fresh(&self, now: Moment) -> bool {
        self.shown.tells_runs_apart() && now.since(self.since) < LONG_LIFE
    }
}

/// What only an inspect tells of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Detail {
    pub state: ContainerState,
    pub image_reference: String,
    pub networks: Attachments,
    pub published: Vec<PublishedSeen>,
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
    details: BTreeMap<String, Known>,
    images: BTreeMap<String, ImageId>,
}

impl Cache {
    /// The beginning of a look at time `now`.
    pub(super) fn begin(&mut self, now: Moment) -> Look {
        if now.since(self.born) >= LIFE {
            let mut fresh = std::mem::take(&mut self.details);
            fresh.retain(|_, known| known.is_fresh(now));
            self.forget_all();
            self.details = fresh;
            self.born = now;
        }
        Look { version: self.version, at: now }
    }

    /// What is known of a container that the list shows so.
    pub(super) fn detail(&self, id: &str, shown: &Shown) -> Option<Detail> {
        let known = self.details.get(id)?;
        (self.streams > 0 && known.shown == *shown).then(|| known.detail.clone())
    }

    /// What is known of an image.
    pub(super) fn image(&self, reference: &str) -> Option<ImageId> {
        self.images.get(reference).filter(|_| self.streams > 0).cloned()
    }

    /// Keeps what a look learned of a container. What was known already is as old as it was.
    pub(super) fn keep_detail(&mut self, look: Look, id: &str, shown: Shown, detail: &Detail) {
        let forgotten = self.containers.get(id).copied().unwrap_or(self.everything);
        let is_known = self.details.get(id).is_some_and(|known| known.shown == shown && known.detail == *detail);
        if forgotten <= look.version && !is_known {
            self.details.insert(id.to_owned(), Known { shown, since: look.at, detail: detail.clone() });
        }
    }

    /// Keeps what a look learned of an image.
    pub(super) fn keep_image(&mut self, look: Look, reference: &str, id: &ImageId) {
        if self.all_images <= look.version {
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
        Detail {
            state: ContainerState::Created,
            image_reference: "app:1".to_owned(),
            networks: Attachments::new(),
            published: Vec::new(),
        }
    }

    fn cache() -> Cache {
        let mut cache = Cache::default();
        cache.stream_opened();
        cache
    }

    fn shown(state: &str, endpoint: &str) -> Shown {
        Shown { state: state.to_owned(), endpoints: BTreeMap::from([("net".to_owned(), endpoint.to_owned())]) }
    }

    #[test]
    fn what_happens_to_one_container_says_nothing_of_another() {
        let (mut cache, now) = (cache(), Moment::default());
        let created = shown("created", "");
        let look = cache.begin(now);
        cache.forget("busy");
        for id in ["busy", "quiet"] {
            cache.keep_detail(look, id, created.clone(), &detail());
        }
        assert_eq!((cache.detail("busy", &created), cache.detail("quiet", &created)), (None, Some(detail())));
        let later = cache.begin(now);
        cache.keep_detail(later, "busy", created.clone(), &detail());
        assert_eq!(cache.detail("busy", &created), Some(detail()));
        assert_eq!(cache.detail("busy", &shown("running", "")), None, "known of one state only");
        assert_eq!(cache.detail("busy", &shown("created", "other")), None, "and of one place in its network");
    }

    #[test]
    fn what_was_asked_before_all_was_forgotten_is_not_kept() {
        let (mut cache, now) = (cache(), Moment::default());
        let created = shown("created", "");
        let look = cache.begin(now);
        cache.forget("one");
        cache.forget_all();
        for id in ["one", "two"] {
            cache.keep_detail(look, id, created.clone(), &detail());
        }
        cache.keep_image(look, "app:1", &ImageId("sha256:1".to_owned()));
        let nothing = cache.detail("one", &created).or(cache.detail("two", &created));
        assert_eq!((nothing, cache.image("app:1")), (None, None));
    }

    #[test]
    fn what_a_list_would_not_call_wrong_is_trusted_for_ten_seconds() {
        let (mut cache, now) = (cache(), Moment::default());
        let look = cache.begin(now);
        let lasting = shown("running", "one");
        let brief = [shown("exited", "one"), shown("running", ""), Shown { state: "running".to_owned(), ..Shown::default() }];
        cache.keep_detail(look, "lasting", lasting.clone(), &detail());
        for (at, brief) in brief.iter().enumerate() {
            cache.keep_detail(look, &at.to_string(), brief.clone(), &detail());
        }
        cache.begin(now + LIFE);
        assert_eq!(cache.detail("lasting", &lasting), Some(detail()));
        for (at, brief) in brief.iter().enumerate() {
            assert_eq!(cache.detail(&at.to_string(), brief), None, "{brief:?}");
        }
        for seconds in (20..600).step_by(30) {
            let look = cache.begin(now + Duration::from_secs(seconds));
            assert_eq!(cache.detail("lasting", &lasting), Some(detail()));
            cache.keep_detail(look, "lasting", lasting.clone(), &detail());
        }
        cache.begin(now + LONG_LIFE);
        assert_eq!(cache.detail("lasting", &lasting), None, "a look that asked nobody makes no answer younger");
    }

    #[test]
    fn nothing_is_trusted_without_events() {
        let (mut cache, now) = (cache(), Moment::default());
        let look = cache.begin(now);
        cache.keep_detail(look, "one", shown("running", "one"), &detail());
        cache.stream_closed();
        assert_eq!(cache.detail("one", &shown("running", "one")), None);
    }
}
