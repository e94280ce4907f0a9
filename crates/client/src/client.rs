//! The client, as users hold it: it joins channels, reports the connection's state and disconnects.

use crate::channel::{ChannelBuilder, ClientChannel};
use crate::session::Session;
use crate::shared::{Handle, Shared};
use crate::{ClientBuilder, ConnectError, ConnectionError, ConnectionState, IntoPayload, JoinError};
use futures_core::Stream;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// A connection to a Phoenix socket that reconnects after it is lost.
///
/// A clone is one more handle of the same client, and cheap. When the last handle is dropped, channels and their
/// senders included, the client closes the connection; [`Client::disconnect`] closes it now.
#[derive(Clone)]
pub struct Client {
    pub(crate) handle: Arc<Handle>,
}

impl Client {
    /// Returns a builder for a client of the mount at this URL, such as `ws://localhost:4000/socket`. The schemes are
    /// `ws`, `wss`, `http` and `https`; each works with each [`Transport`](crate::Transport).
    pub fn builder(url: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(url.into())
    }

    /// Connects with the default settings.
    ///
    /// # Errors
    /// As [`ClientBuilder::connect`].
    pub async fn connect(url: impl Into<String>) -> Result<Self, ConnectError> {
        Client::builder(url).connect().await
    }

    pub(crate) fn new(session: Session) -> Self {
        Client { handle: Arc::new(Handle { shared: Shared::new(session) }) }
    }

    /// Joins a topic and waits for the server's reply. After a crash of the channel or the loss of the connection, the
    /// client joins the channel again.
    ///
    /// A client has one channel for each topic: a second join of a topic ends the first channel.
    ///
    /// # Errors
    /// [`JoinError`]: the server refused, did not reply in time, or the wire cannot carry the params.
    ///
    /// # Cancellation
    /// Dropping the future leaves the channel.
    pub async fn join(&self, topic: &str, params: impl IntoPayload) -> Result<ClientChannel, JoinError> {
        self.channel(topic).params(params).join().await
    }

    /// Returns a builder for a channel. [`ChannelBuilder::join`] waits for the server's reply, [`ChannelBuilder::open`]
    /// does not.
    pub fn channel(&self, topic: impl Into<String>) -> ChannelBuilder {
        ChannelBuilder::new(Arc::clone(&self.handle), topic.into())
    }

    /// Returns the current state of the connection.
    pub fn state(&self) -> ConnectionState {
        self.handle.shared.access(|session| session.state())
    }

    /// Returns how the latest connection ended; `None` before a connection has ended. Failed attempts do not count. The
    /// error stays available after the client has reconnected.
    pub fn last_error(&self) -> Option<Arc<ConnectionError>> {
        self.handle.shared.access(|session| session.last_error())
    }

    /// Returns the states of the connection from now on, the current one first. A slow reader misses intermediate
    /// states.
    pub fn states(&self) -> States {
        States { handle: Arc::clone(&self.handle), seen: None }
    }

    /// Waits until the connection is open.
    ///
    /// # Errors
    /// [`ConnectError::Disconnected`] when the client was disconnected for good.
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

    /// Closes the connection for good: sends the queued messages, then a close frame (1000), and waits for the server's
    /// close frame, 5 s at most. All channels of all handles end.
    ///
    /// # Cancellation
    /// After the future is dropped, the client still disconnects.
    pub async fn disconnect(&self) {
        let shared = &self.handle.shared;
        shared.command(|session| session.disconnect(Shared::now()));
        poll_fn(|cx| shared.update(|session| session.poll_closed(cx))).await;
    }

    pub(crate) async fn first_attempt(&self) -> Result<(), ConnectError> {
        poll_fn(|cx| self.handle.shared.update(|session| session.poll_first_attempt(cx))).await
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("state", &self.state()).finish_non_exhaustive()
    }
}

/// The states of a connection, one after another. It is a [`Stream`] too. Created by [`Client::states`].
pub struct States {
    handle: Arc<Handle>,
    seen: Option<u64>,
}

impl States {
    /// Returns the next state; the first one is the current state. No state follows [`ConnectionState::Closed`]: the
    /// future then never completes.
    ///
    /// # Cancellation
    /// Safe: the next call returns the newest state.
    pub async fn next(&mut self) -> ConnectionState {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ConnectionState> {
        self.handle.shared.update(|session| session.poll_state(&mut self.seen, cx))
    }
}

/// The stream never ends.
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
    fn handles_and_futures_can_move_between_tasks() {
        fn is_send_and_sync<T: Send + Sync + 'static>() {}
        is_send_and_sync::<Client>();
        is_send_and_sync::<ClientChannel>();
        is_send_and_sync::<crate::ChannelSender>();
        is_send_and_sync::<States>();
        is_send_and_sync::<ClientBuilder>();
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
