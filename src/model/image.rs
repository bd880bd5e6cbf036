//! Where the image of a container comes from: a registry, a build, a fallback.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::name::SecretName;
use super::template::Template;

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSource {
    /// The reference; of a build, the tag of the result.
    pub reference: String,
    /// How it gets to the engine.
    pub origin: ImageOrigin,
    /// `linux/arm64` and the like.
    pub platform: Option<String>,
}

/// How an image gets to the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageOrigin {
    /// From a registry.
    Pull {
        /// When it is asked.
        policy: PullPolicy,
        /// A build for when no registry answers.
        fallback: Option<Fallback>,
    },
    /// From a build; never pulled.
    Build(Build),
}

/// A build for an image that no registry answers for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fallback {
    /// How it is built.
    pub build: Build,
    /// The tag of the result: the same for all who share the build by `extends`.
    pub tag: String,
}

impl ImageSource {
    /// The build for when no registry answers.
    pub fn fallback(&self) -> Option<&Fallback> {
        match &self.origin {
            ImageOrigin::Pull { fallback, .. } => fallback.as_ref(),
            ImageOrigin::Build(_) => None,
        }
    }

    /// Whether `reference` is its own, or that of its fallback.
    pub fn is_named(&self, reference: &str) -> bool {
        self.reference == reference || self.fallback().is_some_and(|fallback| fallback.tag == reference)
    }
}

/// When a registry is asked for an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullPolicy {
    /// When it is not here.
    Missing,
    /// At every `up`.
    Always,
    /// Never.
    Never,
}

/// How an image is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Build {
    /// A Docker build.
    Docker {
        /// The directory that is sent.
        context: PathBuf,
        /// The Dockerfile, absolute or below `context`.
        dockerfile: PathBuf,
        /// The stage.
        target: Option<String>,
        /// Build arguments.
        args: BTreeMap<String, Template>,
        /// Secrets of the build.
        secrets: Vec<SecretName>,
    },
    /// A command that must leave the image `WITWD_IMAGE` in the engine.
    Command(Vec<String>),
}
