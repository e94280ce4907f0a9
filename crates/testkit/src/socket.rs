//! A client of a test: one connection, over a transport that puts all frames into the test's mailbox.

use crate::arrival::Arrival;
use crate::assertion::TIMEOUT;
use crate::mailbox::{Mailbox, MailboxView, Scope};
use crate::push_ref::PushRef;
use crate::test::ChannelTest;
use bennu_channels::protocol::{Close, Frame, FrameKind, Inbound, Name, Ref, client};
use bennu_channels::transport::Connection;
use bennu_channels::{Payload, SHUTDOWN_TIMEOUT, Socket};
use std::borrow::Cow;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A connected client, from [`ChannelTest::connect`] or [`ChannelTest::socket`]. Cloning is cheap; all clones are the
/// same client.
///
/// The client stays connected when its handles are dropped. [`TestSocket::close`] disconnects it.
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

    /// Returns the id of the socket at the time of the connection.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Returns the result of `connect`, which all channels of this client share.
    pub fn state(&self) -> &S {
        &self.state
    }

    /// Returns the test of this client.
    pub fn test(&self) -> &ChannelTest {
        &self.test
    }

    /// Disconnects the client. Returns when all its channels have ended.
    ///
    /// # Panics
    /// When a channel has not ended after 10 s of virtual time: a callback, and then `terminate`, may take 5 s each.
    #[track_caller]
    pub fn close(&self) -> impl Future<Output = ()> {
        let caller = Location::caller();
        async move {
            self.connection.finish();
            self.test.remove_connection(&self.connection);
            let timeout = 2 * SHUTDOWN_TIMEOUT;
            let deadline = Instant::now() + timeout;
            while self.connection.channel_count() > 0 {
                assert!(
                    Instant::now() <= deadline,
                    "{caller}: {self:?} has channels that did not end within {timeout:?}"
                );
                sleep(Duration::from_millis(1)).await;
            }
        }
    }

    /// Waits until the server closes this client, and returns the reason.
    ///
    /// # Panics
    /// When the server does not close it within 100 ms.
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
                None => panic!("{caller}: {self:?} was not closed within {TIMEOUT:?}; arrivals: {:#?}", self.mailbox()),
            }
        }
    }

    #[track_caller]
    pub(crate) fn push(&self, join_ref: &str, topic: &str, event: &str, payload: Payload) -> PushRef {
        let reference = self.next_ref();
        self.send(join_ref, &reference, topic, event, payload);
        let scope = Scope::Channel { client: self.client, topic: topic.into(), join_ref: join_ref.into() };
        PushRef::new(self.test.view_of(scope), reference)
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
            .unwrap_or_else(|error| panic!("could not send {event:?} to {topic:?}: {error}"));
        let frame = match kind {
            FrameKind::Text => Frame::Text(std::str::from_utf8(&bytes).expect("a text frame is UTF-8")),
            FrameKind::Binary => Frame::Binary(&bytes),
        };
        self.connection.receive(frame).expect("the server decodes every message that the client encodes");
        self.connection.flush();
    }
}

impl<S: Socket> Mailbox for TestSocket<S> {
    fn view(&self) -> MailboxView {
        self.test.view_of(Scope::Client(self.client))
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
