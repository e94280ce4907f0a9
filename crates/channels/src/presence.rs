//! Presence: who has joined what, on all nodes, told to clients as `phoenix.js`'s `Presence` expects it.
//!
//! On top of the tracker (`bennu-presence`), which knows who is where and tells what changed; this module ties presences
//! to channels, whose end takes them away, and turns changes into `presence_diff` broadcasts for this node's clients.
//! Called by channels; the tracker's tasks call [`handler`]. Source: `Phoenix.Presence`.
//!
//! - [`handler`]: what an application may add, and the telling of diffs.
//! - [`list`]: what clients are sent: presences by key.

mod handler;
mod list;

pub use bennu_presence::{Options as PresenceOptions, TopicDiff as PresenceDiff};
pub use handler::PresenceHandler;
pub use list::{PresenceEntry, PresenceList, PresenceMap};

use crate::channel::Channel;
use crate::context::Context;
use crate::endpoint::Endpoint;
use crate::socket::Socket;
use bennu_presence::{OptionsError, Presences, TrackError, Tracked, Tracker};
use handler::{Erased, Teller};
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;

/// Who is where. Cloning is cheap and shares everything.
///
/// ```
/// use bennu_channels::prelude::*;
///
/// struct Room;
/// struct AfterJoin(String);
///
/// impl<S: Socket> Channel<S> for Room {
///     async fn join(_topic: &str, params: Payload, ctx: &mut Context<S, Self>) -> Result<Self, JoinError> {
///         ctx.send_self(AfterJoin(params.get("user")?.unwrap_or_default()));
///         Ok(Room)
///     }
/// }
///
/// impl<S: Socket> HandleInfo<S, AfterJoin> for Room {
///     async fn handle_info(&mut self, AfterJoin(user): AfterJoin, ctx: &mut Context<S, Self>) -> Flow {
///         let presence = ctx.presence();
///         presence.track(ctx, &user, &json!({ "online_at": 1 }))?;
///         ctx.push("presence_state", presence.list(ctx.topic()).await)?;
///         noreply()
///     }
/// }
/// ```
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
    tracked: Tracked,
}

impl Presence {
    /// Starts a presence of its own, beside [`Endpoint::presence`]. Those with one name, on all nodes, are one.
    ///
    /// # Errors
    /// [`OptionsError`] when options contradict each other.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start<H: PresenceHandler>(
        endpoint: &Endpoint,
        name: &str,
        options: PresenceOptions,
        handler: H,
    ) -> Result<Self, OptionsError> {
        let pubsub = endpoint.pubsub().clone();
        let handler = handler::erase(handler);
        let teller = Teller::new(pubsub, handler.clone());
        let seen = teller.tracker();
        let tracker = Tracker::start(endpoint.pubsub(), name, options, teller)?;
        // Diffs are told from the first change on, which comes after this.
        seen.set(&tracker);
        let presence = Presence { tracker, handler };
        endpoint.add_presence(&presence);
        Ok(presence)
    }

    /// Tracks a key at a channel's own topic, until the channel ends or [`Presence::untrack`]s it. `meta` is anything that
    /// serde writes as a JSON object. Says the presence's reference, its `phx_ref`.
    ///
    /// This node's clients get a `presence_diff` at once, those of other nodes within a broadcast period, 1.5 s.
    ///
    /// # Errors
    /// [`PresenceError`]: the meta is no object, something is too long, or the channel has tracked that key already.
    pub fn track<S: Socket, C: Channel<S>>(
        &self,
        ctx: &mut Context<S, C>,
        key: &str,
        meta: &(impl Serialize + ?Sized),
    ) -> Result<String, PresenceError> {
        if self.own(ctx, key).is_some() {
            return Err(PresenceError::AlreadyTracked { key: key.to_owned() });
        }
        let tracked = self.tracker.track(ctx.topic(), key, &list::without_refs(meta)?)?;
        let reference = tracked.reference().to_string();
        ctx.presences().push(OwnPresence { name: self.tracker.name().into(), key: key.into(), tracked });
        self.tell_now(ctx);
        Ok(reference)
    }

    /// Gives a key that this channel has tracked another meta.
    ///
    /// # Errors
    /// [`PresenceError`], above all [`PresenceError::NotTracked`].
    pub fn update<S: Socket, C: Channel<S>>(
        &self,
        ctx: &mut Context<S, C>,
        key: &str,
        meta: &(impl Serialize + ?Sized),
    ) -> Result<String, PresenceError> {
        let own = self.own(ctx, key).ok_or_else(|| PresenceError::NotTracked { key: key.to_owned() })?;
        let reference = own.tracked.update(&list::without_refs(meta)?)?.to_string();
        self.tell_now(ctx);
        Ok(reference)
    }

    /// Gives a key that this channel has tracked a meta that is made from the one it has.
    ///
    /// # Errors
    /// [`PresenceError`], above all [`PresenceError::NotTracked`].
    pub fn update_with<S: Socket, C: Channel<S>>(
        &self,
        ctx: &mut Context<S, C>,
        key: &str,
        change: impl Fn(Value) -> Value,
    ) -> Result<String, PresenceError> {
        let own = self.own(ctx, key).ok_or_else(|| PresenceError::NotTracked { key: key.to_owned() })?;
        let reference = own.tracked.update_with(change)?.to_string();
        self.tell_now(ctx);
        Ok(reference)
    }

    /// Takes a key away that this channel has tracked.
    ///
    /// # Errors
    /// [`PresenceError::NotTracked`].
    pub fn untrack<S: Socket, C: Channel<S>>(&self, ctx: &mut Context<S, C>, key: &str) -> Result<(), PresenceError> {
        let presences = ctx.presences();
        let at = presences.iter().position(|own| self.is_of(own, key));
        let at = at.ok_or_else(|| PresenceError::NotTracked { key: key.to_owned() })?;
        drop(presences.swap_remove(at));
        self.tell_now(ctx);
        Ok(())
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

    /// Says goodbye to other nodes, which let this node's presences go at once. [`Endpoint::leave`] does it for all.
    pub async fn leave(&self) {
        self.tracker.leave().await;
    }

    /// What a channel has just changed its client hears of before the channel does anything else, if the topic was quiet.
    /// A handler may take its time, and is called by the tracker's task.
    fn tell_now<S: Socket, C: Channel<S>>(&self, ctx: &Context<S, C>) {
        if self.handler.is_none() {
            let pubsub = ctx.endpoint().pubsub();
            self.tracker.tell_now(ctx.topic(), |diff| handler::tell_plain(pubsub, &diff));
        }
    }

    fn own<'a, S: Socket, C: Channel<S>>(&self, ctx: &'a mut Context<S, C>, key: &str) -> Option<&'a OwnPresence> {
        ctx.presences().iter().find(|own| self.is_of(own, key))
    }

    fn is_of(&self, own: &OwnPresence, key: &str) -> bool {
        &*own.key == key && &*own.name == self.tracker.name()
    }
}

impl std::fmt::Debug for Presence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Presence({:?})", self.tracker.name())
    }
}
