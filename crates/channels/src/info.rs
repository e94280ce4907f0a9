//! Messages for `handle_info`, with their type erased while they wait, and the references that send them.

use crate::channel::{Channel, HandleInfo};
use crate::context::Context;
use crate::outcome::Flow;
use crate::slot::Slot;
use crate::socket::Socket;
use bennu_pubsub::{Delivery, Message, Sink};
use futures::future::BoxFuture;
use std::sync::{Arc, Weak};

/// A message whose type its channel knows.
pub(crate) trait Info<S: Socket, C: Channel<S>>: Send {
    fn handle<'a>(self: Box<Self>, channel: &'a mut C, ctx: &'a mut Context<S, C>) -> BoxFuture<'a, Flow>;

    /// The message's type, for the log.
    fn name(&self) -> &'static str;
}

pub(crate) struct Typed<M>(pub(crate) M);

impl<S: Socket, C: HandleInfo<S, M>, M: Send + 'static> Info<S, C> for Typed<M> {
    fn handle<'a>(self: Box<Self>, channel: &'a mut C, ctx: &'a mut Context<S, C>) -> BoxFuture<'a, Flow> {
        Box::pin(channel.handle_info(self.0, ctx))
    }

    fn name(&self) -> &'static str {
        std::any::type_name::<M>()
    }
}

/// Sends to one channel from any task. Cloning is cheap; it does not keep the channel alive.
pub struct ChannelRef<S: Socket, C: Channel<S>> {
    slot: Weak<Slot<S, C>>,
}

/// The channel has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the channel has ended")]
pub struct ChannelGone;

impl<S: Socket, C: Channel<S>> ChannelRef<S, C> {
    pub(crate) fn new(slot: &Arc<Slot<S, C>>) -> Self {
        ChannelRef { slot: Arc::downgrade(slot) }
    }

    #[cfg(feature = "testkit")]
    pub(crate) fn slot(&self) -> Option<Arc<Slot<S, C>>> {
        self.slot.upgrade()
    }

    /// Queues a message for the channel's `handle_info`.
    ///
    /// Messages of one sender arrive in order. Never waits; a mailbox past its limit crashes that channel.
    ///
    /// # Errors
    /// [`ChannelGone`] when the channel has ended.
    pub fn send<M: Send + 'static>(&self, message: M) -> Result<(), ChannelGone>
    where
        C: HandleInfo<S, M>,
    {
        let slot = self.slot.upgrade().ok_or(ChannelGone)?;
        if slot.inform(Box::new(Typed(message)), size_of::<M>()) { Ok(()) } else { Err(ChannelGone) }
    }
}

impl<S: Socket, C: Channel<S>> Clone for ChannelRef<S, C> {
    fn clone(&self) -> Self {
        ChannelRef { slot: self.slot.clone() }
    }
}

/// What a channel subscribes with to messages of one type.
pub(crate) struct InfoSink<S: Socket, C: Channel<S>, M> {
    slot: Weak<Slot<S, C>>,
    message: std::marker::PhantomData<fn() -> M>,
}

impl<S: Socket, C: Channel<S>, M> InfoSink<S, C, M> {
    pub(crate) fn new(slot: &Arc<Slot<S, C>>) -> Self {
        InfoSink { slot: Arc::downgrade(slot), message: std::marker::PhantomData }
    }
}

impl<S: Socket, C: HandleInfo<S, M>, M: Message + Clone> Sink for InfoSink<S, C, M> {
    fn deliver(&self, delivery: &Delivery) {
        if let (Some(slot), Some(message)) = (self.slot.upgrade(), delivery.downcast_ref::<M>()) {
            slot.inform(Box::new(Typed(message.clone())), size_of::<M>());
        }
    }
}
