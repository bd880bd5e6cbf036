//! What is in a directory, as far as `init` looks: names, and the texts of a few known files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::cli::exit_code::{Exit, Failure};

/// The names that compose files have, in the order in which compose itself looks for them.
pub(super) const COMPOSE: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];
/// Other files that are read whole.
const KNOWN: [&str; 12] = [
    "Dockerfile",
    "Procfile",
    "Gemfile",
    "go.mod",
    "Cargo.toml",
    "package.json",
    "pyproject.toml",
    "Pipfile",
    "manage.py",
    ".env",
    "prisma/schema.prisma",
    "config/routes.rb",
];
/// Larger files are none that a person wrote.
const LARGEST: u64 = 1 << 20;
/// Directories that hold what others wrote.
const OTHERS: [&str; 5] = ["node_modules", "target", "vendor", "venv", "__pycache__"];

/// What is in a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// The name of the directory.
    pub directory: String,
    /// What lies in it and one level below, as relative paths.
    pub names: BTreeSet<String>,
    /// Texts of known files.
    pub texts: BTreeMap<String, String>,
}

impl Facts {
    /// Looks at a directory. What can't be read is taken as not there.
    pub(super) fn of(directory: &Path) -> Result<Self, Failure> {
        let name = directory.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let top = list(directory)
            .map_err(|error| Failure::of(Exit::Failed, &format!("failed to look into {}", directory.display()), &error))?;
        let mut names = BTreeSet::new();
        for name in top {
            let below = directory.join(&name);
            if below.is_dir() && !name.starts_with('.') && !OTHERS.contains(&name.as_str()) {
                names.extend(list(&below).unwrap_or_default().into_iter().map(|inner| format!("{name}/{inner}")));
            }
            names.insert(name);
        }
        let wanted = names.iter().filter(|name| is_known(name));
        let texts = wanted.filter_map(|name| Some((name.clone(), text(&directory.join(name))?))).collect();
        Ok(Self { directory: name, names, texts })
    }

    /// Whether there is such a file or directory.
    pub(super) fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// The text of a known file; empty where there is none.
    pub(super) fn text(&self, name: &str) -> &str {
        self.texts.get(name).map_or("", String::as_str)
    }

    /// The compose file that compose itself would take.
    pub(super) fn compose(&self) -> Option<(&'static str, &str)> {
        COMPOSE.iter().find_map(|name| Some((*name, self.texts.get(*name)?.as_str())))
    }

    /// The names that `.env` gives a value.
    pub(super) fn variables(&self) -> BTreeSet<&str> {
        let lines = self.text(".env").lines().map(|line| line.trim().trim_start_matches("export "));
        let named = lines.filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
        named.filter(|(_, value)| !value.trim().is_empty()).map(|(name, _)| name.trim()).collect()
    }
}

fn is_known(name: &str) -> bool {
    KNOWN.contains(&name) || COMPOSE.contains(&name) || is_requirements(name)
}

/// `requirements.txt`, `requirements-prod.txt`, `requirements/base.txt`.
pub(super) fn is_requirements(name: &str) -> bool {
    name.starts_with("requirements") && Path::new(name).extension().is_some_and(|end| end == "txt")
}

fn list(directory: &Path) -> std::io::Result<Vec<String>> {
    std::fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

fn text(path: &Path) -> Option<String> {
    let metadata = std::fs::metadata(path).ok().filter(|metadata| metadata.is_file() && metadata.len() <= LARGEST);
    metadata.and_then(|_| std::fs::read_to_string(path).ok())
}
