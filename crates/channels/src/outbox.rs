//! The way back to a client: a queue of ready frames, bounded in bytes, that whoever sends pushes to and the transport
//! drains. Handed down at connect; nothing here knows which transport it is.
//!
//! Invariants: pushing never waits; past the limit the client is too slow and is closed, and what waited is dropped; the
//! transport is told once of many pushes, until it has drained the queue.

use bennu_protocol::Close;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;

/// The transport's side of an outbox.
pub trait Drainer: Send + Sync {
    /// There is something to take: see to it soon, in a task of your own.
    fn wake(&self);

    /// There is something to take, and whoever sent it has said all it had to say: now is a good time to write, if
    /// that needs no waiting.
    fn flush(&self) {
        self.wake();
    }
}

/// What a waiting frame costs besides its bytes: small frames must not be free.
const OVERHEAD: usize = 64;

fn cost(frame: &Bytes) -> usize {
    frame.len() + OVERHEAD
}

/// What [`Outbox::take`] has left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// More frames wait.
    Some,
    /// Nothing waits.
    All,
    /// Nothing waits and nothing will come: the connection shall end.
    Last(Close),
}

/// Frames on their way to one client.
pub struct Outbox {
    state: Mutex<State>,
    drainer: Arc<dyn Drainer>,
    /// Bytes that may wait, each frame with its [`OVERHEAD`]; a single frame may be larger, so that it can be sent at all.
    limit: usize,
}

#[derive(Default)]
struct State {
    /// Most often one frame waits, which then needs no queue.
    first: Option<Bytes>,
    rest: VecDeque<Bytes>,
    bytes: usize,
    /// The drainer has been told and has not yet found the queue empty.
    signalled: bool,
    /// Something waits that the drainer has not been told of: [`Outbox::flush`] follows.
    held: bool,
    close: Option<Box<Close>>,
    /// Nothing is taken any more.
    finished: bool,
}

impl Outbox {
    /// An outbox that tells `drainer` when there is something to take.
    pub fn new(limit: usize, drainer: Arc<dyn Drainer>) -> Self {
        Outbox { state: Mutex::default(), drainer, limit }
    }

    /// Queues one frame and has it written soon. After [`Outbox::close`] it is dropped: nothing follows a close.
    pub fn push(&self, frame: Bytes) {
        let mut state = self.state.lock();
        if self.queue(&mut state, frame) && !std::mem::replace(&mut state.signalled, true) {
            drop(state);
            self.drainer.wake();
        }
    }

    /// Queues one frame that is written with the next flush: for those who may have more to say.
    pub fn hold(&self, frame: Bytes) {
        let mut state = self.state.lock();
        if self.queue(&mut state, frame) {
            state.held = true;
        }
    }

    /// Has what is held written. To be called by whoever held it, before it waits for anything.
    pub(crate) fn flush(&self) {
        let mut state = self.state.lock();
        if std::mem::take(&mut state.held) && !std::mem::replace(&mut state.signalled, true) {
            drop(state);
            self.drainer.flush();
        }
    }

    /// `false` when the frame was dropped and there is nothing to write.
    fn queue(&self, state: &mut State, frame: Bytes) -> bool {
        if state.close.is_some() || state.finished || frame.is_empty() {
            return false;
        }
        let waiting = state.bytes + cost(&frame);
        if waiting > self.limit && state.first.is_some() {
            metrics::counter!("bennu.socket.slow_clients").increment(1);
            state.forget();
            state.close = Some(Box::new(Close::TooSlow { waiting, limit: self.limit }));
            // Told again: it may be waiting for the client and not for us.
            self.drainer.wake();
            return false;
        }
        state.bytes = waiting;
        if state.first.is_none() {
            state.first = Some(frame);
        } else {
            state.rest.push_back(frame);
        }
        true
    }

    /// Ends the connection once what is queued has been written. The first reason stays.
    pub fn close(&self, reason: Close) {
        let mut state = self.state.lock();
        if state.close.is_none() && !state.finished {
            state.close = Some(Box::new(reason));
            drop(state);
            self.drainer.wake();
        }
    }

    /// Why the connection shall end, while that still waits for what was queued before.
    pub fn closing(&self) -> Option<Close> {
        self.state.lock().close.as_deref().cloned()
    }

    /// Bytes that wait, each frame with its [`OVERHEAD`].
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.state.lock().bytes
    }

    /// Takes up to `max` frames for writing, appending them to `frames`.
    ///
    /// Once a call has answered [`Taken::All`], the drainer is told of what comes next.
    pub fn take(&self, frames: &mut Vec<Bytes>, max: usize) -> Taken {
        let mut state = self.state.lock();
        if let Some(first) = state.first.take() {
            let mut taken = cost(&first);
            frames.push(first);
            if !state.rest.is_empty() {
                let count = state.rest.len().min(max - 1);
                taken += state.rest.iter().take(count).map(cost).sum::<usize>();
                frames.extend(state.rest.drain(..count));
                state.first = state.rest.pop_front();
            }
            state.bytes -= taken;
        }
        if state.first.is_some() {
            return Taken::Some;
        }
        // An idle connection holds no queue.
        state.rest = VecDeque::new();
        state.signalled = false;
        match state.close.take() {
            Some(reason) => {
                state.finished = true;
                Taken::Last(*reason)
            }
            None => Taken::All,
        }
    }

    /// Drops what waits and takes nothing more: the transport is gone.
    pub fn finish(&self) {
        let mut state = self.state.lock();
        state.finished = true;
        state.forget();
    }
}

impl State {
    fn forget(&mut self) {
        self.first = None;
        self.rest = VecDeque::new();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Drainer for Wakes {
        fn wake(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn outbox(limit: usize) -> (Outbox, Arc<Wakes>) {
        let wakes = Arc::new(Wakes::default());
        (Outbox::new(limit, wakes.clone()), wakes)
    }

    fn drain(outbox: &Outbox) -> (Vec<Bytes>, Option<Close>) {
        let mut frames = Vec::new();
        loop {
            match outbox.take(&mut frames, 64) {
                Taken::Some => {}
                Taken::All => return (frames, None),
                Taken::Last(close) => return (frames, Some(close)),
            }
        }
    }

    #[test]
    fn frames_come_out_in_order_and_many_pushes_wake_once() {
        let (outbox, wakes) = outbox(10_000);
        for n in 0..100u8 {
            outbox.push(Bytes::copy_from_slice(&[n]));
        }
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        assert_eq!(drain(&outbox).0.iter().map(|frame| frame[0]).collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
        outbox.push(Bytes::from_static(b"x"));
        assert_eq!(wakes.0.load(Ordering::Relaxed), 2, "a drained outbox wakes again");
    }

    #[test]
    fn what_is_held_is_told_of_once_with_the_flush() {
        let (outbox, wakes) = outbox(1000);
        outbox.flush();
        outbox.hold(Bytes::from_static(b"a"));
        outbox.hold(Bytes::from_static(b"b"));
        assert_eq!(wakes.0.load(Ordering::Relaxed), 0);
        outbox.flush();
        outbox.flush();
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        assert_eq!(drain(&outbox).0.len(), 2);
    }

    #[test]
    fn past_the_limit_the_client_is_too_slow_and_what_waited_is_dropped() {
        let (outbox, _) = outbox(100);
        outbox.push(Bytes::from_static(b"12345678"));
        outbox.push(Bytes::from_static(b"345"));
        outbox.push(Bytes::from_static(b"later"));
        assert_eq!(drain(&outbox), (vec![], Some(Close::TooSlow { waiting: 139, limit: 100 })));
    }

    #[test]
    fn a_single_frame_over_the_limit_is_sent_when_nothing_waits() {
        let (outbox, _) = outbox(10);
        outbox.push(Bytes::from(vec![0; 100]));
        assert_eq!(drain(&outbox).0.len(), 1);
    }

    #[test]
    fn a_frame_without_bytes_is_nothing_to_write() {
        let (outbox, wakes) = outbox(100);
        outbox.push(Bytes::new());
        outbox.hold(Bytes::new());
        outbox.flush();
        assert_eq!((drain(&outbox), wakes.0.load(Ordering::Relaxed)), ((vec![], None), 0));
    }

    #[test]
    fn a_close_comes_after_what_was_queued_and_nothing_follows_it() {
        let (outbox, _) = outbox(1000);
        outbox.push(Bytes::from_static(b"last words"));
        outbox.close(Close::Disconnected);
        outbox.close(Close::Restart);
        outbox.push(Bytes::from_static(b"too late"));
        assert_eq!(drain(&outbox), (vec![Bytes::from_static(b"last words")], Some(Close::Disconnected)));
        outbox.push(Bytes::from_static(b"much too late"));
        assert_eq!(drain(&outbox), (vec![], None));
    }
}
