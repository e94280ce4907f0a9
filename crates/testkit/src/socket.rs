//! A client of a test: one connection, over a transport that is a mailbox.

use crate::arrival::Arrival;
use crate::assertion::TIMEOUT;
use crate::mailbox::{Inbox, Scope, View};
use crate::reply::PushRef;
use crate::test::ChannelTest;
use bennu_channels::protocol::{Close, Frame, FrameKind, Inbound, Name, Ref, client};
use bennu_channels::{Connection, Payload, SHUTDOWN_TIMEOUT, Socket};
use std::borrow::Cow;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// See the module; from [`ChannelTest::connect`] or [`ChannelTest::socket`]. Cloning is cheap and is the same client.
///
/// It stays connected when it is dropped; [`TestSocket::close`] ends it.
pub struct TestSocket<S: Socket> {
    test: ChannelTest,
    client: usize,
    id: Option<Arc<str>>,
    state: Arc<S>,
    connection: Arc<Connection>,
    next_ref: Arc<AtomicU64>,
}

impl<S: Socket> TestSocket<S> {
    pub(crate) fn new(
        test: ChannelTest,
        client: usize,
        id: Option<String>,
        state: Arc<S>,
        connection: Arc<Connection>,
    ) -> Self {
        let next_ref = Arc::new(AtomicU64::new(1));
        TestSocket { test, client, id: id.map(Arc::from), state, connection, next_ref }
    }

    /// The socket's id, as it was when it connected.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// What `connect` returned, and every channel of this client sees.
    pub fn state(&self) -> &S {
        &self.state
    }

    /// The test that it belongs to.
    pub fn test(&self) -> &ChannelTest {
        &self.test
    }

    /// The client goes away. Returns when all its channels have ended.
    ///
    /// # Panics
    /// When they have not ended 10 s later, in virtual time: a callback, and then `terminate`, have 5 s each.
    #[track_caller]
    pub fn close(&self) -> impl Future<Output = ()> {
        let caller = Location::caller();
        async move {
            self.connection.finish();
            self.test.forget(&self.connection);
            let deadline = Instant::now() + 2 * SHUTDOWN_TIMEOUT;
            while self.connection.channel_count() > 0 {
                assert!(Instant::now() <= deadline, "{caller}: {self:?} has channels that do not end");
                sleep(Duration::from_millis(1)).await;
            }
        }
    }

    /// Why the server closes this client; waits for that.
    ///
    /// # Panics
    /// When it does not within 100 ms of virtual time.
    #[track_caller]
    pub fn closed(&self) -> impl Future<Output = Close> {
        let caller = Location::caller();
        async move {
            let view = self.view();
            let closed = view.take(TIMEOUT, |arrival| match arrival {
                Arrival::Closed { reason, .. } => Some(reason.clone()),
                _ => None,
            });
            match closed.await {
                Some(reason) => reason,
                None => panic!("{caller}: {self:?} was not closed; what arrived: {:#?}", self.mailbox()),
            }
        }
    }

    #[track_caller]
    pub(crate) fn push(&self, join_ref: &str, topic: &str, event: &str, payload: Payload) -> PushRef {
        let reference = self.next_ref();
        self.send(join_ref, &reference, topic, event, payload);
        let scope = Scope::Channel { client: self.client, topic: topic.into(), join_ref: join_ref.into() };
        PushRef::new(self.test.look(scope), reference)
    }

    pub(crate) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    pub(crate) fn client(&self) -> usize {
        self.client
    }

    pub(crate) fn next_ref(&self) -> String {
        self.next_ref.fetch_add(1, Ordering::Relaxed).to_string()
    }

    #[track_caller]
    pub(crate) fn send(&self, join_ref: &str, reference: &str, topic: &str, event: &str, payload: Payload) {
        let message = Inbound {
            join_ref: Ref::text(join_ref),
            reference: Ref::text(reference),
            topic: Name::Text(Cow::Borrowed(topic)),
            event: Name::Text(Cow::Borrowed(event)),
            payload,
        };
        let mut bytes = Vec::new();
        let kind = client::encode(&message, &mut bytes)
            .unwrap_or_else(|error| panic!("{event:?} cannot be sent to {topic:?}: {error}"));
        let frame = match kind {
            FrameKind::Text => Frame::Text(std::str::from_utf8(&bytes).expect("a text frame is UTF-8")),
            FrameKind::Binary => Frame::Binary(&bytes),
        };
        self.connection.receive(frame).expect("what the protocol's client encodes, its server decodes");
        self.connection.flush();
    }
}

impl<S: Socket> Inbox for TestSocket<S> {
    fn view(&self) -> View {
        self.test.look(Scope::Client(self.client))
    }
}

impl<S: Socket> Clone for TestSocket<S> {
    fn clone(&self) -> Self {
        TestSocket {
            test: self.test.clone(),
            client: self.client,
            id: self.id.clone(),
            state: self.state.clone(),
            connection: self.connection.clone(),
            next_ref: self.next_ref.clone(),
        }
    }
}

impl<S: Socket> fmt::Debug for TestSocket<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client {}", self.client)?;
        self.id.as_ref().map_or(Ok(()), |id| write!(f, " ({id})"))
    }
}
