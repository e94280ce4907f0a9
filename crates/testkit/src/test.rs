//! One test: its endpoint, the clients that connect to it, and the mailbox of their arrivals.
//!
//! All handles of a test share it, so a client or a channel that a function returns keeps the whole test alive. Two
//! tests share nothing.

use crate::arrival::Arrival;
use crate::clock;
use crate::mailbox::{Arrivals, Mailbox, MailboxView, Scope};
use bennu_channels::pubsub::{Attachment, Publication, Sink, SubscriberId};
use bennu_channels::token::Secret;
use bennu_channels::transport::Connection;
use bennu_channels::{Broadcast, Endpoint, IntoPayload};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A test of sockets and channels. Cloning is cheap; all clones share one test.
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
/// A socket with a state requires [`ChannelTest::with_state`].
pub struct ChannelTest<T = ()> {
    shared: Arc<Shared>,
    state: Arc<T>,
}

struct Shared {
    endpoint: Endpoint,
    arrivals: Arc<Arrivals>,
    /// A client lives until the test ends or closes it, also when its handles are dropped.
    connections: Mutex<Vec<Arc<Connection>>>,
    clients: AtomicUsize,
    subscriptions: Mutex<BTreeMap<String, Attachment>>,
}

impl ChannelTest {
    /// Creates a test with a new endpoint. All tests of this kit have the same secret.
    ///
    /// Pauses the clock of the runtime: time is virtual from then on.
    ///
    /// # Panics
    /// Outside a runtime, and in one with several threads, whose clock cannot be paused.
    #[track_caller]
    #[expect(clippy::new_without_default, reason = "it pauses a clock, which no default should")]
    pub fn new() -> Self {
        let secret = Secret::new("a secret that every test may know").expect("long enough");
        ChannelTest::with_endpoint(Endpoint::new(secret))
    }

    /// Creates a test of the application's endpoint, with its PubSub, its secret and its filters.
    ///
    /// # Panics
    /// As [`ChannelTest::new`].
    #[track_caller]
    pub fn with_endpoint(endpoint: Endpoint) -> Self {
        clock::pause();
        let shared = Arc::new(Shared {
            endpoint,
            arrivals: Arc::default(),
            connections: Mutex::default(),
            clients: AtomicUsize::new(0),
            subscriptions: Mutex::default(),
        });
        ChannelTest { shared, state: Arc::new(()) }
    }
}

impl<T> ChannelTest<T> {
    /// Returns the same test for sockets with this state, as `.with_state(..)` on a mount. Tests with several states
    /// share the endpoint and the mailbox.
    pub fn with_state<U>(&self, state: U) -> ChannelTest<U> {
        ChannelTest { shared: self.shared.clone(), state: Arc::new(state) }
    }

    /// Returns the state that the test's sockets share.
    pub fn state(&self) -> &T {
        &self.state
    }

    pub(crate) fn shared_state(&self) -> Arc<T> {
        self.state.clone()
    }

    /// Returns the test without its state, as its clients keep it.
    pub(crate) fn stateless(&self) -> ChannelTest {
        self.with_state(())
    }

    /// Returns the endpoint, to broadcast, to sign tokens and to disconnect clients.
    pub fn endpoint(&self) -> &Endpoint {
        &self.shared.endpoint
    }

    /// Subscribes the test itself to a topic, once. Broadcasts on that topic then arrive in its mailbox, for
    /// [`assert_broadcast!`](crate::assert_broadcast). `subscribe_and_join` subscribes the test as well.
    pub fn subscribe(&self, topic: &str) {
        let mut subscriptions = self.shared.subscriptions.lock();
        if !subscriptions.contains_key(topic) {
            let sink = Arc::new(Subscriber { topic: topic.to_owned(), arrivals: self.shared.arrivals.clone() });
            subscriptions.insert(topic.to_owned(), self.shared.endpoint.pubsub().attach(topic, sink));
            self.shared.arrivals.add_topic(topic);
        }
    }

    /// Broadcasts to all subscribers of a topic except the test itself.
    ///
    /// # Panics
    /// When the payload cannot be broadcast.
    #[track_caller]
    pub fn broadcast_from(&self, topic: &str, event: &str, payload: impl IntoPayload) {
        let from = self.shared.subscriptions.lock().get(topic).map_or(SubscriberId::NONE, Attachment::id);
        let sent = Broadcast::new(topic, event, payload)
            .and_then(|broadcast| Ok(self.shared.endpoint.pubsub().broadcast_from(from, topic, broadcast)?));
        sent.unwrap_or_else(|error| panic!("could not broadcast {event:?} on {topic:?}: {error}"));
    }

    /// Waits until no message is in flight: every task waits for a message, or for a timer that is not due. Takes a
    /// millisecond of virtual time.
    pub async fn settle(&self) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    /// Returns the number of a new client.
    pub(crate) fn next_client(&self) -> usize {
        self.shared.clients.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn arrivals(&self) -> &Arc<Arrivals> {
        &self.shared.arrivals
    }

    /// Keeps a client connected after its handles are dropped.
    pub(crate) fn add_connection(&self, connection: Arc<Connection>) {
        self.shared.connections.lock().push(connection);
    }

    pub(crate) fn remove_connection(&self, connection: &Arc<Connection>) {
        self.shared.connections.lock().retain(|known| !Arc::ptr_eq(known, connection));
    }

    pub(crate) fn view_of(&self, scope: Scope) -> MailboxView {
        MailboxView::new(&self.shared.arrivals, scope)
    }
}

impl<T> Mailbox for ChannelTest<T> {
    fn view(&self) -> MailboxView {
        self.view_of(Scope::Test)
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
    arrivals: Arc<Arrivals>,
}

impl Sink for Subscriber {
    fn deliver(&self, publication: &Publication) {
        if let Some(sent) = publication.downcast_ref::<Broadcast>() {
            let (topic, event) = (self.topic.clone(), sent.event().to_owned());
            self.arrivals.post(|| vec![Arrival::Broadcast { topic, event, payload: sent.payload().clone() }]);
        }
    }
}
