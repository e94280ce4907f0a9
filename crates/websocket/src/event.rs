//! What the decoder hands up: whole messages and control frames.

use std::borrow::Cow;

use crate::CloseFrame;

/// One message, or one control frame, of a peer.
///
/// `'b` is the input it was decoded from: what lay there whole is borrowed, what was fragmented,
/// compressed or cut by a read is owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'b> {
    /// A whole text message.
    Text(Cow<'b, str>),
    /// A whole binary message.
    Binary(Cow<'b, [u8]>),
    /// A ping, at most 125 bytes. The same payload is due back in a pong (RFC 6455 §5.5.2).
    Ping(Cow<'b, [u8]>),
    /// A pong, at most 125 bytes, asked for or not.
    Pong(Cow<'b, [u8]>),
    /// The peer closes. Nothing after this is decoded (RFC 6455 §5.5.1).
    Close(CloseFrame),
}

impl Event<'_> {
    /// The same event, independent of the input; copies only what is borrowed.
    pub fn into_owned(self) -> Event<'static> {
        match self {
            Event::Text(text) => Event::Text(Cow::Owned(text.into_owned())),
            Event::Binary(bytes) => Event::Binary(Cow::Owned(bytes.into_owned())),
            Event::Ping(payload) => Event::Ping(Cow::Owned(payload.into_owned())),
            Event::Pong(payload) => Event::Pong(Cow::Owned(payload.into_owned())),
            Event::Close(close) => Event::Close(close),
        }
    }
}
