//! Which images fit a data directory: same major version, same C library. Another library, or another
//! version of glibc, sorts text differently, and indexes made under the old order would give wrong
//! answers.

use std::collections::BTreeMap;
use std::fmt;

use super::name::{ImageId, WorkloadName};

/// The families of images, by what the images say of themselves.
pub type Families = BTreeMap<ImageId, Family>;

/// The C library of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Library {
    /// Debian and most others.
    Glibc,
    /// Alpine.
    Musl,
}

impl fmt::Display for Library {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Glibc => "Debian (glibc)",
            Self::Musl => "Alpine (musl)",
        })
    }
}

/// A version of glibc, which is the version of its collations. musl has none: it sorts by bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Glibc(pub u16, pub u16);

impl fmt::Display for Glibc {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "glibc {}.{}", self.0, self.1)
    }
}

impl Glibc {
    /// The version that a text begins with: `2.36`, `2.36-9+deb12u10`.
    pub fn parse(text: &str) -> Option<Self> {
        let (major, rest) = text.trim().split_once('.')?;
        let minor = rest.split(|letter: char| !letter.is_ascii_digit()).next()?;
        Some(Self(major.parse().ok()?, minor.parse().ok()?))
    }
}

/// What a look into a container that was not started yet has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Examined {
    /// The version of glibc in its image, where it has one.
    pub glibc: Option<Glibc>,
    /// What its volume holds.
    pub data: DataFound,
}

/// What a volume holds where a data directory belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataFound {
    /// Nothing: one is made there.
    Empty,
    /// A data directory.
    Made(Family),
    /// Something else: no server can begin there.
    Other,
}

/// What a data directory is made with, or an image would make one with. `None`: not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Family {
    /// The major version.
    pub major: Option<u32>,
    /// The C library.
    pub library: Option<Library>,
    /// The version of glibc. Of a data directory: the one that texts in it are sorted by; `None` also
    /// where none are, for locales like `C` are the same in all.
    #[serde(default)]
    pub glibc: Option<Glibc>,
}

impl Family {
    /// What is known here, and where it is not, what `other` knows.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self { major: self.major.or(other.major), library: self.library.or(other.library), glibc: self.glibc.or(other.glibc) }
    }

    /// Whether an image of family `wanted` may run on a data directory of this one. What is not
    /// known fits.
    pub fn fits(self, wanted: Self, postgres: &WorkloadName) -> Result<(), Refusal> {
        let postgres = postgres.clone();
        match (self.major, wanted.major) {
            (Some(made), Some(wanted)) if made != wanted => return Err(Refusal::Major { postgres, made, wanted }),
            _ => {}
        }
        match (self.library, wanted.library) {
            (Some(made), Some(wanted)) if made != wanted => return Err(Refusal::Library { postgres, made, wanted }),
            _ => {}
        }
        match (self.glibc, wanted.glibc) {
            (Some(made), Some(wanted)) if made != wanted => Err(Refusal::Collations { postgres, made, wanted }),
            _ => Ok(()),
        }
    }
}

/// Why an image may not run on a data directory, with the way out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Another major version.
    #[error(
        "data directory of major {made}, image is {wanted}: go back to an image of {made}; or dump it (`witwd exec {postgres} \
         pg_dumpall -U postgres`), give it another `volume`, begin anew there with `witwd up --fresh {postgres}`, and \
         load the dump"
    )]
    Major {
        /// Which postgres.
        postgres: WorkloadName,
        /// Of the data directory.
        made: u32,
        /// Of the image.
        wanted: u32,
    },
    /// Another C library.
    #[error(
        "data directory made by {made}, image is {wanted}: they sort text differently, and indexes would give wrong \
         answers. Go back to an image of {made}; or dump it (`witwd exec {postgres} pg_dumpall -U postgres`), give it \
         another `volume`, begin anew there with `witwd up --fresh {postgres}`, and load the dump"
    )]
    Library {
        /// Which postgres.
        postgres: WorkloadName,
        /// Of the data directory.
        made: Library,
        /// Of the image.
        wanted: Library,
    },
    /// Another version of the C library.
    #[error(
        "data directory sorted by {made}, image has {wanted}: the two sort text differently, and indexes would give wrong \
         answers. Go back to an image with {made} (of the same Debian release); or dump it (`witwd exec {postgres} pg_dumpall \
         -U postgres`), give it another `volume`, begin anew there with `witwd up --fresh {postgres}`, and load the dump"
    )]
    Collations {
        /// Which postgres.
        postgres: WorkloadName,
        /// Of the data directory.
        made: Glibc,
        /// Of the image.
        wanted: Glibc,
    },
}
