//! The presences that a channel tracks at its topic. They end with the channel.

use crate::channel::context::Context;
use crate::presence::{Presence, PresenceError, handler, list};
use crate::socket::Socket;
use bennu_tracker::{PresenceGuard, Reference, TrackError};
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;

/// A presence that a channel has tracked: it ends with the channel.
pub(crate) struct OwnPresence {
    /// The name of the presence that it belongs to.
    name: Arc<str>,
    key: Box<str>,
    tracked: Arc<PresenceGuard>,
}

impl Presence {
    /// Tracks a key at a channel's own topic, until the channel ends or [`Presence::untrack`] removes it. `meta` is any
    /// value that serde writes as a JSON object. Returns the presence's reference, its `phx_ref`.
    ///
    /// This node's clients get a `presence_diff` at once, those of other nodes within a broadcast period, 1.5 s.
    ///
    /// # Errors
    /// [`PresenceError`]: the meta is no object, something is too long, or the channel has tracked that key already.
    pub fn track<S: Socket, C: Send + 'static>(
        &self,
        ctx: &Context<S, C>,
        key: &str,
        meta: &(impl Serialize + ?Sized),
    ) -> Result<String, PresenceError> {
        if ctx.with_presences(|presences| presences.iter().any(|own| self.is_of(own, key))) {
            return Err(PresenceError::AlreadyTracked { key: key.to_owned() });
        }
        let tracked = self.tracker.track(ctx.topic(), key, &list::without_refs(meta)?)?;
        let reference = tracked.reference().to_string();
        let own = OwnPresence { name: self.tracker.name().into(), key: key.into(), tracked: Arc::new(tracked) };
        ctx.with_presences(|presences| presences.push(own));
        self.broadcast_due_diff(ctx);
        Ok(reference)
    }

    /// Gives a key that this channel has tracked another meta.
    ///
    /// # Errors
    /// [`PresenceError`], above all [`PresenceError::NotTracked`].
    pub fn update<S: Socket, C: Send + 'static>(
        &self,
        ctx: &Context<S, C>,
        key: &str,
        meta: &(impl Serialize + ?Sized),
    ) -> Result<String, PresenceError> {
        let meta = list::without_refs(meta)?;
        self.change(ctx, key, |tracked| tracked.update(&meta))
    }

    /// Gives a key that this channel has tracked a meta that is made from the one it has.
    ///
    /// # Errors
    /// [`PresenceError`], above all [`PresenceError::NotTracked`].
    pub fn update_with<S: Socket, C: Send + 'static>(
        &self,
        ctx: &Context<S, C>,
        key: &str,
        change: impl Fn(Value) -> Value,
    ) -> Result<String, PresenceError> {
        self.change(ctx, key, |tracked| tracked.update_with(change))
    }

    /// Removes a key that this channel has tracked.
    ///
    /// # Errors
    /// [`PresenceError::NotTracked`].
    pub fn untrack<S: Socket, C: Send + 'static>(&self, ctx: &Context<S, C>, key: &str) -> Result<(), PresenceError> {
        let untracked = ctx.with_presences(|presences| {
            let at = presences.iter().position(|own| self.is_of(own, key))?;
            Some(presences.swap_remove(at))
        });
        drop(untracked.ok_or_else(|| PresenceError::NotTracked { key: key.to_owned() })?);
        self.broadcast_due_diff(ctx);
        Ok(())
    }

    fn change<S: Socket, C: Send + 'static>(
        &self,
        ctx: &Context<S, C>,
        key: &str,
        change: impl FnOnce(&PresenceGuard) -> Result<Reference, TrackError>,
    ) -> Result<String, PresenceError> {
        let tracked = ctx.with_presences(|presences| {
            presences.iter().find(|own| self.is_of(own, key)).map(|own| own.tracked.clone())
        });
        // Outside the context's lock: `change` may be the application's, which may track meanwhile.
        let tracked = tracked.ok_or_else(|| PresenceError::NotTracked { key: key.to_owned() })?;
        let reference = change(&tracked)?.to_string();
        self.broadcast_due_diff(ctx);
        Ok(reference)
    }

    /// Broadcasts a change at once, if the topic was quiet: the channel's client receives it before anything that the
    /// channel sends next. With a handler, which may wait, the tracker's task does it instead.
    fn broadcast_due_diff<S: Socket, C: Send + 'static>(&self, ctx: &Context<S, C>) {
        if self.handler.is_none() {
            let pubsub = ctx.endpoint().pubsub();
            self.tracker.deliver_due(ctx.topic(), |diff| handler::broadcast_plain_diff(pubsub, &diff));
        }
    }

    fn is_of(&self, own: &OwnPresence, key: &str) -> bool {
        &*own.key == key && &*own.name == self.tracker.name()
    }
}
