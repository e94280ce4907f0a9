//! The channel router of a socket: topic patterns in the order of registration, each with the channel it opens.
//!
//! Filled by [`Socket::channels`], looked up by the session for each join. The one place where a channel's type is erased.

use crate::channel::Channel;
use crate::connection::{ChannelHandle, Connection};
use crate::context::ChannelSlot;
use crate::route::Route;
use crate::socket::Socket;
use crate::telemetry::Instruments;
use bennu_protocol::{PatternError, TopicPattern};
use std::sync::Arc;

/// Which channel handles which topic. The first pattern that matches counts.
pub struct ChannelRouter<S: Socket> {
    routes: Vec<Arc<Route<S>>>,
    state: Arc<S::State>,
    /// The first pattern that cannot be a route.
    error: Option<PatternError>,
}

impl<S: Socket> ChannelRouter<S> {
    /// The routes of a socket, for channels that share this state.
    ///
    /// # Errors
    /// The first pattern that cannot be a route.
    pub(crate) fn of(state: Arc<S::State>) -> Result<Self, PatternError> {
        let mut router = ChannelRouter { routes: Vec::new(), state, error: None };
        S::channels(&mut router);
        match router.error.take() {
            Some(error) => Err(error),
            None => Ok(router),
        }
    }

    /// Routes topics to a channel: one topic (`"lobby"`), every topic with a prefix (`"room:*"`), or every topic with
    /// named parts (`"room:{id}"`), which [`Context::topic_part`](crate::Context::topic_part) reads.
    ///
    /// A part stands between colons and matches text that is not empty. A pattern that cannot be a route is an error
    /// that mounting the socket returns.
    pub fn channel<C: Channel<S>>(&mut self, pattern: &str) -> &mut Self {
        const { assert!(C::MAX_TASKS > 0, "MAX_TASKS is at least 1: a channel that starts tasks may have one") };
        match TopicPattern::new(pattern) {
            Ok(pattern) => self.routes.push(Arc::new(Route {
                pattern,
                instruments: Instruments::of::<C>(),
                state: self.state.clone(),
                open: |socket, connection, route| Arc::new(ChannelSlot::<S, C>::new(socket, connection, route)),
            })),
            Err(error) => drop(self.error.get_or_insert(error)),
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
        Some((route.open)(socket.clone(), connection.clone(), route.clone()))
    }
}
