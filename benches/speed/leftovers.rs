//! What a measurement makes on the engine without witwd goes with it, also where it fails half-way.

use crate::support::remove_labelled;

/// Removes, when dropped, all that carries one label: containers, networks, volumes. Nothing else.
pub struct Leftovers {
    label: String,
}

impl Leftovers {
    /// Of what carries this label, `name=value`.
    pub fn of(label: String) -> Self {
        Self { label }
    }
}

impl Drop for Leftovers {
    fn drop(&mut self) {
        remove_labelled(&[], &self.label);
    }
}
