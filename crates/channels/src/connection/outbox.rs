//! The outbox of a client: a queue of encoded frames, bounded in bytes. Channels and the session push to it, the
//! transport drains it. The transport makes it when a client connects; nothing here depends on which transport it is.
//!
//! Invariants: pushing never waits; past the limit the client counts as too slow, its connection is closed, and the
//! waiting frames are dropped; many pushes wake the transport once, until it has drained the queue.

use bennu_protocol::Close;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;

/// The transport's side of an outbox.
pub trait Drainer: Send + Sync {
    /// Called when frames wait: the transport takes them soon, in a task of its own.
    fn wake(&self);

    /// Called when frames wait and the sender has none to add: the transport may write at once, if that needs no
    /// waiting.
    fn flush(&self) {
        self.wake();
    }
}

/// The cost of a waiting frame besides its bytes, so that small frames are not free.
const OVERHEAD: usize = 64;

fn cost(frame: &Bytes) -> usize {
    frame.len() + OVERHEAD
}

/// The rest of the queue after an [`Outbox::take`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// More frames wait.
    Some,
    /// Nothing waits.
    All,
    /// Nothing waits and nothing will follow: the transport closes the connection for this reason.
    Last(Close),
}

/// Frames on their way to one client.
pub struct Outbox {
    state: Mutex<State>,
    drainer: Arc<dyn Drainer>,
    /// Bytes that may wait, each frame with its [`OVERHEAD`]. A single frame may be larger, so that it can be sent at
    /// all.
    limit: usize,
}

#[derive(Default)]
struct State {
    /// The first frame. Most often it is the only one, and then needs no queue.
    first: Option<Bytes>,
    rest: VecDeque<Bytes>,
    bytes: usize,
    /// The drainer has been woken and has not yet found the queue empty.
    signalled: bool,
    /// A frame waits for which the drainer has not been woken: [`Outbox::flush`] follows.
    held: bool,
    close: Option<Box<Close>>,
    /// The transport has taken the last frame, or is gone.
    finished: bool,
}

impl Outbox {
    /// Makes an outbox of `limit` bytes that wakes `drainer` when frames wait.
    pub fn new(limit: usize, drainer: Arc<dyn Drainer>) -> Self {
        Outbox { state: Mutex::default(), drainer, limit }
    }

    /// Queues one frame and wakes the drainer. After [`Outbox::close`] the frame is dropped: nothing follows a close.
    pub fn push(&self, frame: Bytes) {
        let mut state = self.state.lock();
        if self.queue(&mut state, frame) && !std::mem::replace(&mut state.signalled, true) {
            drop(state);
            self.drainer.wake();
        }
    }

    /// Queues one frame without waking the drainer. The sender may have more frames, and flushes after the last.
    pub fn hold(&self, frame: Bytes) {
        let mut state = self.state.lock();
        if self.queue(&mut state, frame) {
            state.held = true;
        }
    }

    /// Wakes the drainer for the held frames. A task that holds frames flushes before it waits for anything.
    pub(crate) fn flush(&self) {
        let mut state = self.state.lock();
        if std::mem::take(&mut state.held) && !std::mem::replace(&mut state.signalled, true) {
            drop(state);
            self.drainer.flush();
        }
    }

    /// Returns `false` when the frame was dropped and there is nothing to write.
    fn queue(&self, state: &mut State, frame: Bytes) -> bool {
        if state.close.is_some() || state.finished || frame.is_empty() {
            return false;
        }
        let waiting = state.bytes + cost(&frame);
        if waiting > self.limit && state.first.is_some() {
            metrics::counter!("bennu.socket.slow_clients").increment(1);
            state.clear();
            state.close = Some(Box::new(Close::TooSlow { waiting, limit: self.limit }));
            // Woken again: the drainer may be waiting for the client and not for the outbox.
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

    /// Ends the connection once the queued frames have been written. The first reason counts.
    pub fn close(&self, reason: Close) {
        let mut state = self.state.lock();
        if state.close.is_none() && !state.finished {
            state.close = Some(Box::new(reason));
            drop(state);
            self.drainer.wake();
        }
    }

    /// Returns the reason for the close, while the close still waits for frames that were queued before it.
    pub fn closing(&self) -> Option<Close> {
        self.state.lock().close.as_deref().cloned()
    }

    /// Returns the bytes that wait, each frame with its [`OVERHEAD`].
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.state.lock().bytes
    }

    /// Takes up to `max` frames for writing, appending them to `frames`.
    ///
    /// Once a call has returned [`Taken::All`], the next push wakes the drainer again.
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

    /// Drops the waiting frames and all later ones: the transport is gone.
    pub fn finish(&self) {
        let mut state = self.state.lock();
        state.finished = true;
        state.clear();
    }
}

impl State {
    fn clear(&mut self) {
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
    fn held_frames_wake_the_transport_once_with_the_flush() {
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
    fn past_the_limit_the_client_is_too_slow_and_its_frames_are_dropped() {
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
    fn a_close_follows_the_queued_frames_and_nothing_follows_the_close() {
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
