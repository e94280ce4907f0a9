//! The channel router of a socket: topic patterns in the order of registration, each with the channel that it opens.
//!
//! [`Socket::channels`] fills it when the socket is mounted; the session looks a topic up for each join.

use crate::connection::{Connection, SessionChannel};
use crate::socket::Socket;
use crate::telemetry::Instruments;
use bennu_protocol::{PatternError, TopicPattern};
use std::sync::Arc;

/// The routes of a socket, from topic patterns to channels. The first pattern that matches counts.
///
/// A pattern is a topic (`lobby`), a prefix (`room:*`), or has named parts (`room:{id}`), which
/// [`Context::topic_part`](crate::Context::topic_part) reads.
///
/// ```
/// # use bennu_channels::prelude::*;
/// # struct UserSocket;
/// # struct LobbyChannel;
/// # struct RoomChannel;
/// # impl<S: Socket> Channel<S> for LobbyChannel {
/// #     async fn join(_: &str, _: Payload, _: &mut Context<S, Self>) -> Joined<Self> { accept(LobbyChannel) }
/// # }
/// # impl<S: Socket> Channel<S> for RoomChannel {
/// #     async fn join(_: &str, _: Payload, _: &mut Context<S, Self>) -> Joined<Self> { accept(RoomChannel) }
/// # }
/// # impl Socket for UserSocket {
/// #     type State = ();
/// #     async fn connect(_: Connect) -> Result<Self, Refusal> { Ok(UserSocket) }
/// fn channels(router: &mut ChannelRouter<Self>) {
///     router.channel::<LobbyChannel>("lobby").channel::<RoomChannel>("room:{id}");
/// }
/// # }
/// ```
pub struct ChannelRouter<S: Socket> {
    routes: Vec<Arc<Route<S>>>,
    state: Arc<S::State>,
    /// [`PatternError`] of the first pattern that is not a route.
    error: Option<PatternError>,
}

impl<S: Socket> ChannelRouter<S> {
    /// Builds the routes of a socket, for channels that share this state.
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

    /// Adds a route. The error of a pattern that is not a route becomes the error of the mount.
    pub(crate) fn add(&mut self, pattern: &str, instruments: Instruments, open: Open<S>) {
        match TopicPattern::new(pattern) {
            Ok(pattern) => {
                let state = self.state.clone();
                self.routes.push(Arc::new(Route { pattern, instruments, state, open }));
            }
            Err(error) => drop(self.error.get_or_insert(error)),
        }
    }

    /// Makes the handle of a channel for a topic; `None` when no route matches.
    pub(crate) fn open(
        &self,
        topic: &str,
        socket: &Arc<S>,
        connection: &Arc<Connection>,
    ) -> Option<Arc<dyn SessionChannel>> {
        let route = self.routes.iter().find(|route| route.pattern.matches(topic))?;
        Some((route.open)(socket.clone(), connection.clone(), route.clone()))
    }
}

/// A pattern and its channel. It is made once when a socket is mounted; each channel that it opens has a reference.
pub(crate) struct Route<S: Socket> {
    pub(crate) pattern: TopicPattern,
    pub(crate) instruments: Instruments,
    /// The state of the socket's mount.
    pub(crate) state: Arc<S::State>,
    pub(crate) open: Open<S>,
}

/// Opens a channel. The function erases the channel's type.
pub(crate) type Open<S> = fn(Arc<S>, Arc<Connection>, Arc<Route<S>>) -> Arc<dyn SessionChannel>;
