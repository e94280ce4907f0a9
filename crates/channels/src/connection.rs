//! One client's connection: the session behind a lock, the way back, and the carrying out of what the session says.
//!
//! A transport makes one with [`Connected::open`], feeds it with [`Connection::receive`], drains its [`Outbox`] and
//! calls [`Connection::finish`] once. Actors report here too. Invariants: the session's actions are carried out under
//! its lock, so that they keep its order; nothing done under it waits or runs user code.

use crate::admission::Newcomer;
use crate::broadcast::Broadcast;
use crate::encoding::Encoding;
use crate::endpoint::{self, Backlog, Endpoint, Registration, Upgrading};
use crate::outbox::{Drainer, Outbox, Taken};
use crate::session::{Action, Actions, End, Ended, Incoming, Join, JoinId, Session, Unheard};
use crate::telemetry::SocketInstruments;
use bennu_protocol::{Close, DecodeError, EncodeError, Frame, Outbound, Payload, Ref, event};
use bennu_pubsub::{Attachment, Delivery, Sink};
use bytes::Bytes;
use parking_lot::Mutex;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

/// A channel as its session knows it.
pub(crate) trait ChannelHandle: Send + Sync {
    /// Runs the join, once.
    fn start(self: Arc<Self>, join: Box<Join>);
    /// Queues a message behind the join and what came before.
    fn deliver(&self, message: Incoming);
    /// Queues the end.
    fn end(&self, end: End);
    /// Ready when its task waits, or else has come back to its mailbox once; `watched` is false at first.
    fn poll_look_up(&self, cx: &mut Context<'_>, watched: &mut bool) -> Poll<()>;
    /// Bytes that wait in its mailbox.
    fn waiting_bytes(&self) -> usize;
    /// Itself, for who knows its type.
    #[cfg(feature = "testkit")]
    fn as_any(self: Arc<Self>) -> Arc<dyn std::any::Any + Send + Sync>;
}

/// A connected socket with its type erased: opens channels.
pub(crate) trait Opener: Send + Sync {
    fn open(&self, topic: &str, connection: &Arc<Connection>) -> Option<Arc<dyn ChannelHandle>>;
    /// The socket, for who knows its type.
    #[cfg(feature = "testkit")]
    fn socket(&self) -> Arc<dyn std::any::Any + Send + Sync>;
}

/// Bounds of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Channels that may be joined at once. Phoenix's default: 100.
    pub max_channels: usize,
    /// Bytes that may wait for a client to read them, before it is closed as too slow. Default 4 MiB: a few of the
    /// largest usual messages, and a thousand slow clients cost no more than 4 GiB.
    pub outbox_bytes: usize,
    /// Bytes that may wait for one channel, before it crashes. Default 1 MiB.
    pub mailbox_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { max_channels: 100, outbox_bytes: 4 << 20, mailbox_bytes: 1 << 20 }
    }
}

/// What all connections of one mounted socket share.
pub(crate) struct Common {
    pub(crate) limits: Limits,
    pub(crate) instruments: SocketInstruments,
}

/// A client that `connect` has accepted, before its transport is up.
pub struct Connected {
    pub(crate) opener: Arc<dyn Opener>,
    pub(crate) id: Option<String>,
    pub(crate) endpoint: Endpoint,
    pub(crate) common: Arc<Common>,
    pub(crate) upgrading: Upgrading,
    /// `None` where nobody asked to be let in, as in a test.
    pub(crate) newcomer: Option<Newcomer>,
    /// Why it is closed at once.
    pub(crate) refused: Option<String>,
}

impl Connected {
    /// The socket's id.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The connection, once the transport can carry messages; `drainer` is told when the outbox has something.
    pub fn open(self, encoding: Encoding, drainer: Arc<dyn Drainer>) -> Arc<Connection> {
        let Connected { opener, id, endpoint, common, upgrading, newcomer, refused } = self;
        let connection = Arc::new(Connection {
            session: Mutex::new(Session::new(common.limits.max_channels)),
            outbox: Outbox::new(common.limits.outbox_bytes, drainer),
            received: AtomicU32::new(0),
            encoding,
            opener,
            common,
            registration: Mutex::new(None),
            identity: Mutex::new(None),
            newcomer: Mutex::new(newcomer),
            endpoint,
        });
        if let Some(id) = id {
            let disconnector = Arc::new(Disconnector(Arc::downgrade(&connection)));
            *connection.identity.lock() = Some(Box::new(connection.endpoint.pubsub().attach(&id, disconnector)));
        }
        let registered: Weak<dyn endpoint::Registered> = Arc::downgrade(&connection) as _;
        *connection.registration.lock() = Some(connection.endpoint.register(registered));
        if let Some(reason) = refused {
            connection.close(Close::Refused(reason));
        } else if connection.endpoint.is_draining() {
            // It came too late for the drain's list.
            connection.close(Close::Restart);
        }
        drop(upgrading);
        connection
    }
}

/// See the module.
pub struct Connection {
    session: Mutex<Session<Arc<dyn ChannelHandle>>>,
    outbox: Outbox,
    /// Messages that were received and are not counted yet.
    received: AtomicU32,
    encoding: Encoding,
    opener: Arc<dyn Opener>,
    common: Arc<Common>,
    /// Our place among the endpoint's connections.
    registration: Mutex<Option<Registration>>,
    /// The subscription to the socket's id.
    identity: Mutex<Option<Box<Attachment>>>,
    /// Until its first join has been answered.
    newcomer: Mutex<Option<Newcomer>>,
    endpoint: Endpoint,
}

impl Connection {
    /// A frame from the client. After the last one that has arrived, the transport calls [`Connection::flush`].
    ///
    /// # Errors
    /// [`DecodeError`] when it is no message of the negotiated version. A WebSocket then closes with
    /// [`Close::BadMessage`]; a long-poll request is answered with what is wrong.
    pub fn receive(self: &Arc<Self>, frame: Frame<'_>) -> Result<(), DecodeError> {
        self.hear(frame)?;
        Ok(())
    }

    /// As [`Connection::receive`] and [`Connection::flush`], for a message that came together with others but was sent by
    /// itself: returns when its channel has handled it, or its handler waits for something. What a client asks two channels
    /// in this way is answered in that order, as if it had arrived one by one.
    ///
    /// # Errors
    /// As [`Connection::receive`].
    pub async fn receive_in_turn(self: &Arc<Self>, frame: Frame<'_>) -> Result<(), DecodeError> {
        let heard = self.hear(frame);
        self.flush();
        let Some(handle) = heard? else { return Ok(()) };
        // Back once, the channel's task has taken it, and back twice, handled it.
        for _ in 0..2 {
            let mut watched = false;
            poll_fn(|cx| handle.poll_look_up(cx, &mut watched)).await;
        }
        Ok(())
    }

    /// Takes a frame in; returns the channel that has it in its mailbox now.
    fn hear(self: &Arc<Self>, frame: Frame<'_>) -> Result<Option<Arc<dyn ChannelHandle>>, DecodeError> {
        let message = self.encoding.serializer.decode(frame).inspect_err(|error| {
            metrics::counter!("bennu.socket.bad_messages").increment(1);
            tracing::warn!(%error, "a client sent what is no message");
        })?;
        // One transport calls, so nothing is lost between the two.
        self.received.store(self.received.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        Ok(self.step(|session| session.receive(message, |topic| self.opener.open(topic, self))))
    }

    /// The frames that have arrived are handed on: they are counted, and what was held meanwhile is told of.
    pub fn flush(&self) {
        let received = self.received.load(Ordering::Relaxed);
        if received > 0 {
            self.received.store(0, Ordering::Relaxed);
            self.common.instruments.messages_in.increment(received.into());
        }
        self.outbox.flush();
    }

    /// What waits for this client.
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// [`Outbox::take`] for the transport: what it takes is counted as sent.
    pub fn take(&self, frames: &mut Vec<Bytes>, max: usize) -> Taken {
        let before = frames.len();
        let taken = self.outbox.take(frames, max);
        let messages = frames.len() - before;
        if messages > 0 {
            self.common.instruments.messages_out.increment(messages as u64);
        }
        taken
    }

    /// Ends the connection: every channel ends now, and what still comes from the client is not heard; what has been
    /// said to it is written, and then the reason.
    pub fn close(&self, reason: Close) {
        self.outbox.close(reason);
        self.step(Session::close);
    }

    /// The transport is gone.
    pub fn finish(&self) {
        self.outbox.finish();
        *self.identity.lock() = None;
        *self.registration.lock() = None;
        self.arrived();
        self.step(Session::close);
    }

    pub(crate) fn joined(&self, id: &JoinId, reference: Ref, response: Payload) {
        self.step(|session| session.joined(id, reference, response));
        self.arrived();
    }

    pub(crate) fn refused(&self, id: &JoinId, reference: Ref, response: Payload, unheard: Unheard) {
        self.step(|session| session.refused(id, reference, response, unheard));
        self.arrived();
    }

    pub(crate) fn exited(&self, id: &JoinId, exit: Ended) {
        self.step(|session| session.exited(id, exit));
    }

    /// Queues a message. Whoever sends flushes before it waits: the transport after a read ([`Connection::flush`]), an actor
    /// before it suspends.
    pub(crate) fn send(&self, message: &Outbound<'_>) -> Result<(), EncodeError> {
        self.outbox.hold(self.encoding.encode(message)?);
        Ok(())
    }

    /// Whether a payload can be sent to this client.
    pub(crate) fn can_send(&self, payload: &Payload) -> Result<(), EncodeError> {
        self.encoding.serializer.accepts(payload)
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(crate) fn encoding(&self) -> &Encoding {
        &self.encoding
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.common.limits
    }

    /// The channel of a topic; while a second join waits for the end of the first, still the first one's.
    #[cfg(feature = "testkit")]
    pub(crate) fn handle(&self, topic: &str) -> Option<Arc<dyn ChannelHandle>> {
        self.session.lock().handle(topic).cloned()
    }

    /// How many channels it has, those in `join` and `terminate` included.
    #[cfg(feature = "testkit")]
    pub fn channel_count(&self) -> usize {
        self.session.lock().channel_count()
    }

    /// Feeds the session and carries out what it says, under its lock; joins start after it, since they run user code.
    /// Returns the channel that was given something to handle.
    fn step(
        &self,
        event: impl FnOnce(&mut Session<Arc<dyn ChannelHandle>>) -> Actions<Arc<dyn ChannelHandle>>,
    ) -> Option<Arc<dyn ChannelHandle>> {
        let (mut starting, mut given) = (None, None);
        let mut session = self.session.lock();
        for action in event(&mut session) {
            match action {
                Action::Reply(answer) => self.send_or_close(&Outbound::Reply {
                    join_ref: &answer.join_ref,
                    reference: &answer.reference,
                    topic: &answer.topic,
                    status: &answer.status,
                    payload: &answer.payload,
                }),
                Action::End { join_ref, topic, exit } => {
                    let (event, payload) = match exit {
                        Ended::Done => (event::CLOSE, Payload::empty()),
                        Ended::Crashed => (event::ERROR, crash_payload()),
                    };
                    let (join_ref, topic, payload) = (&join_ref, &*topic, &payload);
                    self.send_or_close(&Outbound::End { join_ref, topic, event, payload });
                }
                Action::Start(handle, join) => starting = Some((handle, join)),
                Action::Deliver(handle, message) => given.insert(handle).deliver(message),
                Action::Stop(handle, end) => given.insert(handle).end(end),
            }
        }
        drop(session);
        if let Some((handle, join)) = starting {
            if let Some(newcomer) = &*self.newcomer.lock() {
                newcomer.joining();
            }
            handle.start(join);
        }
        given
    }

    /// Others may come in for it.
    fn arrived(&self) {
        let newcomer = self.newcomer.lock().take();
        drop(newcomer);
    }

    /// The session's own messages cannot be given up one by one: a join reply that cannot be written would leave the
    /// client waiting for it. As in Phoenix, that ends the connection.
    fn send_or_close(&self, message: &Outbound<'_>) {
        if let Err(error) = self.send(message) {
            tracing::error!(%error, "a session's message cannot be written, closing the connection");
            self.outbox.close(Close::BadMessage);
        }
    }
}

fn crash_payload() -> Payload {
    Payload::json(&serde_json::json!({ "reason": event::CHANNEL_CRASH }))
}

impl endpoint::Registered for Connection {
    fn close(&self, reason: Close) {
        Connection::close(self, reason);
    }

    fn backlog(&self) -> Backlog {
        let mailboxes = self.session.lock().handles().map(|handle| handle.waiting_bytes()).sum();
        Backlog { outboxes: self.outbox.waiting_bytes(), mailboxes }
    }
}

/// Subscribes to the socket's id.
struct Disconnector(Weak<Connection>);

impl Sink for Disconnector {
    fn deliver(&self, delivery: &Delivery) {
        let is_disconnect = delivery.downcast_ref::<Broadcast>().is_some_and(|sent| sent.event() == event::DISCONNECT);
        if is_disconnect && let Some(connection) = self.0.upgrade() {
            connection.close(Close::Disconnected);
        }
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Connection({:?}, {})", self.encoding.serializer, self.encoding.framing.name)
    }
}
