//! Sending to a channel from outside: a reference that any task can send with, and a subscription to a topic of messages.

use crate::context::ChannelSlot;
use crate::info::{InfoFor, Typed};
use crate::socket::Socket;
use bennu_pubsub::{Delivery, Message, Sink};
use std::sync::{Arc, Weak};

/// Sends to one channel from any task. Cloning is cheap; it does not keep the channel alive.
pub struct ChannelRef<S: Socket, C> {
    slot: Weak<ChannelSlot<S, C>>,
}

/// The channel has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the channel has ended")]
pub struct ChannelGone;

impl<S: Socket, C: Send + 'static> ChannelRef<S, C> {
    pub(crate) fn new(slot: &Arc<ChannelSlot<S, C>>) -> Self {
        ChannelRef { slot: Arc::downgrade(slot) }
    }

    #[cfg(feature = "testkit")]
    pub(crate) fn slot(&self) -> Option<Arc<ChannelSlot<S, C>>> {
        self.slot.upgrade()
    }

    /// Queues a message for the channel's `handle_info`.
    ///
    /// Messages of one sender arrive in order. Never waits; a mailbox past its limit crashes that channel.
    ///
    /// # Errors
    /// [`ChannelGone`] when the channel has ended.
    pub fn send<M: InfoFor<S, C>>(&self, message: M) -> Result<(), ChannelGone> {
        let slot = self.slot.upgrade().ok_or(ChannelGone)?;
        if slot.inform(Box::new(Typed(message)), size_of::<M>()) { Ok(()) } else { Err(ChannelGone) }
    }
}

impl<S: Socket, C> Clone for ChannelRef<S, C> {
    fn clone(&self) -> Self {
        ChannelRef { slot: self.slot.clone() }
    }
}

/// A channel's subscription to messages of one type.
pub(crate) struct InfoSink<S: Socket, C, M> {
    slot: Weak<ChannelSlot<S, C>>,
    message: std::marker::PhantomData<fn() -> M>,
}

impl<S: Socket, C, M> InfoSink<S, C, M> {
    pub(crate) fn new(slot: &Arc<ChannelSlot<S, C>>) -> Self {
        InfoSink { slot: Arc::downgrade(slot), message: std::marker::PhantomData }
    }
}

impl<S: Socket, C: Send + 'static, M: Message + Clone + InfoFor<S, C>> Sink for InfoSink<S, C, M> {
    fn deliver(&self, delivery: &Delivery) {
        if let (Some(slot), Some(message)) = (self.slot.upgrade(), delivery.downcast_ref::<M>()) {
            slot.inform(Box::new(Typed(message.clone())), size_of::<M>());
        }
    }
}
