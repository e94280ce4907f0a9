//! One training session as a value: its workout, its phase, and its people with their done exercises. It has no I/O.
//!
//! [`TrainingSession::apply`] is the only way to change it. Each [`Command`] may be applied twice with the result of
//! once, so a caller that got no answer sends it again.

use derive_more::Display;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The most exercises of a workout, and the most characters of a title and of an exercise.
pub const MAX_EXERCISES: usize = 20;
/// See [`MAX_EXERCISES`].
pub const MAX_CHARACTERS: usize = 60;
/// The most people of a session.
pub const MAX_PEOPLE: usize = 100;

/// The reason of every refusal after the end.
const ENDED: &str = "the session has ended";

/// A training session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainingSession {
    /// Its name for people.
    pub title: String,
    /// The exercises in their order, without duplicates.
    pub workout: Vec<String>,
    /// Whether it waits, runs, or has ended.
    pub phase: Phase,
    /// The people by name, with the done exercises of each.
    pub people: BTreeMap<String, BTreeSet<String>>,
}

/// The phases of a session, in their order. None of them comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, Serialize, Deserialize)]
#[display(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The trainer has not started it.
    Waiting,
    /// The exercises can be done.
    Running,
    /// It is over.
    Ended,
}

/// A change of a session, or a look at it.
#[derive(Debug, Clone)]
pub enum Command {
    /// Changes nothing.
    Look,
    /// Replaces the workout, until the start.
    Edit(Vec<String>),
    /// Starts the session. It changes nothing in one that runs.
    Start,
    /// Ends the session, whether it runs or not.
    End,
    /// Adds the participant of a name.
    Enter(String),
    /// Marks an exercise as done: the participant's name, and the exercise.
    Complete(String, String),
    /// Takes a mark back.
    Undo(String, String),
}

/// A command or a text that a session rejects, in words for the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(String);

impl TrainingSession {
    /// Creates a session that waits for its people. `workout` has an exercise a line; empty lines count for nothing.
    ///
    /// # Errors
    /// [`Refused`]
    pub fn new(title: &str, workout: &str) -> Result<Self, Refused> {
        let title = short(title)?;
        if title.is_empty() {
            return refused("a title is missing");
        }
        Ok(TrainingSession { title, workout: parse_workout(workout)?, phase: Phase::Waiting, people: BTreeMap::new() })
    }

    /// Applies a command.
    ///
    /// # Errors
    /// [`Refused`]; the session is unchanged.
    pub fn apply(&mut self, command: Command) -> Result<(), Refused> {
        match command {
            Command::Look => {}
            Command::Edit(_) if self.phase != Phase::Waiting => {
                return refused("the workout can be changed only until the start");
            }
            Command::Edit(workout) => self.workout = workout,
            Command::Start if self.phase == Phase::Ended => return refused(ENDED),
            Command::Start => self.phase = Phase::Running,
            Command::End => self.phase = Phase::Ended,
            // A participant may come back, also to see the result.
            Command::Enter(name) if self.people.contains_key(&name) => {}
            Command::Enter(_) if self.phase == Phase::Ended => return refused(ENDED),
            Command::Enter(_) if self.people.len() == MAX_PEOPLE => {
                return refused(format!("the session is full: it has {MAX_PEOPLE} people"));
            }
            Command::Enter(name) => drop(self.people.insert(name, BTreeSet::new())),
            Command::Complete(name, exercise) => {
                self.done_by(name, &exercise)?.insert(exercise);
            }
            Command::Undo(name, exercise) => {
                self.done_by(name, &exercise)?.remove(&exercise);
            }
        }
        Ok(())
    }

    /// Returns the done exercises of a participant, to change them.
    fn done_by(&mut self, name: String, exercise: &str) -> Result<&mut BTreeSet<String>, Refused> {
        if !self.workout.iter().any(|known| known == exercise) {
            let workout = self.workout.join(", ");
            return refused(format!("{exercise:.60} is not an exercise of this workout, which has {workout}"));
        }
        match self.phase {
            Phase::Waiting => refused("the session has not started yet"),
            Phase::Running => Ok(self.people.entry(name).or_default()),
            Phase::Ended => refused(ENDED),
        }
    }
}

/// Reads a workout, an exercise a line.
///
/// # Errors
/// [`Refused`]
pub fn parse_workout(text: &str) -> Result<Vec<String>, Refused> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let workout = lines.map(short).collect::<Result<Vec<_>, _>>()?;
    if !(1..=MAX_EXERCISES).contains(&workout.len()) {
        return refused(format!("a workout has 1 to {MAX_EXERCISES} exercises, and this one has {}", workout.len()));
    }
    let mut known = BTreeSet::new();
    match workout.iter().find(|exercise| !known.insert(*exercise)) {
        Some(twice) => refused(format!("{twice:?} is in the workout twice")),
        None => Ok(workout),
    }
}

fn short(text: &str) -> Result<String, Refused> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.chars().count() <= MAX_CHARACTERS {
        true => Ok(text),
        false => refused(format!("{text:.60}… is too long: the most are {MAX_CHARACTERS} characters")),
    }
}

fn refused<T>(reason: impl Into<String>) -> Result<T, Refused> {
    Err(Refused(reason.into()))
}
