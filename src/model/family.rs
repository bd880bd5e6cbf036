//! Which images fit a data directory: same major version, same kind of C library. Another library
//! sorts text differently, and indexes made under the old order would give wrong answers.

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

/// What a data directory is made with, or an image would make one with. `None`: not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Family {
    /// The major version.
    pub major: Option<u32>,
    /// The C library.
    pub library: Option<Library>,
}

impl Family {
    /// What is known here, and where it is not, what `other` knows.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self { major: self.major.or(other.major), library: self.library.or(other.library) }
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
            (Some(made), Some(wanted)) if made != wanted => Err(Refusal::Library { postgres, made, wanted }),
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
}
