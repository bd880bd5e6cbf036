//! What an image says of the data directories that it would make. Pure.

use crate::engine::answer::ImageFacts;
pub use crate::model::family::{Family, Glibc, Library, Refusal};

impl Family {
    /// The family of an image by what it says of itself and by its reference.
    pub fn of(image: &ImageFacts, reference: &str) -> Self {
        let env = |name: &str| image.env.get(name).map(String::as_str);
        let tag = reference.rsplit('/').next().unwrap_or(reference);
        let alpine = tag.contains("alpine") || ["DOCKER_PG_LLVM_DEPS", "PG_SHA256"].iter().any(|name| env(name).is_some());
        let postgres = env("PG_MAJOR").is_some();
        let library = if alpine { Some(Library::Musl) } else { postgres.then_some(Library::Glibc) };
        Self { major: env("PG_MAJOR").and_then(|major| major.parse().ok()), library, glibc: None }
    }
}
