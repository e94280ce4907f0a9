//! What has arrived at a test: at its clients, or on the topics that the test itself has subscribed to.

use bennu_channels::protocol::Close;
use bennu_channels::{Payload, Status};
use serde_json::Value;
use std::fmt;

/// One thing that arrived. Equal to `(event, payload)` when it is a push or a broadcast of just that, so that a whole
/// mailbox compares with a list: `assert_eq!(channel.mailbox(), [("number", json!({ "value": 1 }))])`.
#[derive(Clone)]
#[non_exhaustive]
pub enum Arrival {
    /// A client got an event: a channel pushed it, or it was broadcast. A channel that ends is the event `phx_close`
    /// or, when it crashed, `phx_error`.
    Push {
        /// Which client: they are counted from 1.
        client: usize,
        /// The topic.
        topic: String,
        /// The event's name.
        event: String,
        /// Its data.
        payload: Payload,
        /// The join that it is for; `None` for a broadcast, which is for every join of its topic.
        join_ref: Option<String>,
    },
    /// A client got the answer to a message.
    Reply {
        /// Which client: they are counted from 1.
        client: usize,
        /// The message's topic.
        topic: String,
        /// The message's ref.
        reference: String,
        /// How it ended.
        status: Status,
        /// The response.
        payload: Payload,
        /// The join that the message was for; `None` when its topic was not joined.
        join_ref: Option<String>,
    },
    /// An event was broadcast on a topic that the test has subscribed to.
    Broadcast {
        /// The topic.
        topic: String,
        /// The event's name.
        event: String,
        /// Its data.
        payload: Payload,
    },
    /// The server ended a client's connection.
    Closed {
        /// Which client: they are counted from 1.
        client: usize,
        /// Why.
        reason: Close,
    },
}

impl Arrival {
    /// The event's name, of a push or a broadcast.
    pub fn event(&self) -> Option<&str> {
        match self {
            Arrival::Push { event, .. } | Arrival::Broadcast { event, .. } => Some(event),
            Arrival::Reply { .. } | Arrival::Closed { .. } => None,
        }
    }

    /// The topic; a connection that was closed has none.
    pub fn topic(&self) -> Option<&str> {
        match self {
            Arrival::Push { topic, .. } | Arrival::Reply { topic, .. } | Arrival::Broadcast { topic, .. } => {
                Some(topic)
            }
            Arrival::Closed { .. } => None,
        }
    }

    /// The data; a connection that was closed has none.
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

/// One line, as failing assertions show it.
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
