//! Arrivals: messages to the clients of a test, and broadcasts on the topics to which the test has subscribed.

use bennu_channels::protocol::Close;
use bennu_channels::{Payload, Status};
use serde_json::Value;
use std::fmt;

/// One arrival. A push or a broadcast equals the pair of its event and payload, so a mailbox can be compared with a
/// list: `assert_eq!(channel.mailbox(), [("number", json!({ "value": 1 }))])`.
#[derive(Clone)]
#[non_exhaustive]
pub enum Arrival {
    /// An event that a client received: a push of a channel, or a broadcast. The end of a channel is the event
    /// `phx_close` or, after a crash, `phx_error`.
    Push {
        /// The number of the client, from 1.
        client: usize,
        /// The topic.
        topic: String,
        /// The event's name.
        event: String,
        /// The payload.
        payload: Payload,
        /// The join that receives the event; `None` for a broadcast, which every join of the topic receives.
        join_ref: Option<String>,
    },
    /// A reply that a client received.
    Reply {
        /// The number of the client, from 1.
        client: usize,
        /// The topic of the message.
        topic: String,
        /// The ref of the message.
        reference: String,
        /// The status.
        status: Status,
        /// The response.
        payload: Payload,
        /// The join of the message; `None` when its topic was not joined.
        join_ref: Option<String>,
    },
    /// A broadcast on a topic to which the test has subscribed.
    Broadcast {
        /// The topic.
        topic: String,
        /// The event's name.
        event: String,
        /// The payload.
        payload: Payload,
    },
    /// The server closed the connection of a client.
    Closed {
        /// The number of the client, from 1.
        client: usize,
        /// The reason.
        reason: Close,
    },
}

impl Arrival {
    /// Returns the event of a push or a broadcast.
    pub fn event(&self) -> Option<&str> {
        match self {
            Arrival::Push { event, .. } | Arrival::Broadcast { event, .. } => Some(event),
            Arrival::Reply { .. } | Arrival::Closed { .. } => None,
        }
    }

    /// Returns the topic; `None` for a closed connection.
    pub fn topic(&self) -> Option<&str> {
        match self {
            Arrival::Push { topic, .. } | Arrival::Reply { topic, .. } | Arrival::Broadcast { topic, .. } => {
                Some(topic)
            }
            Arrival::Closed { .. } => None,
        }
    }

    /// Returns the payload; `None` for a closed connection.
    pub fn payload(&self) -> Option<&Payload> {
        match self {
            Arrival::Push { payload, .. } | Arrival::Reply { payload, .. } | Arrival::Broadcast { payload, .. } => {
                Some(payload)
            }
            Arrival::Closed { .. } => None,
        }
    }
}

impl PartialEq<(&str, Value)> for Arrival {
    fn eq(&self, (event, payload): &(&str, Value)) -> bool {
        self.event() == Some(event)
            && self.payload().is_some_and(|arrived| arrived.parse::<Value>().is_ok_and(|arrived| arrived == *payload))
    }
}

/// One line, as in the text of a failed assertion.
impl fmt::Display for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Arrival::Push { client, topic, event, payload, .. } => {
                write!(f, "push {event:?} {payload:?} on {topic:?} to client {client}")
            }
            Arrival::Reply { client, topic, reference, status, payload, .. } => {
                let status = status.as_str();
                write!(f, "reply {status} to ref {reference} {payload:?} on {topic:?} to client {client}")
            }
            Arrival::Broadcast { topic, event, payload } => write!(f, "broadcast {event:?} {payload:?} on {topic:?}"),
            Arrival::Closed { client, reason } => {
                write!(f, "client {client} was closed: {reason:?}")?;
                reason.code().map_or(Ok(()), |code| write!(f, ", code {code}"))
            }
        }
    }
}

impl fmt::Debug for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
