//! The channel router of a socket: topic patterns in the order of registration, each with the channel it opens.

use crate::channel::Channel;
use crate::connection::{ChannelHandle, Connection};
use crate::slot::Slot;
use crate::socket::Socket;
use crate::telemetry::Instruments;
use bennu_protocol::{PatternError, TopicPattern};
use std::sync::Arc;

/// Which channel handles which topic. The first pattern that matches counts.
pub struct ChannelRouter<S: Socket> {
    routes: Vec<Route<S>>,
    errors: Vec<PatternError>,
}

struct Route<S: Socket> {
    pattern: TopicPattern,
    instruments: Arc<Instruments>,
    open: Open<S>,
}

/// The one place where a channel's type is erased.
type Open<S> = fn(Arc<S>, Arc<Connection>, Arc<Instruments>) -> Arc<dyn ChannelHandle>;

impl<S: Socket> ChannelRouter<S> {
    /// The routes of a socket.
    ///
    /// # Errors
    /// The first pattern with a `*` that is not its last character.
    pub(crate) fn of_socket() -> Result<Self, PatternError> {
        let mut router = ChannelRouter { routes: Vec::new(), errors: Vec::new() };
        S::channels(&mut router);
        match router.errors.pop() {
            Some(error) => Err(error),
            None => Ok(router),
        }
    }

    /// Routes a topic (`"lobby"`), or every topic with a prefix (`"room:*"`), to a channel. A `*` anywhere else is an
    /// error that mounting the socket returns.
    pub fn channel<C: Channel<S>>(&mut self, pattern: &str) -> &mut Self {
        match TopicPattern::new(pattern) {
            Ok(pattern) => self.routes.push(Route {
                pattern,
                instruments: Arc::new(Instruments::of::<C>()),
                open: |socket, connection, instruments| Arc::new(Slot::<S, C>::new(socket, connection, instruments)),
            }),
            Err(error) => self.errors.insert(0, error),
        }
        self
    }

    pub(crate) fn open(
        &self,
        topic: &str,
        socket: &Arc<S>,
        connection: &Arc<Connection>,
    ) -> Option<Arc<dyn ChannelHandle>> {
        let route = self.routes.iter().find(|route| route.pattern.matches(topic))?;
        Some((route.open)(socket.clone(), connection.clone(), route.instruments.clone()))
    }
}
