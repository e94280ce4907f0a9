//! Presence: who has joined what, on all nodes, told to clients as `phoenix.js`'s `Presence` expects it.
//!
//! On top of the tracker (`bennu-tracker`), which knows who is where and tells what changed; this module ties presences
//! to channels, whose end takes them away, and turns changes into `presence_diff` broadcasts for this node's clients.
//! Called by channels; the tracker's tasks call [`handler`]. Source: `Phoenix.Presence`.
//!
//! - [`handler`]: what an application may add, and the telling of diffs.
//! - [`list`]: what clients are sent: presences by key.
//! - [`own`]: what a channel tracks, and what its end takes away.
//! - [`start`]: a further presence of an endpoint.

mod handler;
mod list;
mod own;
mod start;

pub use bennu_tracker::{Options as PresenceOptions, TopicDiff as PresenceDiff};
pub use handler::PresenceHandler;
pub use list::{PresenceEntry, PresenceList, PresenceMap};

use bennu_tracker::{OptionsError, Presences, TrackError, Tracked, Tracker};
use bennu_pubsub::PubSub;
use handler::{Erased, Teller};
use serde::Serialize;
use std::sync::Arc;

/// Who is where. Cloning is cheap and shares everything.
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
    tracker: Tracker,
    handler: Option<Arc<dyn Erased>>,
}

/// Why a presence was not tracked, updated or taken away.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PresenceError {
    /// The tracker refuses.
    #[error(transparent)]
    Track(#[from] TrackError),
    /// This channel has tracked that key already.
    #[error("this channel has tracked {key:?} already: update it")]
    AlreadyTracked {
        /// The key.
        key: String,
    },
    /// This channel has not tracked that key.
    #[error("this channel has not tracked {key:?}")]
    NotTracked {
        /// The key.
        key: String,
    },
}

/// A presence that a channel has tracked: ends with it.
pub(crate) struct OwnPresence {
    /// Of which presence it is.
    name: Arc<str>,
    key: Box<str>,
    tracked: Arc<Tracked>,
}

impl Presence {
    /// Starts one that the endpoint does not know of yet.
    pub(crate) fn start_on<H: PresenceHandler>(
        pubsub: &PubSub,
        name: &str,
        options: PresenceOptions,
        handler: H,
    ) -> Result<Self, OptionsError> {
        let handler = handler::erase(handler);
        let teller = Teller::new(pubsub.clone(), handler.clone());
        let seen = teller.tracker();
        let tracker = Tracker::start(pubsub, name, options, teller)?;
        // Diffs are told from the first change on, which comes after this.
        seen.set(&tracker);
        Ok(Presence { tracker, handler })
    }

    /// Tracks a key at any topic, for as long as the returned guard lives: for what is no channel.
    ///
    /// # Errors
    /// [`PresenceError::Track`].
    pub fn track_at(&self, topic: &str, key: &str, meta: &(impl Serialize + ?Sized)) -> Result<Tracked, PresenceError> {
        Ok(self.tracker.track(topic, key, &list::without_refs(meta)?)?)
    }

    /// Who is at a topic, on all nodes, as clients are sent it; with what the handler's `fetch` adds.
    ///
    /// Takes no lock while it reads, and waits for `fetch` only.
    pub async fn list(&self, topic: &str) -> PresenceList {
        let presences = self.tracker.list(topic);
        match &self.handler {
            None => PresenceList::plain(&presences),
            Some(handler) => PresenceList::fetched(handler.fetch(topic, PresenceMap::of(presences.iter())).await),
        }
    }

    /// The presences of one key at a topic, with what `fetch` adds.
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

    /// Who is at a topic, as the tracker has them: a snapshot in constant time, without `fetch`.
    pub fn snapshot(&self, topic: &str) -> Presences {
        self.tracker.list(topic)
    }

    /// How many presences a topic has, in constant time.
    pub fn count(&self, topic: &str) -> usize {
        self.tracker.count(topic)
    }

    /// How many different keys are at a topic, in constant time.
    pub fn key_count(&self, topic: &str) -> usize {
        self.tracker.key_count(topic)
    }

    /// Says goodbye to other nodes, which let this node's presences go at once. [`Endpoint::leave`](crate::Endpoint::leave) does it for all.
    pub async fn leave(&self) {
        self.tracker.leave().await;
    }
}

impl std::fmt::Debug for Presence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Presence({:?})", self.tracker.name())
    }
}
