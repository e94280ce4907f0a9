//! A channel becomes a route of its socket: the one place where its type is erased.

use crate::channel::Channel;
use crate::context::ChannelSlot;
use crate::router::ChannelRouter;
use crate::socket::Socket;
use crate::telemetry::Instruments;
use std::sync::Arc;

impl<S: Socket> ChannelRouter<S> {
    /// Routes a topic (`"lobby"`), or every topic with a prefix (`"room:*"`), to a channel. A `*` anywhere else is an
    /// error that mounting the socket returns.
    pub fn channel<C: Channel<S>>(&mut self, pattern: &str) -> &mut Self {
        const { assert!(C::MAX_TASKS > 0, "MAX_TASKS is at least 1: a channel that starts tasks may have one") };
        self.add(pattern, Instruments::of::<C>(), |socket, connection, instruments| {
            Arc::new(ChannelSlot::<S, C>::new(socket, connection, instruments))
        });
        self
    }
}
