//! The user of a page and of its socket, and with it the role.
//!
//! The server writes the user into the session and into the signed token of the page. No client ever names its own role.

use serde::{Deserialize, Serialize};

/// The most characters of a name.
pub const MAX_NAME: usize = 40;

/// A signed-in user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum User {
    /// Creates, starts and ends sessions, and sees everybody.
    Trainer,
    /// Trains under a name, and sees only the own status. Two phones with one name show the same tiles.
    Participant(String),
}

impl User {
    /// Returns a participant. Spaces around the name and repeated spaces are removed.
    ///
    /// # Errors
    /// The sentence for the user, when the name is empty, too long, or has characters that cannot be shown.
    pub fn participant(name: &str) -> Result<Self, String> {
        let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
        match name.chars().count() {
            0 => Err("A name is missing.".to_owned()),
            count if count > MAX_NAME => Err(format!("It has {count} characters, and a name has at most {MAX_NAME}.")),
            _ if name.contains(char::is_control) => Err("It has characters that cannot be shown.".to_owned()),
            _ => Ok(User::Participant(name)),
        }
    }

    /// Returns the name for people.
    pub fn name(&self) -> &str {
        match self {
            User::Trainer => "Trainer",
            User::Participant(name) => name,
        }
    }

    /// Returns whether this is the trainer.
    pub fn is_trainer(&self) -> bool {
        *self == User::Trainer
    }
}
