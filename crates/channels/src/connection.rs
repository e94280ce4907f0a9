//! One client's connection: the session behind a lock, the outbox, and the execution of the session's actions.
//!
//! A transport makes one with [`Connected::open`], passes frames to [`Connection::receive`], drains its [`Outbox`], and
//! calls [`Connection::finish`] once. Actors report the results of joins and the ends of channels to it. Invariants:
//! the session's actions are executed under its lock, in its order; no code under the lock waits or runs user code.

pub(crate) mod outbox;
pub(crate) mod session;

use crate::broadcast::Broadcast;
use crate::broadcast::encoding::Encoding;
use crate::connection::outbox::{Drainer, Outbox, Taken};
use crate::connection::session::{Action, Actions, End, Ended, Incoming, Join, JoinId, Session, Unanswered};
use crate::endpoint::admission::Permit;
use crate::endpoint::{self, Backlog, Endpoint, Registration, Upgrading};
use crate::telemetry::SocketInstruments;
use bennu_protocol::{Close, DecodeError, EncodeError, Frame, Name, Outbound, Payload, Ref, Status, event};
use bennu_pubsub::{Attachment, Publication, Sink};
use bytes::Bytes;
use parking_lot::Mutex;
use std::borrow::Cow;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

/// A channel handle without its types, as a session stores it.
pub(crate) trait SessionChannel: Send + Sync {
    /// Starts the join, once.
    fn start(self: Arc<Self>, join: Box<Join>);
    /// Queues a message behind the join and earlier messages.
    fn deliver(&self, message: Incoming);
    /// Queues the end.
    fn end(&self, end: End);
    /// Completes when the channel's task waits, or otherwise when it has returned to its mailbox once; `watched` is
    /// false at first.
    fn poll_returned(&self, cx: &mut Context<'_>, watched: &mut bool) -> Poll<()>;
    /// Returns the bytes that wait in its mailbox.
    fn waiting_bytes(&self) -> usize;
    /// Returns itself, for a caller that knows its type.
    #[cfg(feature = "testkit")]
    fn as_any(self: Arc<Self>) -> Arc<dyn std::any::Any + Send + Sync>;
}

/// A connected socket without its type: it opens channels.
pub(crate) trait Opener: Send + Sync {
    fn open(&self, topic: &str, connection: &Arc<Connection>) -> Option<Arc<dyn SessionChannel>>;
    /// Returns the socket, for a caller that knows its type.
    #[cfg(feature = "testkit")]
    fn socket(&self) -> Arc<dyn std::any::Any + Send + Sync>;
}

/// Bounds of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most channels that may be joined at once. Default 100, as Phoenix's.
    pub max_channels: usize,
    /// The most bytes that may wait for a client to read them, before it is closed as too slow. Default 4 MiB: a few of
    /// the largest usual messages, and a thousand slow clients cost no more than 4 GiB.
    pub outbox_bytes: usize,
    /// The most bytes that may wait for one channel, before it crashes. Default 1 MiB.
    pub mailbox_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { max_channels: 100, outbox_bytes: 4 << 20, mailbox_bytes: 1 << 20 }
    }
}

/// The data that all connections of one mounted socket share.
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
    /// `None` for a final refusal, which has no joins, and in tests.
    pub(crate) permit: Option<Permit>,
    /// The reason of a final refusal, with which the connection is closed at once.
    pub(crate) refused: Option<String>,
}

impl Connected {
    /// Returns the socket's id.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Opens the connection, once the transport can carry messages. The outbox wakes `drainer` when it has frames.
    pub fn open(self, encoding: Encoding, drainer: Arc<dyn Drainer>) -> Arc<Connection> {
        let Connected { opener, id, endpoint, common, upgrading, permit, refused } = self;
        let connection = Arc::new(Connection {
            session: Mutex::new(Session::new(common.limits.max_channels)),
            outbox: Outbox::new(common.limits.outbox_bytes, drainer),
            received: AtomicU32::new(0),
            encoding,
            opener,
            common,
            registration: Mutex::new(None),
            identity: Mutex::new(None),
            permit: Mutex::new(permit),
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
            // The drain's list was made before this connection was registered.
            connection.close(Close::Restart);
        }
        drop(upgrading);
        connection
    }
}

/// One client's connection, see the module.
pub struct Connection {
    session: Mutex<Session<Arc<dyn SessionChannel>>>,
    outbox: Outbox,
    /// The messages that were received and are not counted yet.
    received: AtomicU32,
    encoding: Encoding,
    opener: Arc<dyn Opener>,
    common: Arc<Common>,
    /// The connection's entry in the endpoint's registry.
    registration: Mutex<Option<Registration>>,
    /// The subscription to the socket's id.
    identity: Mutex<Option<Box<Attachment>>>,
    /// The permit of the admission, until the first join has been answered.
    permit: Mutex<Option<Permit>>,
    endpoint: Endpoint,
}

impl Connection {
    /// Handles a frame from the client. After the last frame of a read, the transport calls [`Connection::flush`].
    ///
    /// # Errors
    /// [`DecodeError`] when the frame is not a message of the negotiated version. A WebSocket then closes with
    /// [`Close::BadMessage`]; a long-poll request is answered with the error.
    pub fn receive(self: &Arc<Self>, frame: Frame<'_>) -> Result<(), DecodeError> {
        self.dispatch(frame)?;
        Ok(())
    }

    /// As [`Connection::receive`] and [`Connection::flush`], for one of several messages that arrive in one request.
    /// Returns when the channel has handled the message, or when its handler waits for something. Messages to two
    /// channels are therefore answered in their order, as if they had arrived one by one.
    ///
    /// # Errors
    /// As [`Connection::receive`].
    pub async fn receive_in_turn(self: &Arc<Self>, frame: Frame<'_>) -> Result<(), DecodeError> {
        let dispatched = self.dispatch(frame);
        self.flush();
        let Some(handle) = dispatched? else { return Ok(()) };
        // At its first return to the mailbox the channel's task has taken the message, at its second it has handled it.
        for _ in 0..2 {
            let mut watched = false;
            poll_fn(|cx| handle.poll_returned(cx, &mut watched)).await;
        }
        Ok(())
    }

    /// Decodes a frame and passes it to the session. Returns the channel whose mailbox has the message now.
    fn dispatch(self: &Arc<Self>, frame: Frame<'_>) -> Result<Option<Arc<dyn SessionChannel>>, DecodeError> {
        let message = self.encoding.serializer.decode(frame).inspect_err(|error| {
            metrics::counter!("bennu.socket.bad_messages").increment(1);
            tracing::warn!(%error, "a client sent an invalid message");
        })?;
        // Only the one transport calls this, so no count is lost between load and store.
        self.received.store(self.received.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        Ok(self.step(|session| session.receive(message, |topic| self.opener.open(topic, self))))
    }

    /// Counts the frames that have arrived, and has the frames written that were held meanwhile.
    pub fn flush(&self) {
        let received = self.received.load(Ordering::Relaxed);
        if received > 0 {
            self.received.store(0, Ordering::Relaxed);
            self.common.instruments.messages_in.increment(received.into());
        }
        self.outbox.flush();
    }

    /// Returns the outbox of this client.
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Takes frames from the outbox as [`Outbox::take`] does, and counts them as sent.
    pub fn take(&self, frames: &mut Vec<Bytes>, max: usize) -> Taken {
        let before = frames.len();
        let taken = self.outbox.take(frames, max);
        let messages = frames.len() - before;
        if messages > 0 {
            self.common.instruments.messages_out.increment(messages as u64);
        }
        taken
    }

    /// Closes the connection. Every channel ends now, and further frames from the client are ignored. Frames that were
    /// queued before are written, and then the close frame with the reason.
    pub fn close(&self, reason: Close) {
        self.outbox.close(reason);
        self.step(Session::close);
    }

    /// Ends the connection when the transport is gone.
    pub fn finish(&self) {
        self.outbox.finish();
        *self.identity.lock() = None;
        *self.registration.lock() = None;
        self.release_permit();
        self.step(Session::close);
    }

    pub(crate) fn joined(&self, id: &JoinId, reference: Ref, response: Payload) {
        self.step(|session| session.joined(id, reference, response));
        self.release_permit();
    }

    pub(crate) fn refused(&self, id: &JoinId, reference: Ref, response: Payload, unanswered: Unanswered) {
        self.step(|session| session.refused(id, reference, response, unanswered));
        self.release_permit();
    }

    pub(crate) fn exited(&self, id: &JoinId, exit: Ended) {
        self.step(|session| session.exited(id, exit));
    }

    /// Queues a message. The sender flushes before it waits: the transport after a read ([`Connection::flush`]), an
    /// actor before it suspends.
    pub(crate) fn send(&self, message: &Outbound<'_>) -> Result<(), EncodeError> {
        self.outbox.hold(self.encoding.encode(message)?);
        Ok(())
    }

    /// Checks that a payload can be sent to this client as the reply to a join. Binary data fits only beside a topic and
    /// refs of up to 255 bytes each.
    pub(crate) fn check_join_reply(&self, join: &Join, payload: &Payload) -> Result<(), EncodeError> {
        let serializer = self.encoding.serializer;
        serializer.check_payload(payload)?;
        if payload.as_binary().is_some() {
            let (join_ref, reference) = (&join.join_ref, &join.reference);
            let topic = &Name::Text(Cow::Borrowed(&*join.id.topic));
            let reply = Outbound::Reply { join_ref, reference, topic, status: &Status::Error, payload };
            serializer.encode(&reply, &mut Vec::new())?;
        }
        Ok(())
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

    /// Returns the channel of a topic. While a second join waits for the end of the first, it is the first one's.
    #[cfg(feature = "testkit")]
    pub(crate) fn handle(&self, topic: &str) -> Option<Arc<dyn SessionChannel>> {
        self.session.lock().handle(topic).cloned()
    }

    /// Returns the number of its channels, those in `join` and `terminate` included.
    #[cfg(feature = "testkit")]
    pub fn channel_count(&self) -> usize {
        self.session.lock().channel_count()
    }

    /// Runs a step of the session and executes its actions under its lock. A join starts after the lock is released,
    /// since it runs user code. Returns the channel that got mail.
    fn step(
        &self,
        event: impl FnOnce(&mut Session<Arc<dyn SessionChannel>>) -> Actions<Arc<dyn SessionChannel>>,
    ) -> Option<Arc<dyn SessionChannel>> {
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
            if let Some(permit) = &*self.permit.lock() {
                permit.joining();
            }
            handle.start(join);
        }
        given
    }

    /// Returns the permit to the admission.
    fn release_permit(&self) {
        let permit = self.permit.lock().take();
        drop(permit);
    }

    /// Sends a message of the session, or closes the connection, as Phoenix does: without the reply to its join, a
    /// client would wait for it.
    fn send_or_close(&self, message: &Outbound<'_>) {
        if let Err(error) = self.send(message) {
            tracing::error!(%error, "could not encode a message of a session; closing the connection");
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

/// The subscriber of the socket's id.
struct Disconnector(Weak<Connection>);

impl Sink for Disconnector {
    fn deliver(&self, publication: &Publication) {
        let is_disconnect =
            publication.downcast_ref::<Broadcast>().is_some_and(|sent| sent.event() == event::DISCONNECT);
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
