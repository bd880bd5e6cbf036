//! How a container can differ from what is wanted.

use std::fmt;

/// Why a container is not what is wanted, in the order in which it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Divergence {
    /// It was made from another definition.
    Definition,
    /// It is a postgres that keeps its data in another volume than the file means.
    Volume,
    /// The port that was chosen for it is somebody else's by now.
    Port,
    /// Another image was accepted since.
    Image,
    /// The store of passwords was lost.
    LostPasswords,
    /// The value of a secret or password in its environment is another one.
    Secret,
}

impl Divergence {
    const ALL: [Self; 6] = [Self::Definition, Self::Volume, Self::Port, Self::Image, Self::LostPasswords, Self::Secret];

    /// The words of a cause.
    pub fn words(self) -> &'static str {
        match self {
            Self::Definition => "definition changed",
            Self::Volume => "its data is to be in another volume",
            Self::Port => "its port was taken, and any will do",
            Self::Image => "image changed",
            Self::LostPasswords => "its passwords were lost and made anew",
            Self::Secret => "a secret changed",
        }
    }

    /// The divergence that is the cause of an action, where one is.
    pub fn of_cause(cause: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|divergence| divergence.words() == cause)
    }
}

impl fmt::Display for Divergence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.words())
    }
}
