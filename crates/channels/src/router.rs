//! The channel router of a socket: topic patterns in the order of registration, each with the channel it opens.
//!
//! Filled by [`Socket::channels`](crate::Socket::channels), asked by the session for each join.

use crate::connection::{ChannelHandle, Connection};
use crate::telemetry::Instruments;
use bennu_protocol::{PatternError, TopicPattern};
use std::sync::Arc;

/// Which channel handles which topic. The first pattern that matches counts.
pub struct ChannelRouter<S> {
    routes: Vec<Route<S>>,
    /// The first pattern that cannot be a route.
    error: Option<PatternError>,
}

struct Route<S> {
    pattern: TopicPattern,
    instruments: Arc<Instruments>,
    open: Open<S>,
}

/// Opens a channel, whose type only this knows.
pub(crate) type Open<S> = fn(Arc<S>, Arc<Connection>, Arc<Instruments>) -> Arc<dyn ChannelHandle>;

impl<S> ChannelRouter<S> {
    /// The routes that `channels` adds.
    ///
    /// # Errors
    /// The first pattern with a `*` that is not its last character.
    pub(crate) fn of(channels: impl FnOnce(&mut Self)) -> Result<Self, PatternError> {
        let mut router = ChannelRouter { routes: Vec::new(), error: None };
        channels(&mut router);
        match router.error.take() {
            Some(error) => Err(error),
            None => Ok(router),
        }
    }

    pub(crate) fn add(&mut self, pattern: &str, instruments: Instruments, open: Open<S>) {
        match TopicPattern::new(pattern) {
            Ok(pattern) => self.routes.push(Route { pattern, instruments: Arc::new(instruments), open }),
            Err(error) => drop(self.error.get_or_insert(error)),
        }
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
