//! The way back to a client: a queue of ready frames, bounded in bytes, that whoever sends pushes to and the transport
//! drains. Handed down at connect; nothing here knows which transport it is.
//!
//! Invariants: pushing never waits; past the limit the client is too slow and is closed, and what waited is dropped; the
//! transport is woken once for many pushes, until it has drained the queue.

use bennu_protocol::Close;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::task::Waker;

/// Frames on their way to one client.
pub struct Outbox {
    state: Mutex<State>,
    /// Tells the transport that there is something to drain.
    ready: Waker,
    /// Bytes that may wait; a single frame may be larger, so that it can be sent at all.
    limit: usize,
}

struct State {
    frames: VecDeque<Bytes>,
    bytes: usize,
    /// The transport has been woken and has not yet found the queue empty.
    signalled: bool,
    close: Option<Close>,
    /// Nothing is taken any more.
    finished: bool,
}

impl Outbox {
    /// Wakes `ready` when there is something to drain.
    pub fn new(limit: usize, ready: Waker) -> Self {
        let state = State { frames: VecDeque::new(), bytes: 0, signalled: false, close: None, finished: false };
        Outbox { state: Mutex::new(state), ready, limit }
    }

    /// Queues one frame. After [`Outbox::close`] it is dropped: nothing follows a close.
    pub fn push(&self, frame: Bytes) {
        let mut state = self.state.lock();
        if state.close.is_some() || state.finished {
            return;
        }
        let waiting = state.bytes + frame.len();
        if waiting > self.limit && !state.frames.is_empty() {
            metrics::counter!("bennu.socket.slow_clients").increment(1);
            state.frames = VecDeque::new();
            state.bytes = 0;
            state.close = Some(Close::TooSlow { waiting, limit: self.limit });
            // The transport may wait for the socket and not for us.
            drop(state);
            self.ready.wake_by_ref();
            return;
        }
        state.bytes = waiting;
        state.frames.push_back(frame);
        if !std::mem::replace(&mut state.signalled, true) {
            drop(state);
            self.ready.wake_by_ref();
        }
    }

    /// Ends the connection once what is queued has been written. The first reason stays.
    pub fn close(&self, reason: Close) {
        let mut state = self.state.lock();
        if state.close.is_none() && !state.finished {
            state.close = Some(reason);
            drop(state);
            self.ready.wake_by_ref();
        }
    }

    /// Why the connection shall end, while that still waits for what was queued before.
    pub fn closing(&self) -> Option<Close> {
        self.state.lock().close.clone()
    }

    /// Takes up to `max` frames for writing, appending them to `frames`.
    ///
    /// Returns the close reason when the queue is drained and the connection shall end. Until a call has taken
    /// nothing, the transport is not woken again.
    pub fn take(&self, frames: &mut Vec<Bytes>, max: usize) -> Option<Close> {
        let mut state = self.state.lock();
        if state.frames.is_empty() {
            state.signalled = false;
            // An idle connection holds no queue.
            state.frames = VecDeque::new();
            let reason = state.close.take();
            state.finished |= reason.is_some();
            return reason;
        }
        let count = state.frames.len().min(max);
        let taken: usize = state.frames.iter().take(count).map(Bytes::len).sum();
        frames.extend(state.frames.drain(..count));
        state.bytes -= taken;
        None
    }

    /// Drops what waits and takes nothing more: the transport is gone.
    pub fn finish(&self) {
        let mut state = self.state.lock();
        state.finished = true;
        state.frames = VecDeque::new();
        state.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl std::task::Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn outbox(limit: usize) -> (Outbox, Arc<Wakes>) {
        let wakes = Arc::new(Wakes::default());
        (Outbox::new(limit, wakes.clone().into()), wakes)
    }

    fn drain(outbox: &Outbox) -> (Vec<Bytes>, Option<Close>) {
        let mut frames = Vec::new();
        loop {
            let before = frames.len();
            let close = outbox.take(&mut frames, 64);
            if frames.len() == before {
                return (frames, close);
            }
        }
    }

    #[test]
    fn frames_come_out_in_order_and_many_pushes_wake_once() {
        let (outbox, wakes) = outbox(1000);
        for n in 0..100u8 {
            outbox.push(Bytes::copy_from_slice(&[n]));
        }
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        assert_eq!(drain(&outbox).0.iter().map(|frame| frame[0]).collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
        outbox.push(Bytes::from_static(b"x"));
        assert_eq!(wakes.0.load(Ordering::Relaxed), 2, "a drained outbox wakes again");
    }

    #[test]
    fn past_the_limit_the_client_is_too_slow_and_what_waited_is_dropped() {
        let (outbox, _) = outbox(10);
        outbox.push(Bytes::from_static(b"12345678"));
        outbox.push(Bytes::from_static(b"345"));
        outbox.push(Bytes::from_static(b"later"));
        assert_eq!(drain(&outbox), (vec![], Some(Close::TooSlow { waiting: 11, limit: 10 })));
    }

    #[test]
    fn a_single_frame_over_the_limit_is_sent_when_nothing_waits() {
        let (outbox, _) = outbox(10);
        outbox.push(Bytes::from(vec![0; 100]));
        assert_eq!(drain(&outbox).0.len(), 1);
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
