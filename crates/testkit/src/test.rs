//! One test: an endpoint of its own, the clients that connect to it, and the mailbox in which everything arrives.
//!
//! Handles share it: a client or a channel that a function returns keeps the whole test alive. Nothing is shared between
//! two tests.

use crate::arrival::Arrival;
use crate::clock;
use crate::mailbox::{Inbox, Mailbox, Scope, View};
use bennu_channels::pubsub::{Attachment, Delivery, Sink, SubscriberId};
use bennu_channels::token::Secret;
use bennu_channels::{Broadcast, Connection, Endpoint, IntoPayload};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// See the module. Cloning is cheap and shares everything.
///
/// ```
/// use bennu_testkit::prelude::*;
/// # use bennu_channels::prelude::*;
/// # struct PingChannel;
/// # impl<S: Socket> Channel<S> for PingChannel {
/// #     async fn join(_: &str, _: Payload, _: &mut Context<S, Self>) -> Joined<Self> { accept(PingChannel) }
/// #     async fn handle_in(&mut self, _: &str, _: Payload, _: &mut Context<S, Self>) -> Handled {
/// #         reply_ok(json!({ "ping": "pong" }))
/// #     }
/// # }
/// # struct UserSocket;
/// # impl Socket for UserSocket {
/// #     type State = ();
/// #     async fn connect(_: Connect) -> Result<Self, Refusal> { Ok(UserSocket) }
/// #     fn channels(router: &mut ChannelRouter<Self>) { router.channel::<PingChannel>("ping"); }
/// # }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// // In a #[tokio::test]:
/// let test = ChannelTest::new();
/// let channel = test.socket(UserSocket).subscribe_and_join("ping", json!({})).await.unwrap();
/// let reference = channel.push("ping", json!({}));
/// assert_reply!(reference, ok, json!({ "ping": "pong" }));
/// # }
/// ```
///
/// A socket that names a state is tested with [`ChannelTest::with_state`].
pub struct ChannelTest<T = ()> {
    shared: Arc<Shared>,
    state: Arc<T>,
}

struct Shared {
    endpoint: Endpoint,
    mailbox: Arc<Mailbox>,
    /// Clients live until the test ends or closes them, as they would without anybody holding on to them.
    connections: Mutex<Vec<Arc<Connection>>>,
    clients: AtomicUsize,
    subscriptions: Mutex<BTreeMap<String, Attachment>>,
}

impl ChannelTest {
    /// A test with an endpoint of its own, and a secret that all tests of this kit share.
    ///
    /// Stops the clock of the runtime: from here on time is virtual.
    ///
    /// # Panics
    /// Outside a runtime, and in one with several threads, whose clock cannot be stopped.
    #[track_caller]
    #[expect(clippy::new_without_default, reason = "it stops a clock, which no default should")]
    pub fn new() -> Self {
        let secret = Secret::new("a secret that every test may know").expect("long enough");
        ChannelTest::with_endpoint(Endpoint::new(secret))
    }

    /// A test of an endpoint that is the application's: with its PubSub, its secret or its filters.
    ///
    /// # Panics
    /// As [`ChannelTest::new`].
    #[track_caller]
    pub fn with_endpoint(endpoint: Endpoint) -> Self {
        clock::stop();
        let shared = Arc::new(Shared {
            endpoint,
            mailbox: Arc::default(),
            connections: Mutex::default(),
            clients: AtomicUsize::new(0),
            subscriptions: Mutex::default(),
        });
        ChannelTest { shared, state: Arc::new(()) }
    }
}

impl<T> ChannelTest<T> {
    /// The same test, for sockets with this state: as `.with_state(..)` on a mount. Tests with several states share the
    /// endpoint and the mailbox.
    pub fn with_state<U>(&self, state: U) -> ChannelTest<U> {
        ChannelTest { shared: self.shared.clone(), state: Arc::new(state) }
    }

    /// The state that its sockets share.
    pub fn state(&self) -> &T {
        &self.state
    }

    pub(crate) fn shared_state(&self) -> Arc<T> {
        self.state.clone()
    }

    /// The test without its state, which its clients keep.
    pub(crate) fn stateless(&self) -> ChannelTest {
        self.with_state(())
    }

    /// The endpoint: to broadcast with, to sign tokens, to disconnect.
    pub fn endpoint(&self) -> &Endpoint {
        &self.shared.endpoint
    }

    /// Subscribes the test itself to a topic, once: what is broadcast there arrives in its mailbox, for
    /// [`assert_broadcast!`](crate::assert_broadcast). Joining with `subscribe_and_join` does it too.
    pub fn subscribe(&self, topic: &str) {
        let mut subscriptions = self.shared.subscriptions.lock();
        if !subscriptions.contains_key(topic) {
            let sink = Arc::new(Subscriber { topic: topic.to_owned(), mailbox: self.shared.mailbox.clone() });
            subscriptions.insert(topic.to_owned(), self.shared.endpoint.pubsub().attach(topic, sink));
            self.shared.mailbox.subscribed(topic);
        }
    }

    /// Broadcasts to everybody on a topic but the test itself.
    ///
    /// # Panics
    /// When the payload cannot be broadcast.
    #[track_caller]
    pub fn broadcast_from(&self, topic: &str, event: &str, payload: impl IntoPayload) {
        let from = self.shared.subscriptions.lock().get(topic).map_or(SubscriberId::NONE, Attachment::id);
        let sent = Broadcast::new(topic, event, payload)
            .and_then(|broadcast| Ok(self.shared.endpoint.pubsub().broadcast_from(from, topic, broadcast)?));
        sent.unwrap_or_else(|error| panic!("{event:?} cannot be broadcast on {topic:?}: {error}"));
    }

    /// Returns when nothing is in flight any more: every task waits for a timer that is not due yet, or for a message.
    /// Takes a millisecond of virtual time.
    pub async fn settle(&self) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    /// The number of one more client.
    pub(crate) fn next_client(&self) -> usize {
        self.shared.clients.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn mailbox(&self) -> &Arc<Mailbox> {
        &self.shared.mailbox
    }

    /// Keeps a client connected whose handles are dropped.
    pub(crate) fn keep(&self, connection: Arc<Connection>) {
        self.shared.connections.lock().push(connection);
    }

    pub(crate) fn forget(&self, connection: &Arc<Connection>) {
        self.shared.connections.lock().retain(|known| !Arc::ptr_eq(known, connection));
    }

    pub(crate) fn look(&self, scope: Scope) -> View {
        View::new(&self.shared.mailbox, scope)
    }
}

impl<T> Inbox for ChannelTest<T> {
    fn view(&self) -> View {
        self.look(Scope::Everything)
    }
}

impl<T> Clone for ChannelTest<T> {
    fn clone(&self) -> Self {
        ChannelTest { shared: self.shared.clone(), state: self.state.clone() }
    }
}

impl<T> std::fmt::Debug for ChannelTest<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ChannelTest({:?})", self.shared.endpoint)
    }
}

/// The test as a subscriber of a topic.
struct Subscriber {
    topic: String,
    mailbox: Arc<Mailbox>,
}

impl Sink for Subscriber {
    fn deliver(&self, delivery: &Delivery) {
        if let Some(sent) = delivery.downcast_ref::<Broadcast>() {
            let (topic, event) = (self.topic.clone(), sent.event().to_owned());
            self.mailbox.post(|| vec![Arrival::Broadcast { topic, event, payload: sent.payload().clone() }]);
        }
    }
}
