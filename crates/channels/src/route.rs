//! A route of a mounted socket: a topic pattern, the channel that it opens, and everything that the route's channels share.

use crate::connection::{ChannelHandle, Connection};
use crate::socket::Socket;
use crate::telemetry::Instruments;
use bennu_protocol::TopicPattern;
use std::sync::Arc;

/// Made once for each pattern when a socket is mounted; every channel that it opens has a reference.
pub(crate) struct Route<S: Socket> {
    pub(crate) pattern: TopicPattern,
    pub(crate) instruments: Instruments,
    /// The state of the socket's mount.
    pub(crate) state: Arc<S::State>,
    pub(crate) open: Open<S>,
}

/// Opens a channel, whose type only this function knows.
pub(crate) type Open<S> = fn(Arc<S>, Arc<Connection>, Arc<Route<S>>) -> Arc<dyn ChannelHandle>;
