//! `backup verify`: a set that is there, looked at again on every level.

use std::path::Path;

use super::error::BackupError;
use super::manifest::{Manifest, Verified};
use super::take::Order;
use super::{Sets, check};
use crate::model::backup::{Proof, SetId};
use crate::model::chain::chain;

/// What a look at a set brought.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The set, with what is known of it now.
    pub manifest: Manifest,
    /// Why it is not as good as it should be, for people; `None`: it is.
    pub error: Option<String>,
}

impl Sets {
    /// Looks at a set as it lies there: its bytes, then what they hold, then, where it is wanted, a trial restore.
    /// What was found is noted in the set. `None`: there is no such set, or it can't be understood.
    pub async fn verify(&self, order: &Order<'_>, id: SetId, by_restore: bool) -> Result<Option<Checked>, BackupError> {
        let catalog = self.catalog(order.workload);
        let lock = self.lock(&catalog, order).await?;
        let Some(entry) = catalog.read(id)? else { return Ok(None) };
        let Ok(manifest) = entry.manifest else { return Ok(None) };
        let (manifest, error) = self.look(order, &entry.path, manifest).await;
        let (manifest, error) = match error {
            None if by_restore => self.try_out(order, &entry.path, manifest).await,
            error => (manifest, error),
        };
        // What says nothing of the set leaves what is known of it.
        let is_of_the_set = error.as_ref().is_none_or(is_of_the_set);
        if is_of_the_set {
            catalog.rewrite(&lock, &manifest)?;
        }
        match error {
            Some(error) if !is_of_the_set => Err(error),
            error => Ok(Some(Checked { manifest, error: error.map(|error| chain(&error)) })),
        }
    }

    /// L1 and L2.
    pub(super) async fn look(&self, order: &Order<'_>, set: &Path, manifest: Manifest) -> (Manifest, Option<BackupError>) {
        let (now, before) = (Some(self.clock.wall()), manifest.verify.clone());
        let looked = self.look_at(order, set, &manifest).await;
        let verify = match &looked {
            // A proof by a restore was one of these very bytes.
            Ok(()) if before.level >= Proof::Read => Verified { read_at: now, damaged: None, ..before },
            Ok(()) => Verified { level: Proof::Read, at: now, read_at: now, damaged: None, ..before },
            Err(error @ BackupError::Damaged { .. }) => Verified { read_at: now, damaged: Some(error.to_string()), ..before },
            Err(_) => before,
        };
        (Manifest { verify, ..manifest }, looked.err())
    }

    async fn look_at(&self, order: &Order<'_>, set: &Path, manifest: &Manifest) -> Result<(), BackupError> {
        self.passes(order, set, manifest, Proof::Stored).await?;
        self.passes(order, set, manifest, Proof::Read).await
    }

    /// Whether a set passes one level, whatever the others would say of it.
    pub async fn passes(&self, order: &Order<'_>, set: &Path, manifest: &Manifest, level: Proof) -> Result<(), BackupError> {
        match level {
            Proof::None => Ok(()),
            Proof::Stored => {
                for stored in manifest.files() {
                    check::stored(set, stored).await?;
                }
                Ok(())
            }
            Proof::Read => self.read(order, set, manifest, true).await.map(drop),
            Proof::Restored => self.trial(order, set, manifest).await.map(drop),
        }
    }
}

/// Whether a failure says something of the set, and not of the machine that looks at it.
fn is_of_the_set(error: &BackupError) -> bool {
    use BackupError::{Damaged, Differs, Program, Statement};
    matches!(error, Damaged { .. } | Differs { .. } | Program { code: 1, .. } | Statement { .. })
}
