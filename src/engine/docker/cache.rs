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
    /// Counts what was forgotten: an answer asked for before something was forgotten is not kept.
    version: u64,
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
        if self.version == version {
            self.details.insert(id.to_owned(), (state.to_owned(), detail.clone()));
        }
    }

    /// Keeps what a look of `version` learned of an image.
    pub(super) fn keep_image(&mut self, version: u64, reference: &str, id: &ImageId) {
        if self.version == version {
            self.images.insert(reference.to_owned(), id.clone());
        }
    }

    /// Something happened to a container.
    pub(super) fn forget(&mut self, id: &str) {
        self.version += 1;
        self.details.remove(id);
    }

    /// Something happened to an image.
    pub(super) fn forget_images(&mut self) {
        self.version += 1;
        self.images.clear();
    }

    /// Anything may have happened.
    pub(super) fn forget_all(&mut self) {
        self.version += 1;
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
