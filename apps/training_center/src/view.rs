//! The two drawings of a session, which the pages contain and the channel sends again after each change.

use crate::gym::topic;
use crate::session::TrainingSession;
use crate::store::Stored;
use askama::Template;
use bennu::Endpoint;
use std::collections::BTreeSet;

/// The view of a participant: a page that waits, the tiles of the exercises, or the result.
#[derive(Template)]
#[template(path = "status.html")]
pub struct Status<'a> {
    session: &'a TrainingSession,
    done: BTreeSet<String>,
}

impl<'a> Status<'a> {
    /// Draws a session for the participant of this name.
    pub fn new(session: &'a TrainingSession, name: &str) -> Self {
        Status { session, done: session.people.get(name).cloned().unwrap_or_default() }
    }
}

/// The view of the trainer: the people by the exercises, each online or offline.
#[derive(Template)]
#[template(path = "grid.html")]
pub struct Grid<'a> {
    session: &'a TrainingSession,
    /// Each person's name, done exercises, and whether one of their pages is online.
    people: Vec<(&'a str, &'a BTreeSet<String>, bool)>,
}

impl<'a> Grid<'a> {
    /// Draws a session with the presences of an endpoint.
    pub fn new(stored: &'a Stored, endpoint: &Endpoint) -> Self {
        let online = endpoint.presence().snapshot(&topic(stored.id));
        let is_online = |name| online.by_key(name).next().is_some();
        let people = stored.session.people.iter().map(|(name, done)| (&**name, done, is_online(name)));
        Grid { session: &stored.session, people: people.collect() }
    }
}
