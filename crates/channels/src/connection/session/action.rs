//! The vocabulary of a session: the joins, messages and ends that go through it, and the actions that it returns.
//!
//! The session makes and matches these; the connection carries the actions out; channels receive joins and messages.

use bennu_protocol::{Name, Payload, Ref, Status};
use compact_str::CompactString;
use smallvec::SmallVec;
use std::sync::Arc;

/// Identifies one join on one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key(pub(super) u32);

/// The identity of a join: its topic and its number on the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JoinId {
    pub(crate) topic: Arc<str>,
    pub(super) key: Key,
}

/// A join, as its channel receives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Join {
    pub(crate) id: JoinId,
    pub(crate) join_ref: Ref,
    pub(crate) reference: Ref,
    pub(crate) params: Payload,
}

/// A client's message, as its channel receives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Incoming {
    pub(crate) reference: Ref,
    pub(crate) event: Event,
    pub(crate) payload: Payload,
}

impl Incoming {
    /// Returns its cost in a mailbox, in bytes. The client chooses the length of each part.
    pub(crate) fn size(&self) -> usize {
        let (Event::Named(event) | Event::NotText(event)) = &self.event;
        self.reference.size() + event.len() + self.payload.len()
    }
}

/// An event's name, in place up to 24 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    Named(CompactString),
    /// The JSON text that a client has sent in place of a name.
    NotText(CompactString),
}

impl From<&Name<'_>> for Event {
    fn from(name: &Name<'_>) -> Self {
        match name {
            Name::Text(text) => Event::Named(CompactString::from(&**text)),
            Name::Json(json) => Event::NotText(CompactString::from(&**json)),
        }
    }
}

/// The messages that waited for a join that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Unanswered {
    /// The refs of messages.
    pub(crate) messages: Vec<Ref>,
    /// The ref of a leave.
    pub(crate) leave: Option<Ref>,
}

/// The reason for which the session ends a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// The client leaves; the channel answers this ref.
    Left(Ref),
    /// The client joined the topic again.
    Replaced,
    /// The connection is gone.
    Closed,
}

/// The end of a channel, as its client is informed of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// `phx_close`.
    Done,
    /// `phx_error`.
    Crashed,
}

/// An action that the connection carries out for the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action<H> {
    /// Send a reply.
    Reply(Box<Answer>),
    /// Send `phx_close` or `phx_error`.
    End { join_ref: Ref, topic: Arc<str>, exit: Ended },
    /// Run this join in its channel.
    Start(H, Box<Join>),
    /// Queue this message for a channel.
    Deliver(H, Incoming),
    /// Stop a channel; [`Session::exited`](super::Session::exited) follows.
    Stop(H, End),
}

/// A reply that the session itself makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) join_ref: Ref,
    pub(crate) reference: Ref,
    pub(crate) topic: Name<'static>,
    pub(crate) status: Status,
    pub(crate) payload: Payload,
}

pub(crate) type Actions<H> = SmallVec<[Action<H>; 1]>;
