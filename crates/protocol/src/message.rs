//! Messages in both directions. Inbound ones borrow from the frame; outbound ones borrow from whoever sends.

use crate::{Name, Payload, Ref};
use std::borrow::Cow;

/// One frame as a transport received it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// Text, checked to be UTF-8.
    Text(&'a str),
    /// Binary data.
    Binary(&'a [u8]),
}

/// What kind of frame an encoded message needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FrameKind {
    /// UTF-8 text.
    Text,
    /// Binary data.
    Binary,
}

/// A message from a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbound<'a> {
    /// Which join it belongs to.
    pub join_ref: Ref,
    /// What the reply will carry.
    pub reference: Ref,
    /// Where it goes.
    pub topic: Name<'a>,
    /// What it asks.
    pub event: Name<'a>,
    /// With which data.
    pub payload: Payload,
}

/// How a request ended, as the client's `receive` hooks name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// `ok`.
    Ok,
    /// `error`.
    Error,
    /// Any other word that the application and its client agree on.
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

    /// The status that a word on the wire stands for.
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

/// A message as it reaches a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// The answer to one of the client's messages.
    Reply {
        /// The join that the message belonged to.
        join_ref: Ref,
        /// The message's own ref.
        reference: Ref,
        /// The message's topic.
        topic: String,
        /// How it ended.
        status: Status,
        /// The response.
        payload: Payload,
    },
    /// A push, a broadcast, or the end of a channel ([`crate::event::CLOSE`], [`crate::event::ERROR`]).
    Event {
        /// The join that it belongs to; null for a broadcast.
        join_ref: Ref,
        /// The topic.
        topic: String,
        /// The event's name.
        event: String,
        /// Its data.
        payload: Payload,
    },
}

/// A message to a client.
#[derive(Debug, Clone, Copy)]
pub enum Outbound<'a> {
    /// The answer to one message.
    Reply {
        /// The join that the message belonged to.
        join_ref: &'a Ref,
        /// The message's own ref.
        reference: &'a Ref,
        /// The message's topic, as it came.
        topic: &'a Name<'a>,
        /// How it ended.
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
        /// Its data.
        payload: &'a Payload,
    },
    /// An event to every subscriber of a topic: the same bytes for all of them.
    Broadcast {
        /// The topic.
        topic: &'a str,
        /// The event's name.
        event: &'a str,
        /// Its data.
        payload: &'a Payload,
    },
    /// The end of a channel, `phx_close` or `phx_error`: carries the join ref twice.
    End {
        /// The join that ended.
        join_ref: &'a Ref,
        /// Its topic.
        topic: &'a str,
        /// [`crate::event::CLOSE`] or [`crate::event::ERROR`].
        event: &'a str,
        /// Its data.
        payload: &'a Payload,
    },
}
