//! Sending to a channel what its `handle_info` handles: by itself, from timers, from PubSub, from any task.
//!
//! Each way knows the message's type and that the channel handles it; from there on it waits as an [`Info`].

use crate::channel::{Channel, HandleInfo};
use crate::context::{ChannelSlot, Context};
use crate::info::Info;
use crate::outcome::Flow;
use crate::socket::Socket;
use crate::timer::Timer;
use bennu_pubsub::{Delivery, Message, Sink};
use futures::future::BoxFuture;
use std::sync::{Arc, Weak};
use std::time::Duration;

impl<S: Socket, C: Channel<S>> Context<S, C> {
    /// Subscribes this channel to messages of one type on any topic of the PubSub, until it ends or unsubscribes.
    /// Subscribing to the same topic again delivers twice, as in Phoenix.
    pub fn subscribe<M: Message + Clone>(&mut self, topic: &str)
    where
        C: HandleInfo<S, M>,
    {
        let sink = Arc::new(InfoSink::<S, C, M>::new(&self.slot));
        self.attach(topic, sink);
    }

    /// Sends this channel a message after a while. The timer ends with the channel.
    pub fn send_after<M: Send + 'static>(&mut self, after: Duration, message: M) -> Timer
    where
        C: HandleInfo<S, M>,
    {
        self.set_timer(after, Box::new(Typed(message)))
    }

    /// Sends this channel a message, handled after what already waits. In `join`, this is "after join".
    pub fn send_self<M: Send + 'static>(&self, message: M)
    where
        C: HandleInfo<S, M>,
    {
        self.slot.inform(Box::new(Typed(message)), size_of::<M>());
    }

    /// A reference with which any task can send to this channel.
    pub fn channel(&self) -> ChannelRef<S, C> {
        ChannelRef::new(&self.slot)
    }
}

/// A message as its sender has it.
struct Typed<M>(M);

impl<S: Socket, C: HandleInfo<S, M>, M: Send + 'static> Info<C, Context<S, C>> for Typed<M> {
    fn handle<'a>(self: Box<Self>, channel: &'a mut C, ctx: &'a mut Context<S, C>) -> BoxFuture<'a, Flow> {
        Box::pin(channel.handle_info(self.0, ctx))
    }

    fn name(&self) -> &'static str {
        std::any::type_name::<M>()
    }
}

/// Sends to one channel from any task. Cloning is cheap; it does not keep the channel alive.
pub struct ChannelRef<S, C> {
    slot: Weak<ChannelSlot<S, C>>,
}

/// The channel has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the channel has ended")]
pub struct ChannelGone;

impl<S, C> ChannelRef<S, C> {
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
    pub fn send<M: Send + 'static>(&self, message: M) -> Result<(), ChannelGone>
    where
        S: Socket,
        C: HandleInfo<S, M>,
    {
        let slot = self.slot.upgrade().ok_or(ChannelGone)?;
        if slot.inform(Box::new(Typed(message)), size_of::<M>()) { Ok(()) } else { Err(ChannelGone) }
    }
}

impl<S, C> Clone for ChannelRef<S, C> {
    fn clone(&self) -> Self {
        ChannelRef { slot: self.slot.clone() }
    }
}

/// What a channel subscribes with to messages of one type.
struct InfoSink<S, C, M> {
    slot: Weak<ChannelSlot<S, C>>,
    message: std::marker::PhantomData<fn() -> M>,
}

impl<S, C, M> InfoSink<S, C, M> {
    fn new(slot: &Arc<ChannelSlot<S, C>>) -> Self {
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
