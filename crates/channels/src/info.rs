//! What a channel handles in `handle_info`, with its type erased while it waits in a mailbox or a timer.
//!
//! The senders ([`inform`](crate::inform)) know the type, and so does the channel; what lies between does not. `C` is the
//! channel, `X` the context that it is handed.

use crate::outcome::Flow;
use futures::future::BoxFuture;

/// A message whose type its channel knows.
pub(crate) trait Info<C, X>: Send {
    fn handle<'a>(self: Box<Self>, channel: &'a mut C, ctx: &'a mut X) -> BoxFuture<'a, Flow>;

    /// The message's type, for the log.
    fn name(&self) -> &'static str;
}
