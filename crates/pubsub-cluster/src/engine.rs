//! The interface between a [`crate::BrokerAdapter`] and the protocol of one kind of broker.
//!
//! An engine encodes commands and decodes events; its only I/O is [`Engine::open`]. The adapter decides when bytes are
//! sent and handles their loss.

use crate::Stream;
use bytes::{Bytes, BytesMut};
use std::future::Future;

/// The protocol of one kind of broker.
pub trait Engine: Send + Sync + 'static {
    /// The adapter's name in logs and metrics.
    const NAME: &'static str;
    /// The place where its nodes meet, for the error of `connect`: "at their Redis server".
    const MEETING_POINT: &'static str;
    /// The largest payload until a connection reports another.
    const MAX_PAYLOAD: usize;
    /// The decoder of one connection.
    type Decoder: EventDecoder;

    /// Opens a connection that is ready to publish and to subscribe. `attempt` counts from 0; an engine with several
    /// addresses uses the next one for each attempt.
    fn open(&self, attempt: usize) -> impl Future<Output = Result<BrokerConnection<Self::Decoder>, OpenError>> + Send;

    /// Writes a message.
    fn publish(&self, out: &mut Vec<u8>, subject: Subject<'_>, payload: &[u8]);

    /// Writes a subscription. The `id` is unique among the subscriptions of a connection.
    fn subscribe(&self, out: &mut Vec<u8>, subject: Subject<'_>, id: u64);

    /// Writes the end of a subscription.
    fn unsubscribe(&self, out: &mut Vec<u8>, subject: Subject<'_>, id: u64);

    /// Writes a command that the engine must answer.
    fn ping(&self, out: &mut Vec<u8>);

    /// Writes the answer to [`Event::Ping`].
    fn pong(&self, out: &mut Vec<u8>);
}

/// The name under which a message is published: a channel of Redis, a subject of NATS, a key expression of Zenoh. No
/// two subjects have the same name in an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject<'a> {
    /// A topic of the application.
    Topic(&'a str),
    /// The messages for one node.
    Node(&'a str),
    /// The control messages of all nodes.
    Control,
}

/// Decodes the bytes of an engine.
pub trait EventDecoder: Send + 'static {
    /// Takes the next event from the front of `bytes`; `None` when it is incomplete.
    ///
    /// # Errors
    /// [`BrokerProtocolError`]: the bytes that follow cannot be decoded either.
    fn next(&mut self, bytes: &mut BytesMut) -> Result<Option<Event>, BrokerProtocolError>;
}

/// An event from an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A message of another node or of a foreign client.
    Message {
        /// Whether it was published on a [`Subject::Topic`].
        topic: bool,
        /// The payload.
        frame: Bytes,
    },
    /// A skipped message, larger than the limit.
    TooLarge {
        /// Its bytes.
        len: usize,
    },
    /// A request for [`Engine::pong`].
    Ping,
    /// The engine refused a command, for this reason.
    Refused(String),
    /// Any other event; it needs no answer.
    Other,
}

/// Bytes that are not of the engine's protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the engine broke its protocol: {0}")]
pub struct BrokerProtocolError(pub String);

/// An open connection to a broker.
pub struct BrokerConnection<D> {
    /// The byte stream.
    pub stream: Stream,
    /// Bytes that were read and not decoded.
    pub unread: BytesMut,
    /// The decoder of the bytes that follow.
    pub decoder: D,
    /// The largest payload that this connection takes.
    pub max_payload: usize,
}

/// An error of opening a connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The broker is out of reach.
    #[error(transparent)]
    Unreachable(#[from] std::io::Error),
    /// The broker refused this program, for example because of a wrong password or an old version.
    #[error("{0}")]
    Refused(String),
    /// The peer is not a broker of this kind.
    #[error(transparent)]
    Protocol(#[from] BrokerProtocolError),
}
