//! A joined topic of a client, as a test holds it.

use crate::mailbox::{Inbox, Scope, View};
use crate::reply::PushRef;
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

/// See the module; from [`TestSocket::subscribe_and_join`] or [`TestSocket::join`]. Cloning is cheap and is the same
/// join.
///
/// It stays joined when it is dropped.
pub struct TestChannel<S: Socket> {
    socket: TestSocket<S>,
    topic: Arc<str>,
    join_ref: Arc<str>,
    join_reply: Payload,
}

/// How long a channel may take to answer a look at its state, in virtual time: it may be in a long callback.
const STATE_TIMEOUT: Duration = Duration::from_secs(10);

impl<S: Socket> TestChannel<S> {
    pub(crate) fn new(socket: TestSocket<S>, topic: &str, join_ref: String, join_reply: Payload) -> Self {
        TestChannel { socket, topic: topic.into(), join_ref: join_ref.into(), join_reply }
    }

    /// The topic that was joined.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The client that has joined.
    pub fn socket(&self) -> &TestSocket<S> {
        &self.socket
    }

    /// The test that it belongs to.
    pub fn test(&self) -> &ChannelTest {
        self.socket.test()
    }

    /// What the reply to the join carried.
    ///
    /// # Panics
    /// When that was binary data.
    #[track_caller]
    pub fn join_reply(&self) -> Value {
        self.join_reply.parse().unwrap_or_else(|error| panic!("the reply to the join is no JSON: {error}"))
    }

    /// Sends a message to the channel: its `handle_in` gets it. The ref is for
    /// [`assert_reply!`](crate::assert_reply).
    ///
    /// # Panics
    /// When the payload cannot be sent.
    #[track_caller]
    pub fn push(&self, event: &str, payload: impl IntoPayload) -> PushRef {
        self.socket.push(&self.join_ref, &self.topic, event, payload.into_payload())
    }

    /// Leaves the topic. The ref is for [`assert_reply!`](crate::assert_reply), which an `ok` answers.
    pub fn leave(&self) -> PushRef {
        self.push(event::LEAVE, Payload::empty())
    }

    /// The client goes away, with this channel and all its others: see [`TestSocket::close`].
    ///
    /// # Panics
    /// As [`TestSocket::close`].
    #[track_caller]
    pub fn close(&self) -> impl Future<Output = ()> {
        self.socket.close()
    }

    /// Broadcasts on the channel's topic to everybody but the test itself: this channel gets it too.
    ///
    /// # Panics
    /// When the payload cannot be broadcast.
    #[track_caller]
    pub fn broadcast_from(&self, event: &str, payload: impl IntoPayload) {
        self.test().broadcast_from(&self.topic, event, payload);
    }

    /// Sends the channel a message for its `handle_info`, as a timer or another task would. Name the channel's type:
    /// `channel.send::<RoomChannel, _>(Tick)`.
    ///
    /// # Panics
    /// When the channel has ended, or is of another type.
    #[track_caller]
    pub fn send<C: Channel<S>, M: InfoFor<S, C>>(&self, message: M) {
        if self.reference::<C>().and_then(|channel| channel.send(message)).is_err() {
            self.gone::<C>(Location::caller());
        }
    }

    /// Looks at the channel's state, once everything that was sent to it before has been handled. For the rare
    /// assertion that nothing outside can make: `channel.state(|room: &RoomChannel| room.said).await`.
    ///
    /// # Panics
    /// When the channel has ended, or is of another type; and when `look` does.
    #[track_caller]
    pub fn state<C: Channel<S>, R: Send + 'static>(
        &self,
        look: impl FnOnce(&C) -> R + Send + 'static,
    ) -> impl Future<Output = R> {
        let caller = Location::caller();
        async move {
            let Ok(channel) = self.reference::<C>() else { self.gone::<C>(caller) };
            match timeout(STATE_TIMEOUT, channel.inspect(look)).await {
                Ok(Ok(seen)) => seen,
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
        panic!("{caller}: {self:?} has ended, or is no {channel}; what arrived: {:#?}", self.mailbox())
    }
}

impl<S: Socket> Inbox for TestChannel<S> {
    fn view(&self) -> View {
        let (client, topic, join_ref) = (self.socket.client(), self.topic.clone(), self.join_ref.clone());
        self.test().look(Scope::Channel { client, topic, join_ref })
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
