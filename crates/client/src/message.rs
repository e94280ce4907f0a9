//! The data that a channel receives: messages, events of the channel itself, and replies to pushes.

use crate::{Payload, PayloadError, ReplyError, Status};
use serde::de::DeserializeOwned;

/// A push or a broadcast of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelMessage {
    /// The event's name.
    pub event: String,
    /// The event's payload.
    pub payload: Payload,
    /// The join of the channel that the message belongs to, counted from 1. After it changes, state that was built from
    /// earlier messages may be out of date.
    pub join: u32,
}

impl ChannelMessage {
    /// Parses the payload as a type.
    ///
    /// # Errors
    /// As [`Payload::parse`].
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, PayloadError> {
        self.payload.parse()
    }
}

/// An event of a channel, in order; see [`ClientChannel::next_event`](crate::ClientChannel::next_event).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChannelEvent {
    /// A push or a broadcast.
    Message(ChannelMessage),
    /// The channel is joined, for the first time or again; with the response of the server's `join`.
    Joined(Payload),
    /// The server refused the join with this response. The client joins again by the rejoin schedule.
    Refused(Payload),
    /// The channel is not joined at the moment; the client joins it again.
    Interrupted(Interruption),
    /// This many events were dropped because they were not read in time: [`QueueLimit`](crate::QueueLimit).
    Lagged(u64),
    /// The channel has ended. It is the last event.
    Closed(CloseReason),
}

/// Why a channel is temporarily not joined.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Interruption {
    /// The channel crashed in the server (`phx_error`).
    Crashed(Payload),
    /// The server did not reply to the join in time.
    JoinTimedOut,
    /// The connection was lost. The channel joins again with the next connection.
    ConnectionLost,
}

/// Why a channel has ended for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The client left.
    Left,
    /// The server closed the channel (`phx_close`).
    ClosedByServer,
    /// The client joined the same topic again. A connection has one channel for each topic.
    Replaced,
    /// The client was disconnected for good, by its user or by the server
    /// ([`ConnectionError::is_final`](crate::ConnectionError::is_final)).
    Disconnected,
}

/// The reply to a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushReply {
    /// `ok`, `error`, or another status of the application.
    pub status: Status,
    /// The response.
    pub payload: Payload,
}

impl PushReply {
    /// Returns the response if the status is `ok`.
    ///
    /// # Errors
    /// [`ReplyError::Status`] with the response for any other status.
    pub fn ok(self) -> Result<Payload, ReplyError> {
        match self.status {
            Status::Ok => Ok(self.payload),
            status => Err(ReplyError::Status { status, payload: self.payload }),
        }
    }

    /// Parses the response as a type if the status is `ok`.
    ///
    /// # Errors
    /// [`ReplyError::Status`] for any other status, [`ReplyError::Payload`] when the response is not of this type.
    pub fn parse<T: DeserializeOwned>(self) -> Result<T, ReplyError> {
        Ok(self.ok()?.parse()?)
    }

    /// Returns whether the status is `ok`.
    pub fn is_ok(&self) -> bool {
        self.status == Status::Ok
    }
}
