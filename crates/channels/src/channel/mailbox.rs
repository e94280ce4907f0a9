//! A channel's mailbox: a queue bounded in bytes. Any task pushes to it, and the channel's actor takes all of it at
//! once.
//!
//! tokio's mpsc keeps a block of 32 slots for each channel (1.5 KB, measured); an idle mailbox here keeps no queue at
//! all. Invariants: pushing never waits; past the limit the mailbox rejects items and wakes the actor, which crashes
//! that channel and nothing else; an end can always be pushed; only the actor drops waiting items, since a sender may
//! hold a lock that the drop of a user's message needs.

use parking_lot::Mutex;
use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

/// The cost of a queued item besides its data, in bytes.
const OVERHEAD: usize = 128;

pub(crate) struct Mailbox<T>(Mutex<State<T>>);

struct State<T> {
    queue: VecDeque<T>,
    bytes: usize,
    reader: Reader,
    /// An end was pushed.
    ending: bool,
    /// The overflow, once an item did not fit. As with an end, a running handler then has a deadline.
    overflow: Option<Overflow>,
    /// The actor takes no further items.
    closed: bool,
}

/// The state of the actor, with the waker of the task that waits for it or of the actor itself.
enum Reader {
    /// The actor is at work.
    Busy,
    /// The actor is at work, and a task waits for it to return to the mailbox.
    Watched(Waker),
    /// The actor waits for mail.
    Mail(Waker),
    /// The actor's handler waits for something of its own, and is woken when the channel is to end.
    End(Waker),
    /// The actor has not started yet, or has ended.
    Absent,
}

/// More bytes wait for a channel than its limit allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("mailbox full: {waiting} bytes waiting, the limit is {limit}")]
pub(crate) struct Overflow {
    waiting: usize,
    limit: usize,
}

impl<T> Mailbox<T> {
    pub(crate) fn new() -> Self {
        Mailbox(Mutex::new(State {
            queue: VecDeque::new(),
            bytes: 0,
            reader: Reader::Absent,
            ending: false,
            overflow: None,
            closed: false,
        }))
    }

    /// Marks the actor as at work.
    pub(crate) fn start(&self) {
        self.0.lock().reader = Reader::Busy;
    }

    /// Queues an item of `size` bytes. Returns whether the actor will read it.
    pub(crate) fn push(&self, item: T, size: usize, limit: usize) -> bool {
        let mut state = self.0.lock();
        if state.closed || state.overflow.is_some() {
            return false;
        }
        let waiting = state.bytes + size + OVERHEAD;
        if waiting > limit && !state.queue.is_empty() {
            state.overflow = Some(Overflow { waiting, limit });
            state.wake_to_end();
            return false;
        }
        state.bytes = waiting;
        if state.queue.capacity() == 0 {
            // Most often one item waits; the default would reserve room for four.
            state.queue.reserve_exact(1);
        }
        state.queue.push_back(item);
        state.wake_for_mail();
        true
    }

    /// Returns the bytes that wait, each item with its [`OVERHEAD`].
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.0.lock().bytes
    }

    /// Queues the item that ends the channel, however much waits.
    pub(crate) fn push_end(&self, item: T) {
        let mut state = self.0.lock();
        if state.closed {
            return;
        }
        state.ending = true;
        state.queue.push_back(item);
        state.wake_to_end();
    }

    /// Completes when the actor waits or is absent, or otherwise when it has returned to the mailbox once. `watched` is
    /// false at first.
    ///
    /// After one return, the items that were pushed before have been taken; after two, they have been handled.
    pub(crate) fn poll_returned(&self, cx: &mut Context<'_>, watched: &mut bool) -> Poll<()> {
        let mut state = self.0.lock();
        let is_at_work = match state.reader {
            Reader::Busy => !*watched,
            Reader::Watched(_) => true,
            Reader::Mail(_) | Reader::End(_) | Reader::Absent => false,
        };
        if !is_at_work {
            return Poll::Ready(());
        }
        *watched = true;
        state.reader = Reader::Watched(cx.waker().clone());
        Poll::Pending
    }

    /// Takes all waiting items, or registers the actor's waker.
    pub(crate) fn poll_take(&self, cx: &mut Context<'_>, batch: &mut VecDeque<T>) -> Poll<Result<(), Overflow>> {
        let mut state = self.0.lock();
        state.set_reader(Reader::Busy);
        if let Some(overflow) = state.overflow {
            return Poll::Ready(Err(overflow));
        }
        if state.queue.is_empty() {
            state.reader = Reader::Mail(cx.waker().clone());
            return Poll::Pending;
        }
        std::mem::swap(&mut state.queue, batch);
        state.bytes = 0;
        Poll::Ready(Ok(()))
    }

    /// Completes when the channel is to end: an end is queued, or the mailbox has overflowed. Polled while a handler
    /// waits for something.
    pub(crate) fn poll_ending(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock();
        state.set_reader(Reader::End(cx.waker().clone()));
        if state.ending || state.overflow.is_some() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Returns the overflow, unless an end is queued too.
    pub(crate) fn overflow(&self) -> Option<Overflow> {
        let state = self.0.lock();
        state.overflow.filter(|_| !state.ending)
    }

    /// Marks the handler as running again.
    pub(crate) fn resume(&self) {
        let mut state = self.0.lock();
        if matches!(state.reader, Reader::End(_)) {
            state.reader = Reader::Busy;
        }
    }

    /// Closes the mailbox and returns the items that still waited.
    pub(crate) fn close(&self) -> VecDeque<T> {
        let mut state = self.0.lock();
        state.closed = true;
        std::mem::take(&mut state.queue)
    }

    /// Marks the actor as absent: it has sent its last frame, and no task waits for it.
    pub(crate) fn retire(&self) {
        self.0.lock().set_reader(Reader::Absent);
    }
}

impl<T> State<T> {
    /// Wakes the task that waits for the actor, whose state is now `reader`.
    fn set_reader(&mut self, reader: Reader) {
        if let Reader::Watched(waker) = std::mem::replace(&mut self.reader, reader) {
            waker.wake();
        }
    }

    fn wake_for_mail(&mut self) {
        match std::mem::replace(&mut self.reader, Reader::Busy) {
            Reader::Mail(waker) => waker.wake(),
            other => self.reader = other,
        }
    }

    fn wake_to_end(&mut self) {
        match std::mem::replace(&mut self.reader, Reader::Busy) {
            Reader::Mail(waker) | Reader::End(waker) => waker.wake(),
            other => self.reader = other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(mailbox: &Mailbox<u8>) -> Poll<Result<Vec<u8>, Overflow>> {
        let mut batch = VecDeque::new();
        mailbox.poll_take(&mut Context::from_waker(Waker::noop()), &mut batch).map_ok(|()| batch.into())
    }

    #[test]
    fn everything_that_waits_is_taken_in_order() {
        let mailbox = Mailbox::new();
        assert!(take(&mailbox).is_pending());
        for n in 0..5 {
            assert!(mailbox.push(n, 1, 10_000));
        }
        assert_eq!(take(&mailbox), Poll::Ready(Ok(vec![0, 1, 2, 3, 4])));
        assert!(take(&mailbox).is_pending());
    }

    #[test]
    fn past_the_limit_the_actor_gets_the_waiting_bytes_and_the_limit() {
        let mailbox = Mailbox::new();
        assert!(mailbox.push(1, 900, 1000), "a first item is taken whatever its size");
        assert!(!mailbox.push(2, 1, 1000));
        let Poll::Ready(Err(overflow)) = take(&mailbox) else { panic!("expected an overflow") };
        assert_eq!(overflow.to_string(), "mailbox full: 1157 bytes waiting, the limit is 1000");
    }

    #[test]
    fn an_end_can_be_queued_even_when_it_is_full() {
        let mailbox = Mailbox::new();
        mailbox.push(1, 5000, 1000);
        mailbox.push_end(2);
        assert_eq!(take(&mailbox), Poll::Ready(Ok(vec![1, 2])));
    }

    #[test]
    fn a_channel_that_ends_does_not_crash_for_mail_that_did_not_fit() {
        let mailbox = Mailbox::new();
        mailbox.push(1, 900, 1000);
        mailbox.push(2, 900, 1000);
        assert!(mailbox.overflow().is_some());
        mailbox.push_end(3);
        assert_eq!(mailbox.overflow(), None);
    }

    #[test]
    fn pushed_mail_is_handled_when_the_actor_has_returned_twice_or_waits() {
        let mailbox = Mailbox::new();
        mailbox.start();
        let returned = |watched: &mut bool| mailbox.poll_returned(&mut Context::from_waker(Waker::noop()), watched);
        mailbox.push(1, 1, 1000);
        let [mut first, mut second, mut third] = [false; 3];
        assert!(returned(&mut first).is_pending());
        assert!(returned(&mut first).is_pending(), "it is still at work");
        assert_eq!(take(&mailbox), Poll::Ready(Ok(vec![1])));
        assert!(returned(&mut first).is_ready());
        assert!(returned(&mut second).is_pending(), "now it handles that");
        mailbox.push(2, 1, 1000);
        assert!(take(&mailbox).is_ready());
        assert!(returned(&mut second).is_ready(), "though there is more, and always will be");
        assert!(returned(&mut third).is_pending());
        assert!(mailbox.poll_ending(&mut Context::from_waker(Waker::noop())).is_pending());
        assert!(returned(&mut third).is_ready(), "its handler waits");
        assert!(take(&mailbox).is_pending());
        assert!(returned(&mut false).is_ready(), "it waits for mail");
    }

    #[test]
    fn an_actor_that_ends_is_waited_for_until_it_has_said_so_and_no_longer() {
        let mailbox = Mailbox::<u8>::new();
        let returned = |watched: &mut bool| mailbox.poll_returned(&mut Context::from_waker(Waker::noop()), watched);
        let mut watched = false;
        assert!(returned(&mut watched).is_ready(), "it has not started yet");
        mailbox.start();
        assert!(returned(&mut watched).is_pending());
        mailbox.push_end(1);
        assert!(returned(&mut watched).is_pending(), "it has not taken that yet");
        mailbox.close();
        assert!(returned(&mut watched).is_pending(), "it has not returned yet");
        mailbox.retire();
        assert!(returned(&mut watched).is_ready());
        assert!(returned(&mut false).is_ready());
    }

    #[test]
    fn a_handler_that_waits_holds_nobody_up_though_its_channel_is_to_end() {
        let mailbox = Mailbox::<u8>::new();
        mailbox.start();
        let returned = |watched: &mut bool| mailbox.poll_returned(&mut Context::from_waker(Waker::noop()), watched);
        let ending = || mailbox.poll_ending(&mut Context::from_waker(Waker::noop()));
        assert!(ending().is_pending());
        mailbox.push_end(1);
        let mut watched = false;
        assert!(returned(&mut watched).is_pending(), "it is woken");
        assert!(ending().is_ready());
        assert!(returned(&mut watched).is_ready(), "and waits on");
        mailbox.resume();
        assert!(returned(&mut false).is_pending(), "now it does something");
    }

    #[test]
    fn a_closed_mailbox_takes_nothing_and_returns_the_waiting_mail() {
        let mailbox = Mailbox::new();
        mailbox.push(1, 1, 1000);
        assert_eq!(mailbox.close(), [1]);
        assert!(!mailbox.push(2, 1, 1000));
    }
}
