//! What a channel hears: messages, what becomes of the channel itself, and the answers to pushes.

use crate::{Payload, PayloadError, ReplyError, Status};
use serde::de::DeserializeOwned;

/// A push or a broadcast of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The event's name.
    pub event: String,
    /// Its data.
    pub payload: Payload,
    /// Which join of the channel it belongs to, counted from 1. It changes when the channel was joined again, and what
    /// was known from earlier messages may then be out of date.
    pub join: u32,
}

impl Message {
    /// The payload as a type.
    ///
    /// # Errors
    /// As [`Payload::parse`].
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, PayloadError> {
        self.payload.parse()
    }
}

/// Everything that happens to a channel, in its order; see [`Channel::next_event`](crate::Channel::next_event).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A push or a broadcast.
    Message(Message),
    /// The channel is joined, for the first time or again; with what the server's `join` answered.
    Joined(Payload),
    /// The server refused the join, with this reason. It is asked again by the rejoin schedule.
    Refused(Payload),
    /// The channel is not joined any more, and will be again.
    Interrupted(Interruption),
    /// This many events were dropped because they were not read in time: [`QueueLimit`](crate::QueueLimit).
    Lagged(u64),
    /// The channel has ended. Nothing follows.
    Closed(End),
}

/// Why a channel is not joined for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Interruption {
    /// The channel crashed in the server (`phx_error`).
    Crashed(Payload),
    /// The join was not answered in time.
    JoinTimedOut,
    /// The connection was lost; the channel is joined again as soon as there is a new one.
    ConnectionLost,
}

/// Why a channel has ended for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// The client left.
    Left,
    /// The server closed it (`phx_close`).
    Closed,
    /// The client joined the same topic once more; a topic is joined once a connection.
    Replaced,
    /// The client was disconnected for good, by its user or by the server ([`Lost::is_final`](crate::Lost::is_final)).
    Disconnected,
}

/// The answer to a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// `ok`, `error`, or any other word of the application.
    pub status: Status,
    /// The response.
    pub payload: Payload,
}

impl Reply {
    /// The response, if the status is `ok`.
    ///
    /// # Errors
    /// [`ReplyError::Status`] for any other status, with the response.
    pub fn ok(self) -> Result<Payload, ReplyError> {
        match self.status {
            Status::Ok => Ok(self.payload),
            status => Err(ReplyError::Status { status, payload: self.payload }),
        }
    }

    /// The response as a type, if the status is `ok`.
    ///
    /// # Errors
    /// [`ReplyError::Status`] for any other status, [`ReplyError::Payload`] when the response has another shape.
    pub fn parse<T: DeserializeOwned>(self) -> Result<T, ReplyError> {
        Ok(self.ok()?.parse()?)
    }

    /// Whether the status is `ok`.
    pub fn is_ok(&self) -> bool {
        self.status == Status::Ok
    }
}
