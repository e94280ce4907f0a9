//! The messages that a channel handles in `handle_info`, with their type erased while they wait in a mailbox or a timer.
//!
//! The senders ([`inform`](crate::inform)) know the type, and so does the channel; what lies between does not. `C` is the
//! channel, `X` the context that it is handed.

use crate::channel::HandleInfo;
use crate::context::Context;
use crate::outcome::Flow;
use crate::socket::Socket;
use futures::future::BoxFuture;

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

/// A message whose type its channel knows.
pub(crate) trait Info<C, X>: Send {
    fn handle<'a>(self: Box<Self>, channel: &'a mut C, ctx: &'a mut X) -> BoxFuture<'a, Flow>;

    /// The message's type, for the log.
    fn name(&self) -> &'static str;
}

/// A message as its sender has it.
pub(crate) struct Typed<M>(pub(crate) M);

impl<S: Socket, C: Send, M: InfoFor<S, C>> Info<C, Context<S, C>> for Typed<M> {
    fn handle<'a>(self: Box<Self>, channel: &'a mut C, ctx: &'a mut Context<S, C>) -> BoxFuture<'a, Flow> {
        self.0.handle(channel, ctx)
    }

    fn name(&self) -> &'static str {
        std::any::type_name::<M>()
    }
}
