//! Who is at a topic, as it was when somebody asked: a snapshot, which locks nothing while it is read.

use crate::presence::Presence;
use crate::roster::Roster;

/// Who was at a topic when it was listed. Cloning is cheap.
#[derive(Clone)]
pub struct Presences {
    pub(crate) roster: Roster,
}

impl Presences {
    /// By key, then by node, then in the order of joining.
    pub fn iter(&self) -> impl Iterator<Item = &Presence> {
        self.roster.iter()
    }

    /// Those with this key.
    pub fn by_key<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a Presence> + use<'a> {
        self.roster.by_key(key)
    }

    /// How many they are.
    pub fn len(&self) -> usize {
        self.roster.len()
    }

    /// Whether nobody was there.
    pub fn is_empty(&self) -> bool {
        self.roster.len() == 0
    }

    /// How many different keys they have.
    pub fn key_count(&self) -> usize {
        self.roster.keys()
    }
}

impl std::fmt::Debug for Presences {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
