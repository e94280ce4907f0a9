//! The messages of both directions, and the frames that carry them.
//!
//! The names take the server's side. [`Inbound`] is a message from a client and borrows from its frame. [`Outbound`] is
//! a message to a client and borrows from its sender. [`Received`] is the same message after the client has decoded it,
//! and owns its parts.

use crate::{Payload, Ref};
use std::borrow::Cow;

/// One frame as a transport received it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A text frame. The transport has checked that it is UTF-8.
    Text(&'a str),
    /// A binary frame.
    Binary(&'a [u8]),
}

/// The kind of frame that an encoded message must be sent in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FrameKind {
    /// A text frame, in UTF-8.
    Text,
    /// A binary frame.
    Binary,
}

/// A message from a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbound<'a> {
    /// The join that the message belongs to.
    pub join_ref: Ref,
    /// The message's own ref, which the reply carries.
    pub reference: Ref,
    /// The topic.
    pub topic: Name<'a>,
    /// The event.
    pub event: Name<'a>,
    /// The payload.
    pub payload: Payload,
}

/// A topic or an event as the client wrote it.
///
/// Clients send a string. Phoenix also accepts any other JSON value: it replies "unmatched topic" and echoes the value,
/// so the value is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name<'a> {
    /// A string, decoded. All known clients send one.
    Text(Cow<'a, str>),
    /// The JSON text of a value that is not a string.
    Json(Cow<'a, str>),
}

impl<'a> Name<'a> {
    /// The text, or `None` for a JSON value that is not a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Name::Text(text) => Some(text),
            Name::Json(_) => None,
        }
    }

    /// Converts the name into one that owns its text.
    pub fn into_owned(self) -> Name<'static> {
        match self {
            Name::Text(text) => Name::Text(Cow::Owned(text.into_owned())),
            Name::Json(json) => Name::Json(Cow::Owned(json.into_owned())),
        }
    }
}

impl<'a> From<&'a str> for Name<'a> {
    fn from(text: &'a str) -> Self {
        Name::Text(Cow::Borrowed(text))
    }
}

/// The outcome of a request, as the `receive` hooks of `phoenix.js` name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// `ok`.
    Ok,
    /// `error`.
    Error,
    /// Any other word, on which the application and its client agree.
    Other(Cow<'static, str>),
}

impl Status {
    /// The word on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Status::Ok => "ok",
            Status::Error => "error",
            Status::Other(word) => word,
        }
    }

    /// Converts a word from the wire.
    pub(crate) fn from_word(word: &str) -> Self {
        match word {
            "ok" => Status::Ok,
            "error" => Status::Error,
            other => Status::Other(Cow::Owned(other.to_owned())),
        }
    }
}

impl From<&'static str> for Status {
    fn from(word: &'static str) -> Self {
        match word {
            "ok" => Status::Ok,
            "error" => Status::Error,
            other => Status::Other(Cow::Borrowed(other)),
        }
    }
}

/// A message from the server, decoded by a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// The reply to one message of the client.
    Reply {
        /// The join that the message belonged to.
        join_ref: Ref,
        /// The message's own ref.
        reference: Ref,
        /// The message's topic.
        topic: String,
        /// The outcome.
        status: Status,
        /// The response.
        payload: Payload,
    },
    /// A push, a broadcast, or the end of a channel ([`crate::event::CLOSE`], [`crate::event::ERROR`]).
    Event {
        /// The join that the event belongs to; null for a broadcast.
        join_ref: Ref,
        /// The topic.
        topic: String,
        /// The event's name.
        event: String,
        /// The event's payload.
        payload: Payload,
    },
}

/// A message to a client.
#[derive(Debug, Clone, Copy)]
pub enum Outbound<'a> {
    /// The reply to one message.
    Reply {
        /// The join that the message belonged to.
        join_ref: &'a Ref,
        /// The message's own ref.
        reference: &'a Ref,
        /// The message's topic, as the client wrote it.
        topic: &'a Name<'a>,
        /// The outcome.
        status: &'a Status,
        /// The response.
        payload: &'a Payload,
    },
    /// An event from one channel to its own client.
    Push {
        /// The channel's join.
        join_ref: &'a Ref,
        /// The channel's topic.
        topic: &'a str,
        /// The event's name.
        event: &'a str,
        /// The event's payload.
        payload: &'a Payload,
    },
    /// An event to every subscriber of a topic. Its bytes are the same for all of them.
    Broadcast {
        /// The topic.
        topic: &'a str,
        /// The event's name.
        event: &'a str,
        /// The event's payload.
        payload: &'a Payload,
    },
    /// The end of a channel, `phx_close` or `phx_error`. The message carries the join ref twice.
    End {
        /// The join that ended.
        join_ref: &'a Ref,
        /// The channel's topic.
        topic: &'a str,
        /// [`crate::event::CLOSE`] or [`crate::event::ERROR`].
        event: &'a str,
        /// The event's payload.
        payload: &'a Payload,
    },
}
