//! The inbox of a channel: a bounded queue of events.
//!
//! The session fills it and the channel's handle empties it. Past a limit the oldest events are dropped, and
//! [`ChannelEvent::Lagged`] with their number is the next event: a slow reader learns of the gap and continues with new
//! events instead of stale ones.

use crate::{ChannelEvent, QueueLimit};
use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

/// The size of an event beside its payload, in bytes.
const EVENT_BYTES: usize = 128;

#[derive(Debug, Default)]
pub(crate) struct Inbox {
    events: VecDeque<ChannelEvent>,
    /// Invariant: the sum of [`size`] over the events.
    bytes: usize,
    /// Events that were dropped since the latest [`ChannelEvent::Lagged`].
    lagged: u64,
    /// No event follows the queued ones.
    ended: bool,
    reader: Option<Waker>,
}

impl Inbox {
    /// Queues an event and returns the reader to wake.
    pub(crate) fn push(&mut self, event: ChannelEvent, limit: QueueLimit) -> Option<Waker> {
        if self.ended {
            return None;
        }
        self.bytes += size(&event);
        self.events.push_back(event);
        // The newest event stays at any size.
        while self.events.len() > 1 && (self.events.len() > limit.messages || self.bytes > limit.bytes) {
            self.take();
            self.lagged += 1;
        }
        self.reader.take()
    }

    /// Ends the queue and returns the reader to wake. Queued events can still be read.
    pub(crate) fn end(&mut self) -> Option<Waker> {
        self.ended = true;
        self.reader.take()
    }

    /// Returns the next event; `None` at the end.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<ChannelEvent>> {
        if self.lagged > 0 {
            return Poll::Ready(Some(ChannelEvent::Lagged(std::mem::take(&mut self.lagged))));
        }
        match self.take() {
            Some(event) => Poll::Ready(Some(event)),
            None if self.ended => Poll::Ready(None),
            None => self.wait(cx),
        }
    }

    /// Returns the next event that is not a message, which is the result of the join; `None` at the end. Messages that
    /// arrived earlier stay queued.
    pub(crate) fn poll_join_result(&mut self, cx: &mut Context<'_>) -> Poll<Option<ChannelEvent>> {
        if let Some(at) = self.events.iter().position(|event| !matches!(event, ChannelEvent::Message(_))) {
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

    fn take(&mut self) -> Option<ChannelEvent> {
        let event = self.events.pop_front()?;
        self.bytes -= size(&event);
        if self.events.is_empty() {
            // Releases the memory of a burst: an idle channel keeps no buffer.
            self.events = VecDeque::new();
        }
        Some(event)
    }
}

fn size(event: &ChannelEvent) -> usize {
    EVENT_BYTES
        + match event {
            ChannelEvent::Message(message) => message.event.len() + message.payload.len(),
            ChannelEvent::Joined(payload) | ChannelEvent::Refused(payload) => payload.len(),
            ChannelEvent::Interrupted(_) | ChannelEvent::Lagged(_) | ChannelEvent::Closed(_) => 0,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ChannelMessage, Payload};

    const LIMIT: QueueLimit = QueueLimit { messages: 3, bytes: 10_000 };

    fn message(n: usize) -> ChannelEvent {
        ChannelEvent::Message(ChannelMessage { event: n.to_string(), payload: Payload::binary(vec![0; 100]), join: 1 })
    }

    fn next(inbox: &mut Inbox) -> Option<String> {
        match inbox.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(ChannelEvent::Message(message))) => Some(message.event),
            Poll::Ready(Some(ChannelEvent::Lagged(count))) => Some(format!("lagged {count}")),
            Poll::Ready(other) => other.map(|event| format!("{event:?}")),
            Poll::Pending => Some("pending".to_owned()),
        }
    }

    #[test]
    fn past_its_limit_the_oldest_events_are_dropped_and_their_count_comes_first() {
        let mut inbox = Inbox::default();
        (0..5).for_each(|n| drop(inbox.push(message(n), LIMIT)));
        let read = [(); 5].map(|()| next(&mut inbox).expect("not ended"));
        assert_eq!(read, ["lagged 2", "2", "3", "4", "pending"]);
        assert_eq!(inbox.bytes, 0);
    }

    #[test]
    fn bytes_are_limited_too_but_one_event_is_kept_at_any_size() {
        let mut inbox = Inbox::default();
        let limit = QueueLimit { messages: 100, bytes: 500 };
        (0..4).for_each(|n| drop(inbox.push(message(n), limit)));
        assert_eq!(next(&mut inbox).as_deref(), Some("lagged 2"));
        let mut inbox = Inbox::default();
        inbox.push(message(7), QueueLimit { messages: 0, bytes: 0 });
        assert_eq!(next(&mut inbox).as_deref(), Some("7"));
    }

    #[test]
    fn queued_events_are_read_before_the_end_and_later_ones_are_dropped() {
        let mut inbox = Inbox::default();
        inbox.push(message(1), LIMIT);
        inbox.end();
        inbox.push(message(2), LIMIT);
        assert_eq!(next(&mut inbox).as_deref(), Some("1"));
        assert_eq!(next(&mut inbox), None);
    }

    #[test]
    fn the_result_of_a_join_overtakes_messages_and_leaves_them_queued() {
        let mut inbox = Inbox::default();
        inbox.push(message(1), LIMIT);
        inbox.push(ChannelEvent::Joined(Payload::empty()), LIMIT);
        let result = inbox.poll_join_result(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(result, Poll::Ready(Some(ChannelEvent::Joined(_)))));
        assert_eq!(next(&mut inbox).as_deref(), Some("1"));
        assert_eq!(inbox.bytes, 0);
    }
}
