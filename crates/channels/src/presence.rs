//! Presence: the users at each topic, on all nodes, in the form that `phoenix.js`'s `Presence` reads.
//!
//! The tracker (`bennu-tracker`) replicates presences and reports changes. This module turns changes into
//! `presence_diff` broadcasts for this node's clients; the tracker's tasks call it. A channel's own presences, which
//! end with it, are in [`channel::presence`](crate::channel). Source: `Phoenix.Presence`.
//!
//! - [`handler`]: the callbacks of an application, and the broadcast of diffs.
//! - [`list`]: presences by key, and their JSON for clients.

pub(crate) mod handler;
pub(crate) mod list;

pub use bennu_tracker::{Options as PresenceOptions, TopicDiff as PresenceDiff};
pub use handler::PresenceHandler;
pub use list::{PresenceEntry, PresenceList, PresenceMap};

use bennu_pubsub::PubSub;
use bennu_tracker::{OptionsError, PresenceGuard, PresenceSnapshot, TrackError, Tracker};
use handler::{DiffBroadcaster, Erased};
use serde::Serialize;
use std::sync::Arc;

/// The presences of all nodes. Cloning is cheap and shares everything.
///
/// ```
/// use bennu_channels::prelude::*;
///
/// struct Room {
///     user: String,
/// }
///
/// impl<S: Socket> Channel<S> for Room {
///     async fn join(_topic: &str, params: Payload, _ctx: &mut Context<S, Self>) -> Joined<Self> {
///         accept(Room { user: params.get("user")?.unwrap_or_default() })
///     }
///
///     async fn joined(&mut self, ctx: &mut Context<S, Self>) -> Flow {
///         ctx.track(&self.user, &json!({ "online_at": 1 }))?;
///         ctx.push("presence_state", ctx.presence_list().await)?;
///         noreply()
///     }
/// }
/// ```
///
/// [`Context::track`](crate::Context::track) and its like use the endpoint's presence. One of the application's own, from
/// [`Presence::start`], is part of its state: `ctx.state().users.track(ctx, key, meta)?`.
#[derive(Clone)]
pub struct Presence {
    pub(crate) tracker: Tracker,
    pub(crate) handler: Option<Arc<dyn Erased>>,
}

/// An error of tracking, updating or removing a presence.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PresenceError {
    /// The tracker rejects the key or the meta.
    #[error(transparent)]
    Track(#[from] TrackError),
    /// This channel has tracked that key already.
    #[error("this channel has tracked {key:?} already: change it with `update`")]
    AlreadyTracked {
        /// The key.
        key: String,
    },
    /// This channel has not tracked that key.
    #[error("this channel has not tracked {key:?}: track it first")]
    NotTracked {
        /// The key.
        key: String,
    },
}

impl Presence {
    /// Starts a presence without registering it with an endpoint.
    pub(crate) fn start_on<H: PresenceHandler>(
        pubsub: &PubSub,
        name: &str,
        options: PresenceOptions,
        handler: H,
    ) -> Result<Self, OptionsError> {
        let handler = handler::erase(handler);
        let broadcaster = DiffBroadcaster::new(pubsub.clone(), handler.clone());
        let tracker_of_diffs = broadcaster.tracker();
        let tracker = Tracker::start(pubsub, name, options, broadcaster)?;
        // The tracker reports the first change after this.
        tracker_of_diffs.set(&tracker);
        Ok(Presence { tracker, handler })
    }

    /// Tracks a key at any topic for as long as the returned guard lives, for code that is not a channel.
    ///
    /// # Errors
    /// [`PresenceError::Track`] when the tracker rejects the key or the meta.
    pub fn track_at(
        &self,
        topic: &str,
        key: &str,
        meta: &(impl Serialize + ?Sized),
    ) -> Result<PresenceGuard, PresenceError> {
        Ok(self.tracker.track(topic, key, &list::without_refs(meta)?)?)
    }

    /// Returns the presences at a topic on all nodes, with the fields that the handler's `fetch` adds, ready to be
    /// pushed.
    ///
    /// Takes no lock while it reads, and waits for `fetch` only.
    pub async fn list(&self, topic: &str) -> PresenceList {
        let presences = self.tracker.list(topic);
        match &self.handler {
            None => PresenceList::plain(&presences),
            Some(handler) => PresenceList::fetched(handler.fetch(topic, PresenceMap::of(presences.iter())).await),
        }
    }

    /// Returns the presences of one key at a topic, with the fields that `fetch` adds.
    pub async fn get_by_key(&self, topic: &str, key: &str) -> Option<PresenceEntry> {
        let presences = self.tracker.list(topic);
        let mut found = PresenceMap::of(presences.by_key(key));
        if let Some(handler) = &self.handler
            && !found.is_empty()
        {
            found = handler.fetch(topic, found).await;
        }
        found.remove(key)
    }

    /// Returns a snapshot of the presences at a topic, in constant time and without `fetch`.
    pub fn snapshot(&self, topic: &str) -> PresenceSnapshot {
        self.tracker.list(topic)
    }

    /// Returns the number of presences at a topic, in constant time.
    pub fn count(&self, topic: &str) -> usize {
        self.tracker.count(topic)
    }

    /// Returns the number of different keys at a topic, in constant time.
    pub fn key_count(&self, topic: &str) -> usize {
        self.tracker.key_count(topic)
    }

    /// Announces to other nodes that this node leaves; they remove its presences at once.
    /// [`Endpoint::leave`](crate::Endpoint::leave) does it for every presence.
    pub async fn leave(&self) {
        self.tracker.leave().await;
    }
}

impl std::fmt::Debug for Presence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Presence({:?})", self.tracker.name())
    }
}
