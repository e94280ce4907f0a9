//! The operations on a channel handle that know the channel's type: a route makes the handle, and the session starts
//! the join and queues the client's messages through it.
//!
//! This is the one place where a channel's type is erased.

use crate::actor::join;
use crate::channel::Channel;
use crate::channel::context::Handle;
use crate::channel::handle::Mail;
use crate::connection::SessionChannel;
use crate::connection::session::{End, Incoming, Join};
use crate::socket::Socket;
use crate::socket::router::ChannelRouter;
use crate::telemetry::Instruments;
use std::sync::Arc;
use std::task::{Context, Poll};

impl<S: Socket> ChannelRouter<S> {
    /// Routes topics to a channel: one topic (`"lobby"`), every topic with a prefix (`"room:*"`), or every topic with
    /// named parts (`"room:{id}"`), which [`Context::topic_part`](crate::Context::topic_part) reads.
    ///
    /// A part stands between colons and matches text that is not empty. A pattern that cannot be a route is an error
    /// that mounting the socket returns.
    pub fn channel<C: Channel<S>>(&mut self, pattern: &str) -> &mut Self {
        const { assert!(C::MAX_TASKS > 0, "MAX_TASKS must be 1 or more") };
        self.add(pattern, Instruments::of::<C>(), |socket, connection, route| {
            Arc::new(Handle::<S, C>::new(socket, connection, route))
        });
        self
    }
}

impl<S: Socket, C: Channel<S>> SessionChannel for Handle<S, C> {
    fn start(self: Arc<Self>, join: Box<Join>) {
        join::start(self, join);
    }

    fn deliver(&self, message: Incoming) {
        let size = message.size();
        self.push(Mail::Message(message), size);
    }

    fn end(&self, end: End) {
        self.mailbox.push_end(Mail::End(end));
    }

    fn poll_returned(&self, cx: &mut Context<'_>, watched: &mut bool) -> Poll<()> {
        self.mailbox.poll_returned(cx, watched)
    }

    fn waiting_bytes(&self) -> usize {
        self.mailbox.waiting_bytes()
    }

    #[cfg(feature = "testkit")]
    fn as_any(self: Arc<Self>) -> Arc<dyn std::any::Any + Send + Sync> {
        self
    }
}
