//! What a channel tracks at its topic: it ends with the channel.

use super::{OwnPresence, Presence, PresenceError, handler, list};
use crate::context::Context;
use serde::Serialize;
use serde_json::Value;

impl Presence {
    /// Tracks a key at a channel's own topic, until the channel ends or [`Presence::untrack`]s it. `meta` is anything that
    /// serde writes as a JSON object. Says the presence's reference, its `phx_ref`.
    ///
    /// This node's clients get a `presence_diff` at once, those of other nodes within a broadcast period, 1.5 s.
    ///
    /// # Errors
    /// [`PresenceError`]: the meta is no object, something is too long, or the channel has tracked that key already.
    pub fn track<S, C>(
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
    pub fn update<S, C>(
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
    pub fn update_with<S, C>(
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
    pub fn untrack<S, C>(&self, ctx: &mut Context<S, C>, key: &str) -> Result<(), PresenceError> {
        let presences = ctx.presences();
        let at = presences.iter().position(|own| self.is_of(own, key));
        let at = at.ok_or_else(|| PresenceError::NotTracked { key: key.to_owned() })?;
        drop(presences.swap_remove(at));
        self.tell_now(ctx);
        Ok(())
    }

    /// What a channel has just changed its client hears of before the channel does anything else, if the topic was quiet.
    /// A handler may take its time, and is called by the tracker's task.
    fn tell_now<S, C>(&self, ctx: &Context<S, C>) {
        if self.handler.is_none() {
            let pubsub = ctx.endpoint().pubsub();
            self.tracker.tell_now(ctx.topic(), |diff| handler::tell_plain(pubsub, &diff));
        }
    }

    fn own<'a, S, C>(&self, ctx: &'a mut Context<S, C>, key: &str) -> Option<&'a OwnPresence> {
        ctx.presences().iter().find(|own| self.is_of(own, key))
    }

    fn is_of(&self, own: &OwnPresence, key: &str) -> bool {
        &*own.key == key && &*own.name == self.tracker.name()
    }
}
