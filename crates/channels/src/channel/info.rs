//! Messages to a channel from others than its client: their types, the reference that any task sends with, and
//! subscriptions.
//!
//! A sender knows the type of its message, and so does the channel that handles it. While a message waits in a mailbox or a
//! timer, its type is erased behind [`Info`]. `C` is the channel, `X` its context.

use crate::channel::HandleInfo;
use crate::channel::context::{Context, Handle};
use crate::outcome::Flow;
use crate::socket::Socket;
use bennu_pubsub::{Message, Publication, Sink};
use futures::future::BoxFuture;
use std::sync::{Arc, Weak};

/// A message that the channel `C` handles: implemented for every `M` where `C` implements [`HandleInfo<S, M>`].
#[diagnostic::on_unimplemented(
    message = "`{C}` does not handle a `{Self}`",
    label = "write `impl HandleInfo<{S}, {Self}> for {C}`, whose `handle_info` gets the message"
)]
pub trait InfoFor<S: Socket, C>: Send + Sized + 'static {
    /// Calls the channel's `handle_info`.
    #[doc(hidden)]
    fn handle<'a>(self, channel: &'a mut C, ctx: &'a mut Context<S, C>) -> BoxFuture<'a, Flow>;
}

#[diagnostic::do_not_recommend]
impl<S: Socket, C: HandleInfo<S, M>, M: Send + 'static> InfoFor<S, C> for M {
    fn handle<'a>(self, channel: &'a mut C, ctx: &'a mut Context<S, C>) -> BoxFuture<'a, Flow> {
        Box::pin(channel.handle_info(self, ctx))
    }
}

/// A message whose type is erased.
pub(crate) trait Info<C, X>: Send {
    fn handle<'a>(self: Box<Self>, channel: &'a mut C, ctx: &'a mut X) -> BoxFuture<'a, Flow>;

    /// Returns the name of the message's type, for the log.
    fn name(&self) -> &'static str;
}

/// A message with its type.
pub(crate) struct Typed<M>(pub(crate) M);

impl<S: Socket, C: Send, M: InfoFor<S, C>> Info<C, Context<S, C>> for Typed<M> {
    fn handle<'a>(self: Box<Self>, channel: &'a mut C, ctx: &'a mut Context<S, C>) -> BoxFuture<'a, Flow> {
        self.0.handle(channel, ctx)
    }

    fn name(&self) -> &'static str {
        std::any::type_name::<M>()
    }
}

/// A reference to one channel, with which any task can send to it. Cloning is cheap. A reference does not keep the
/// channel alive.
///
/// ```
/// use bennu_channels::prelude::*;
///
/// struct Inbox;
///
/// struct Mail(String);
///
/// impl<S: Socket> Channel<S> for Inbox {
///     async fn join(_topic: &str, _params: Payload, ctx: &mut Context<S, Self>) -> Joined<Self> {
///         let inbox: ChannelRef<S, Self> = ctx.channel();
///         tokio::spawn(async move { inbox.send(Mail("welcome".to_owned())) });
///         accept(Inbox)
///     }
/// }
///
/// impl<S: Socket> HandleInfo<S, Mail> for Inbox {
///     async fn handle_info(&mut self, Mail(text): Mail, ctx: &mut Context<S, Self>) -> Flow {
///         ctx.push("mail", json!({ "text": text }))?;
///         noreply()
///     }
/// }
/// ```
pub struct ChannelRef<S: Socket, C> {
    handle: Weak<Handle<S, C>>,
}

/// The channel has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the channel has ended")]
pub struct ChannelGone;

impl<S: Socket, C: Send + 'static> ChannelRef<S, C> {
    pub(crate) fn new(handle: &Arc<Handle<S, C>>) -> Self {
        ChannelRef { handle: Arc::downgrade(handle) }
    }

    #[cfg(feature = "testkit")]
    pub(crate) fn handle(&self) -> Option<Arc<Handle<S, C>>> {
        self.handle.upgrade()
    }

    /// Queues a message for the channel's `handle_info`.
    ///
    /// Messages of one sender arrive in order. Never waits; a mailbox past its limit crashes that channel.
    ///
    /// # Errors
    /// [`ChannelGone`] when the channel has ended.
    pub fn send<M: InfoFor<S, C>>(&self, message: M) -> Result<(), ChannelGone> {
        let handle = self.handle.upgrade().ok_or(ChannelGone)?;
        if handle.inform(Box::new(Typed(message)), size_of::<M>()) { Ok(()) } else { Err(ChannelGone) }
    }
}

impl<S: Socket, C> Clone for ChannelRef<S, C> {
    fn clone(&self) -> Self {
        ChannelRef { handle: self.handle.clone() }
    }
}

/// A channel's subscription to messages of one type.
pub(crate) struct InfoSink<S: Socket, C, M> {
    handle: Weak<Handle<S, C>>,
    message: std::marker::PhantomData<fn() -> M>,
}

impl<S: Socket, C, M> InfoSink<S, C, M> {
    pub(crate) fn new(handle: &Arc<Handle<S, C>>) -> Self {
        InfoSink { handle: Arc::downgrade(handle), message: std::marker::PhantomData }
    }
}

impl<S: Socket, C: Send + 'static, M: Message + Clone + InfoFor<S, C>> Sink for InfoSink<S, C, M> {
    fn deliver(&self, publication: &Publication) {
        if let (Some(handle), Some(message)) = (self.handle.upgrade(), publication.downcast_ref::<M>()) {
            handle.inform(Box::new(Typed(message.clone())), size_of::<M>());
        }
    }
}
