//! A channel of a test: one joined topic of one client.

use crate::mailbox::{Mailbox, MailboxView, Scope};
use crate::push_ref::PushRef;
use crate::socket::TestSocket;
use crate::test::ChannelTest;
use bennu_channels::protocol::event;
use bennu_channels::{Channel, ChannelGone, ChannelRef, InfoFor, IntoPayload, Payload, Socket};
use serde_json::Value;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// A joined channel, from [`TestSocket::subscribe_and_join`] or [`TestSocket::join`]. Cloning is cheap; all clones are
/// the same join.
///
/// The channel stays joined when its handles are dropped.
pub struct TestChannel<S: Socket> {
    socket: TestSocket<S>,
    topic: Arc<str>,
    join_ref: Arc<str>,
    join_reply: Payload,
}

/// The longest wait for a read of a channel's state, in virtual time: the channel may be in a long callback.
const STATE_TIMEOUT: Duration = Duration::from_secs(10);

impl<S: Socket> TestChannel<S> {
    pub(crate) fn new(socket: TestSocket<S>, topic: &str, join_ref: String, join_reply: Payload) -> Self {
        TestChannel { socket, topic: topic.into(), join_ref: join_ref.into(), join_reply }
    }

    /// Returns the topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Returns the client that has joined.
    pub fn socket(&self) -> &TestSocket<S> {
        &self.socket
    }

    /// Returns the test of this channel.
    pub fn test(&self) -> &ChannelTest {
        self.socket.test()
    }

    /// Returns the payload of the reply to the join.
    ///
    /// # Panics
    /// When the payload is binary data.
    #[track_caller]
    pub fn join_reply(&self) -> Value {
        self.join_reply.parse().unwrap_or_else(|error| panic!("the reply to the join is not JSON: {error}"))
    }

    /// Sends a message to the channel's `handle_in`. Returns its ref, for [`assert_reply!`](crate::assert_reply).
    ///
    /// # Panics
    /// When the payload cannot be sent.
    #[track_caller]
    pub fn push(&self, event: &str, payload: impl IntoPayload) -> PushRef {
        self.socket.push(&self.join_ref, &self.topic, event, payload.into_payload())
    }

    /// Leaves the topic. Returns the ref of the message, whose reply is `ok`; see
    /// [`assert_reply!`](crate::assert_reply).
    pub fn leave(&self) -> PushRef {
        self.push(event::LEAVE, Payload::empty())
    }

    /// Disconnects the client, with all its channels; see [`TestSocket::close`].
    ///
    /// # Panics
    /// As [`TestSocket::close`].
    #[track_caller]
    pub fn close(&self) -> impl Future<Output = ()> {
        self.socket.close()
    }

    /// Broadcasts on the channel's topic to all subscribers except the test itself. This channel receives the broadcast
    /// too.
    ///
    /// # Panics
    /// When the payload cannot be broadcast.
    #[track_caller]
    pub fn broadcast_from(&self, event: &str, payload: impl IntoPayload) {
        self.test().broadcast_from(&self.topic, event, payload);
    }

    /// Sends a message to the channel's `handle_info`, as a timer or another task does. The type of the channel is a
    /// type argument: `channel.send::<RoomChannel, _>(Tick)`.
    ///
    /// # Panics
    /// When the channel has ended, or is of another type.
    #[track_caller]
    pub fn send<C: Channel<S>, M: InfoFor<S, C>>(&self, message: M) {
        if self.reference::<C>().and_then(|channel| channel.send(message)).is_err() {
            self.gone::<C>(Location::caller());
        }
    }

    /// Reads the channel's state, after the channel has handled all earlier messages. Use it for the rare assertion
    /// that is not possible from outside: `channel.state(|room: &RoomChannel| room.messages).await`.
    ///
    /// # Panics
    /// When the channel has ended, when it is of another type, and when `read` panics.
    #[track_caller]
    pub fn state<C: Channel<S>, R: Send + 'static>(
        &self,
        read: impl FnOnce(&C) -> R + Send + 'static,
    ) -> impl Future<Output = R> {
        let caller = Location::caller();
        async move {
            let Ok(channel) = self.reference::<C>() else { self.gone::<C>(caller) };
            match timeout(STATE_TIMEOUT, channel.inspect(read)).await {
                Ok(Ok(value)) => value,
                Ok(Err(ChannelGone)) => self.gone::<C>(caller),
                Err(_) => panic!("{caller}: {self:?} is still in a callback after {STATE_TIMEOUT:?}"),
            }
        }
    }

    fn reference<C: Channel<S>>(&self) -> Result<ChannelRef<S, C>, ChannelGone> {
        self.socket.connection().channel(&self.topic).ok_or(ChannelGone)
    }

    fn gone<C>(&self, caller: &Location<'_>) -> ! {
        let channel = std::any::type_name::<C>();
        panic!("{caller}: {self:?} has ended, or is not a {channel}; arrivals: {:#?}", self.mailbox())
    }
}

impl<S: Socket> Mailbox for TestChannel<S> {
    fn view(&self) -> MailboxView {
        let (client, topic, join_ref) = (self.socket.client(), self.topic.clone(), self.join_ref.clone());
        self.test().view_of(Scope::Channel { client, topic, join_ref })
    }
}

impl<S: Socket> Clone for TestChannel<S> {
    fn clone(&self) -> Self {
        TestChannel {
            socket: self.socket.clone(),
            topic: self.topic.clone(),
            join_ref: self.join_ref.clone(),
            join_reply: self.join_reply.clone(),
        }
    }
}

impl<S: Socket> fmt::Debug for TestChannel<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the channel {:?} of {:?}", self.topic, self.socket)
    }
}
