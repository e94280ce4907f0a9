//! What a connection's driver shares with whoever writes to it: the write half, what is left of an unfinished write,
//! and how far closing has got.
//!
//! It drains the connection's outbox: at once in the task of whoever has sent, or through a flusher when the sender is
//! somebody else or the socket was full. Invariants: frames are written in the order of the outbox; nothing is written
//! after the close frame; nobody waits for the link's lock to write.

use super::flush::{Flush, Queue};
use super::stream::Writer;
use bennu_channels::protocol::Close;
use bennu_channels::{Connection, Drainer, Taken};
use bennu_websocket::{CloseCode, encode};
use bytes::{Buf, Bytes};
use parking_lot::Mutex;
use smallvec::SmallVec;
use std::cell::RefCell;
use std::io::IoSlice;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};

/// Frames that leave in one write at most. Linux takes 1,024; past a few dozen nothing is won.
const MAX_SLICES: usize = 64;

pub(crate) struct Link {
    state: Mutex<State>,
    queue: Arc<Queue<Link>>,
    queued: AtomicBool,
    /// Whether the phase is no longer [`Phase::Open`]: what the driver asks at every turn, without the lock.
    ending: AtomicBool,
    myself: Weak<Link>,
}

struct State {
    /// `None` once the driver has ended: the stream is closed however long a channel takes to terminate.
    writer: Option<Writer>,
    /// Whose outbox is written. The two hold each other until the driver has ended: [`Link::release`].
    connection: Option<Arc<Connection>>,
    /// Frames taken from the outbox and not, or not wholly, written: the socket's buffer is full.
    unwritten: Vec<Bytes>,
    phase: Phase,
    close_frame_queued: bool,
    driver: Option<Waker>,
}

/// How far closing has got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Phase {
    Open,
    /// The connection shall end; what waits, and then the close frame, is still being written.
    Closing(Close),
    /// The close frame has been written.
    Closed(Close),
    /// The socket cannot be written any more.
    Failed,
}

impl Link {
    pub(crate) fn new(writer: Writer, queue: Arc<Queue<Link>>) -> Arc<Self> {
        let state = State {
            writer: Some(writer),
            connection: None,
            unwritten: Vec::new(),
            phase: Phase::Open,
            close_frame_queued: false,
            driver: None,
        };
        Arc::new_cyclic(|myself| Link {
            state: Mutex::new(state),
            queue,
            queued: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            myself: myself.clone(),
        })
    }

    /// Whose outbox is written here. Before that nothing is.
    pub(crate) fn attach(self: &Arc<Self>, connection: &Arc<Connection>) {
        self.state.lock().connection = Some(connection.clone());
        // What was sent before there was anyone to write it.
        Drainer::wake(&**self);
    }

    /// Closes the stream.
    pub(crate) fn release(&self) {
        let mut state = self.state.lock();
        state.writer = None;
        state.unwritten = Vec::new();
        state.driver = None;
        let connection = state.connection.take();
        drop(state);
        // The last reference maybe: its own drop must not find us locked.
        drop(connection);
    }

    /// Who is told when the connection begins to end.
    pub(crate) fn set_driver(&self, driver: &Waker) {
        self.state.lock().driver = Some(driver.clone());
    }

    /// Whether [`Link::phase`] is still open; costs no lock.
    pub(crate) fn is_open(&self) -> bool {
        !self.ending.load(Ordering::Acquire)
    }

    /// How far closing has got.
    pub(crate) fn phase(&self) -> Phase {
        self.state.lock().phase.clone()
    }

    /// Sends FIN.
    pub(crate) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.state.lock().writer {
            Some(writer) => writer.poll_shutdown(cx).map(|_| ()),
            None => Poll::Ready(()),
        }
    }

    fn drain_locked(&self, state: &mut State) {
        thread_local! {
            /// Frames on their way from an outbox to a socket: empty between two drains.
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
                // Most links have nothing left over and hold no buffer.
                state.unwritten.append(frames);
            }
        });
        state.connection = Some(connection);
    }

    /// Needed only where the socket is full, which it rarely is.
    fn waker(&self) -> Waker {
        self.myself.upgrade().map_or_else(|| Waker::noop().clone(), Waker::from)
    }
}

impl Flush for Link {
    fn drain(&self) {
        self.queued.store(false, Ordering::Release);
        self.drain_locked(&mut self.state.lock());
    }
}

impl Drainer for Link {
    fn wake(&self) {
        if !self.queued.swap(true, Ordering::AcqRel)
            && let Some(link) = self.myself.upgrade()
        {
            self.queue.push(link);
        }
    }

    fn flush(&self) {
        match self.state.try_lock() {
            Some(mut state) => self.drain_locked(&mut state),
            // Someone is writing just now, and may have looked into the outbox already.
            None => self.wake(),
        }
    }
}

/// Woken when the socket takes more.
impl Wake for Link {
    fn wake(self: Arc<Self>) {
        Drainer::wake(&*self);
    }
}

impl State {
    /// Takes what waits, the close frame last; `false` when nothing more is there to take.
    fn refill(&mut self, connection: &Connection, frames: &mut Vec<Bytes>, link: &Link) -> bool {
        if self.close_frame_queued {
            if let Phase::Closing(reason) = &self.phase {
                let reason = reason.clone();
                self.enter(Phase::Closed(reason), link);
            }
            return false;
        }
        match connection.take(frames, MAX_SLICES) {
            Taken::Some => true,
            Taken::All => false,
            Taken::Last(reason) => {
                frames.push(encode::close_frame(reason.code().map(CloseCode), &reason.reason()));
                self.close_frame_queued = true;
                self.enter(Phase::Closing(reason), link);
                true
            }
        }
    }

    /// The socket takes no more for now. If the connection shall end, the driver must know: it sets the deadline.
    fn stalled(&mut self, connection: &Connection, link: &Link) {
        match connection.outbox().closing() {
            Some(Close::TooSlow { waiting, limit }) => {
                tracing::warn!(waiting, limit, "closing a client that does not read");
                self.enter(Phase::Failed, link);
            }
            Some(reason) if self.phase == Phase::Open => self.enter(Phase::Closing(reason), link),
            _ => {}
        }
    }

    /// TLS may keep a part of what it took: then the socket is full, and its waker drains this link again.
    fn flush(&mut self, link: &Link) {
        if let Some(writer) = &mut self.writer
            && let Poll::Ready(Err(_)) = writer.poll_flush(|| link.waker())
        {
            self.enter(Phase::Failed, link);
        }
    }

    fn is_writable(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Closing(_))
    }

    /// Writes frames and drops what is written; `false` when the socket is broken.
    fn write(&mut self, link: &Link, frames: &mut Vec<Bytes>) -> Poll<bool> {
        let Some(writer) = &mut self.writer else { return Poll::Ready(false) };
        let written = {
            let slices: SmallVec<[IoSlice<'_>; 8]> =
                frames.iter().take(MAX_SLICES).map(|frame| IoSlice::new(frame)).collect();
            writer.poll_write(|| link.waker(), &slices)
        };
        match std::task::ready!(written) {
            Ok(0) | Err(_) => Poll::Ready(false),
            Ok(written) => {
                advance(frames, written);
                Poll::Ready(true)
            }
        }
    }

    fn enter(&mut self, phase: Phase, link: &Link) {
        self.phase = phase;
        link.ending.store(true, Ordering::Release);
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
    fn what_was_written_is_dropped_and_the_rest_keeps_its_order() {
        let frames = || vec![Bytes::from_static(b"abc"), Bytes::from_static(b"de"), Bytes::from_static(b"f")];
        for (written, left) in [(0, "abc|de|f"), (2, "c|de|f"), (3, "de|f"), (4, "e|f"), (5, "f"), (6, "")] {
            let mut frames = frames();
            advance(&mut frames, written);
            let text: Vec<_> = frames.iter().map(|frame| std::str::from_utf8(frame).unwrap()).collect();
            assert_eq!(text.join("|"), left, "{written} bytes");
        }
    }
}
