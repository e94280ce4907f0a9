//! What waits for the user of one channel: a bounded queue of events.
//!
//! Filled by the session, emptied by the channel's handle. Past a limit the oldest go, and the count of what went is the
//! next event that the user sees: a reader that is late learns so, and reads what is new instead of what is stale.

use crate::{Event, QueueLimit};
use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

/// What an event counts besides its payload, in bytes.
const EVENT_BYTES: usize = 128;

#[derive(Debug, Default)]
pub(crate) struct Inbox {
    events: VecDeque<Event>,
    /// Invariant: the sum of [`size`] over the events.
    bytes: usize,
    /// Events that were dropped since the user was last told.
    lagged: u64,
    /// Nothing follows what waits.
    ended: bool,
    reader: Option<Waker>,
}

impl Inbox {
    /// Queues an event; returns the reader to wake.
    pub(crate) fn push(&mut self, event: Event, limit: QueueLimit) -> Option<Waker> {
        if self.ended {
            return None;
        }
        self.bytes += size(&event);
        self.events.push_back(event);
        // The newest stays, whatever its size.
        while self.events.len() > 1 && (self.events.len() > limit.messages || self.bytes > limit.bytes) {
            self.take();
            self.lagged += 1;
        }
        self.reader.take()
    }

    /// Says that nothing follows; returns the reader to wake.
    pub(crate) fn end(&mut self) -> Option<Waker> {
        self.ended = true;
        self.reader.take()
    }

    /// The next event; `None` at the end.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        if self.lagged > 0 {
            return Poll::Ready(Some(Event::Lagged(std::mem::take(&mut self.lagged))));
        }
        match self.take() {
            Some(event) => Poll::Ready(Some(event)),
            None if self.ended => Poll::Ready(None),
            None => self.wait(cx),
        }
    }

    /// How the first join went, as soon as that is known; messages that came before stay. `None` at the end.
    pub(crate) fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        if let Some(at) = self.events.iter().position(|event| !matches!(event, Event::Message(_))) {
            let event = self.events.remove(at);
            self.bytes -= event.as_ref().map_or(0, size);
            return Poll::Ready(event);
        }
        if self.ended { Poll::Ready(None) } else { self.wait(cx) }
    }

    fn wait<T>(&mut self, cx: &mut Context<'_>) -> Poll<T> {
        match &mut self.reader {
            Some(reader) => reader.clone_from(cx.waker()),
            empty => *empty = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    fn take(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        self.bytes -= size(&event);
        if self.events.is_empty() {
            // A burst must not cost an idle channel its buffer.
            self.events = VecDeque::new();
        }
        Some(event)
    }
}

fn size(event: &Event) -> usize {
    EVENT_BYTES
        + match event {
            Event::Message(message) => message.event.len() + message.payload.len(),
            Event::Joined(payload) | Event::Refused(payload) => payload.len(),
            Event::Interrupted(_) | Event::Lagged(_) | Event::Closed(_) => 0,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Message, Payload};

    const LIMIT: QueueLimit = QueueLimit { messages: 3, bytes: 10_000 };

    fn message(n: usize) -> Event {
        Event::Message(Message { event: n.to_string(), payload: Payload::binary(vec![0; 100]), join: 1 })
    }

    fn next(inbox: &mut Inbox) -> Option<String> {
        match inbox.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(Event::Message(message))) => Some(message.event),
            Poll::Ready(Some(Event::Lagged(count))) => Some(format!("lagged {count}")),
            Poll::Ready(other) => other.map(|event| format!("{event:?}")),
            Poll::Pending => Some("pending".to_owned()),
        }
    }

    #[test]
    fn past_its_limit_the_oldest_go_and_their_count_comes_first() {
        let mut inbox = Inbox::default();
        (0..5).for_each(|n| drop(inbox.push(message(n), LIMIT)));
        let read = [(); 5].map(|()| next(&mut inbox).expect("not ended"));
        assert_eq!(read, ["lagged 2", "2", "3", "4", "pending"]);
        assert_eq!(inbox.bytes, 0);
    }

    #[test]
    fn bytes_are_a_limit_too_but_one_event_always_has_room() {
        let mut inbox = Inbox::default();
        let limit = QueueLimit { messages: 100, bytes: 500 };
        (0..4).for_each(|n| drop(inbox.push(message(n), limit)));
        assert_eq!(next(&mut inbox).as_deref(), Some("lagged 2"));
        let mut inbox = Inbox::default();
        inbox.push(message(7), QueueLimit { messages: 0, bytes: 0 });
        assert_eq!(next(&mut inbox).as_deref(), Some("7"));
    }

    #[test]
    fn what_waits_is_read_before_the_end_and_nothing_comes_after_it() {
        let mut inbox = Inbox::default();
        inbox.push(message(1), LIMIT);
        inbox.end();
        inbox.push(message(2), LIMIT);
        assert_eq!(next(&mut inbox).as_deref(), Some("1"));
        assert_eq!(next(&mut inbox), None);
    }

    #[test]
    fn the_outcome_of_a_join_overtakes_messages_and_leaves_them() {
        let mut inbox = Inbox::default();
        inbox.push(message(1), LIMIT);
        inbox.push(Event::Joined(Payload::empty()), LIMIT);
        let outcome = inbox.poll_outcome(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(outcome, Poll::Ready(Some(Event::Joined(_)))));
        assert_eq!(next(&mut inbox).as_deref(), Some("1"));
        assert_eq!(inbox.bytes, 0);
    }
}
