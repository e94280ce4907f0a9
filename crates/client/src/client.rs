//! The client as users hold it.

use crate::channel::{Channel, Opening};
use crate::session::Session;
use crate::shared::{Hold, Shared};
use crate::{Builder, ConnectError, ConnectionState, IntoPayload, JoinError, Lost};
use futures_core::Stream;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// A connection to a Phoenix socket that comes back when it is lost.
///
/// Cloning it is cheap and makes one more handle. When the last handle is gone, channels and their pushers included, the
/// connection is closed; [`Client::disconnect`] does so now.
#[derive(Clone)]
pub struct Client {
    pub(crate) hold: Arc<Hold>,
}

impl Client {
    /// Begins to describe a client of the mount at this URL: `ws://localhost:4000/socket`. `wss`, `http` and `https` are
    /// schemes too; each goes with each [`Transport`](crate::Transport).
    pub fn builder(url: impl Into<String>) -> Builder {
        Builder::new(url.into())
    }

    /// Connects with the defaults.
    ///
    /// # Errors
    /// As [`Builder::connect`].
    pub async fn connect(url: impl Into<String>) -> Result<Self, ConnectError> {
        Client::builder(url).connect().await
    }

    pub(crate) fn new(session: Session) -> Self {
        Client { hold: Arc::new(Hold { shared: Shared::new(session) }) }
    }

    /// Joins a topic and waits for the server's answer. From then on the channel is joined again whenever it crashed or
    /// the connection was lost.
    ///
    /// A topic is joined once a connection: joining it again ends the channel that had joined it before.
    ///
    /// # Errors
    /// [`JoinError`]: refused, not answered in time, or the params cannot be written.
    ///
    /// # Cancellation
    /// A dropped join is taken back: the channel is left.
    pub async fn join(&self, topic: &str, params: impl IntoPayload) -> Result<Channel, JoinError> {
        self.channel(topic).params(params).join().await
    }

    /// Begins to describe a channel: [`Opening::join`] waits for the server, [`Opening::open`] does not.
    pub fn channel(&self, topic: impl Into<String>) -> Opening {
        Opening::new(Arc::clone(&self.hold), topic.into())
    }

    /// How the connection is doing now.
    pub fn state(&self) -> ConnectionState {
        self.hold.shared.look(|session| session.state())
    }

    /// How the latest connection ended, attempts not counted; `None` as long as none has. It stays when there is a new
    /// connection, so nobody has to be quick to see it.
    pub fn last_lost(&self) -> Option<Arc<Lost>> {
        self.hold.shared.look(|session| session.last_lost())
    }

    /// The connection's states from now on, this one first. A reader that is slow misses those in between.
    pub fn states(&self) -> States {
        States { hold: Arc::clone(&self.hold), seen: None }
    }

    /// Waits until messages flow.
    ///
    /// # Errors
    /// [`ConnectError::Disconnected`] when the client was disconnected and they never will.
    pub async fn connected(&self) -> Result<(), ConnectError> {
        let mut states = self.states();
        loop {
            match states.next().await {
                ConnectionState::Connected { .. } => return Ok(()),
                ConnectionState::Closed => return Err(ConnectError::Disconnected),
                ConnectionState::Connecting | ConnectionState::Waiting { .. } => {}
            }
        }
    }

    /// Closes the connection: what was given to be sent is sent, then the close frame (1000); waits until the server has
    /// answered it, 5 s at most. All channels end, for all handles; nothing is connected again.
    ///
    /// # Cancellation
    /// Closing goes on.
    pub async fn disconnect(&self) {
        let shared = &self.hold.shared;
        shared.act(|session| session.disconnect(Shared::now()));
        poll_fn(|cx| shared.drive(|session| session.poll_closed(cx))).await;
    }

    pub(crate) async fn first_connection(&self) -> Result<(), ConnectError> {
        poll_fn(|cx| self.hold.shared.drive(|session| session.poll_first(cx))).await
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("state", &self.state()).finish_non_exhaustive()
    }
}

/// The states of a connection, one after the other.
pub struct States {
    hold: Arc<Hold>,
    seen: Option<u64>,
}

impl States {
    /// The next state; the first one is the present. After [`ConnectionState::Closed`] there is none.
    ///
    /// # Cancellation
    /// Safe: no state is lost that would not be outdated anyway.
    pub async fn next(&mut self) -> ConnectionState {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ConnectionState> {
        self.hold.shared.drive(|session| session.poll_state(&mut self.seen, cx))
    }
}

/// Never ends.
impl Stream for States {
    type Item = ConnectionState;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ConnectionState>> {
        self.get_mut().poll(cx).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_and_futures_go_wherever_tasks_go() {
        fn goes<T: Send + Sync + 'static>() {}
        goes::<Client>();
        goes::<Channel>();
        goes::<crate::Pusher>();
        goes::<States>();
        goes::<Builder>();
        fn is_send<F: std::future::Future + Send>(_: impl FnOnce(Client) -> F) {}
        is_send(|client: Client| async move {
            let mut room = client.join("room", crate::Payload::empty()).await?;
            let _ = room.push("event", crate::Payload::empty()).await;
            room.next().await;
            room.leave().await;
            client.disconnect().await;
            Ok::<(), JoinError>(())
        });
    }
}
