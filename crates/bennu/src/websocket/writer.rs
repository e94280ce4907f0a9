//! The writer of a connection: owns the write half, the frames of an unfinished write, and the phase of the closing.
//!
//! It drains the connection's outbox. The task that sent the frames drains it directly when it flushes; a
//! [flusher](super::flusher) drains it after a push by another task, and when a full stream accepts bytes again. The
//! [driver](super::driver) reads the phase. Invariants: frames are written in the order of the outbox; nothing is
//! written after the close frame; no task waits for the lock of the writer in order to write.

use super::flusher::FlushQueue;
use super::stream::WriteHalf;
use bennu_channels::protocol::Close;
use bennu_channels::transport::{Connection, Drainer, Taken};
use bennu_websocket::{CloseCode, encode};
use bytes::{Buf, Bytes};
use parking_lot::Mutex;
use smallvec::SmallVec;
use std::cell::RefCell;
use std::io::IoSlice;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};

/// The most frames in one write. Linux accepts 1,024; more than a few dozen bring no further gain.
const MAX_SLICES: usize = 64;

/// See the module.
pub(crate) struct Writer {
    state: Mutex<State>,
    queue: Arc<FlushQueue>,
    queued: AtomicBool,
    /// Whether the phase is no longer [`Phase::Open`]. The driver reads it in each poll, without the lock.
    closing: AtomicBool,
    this: Weak<Writer>,
}

struct State {
    /// `None` once the driver has ended. The stream is then closed, however long a channel takes to terminate.
    stream: Option<WriteHalf>,
    /// The connection whose outbox is written. The two refer to each other until [`Writer::release`].
    connection: Option<Arc<Connection>>,
    /// Frames taken from the outbox and not written completely: the buffer of the stream is full.
    unwritten: Vec<Bytes>,
    phase: Phase,
    close_frame_queued: bool,
    driver: Option<Waker>,
}

/// The phase of the closing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Phase {
    Open,
    /// The connection closes; the queued frames and then the close frame are still to be written.
    Closing(Close),
    /// The close frame is written.
    Closed(Close),
    /// The stream is broken.
    Failed,
}

impl Writer {
    pub(crate) fn new(stream: WriteHalf, queue: Arc<FlushQueue>) -> Arc<Self> {
        let state = State {
            stream: Some(stream),
            connection: None,
            unwritten: Vec::new(),
            phase: Phase::Open,
            close_frame_queued: false,
            driver: None,
        };
        Arc::new_cyclic(|this| Writer {
            state: Mutex::new(state),
            queue,
            queued: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            this: this.clone(),
        })
    }

    /// Sets the connection whose outbox is written. Before this call, nothing is written.
    pub(crate) fn attach(self: &Arc<Self>, connection: &Arc<Connection>) {
        self.state.lock().connection = Some(connection.clone());
        // Frames may have been sent before this call.
        Drainer::wake(&**self);
    }

    /// Closes the stream and drops the unwritten frames.
    pub(crate) fn release(&self) {
        let mut state = self.state.lock();
        state.stream = None;
        state.unwritten = Vec::new();
        state.driver = None;
        let connection = state.connection.take();
        drop(state);
        // This may be the last reference; the drop of the connection must not run under the lock.
        drop(connection);
    }

    /// Sets the waker of the driver, which is woken whenever the phase changes.
    pub(crate) fn set_driver(&self, driver: &Waker) {
        self.state.lock().driver = Some(driver.clone());
    }

    /// Returns whether the phase is still [`Phase::Open`], without the lock.
    pub(crate) fn is_open(&self) -> bool {
        !self.closing.load(Ordering::Acquire)
    }

    /// Returns the phase of the closing.
    pub(crate) fn phase(&self) -> Phase {
        self.state.lock().phase.clone()
    }

    /// Sends FIN.
    pub(crate) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.state.lock().stream {
            Some(stream) => stream.poll_shutdown(cx).map(|_| ()),
            None => Poll::Ready(()),
        }
    }

    /// Writes the outbox until it is empty or the stream is full; never waits for the stream.
    pub(super) fn drain(&self) {
        self.queued.store(false, Ordering::Release);
        self.drain_locked(&mut self.state.lock());
    }

    fn drain_locked(&self, state: &mut State) {
        thread_local! {
            /// Frames that were taken from an outbox and are not written yet; empty between two drains.
            static FRAMES: RefCell<Vec<Bytes>> = const { RefCell::new(Vec::new()) };
        }
        let Some(connection) = state.connection.take() else { return };
        FRAMES.with_borrow_mut(|frames| {
            frames.append(&mut state.unwritten);
            let mut more = true;
            while state.is_writable() {
                if frames.is_empty() {
                    if !more {
                        break;
                    }
                    more = state.refill(&connection, frames, self);
                    if frames.is_empty() {
                        continue;
                    }
                }
                match state.write(self, frames) {
                    Poll::Ready(true) => {}
                    Poll::Ready(false) => state.enter(Phase::Failed, self),
                    Poll::Pending => {
                        state.stalled(&connection, self);
                        break;
                    }
                }
            }
            if frames.is_empty() {
                state.flush(self);
            } else {
                // Most writers have no frames left at this point, and hold no buffer.
                state.unwritten.append(frames);
            }
        });
        state.connection = Some(connection);
    }

    /// Returns the waker that drains this writer again. It is created only if the stream is full, which is rare.
    fn waker(&self) -> Waker {
        self.this.upgrade().map_or_else(|| Waker::noop().clone(), Waker::from)
    }
}

impl Drainer for Writer {
    fn wake(&self) {
        if !self.queued.swap(true, Ordering::AcqRel)
            && let Some(writer) = self.this.upgrade()
        {
            self.queue.push(writer);
        }
    }

    fn flush(&self) {
        match self.state.try_lock() {
            Some(mut state) => self.drain_locked(&mut state),
            // Another task is writing, and may already have taken the frames from the outbox.
            None => self.wake(),
        }
    }
}

/// Queues the writer when the stream accepts bytes again.
impl Wake for Writer {
    fn wake(self: Arc<Self>) {
        Drainer::wake(&*self);
    }
}

impl State {
    /// Takes frames from the outbox, and the close frame after the last one; returns `false` if no
    /// frame is left to take.
    fn refill(&mut self, connection: &Connection, frames: &mut Vec<Bytes>, writer: &Writer) -> bool {
        if self.close_frame_queued {
            if let Phase::Closing(reason) = &self.phase {
                let reason = reason.clone();
                self.enter(Phase::Closed(reason), writer);
            }
            return false;
        }
        match connection.take(frames, MAX_SLICES) {
            Taken::Some => true,
            Taken::All => false,
            Taken::Last(reason) => {
                frames.push(encode::close_frame(reason.code().map(CloseCode), &reason.reason()));
                self.close_frame_queued = true;
                self.enter(Phase::Closing(reason), writer);
                true
            }
        }
    }

    /// Handles a full stream. If the connection is closing, this wakes the driver, which then sets the deadline.
    fn stalled(&mut self, connection: &Connection, writer: &Writer) {
        match connection.outbox().closing() {
            Some(Close::TooSlow { waiting, limit }) => {
                tracing::warn!(waiting, limit, "closing a client that does not read");
                self.enter(Phase::Failed, writer);
            }
            Some(reason) if self.phase == Phase::Open => self.enter(Phase::Closing(reason), writer),
            _ => {}
        }
    }

    /// Sends the bytes that TLS still buffers. If the stream is full, its waker drains this writer again.
    fn flush(&mut self, writer: &Writer) {
        if let Some(stream) = &mut self.stream
            && let Poll::Ready(Err(_)) = stream.poll_flush(|| writer.waker())
        {
            self.enter(Phase::Failed, writer);
        }
    }

    fn is_writable(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Closing(_))
    }

    /// Writes frames and drops the written bytes; returns `false` if the stream is broken.
    fn write(&mut self, writer: &Writer, frames: &mut Vec<Bytes>) -> Poll<bool> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(false) };
        let written = {
            let slices: SmallVec<[IoSlice<'_>; 8]> =
                frames.iter().take(MAX_SLICES).map(|frame| IoSlice::new(frame)).collect();
            stream.poll_write(|| writer.waker(), &slices)
        };
        match std::task::ready!(written) {
            Ok(0) | Err(_) => Poll::Ready(false),
            Ok(written) => {
                advance(frames, written);
                Poll::Ready(true)
            }
        }
    }

    fn enter(&mut self, phase: Phase, writer: &Writer) {
        self.phase = phase;
        writer.closing.store(true, Ordering::Release);
        if let Some(driver) = &self.driver {
            driver.wake_by_ref();
        }
    }
}

/// Drops the first `written` bytes.
fn advance(frames: &mut Vec<Bytes>, mut written: usize) {
    let mut whole = 0;
    while let Some(frame) = frames.get_mut(whole)
        && written > 0
    {
        if frame.len() > written {
            frame.advance(written);
            break;
        }
        written -= frame.len();
        whole += 1;
    }
    frames.drain(..whole);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_bytes_are_dropped_and_the_rest_keeps_its_order() {
        let frames = || vec![Bytes::from_static(b"abc"), Bytes::from_static(b"de"), Bytes::from_static(b"f")];
        for (written, left) in [(0, "abc|de|f"), (2, "c|de|f"), (3, "de|f"), (4, "e|f"), (5, "f"), (6, "")] {
            let mut frames = frames();
            advance(&mut frames, written);
            let text: Vec<_> = frames.iter().map(|frame| std::str::from_utf8(frame).unwrap()).collect();
            assert_eq!(text.join("|"), left, "{written} bytes");
        }
    }
}
