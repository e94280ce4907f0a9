//! The session of one connection, a pure state machine: it keeps the table of joined channels, and turns each message
//! into actions.
//!
//! `(message | event) -> actions`: no task, no clock, no I/O. [`crate::connection`] passes messages to it and carries
//! the actions out. `H` is the handle of a channel (its mailbox); the session only stores it.
//!
//! Invariants:
//! - one live channel a topic; a second join of it waits until the first has ended;
//! - the reply to a join comes before all other messages of this join, and before the `phx_close` of the join that it
//!   replaced, as in Phoenix;
//! - every message is answered, delivered or, if its join is over, dropped; none is kept.

mod action;

pub(crate) use action::{Action, Actions, Answer, End, Ended, Event, Incoming, Join, JoinId, Unanswered};

use crate::outcome::Reply;
use action::Key;
use bennu_protocol::{Inbound, MAX_REF_BYTES, MAX_TOPIC_BYTES, Name, Payload, Ref, event};
use smallvec::smallvec;
use std::sync::Arc;

/// The channels of one connection, by topic. The module describes it.
pub(crate) struct Session<H> {
    /// Sorted by topic. Boxed: the table itself stays small, and most connections have few channels.
    channels: Vec<Box<Entry<H>>>,
    max_channels: usize,
    next_key: u32,
    closed: bool,
}

struct Entry<H> {
    topic: Arc<str>,
    key: Key,
    join_ref: Ref,
    handle: H,
    phase: Phase,
    /// The join that this one replaced: its `phx_close` follows our join reply.
    replaced: Option<Box<Ref>>,
    /// A later join of the same topic, which starts when this one has ended. A third one overtakes it.
    successor: Option<Box<Successor<H>>>,
}

/// A join that waits. Rare, so kept apart: an entry of the table is small.
struct Successor<H> {
    handle: H,
    join: Box<Join>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Joining or joined: its mailbox keeps the order of its messages.
    Live,
    /// Leaving: later messages for it are dropped.
    Leaving,
}

impl<H: Clone> Session<H> {
    pub(crate) fn new(max_channels: usize) -> Self {
        Session { channels: Vec::new(), max_channels, next_key: 0, closed: false }
    }

    /// Routes one message. `open` makes the handle of a channel for a topic, or `None` when no route matches.
    pub(crate) fn receive(&mut self, message: Inbound<'_>, open: impl FnOnce(&str) -> Option<H>) -> Actions<H> {
        if self.closed {
            // A transport may notice the end of its client later than the session does, and a channel started now would
            // never end.
            return Actions::new();
        }
        let (Some(topic), event) = (message.topic.as_str(), message.event.as_str()) else {
            return smallvec![unmatched(message.reference, message.topic.into_owned())];
        };
        match (topic, event) {
            (event::PHOENIX_TOPIC, Some(event::HEARTBEAT)) => {
                smallvec![reply(Ref::NULL, message.reference, message.topic.into_owned(), Reply::ok(Payload::empty()))]
            }
            (_, Some(event::JOIN)) => self.join(message, open),
            (_, Some(event::LEAVE)) => self.leave(message),
            _ => self.deliver(message),
        }
    }

    fn join(&mut self, message: Inbound<'_>, open: impl FnOnce(&str) -> Option<H>) -> Actions<H> {
        let topic = message.topic.as_str().unwrap_or_default();
        let refuse = |reason: String, message: Inbound<'_>| {
            let payload = Payload::json(&serde_json::json!({ "reason": reason }));
            smallvec![reply(message.join_ref, message.reference, message.topic.into_owned(), Reply::error(payload))]
        };
        // These are kept for as long as the channel is joined.
        let kept = [
            ("topic", topic.len(), MAX_TOPIC_BYTES),
            ("join_ref", message.join_ref.size(), MAX_REF_BYTES),
            ("ref", message.reference.size(), MAX_REF_BYTES),
        ];
        if let Some((name, len, limit)) = kept.into_iter().find(|(_, len, limit)| len > limit) {
            return refuse(format!("{name} of {len} bytes, the limit is {limit}"), message);
        }
        let place = self.find(topic);
        let Some(handle) = open(topic) else {
            return smallvec![unmatched(message.reference, message.topic.into_owned())];
        };
        if place.is_err() && self.channels.len() >= self.max_channels {
            return refuse(event::TOO_MANY_CHANNELS.to_owned(), message);
        }
        let key = Key(self.next_key);
        self.next_key = self.next_key.wrapping_add(1);
        let topic: Arc<str> = match place {
            Ok(at) => self.channels[at].topic.clone(),
            Err(_) => topic.into(),
        };
        let Inbound { join_ref, reference, payload, .. } = message;
        let join = Box::new(Join { id: JoinId { topic, key }, join_ref, reference, params: payload });
        match place {
            Err(at) => {
                self.insert(at, Entry::new(handle.clone(), &join, None));
                smallvec![Action::Start(handle, join)]
            }
            Ok(at) => self.join_again(at, handle, join),
        }
    }

    /// Queues a join of a topic that is joined: it waits for the end of the old join, which is stopped unless it is
    /// leaving already.
    fn join_again(&mut self, at: usize, handle: H, join: Box<Join>) -> Actions<H> {
        let old = &mut self.channels[at];
        let mut actions = Actions::new();
        match old.successor.replace(Box::new(Successor { handle, join })) {
            // The overtaken join never started, and the client ignores replies to it.
            Some(overtaken) => actions.push(end(overtaken.join.id.topic, overtaken.join.join_ref, Ended::Done)),
            None if old.phase == Phase::Leaving => {}
            None => actions.push(Action::Stop(old.handle.clone(), End::Replaced)),
        }
        actions
    }

    fn leave(&mut self, message: Inbound<'_>) -> Actions<H> {
        let left = |message: Inbound<'_>, join_ref| {
            reply(join_ref, message.reference, message.topic.into_owned(), Reply::ok(Payload::empty()))
        };
        let Ok(at) = self.find(message.topic.as_str().unwrap_or_default()) else {
            // Leaving a topic that is not joined succeeds, as in Phoenix.
            let join_ref = message.join_ref.clone();
            return smallvec![left(message, join_ref)];
        };
        let entry = &mut self.channels[at];
        if let Some(waiting) = &entry.successor {
            if !is_meant(&message.join_ref, &waiting.join.join_ref) {
                return Actions::new();
            }
            let join_ref = waiting.join.join_ref.clone();
            let ended = end(entry.topic.clone(), join_ref.clone(), Ended::Done);
            // The old join still ends, now without a successor.
            entry.successor = None;
            entry.phase = Phase::Leaving;
            return smallvec![left(message, join_ref), ended];
        }
        if entry.phase == Phase::Leaving || !is_meant(&message.join_ref, &entry.join_ref) {
            return Actions::new();
        }
        entry.phase = Phase::Leaving;
        smallvec![Action::Stop(entry.handle.clone(), End::Left(message.reference))]
    }

    fn deliver(&mut self, message: Inbound<'_>) -> Actions<H> {
        let topic = message.topic.as_str().unwrap_or_default();
        let Ok(at) = self.find(topic) else {
            return smallvec![unmatched(message.reference, message.topic.into_owned())];
        };
        let entry = &self.channels[at];
        let (handle, join_ref) = match &entry.successor {
            Some(waiting) => (&waiting.handle, &waiting.join.join_ref),
            None if entry.phase == Phase::Leaving => return Actions::new(),
            None => (&entry.handle, &entry.join_ref),
        };
        if !is_meant(&message.join_ref, join_ref) {
            return Actions::new();
        }
        let Inbound { reference, event, payload, .. } = message;
        smallvec![Action::Deliver(handle.clone(), Incoming { reference, event: Event::from(&event), payload })]
    }

    /// Handles a join that succeeded.
    pub(crate) fn joined(&mut self, id: &JoinId, reference: Ref, response: Payload) -> Actions<H> {
        let Some(at) = self.find_join(id) else { return Actions::new() };
        let entry = &mut self.channels[at];
        let mut actions = smallvec![entry.reply(reference, Reply::ok(response))];
        if let Some(replaced) = entry.replaced.take() {
            actions.push(end(id.topic.clone(), *replaced, Ended::Done));
        }
        self.unless_closed(actions)
    }

    /// Handles a join that was refused or crashed.
    pub(crate) fn refused(
        &mut self,
        id: &JoinId,
        reference: Ref,
        response: Payload,
        unanswered: Unanswered,
    ) -> Actions<H> {
        let Some(at) = self.find_join(id) else { return Actions::new() };
        let mut entry = self.channels.remove(at);
        let mut actions = smallvec![entry.reply(reference, Reply::error(response))];
        if let Some(replaced) = entry.replaced.take() {
            actions.push(end(id.topic.clone(), *replaced, Ended::Done));
        }
        for reference in unanswered.messages {
            actions.push(unmatched(reference, Name::Text(id.topic.to_string().into())));
        }
        if let Some(reference) = unanswered.leave {
            // As for every leave of a topic that is not joined.
            actions.push(entry.reply(reference, Reply::ok(Payload::empty())));
        }
        self.succeed(at, entry.successor, None, &mut actions);
        self.unless_closed(actions)
    }

    /// Handles the end of a channel that had joined.
    pub(crate) fn exited(&mut self, id: &JoinId, exit: Ended) -> Actions<H> {
        let Some(at) = self.find_join(id) else { return Actions::new() };
        let entry = *self.channels.remove(at);
        let mut actions = Actions::new();
        let replaced = entry.successor.is_some() && entry.phase != Phase::Leaving && exit == Ended::Done;
        if replaced {
            self.succeed(at, entry.successor, Some(Box::new(entry.join_ref)), &mut actions);
        } else {
            actions.push(end(entry.topic, entry.join_ref, exit));
            self.succeed(at, entry.successor, None, &mut actions);
        }
        self.unless_closed(actions)
    }

    /// Closes the session: every channel is stopped, and nothing is sent any more.
    pub(crate) fn close(&mut self) -> Actions<H> {
        if std::mem::replace(&mut self.closed, true) {
            return Actions::new();
        }
        self.channels
            .iter_mut()
            .map(|entry| {
                entry.successor = None;
                Action::Stop(entry.handle.clone(), End::Closed)
            })
            .collect()
    }

    #[cfg(feature = "testkit")]
    pub(crate) fn handle(&self, topic: &str) -> Option<&H> {
        Some(&self.channels[self.find(topic).ok()?].handle)
    }

    #[cfg(feature = "testkit")]
    pub(crate) fn channel_count(&self) -> usize {
        self.channels.len()
    }

    fn succeed(
        &mut self,
        at: usize,
        waiting: Option<Box<Successor<H>>>,
        replaced: Option<Box<Ref>>,
        actions: &mut Actions<H>,
    ) {
        if let Some(waiting) = waiting {
            let Successor { handle, join } = *waiting;
            self.insert(at, Entry::new(handle.clone(), &join, replaced));
            actions.push(Action::Start(handle, join));
        } else if self.channels.is_empty() {
            self.channels = Vec::new();
        }
    }

    fn unless_closed(&self, actions: Actions<H>) -> Actions<H> {
        if self.closed { Actions::new() } else { actions }
    }

    fn find(&self, topic: &str) -> Result<usize, usize> {
        self.channels.binary_search_by(|entry| (*entry.topic).cmp(topic))
    }

    /// Returns the handles of all channels, including those that wait for the end of another.
    pub(crate) fn handles(&self) -> impl Iterator<Item = &H> {
        self.channels.iter().flat_map(|joined| {
            std::iter::once(&joined.handle).chain(joined.successor.iter().map(|successor| &successor.handle))
        })
    }

    fn find_join(&self, id: &JoinId) -> Option<usize> {
        self.find(&id.topic).ok().filter(|at| self.channels[*at].key == id.key)
    }

    fn insert(&mut self, at: usize, entry: Entry<H>) {
        if self.channels.is_empty() {
            self.channels.reserve_exact(1);
        }
        self.channels.insert(at, Box::new(entry));
    }
}

impl<H> Entry<H> {
    fn new(handle: H, join: &Join, replaced: Option<Box<Ref>>) -> Self {
        Entry {
            topic: join.id.topic.clone(),
            key: join.id.key,
            join_ref: join.join_ref.clone(),
            handle,
            phase: Phase::Live,
            replaced,
            successor: None,
        }
    }

    /// Makes the reply to this join.
    fn reply(&self, reference: Ref, answer: Reply) -> Action<H> {
        reply(self.join_ref.clone(), reference, Name::Text(self.topic.to_string().into()), answer)
    }
}

/// Returns whether a message is for a join. A message without a join ref is for any join, as since Phoenix 1.8.10; one
/// with another join's ref is stale.
fn is_meant(message: &Ref, join: &Ref) -> bool {
    message.is_null() || message == join
}

fn reply<H>(join_ref: Ref, reference: Ref, topic: Name<'static>, reply: Reply) -> Action<H> {
    Action::Reply(Box::new(Answer { join_ref, reference, topic, status: reply.status, payload: reply.payload }))
}

fn unmatched<H>(reference: Ref, topic: Name<'static>) -> Action<H> {
    let reason = Payload::json(&serde_json::json!({ "reason": event::UNMATCHED_TOPIC }));
    reply(Ref::NULL, reference, topic, Reply::error(reason))
}

fn end<H>(topic: Arc<str>, join_ref: Ref, exit: Ended) -> Action<H> {
    Action::End { join_ref, topic, exit }
}

#[cfg(test)]
mod tests;
