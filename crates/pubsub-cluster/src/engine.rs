//! The seam between what all brokers have in common and how one of them is spoken to.
//!
//! An engine only makes bytes and reads bytes, but for [`Engine::open`]: when they are sent, and what is done when they
//! are not, is the [`crate::Broker`]'s.

use crate::Stream;
use bytes::{Bytes, BytesMut};
use std::future::Future;

/// How one kind of broker is spoken to.
pub trait Engine: Send + Sync + 'static {
    /// The adapter's name in logs and metrics.
    const NAME: &'static str;
    /// Where its nodes meet, for the error of `connect`: "at their Redis server".
    const MEETING: &'static str;
    /// The largest payload before a connection has told another.
    const MAX_PAYLOAD: usize;
    /// What reads the bytes of one connection.
    type Decoder: Decoder;

    /// Opens a connection up to where it can be published and subscribed on. `attempt` counts from 0; an engine with
    /// several addresses takes another one each time.
    fn open(&self, attempt: usize) -> impl Future<Output = Result<Opened<Self::Decoder>, OpenError>> + Send;

    /// Writes a message.
    fn publish(&self, out: &mut Vec<u8>, channel: Channel<'_>, payload: &[u8]);

    /// Writes a subscription. `id` is another one for each subscription of a connection.
    fn subscribe(&self, out: &mut Vec<u8>, channel: Channel<'_>, id: u64);

    /// Writes the end of a subscription.
    fn unsubscribe(&self, out: &mut Vec<u8>, channel: Channel<'_>, id: u64);

    /// Writes what the engine must answer.
    fn ping(&self, out: &mut Vec<u8>);

    /// Writes the answer to [`Event::Ping`].
    fn pong(&self, out: &mut Vec<u8>);
}

/// What a message is published on. An engine gives each a name of its own; no two have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel<'a> {
    /// A topic of the application's.
    Topic(&'a str),
    /// What is for one node.
    Node(&'a str),
    /// Where nodes say that they are there.
    Control,
}

/// Reads what an engine sends.
pub trait Decoder: Send + 'static {
    /// Takes the next event from the front of `bytes`; `None` when it is not all there yet.
    ///
    /// # Errors
    /// [`Malformed`]: what follows cannot be understood either.
    fn next(&mut self, bytes: &mut BytesMut) -> Result<Option<Event>, Malformed>;
}

/// What an engine says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A message that another node published, or a stranger.
    Message {
        /// Whether it came on a [`Channel::Topic`].
        topic: bool,
        /// The payload.
        frame: Bytes,
    },
    /// A message too large to be taken, skipped.
    TooLarge {
        /// Its bytes.
        len: usize,
    },
    /// Wants [`Engine::pong`].
    Ping,
    /// The engine did not do what it was told.
    Refused(String),
    /// Anything that needs no answer.
    Other,
}

/// An engine's bytes are not of its protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the engine sent what is not its protocol: {0}")]
pub struct Malformed(pub String);

/// A connection that was opened.
pub struct Opened<D> {
    /// The connection.
    pub stream: Stream,
    /// What was read and not used.
    pub unread: BytesMut,
    /// Reads what follows.
    pub decoder: D,
    /// The largest payload that this connection takes.
    pub max_payload: usize,
}

/// Why a connection could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no connection.
    #[error(transparent)]
    Unreachable(#[from] std::io::Error),
    /// The engine does not want this program: a wrong password, a version that is too old.
    #[error("{0}")]
    Refused(String),
    /// What answers is not the engine.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}
