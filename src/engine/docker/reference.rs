//! References of images, split as the engine splits them.

/// The registry of images whose reference names none.
const HUB: &str = "docker.io";
/// The name under which Docker keeps the credentials of that registry.
const HUB_SERVER: &str = "https://index.docker.io/v1/";

/// A reference in parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    /// Everything before tag and digest.
    pub repository: String,
    /// Tag, or digest where it has one. `latest` where it has neither: without it the engine would
    /// pull every tag there is.
    pub version: String,
}

impl Reference {
    /// A reference as it was written.
    pub(super) fn parse(text: &str) -> Self {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        // A colon before the last slash is of a registry's port.
        let (repository, tag) = match name.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
            _ => (name, None),
        };
        Self { repository: repository.to_owned(), version: digest.or(tag).unwrap_or("latest").to_owned() }
    }

    /// Host name, perhaps with a port, of its registry.
    pub(super) fn registry(&self) -> &str {
        match self.repository.split_once('/') {
            Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
            _ => HUB,
        }
    }
}

/// The name under which Docker keeps the credentials of a registry.
pub(super) fn server(registry: &str) -> &str {
    if registry == HUB { HUB_SERVER } else { registry }
}
