//! The flushers: tasks that write the outboxes of connections.
//!
//! A [`Writer`] whose outbox has new frames queues itself here; a flusher takes all queued writers and drains each. A
//! broadcast to thousands of clients therefore costs a loop of writes and not thousands of task switches.
//! [`super::upgrade`] assigns each connection to one flusher, which keeps its writes in order. A mount has one flusher
//! for each core, started with its first connection. A flusher ends when its mount and its
//! connections are dropped.

use super::writer::Writer;
use parking_lot::Mutex;
use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Poll, Waker};

/// Connections that a flusher writes before it yields to other tasks: about half a millisecond of system calls.
const BATCH: usize = 64;

/// The flushers of one mount.
pub(crate) struct FlusherPool {
    queues: OnceLock<Box<[Arc<FlushQueue>]>>,
    next: AtomicUsize,
}

/// The writers that wait for one flusher.
#[derive(Default)]
pub(crate) struct FlushQueue {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: Vec<Arc<Writer>>,
    flusher: Option<Waker>,
}

impl FlusherPool {
    pub(crate) fn new() -> Self {
        FlusherPool { queues: OnceLock::new(), next: AtomicUsize::new(0) }
    }

    /// Returns the queue for a new connection. Must be called on the runtime that serves the connection.
    pub(crate) fn assign(&self) -> Arc<FlushQueue> {
        let queues = self.queues.get_or_init(|| {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            (0..cores).map(|_| start()).collect()
        });
        queues[self.next.fetch_add(1, Ordering::Relaxed) % queues.len()].clone()
    }
}

impl FlushQueue {
    pub(super) fn push(&self, writer: Arc<Writer>) {
        let mut state = self.state.lock();
        state.waiting.push(writer);
        if let Some(flusher) = state.flusher.take() {
            drop(state);
            flusher.wake();
        }
    }
}

impl Drop for FlushQueue {
    fn drop(&mut self) {
        // The flusher wakes, finds its queue dropped, and ends.
        if let Some(flusher) = self.state.get_mut().flusher.take() {
            flusher.wake();
        }
    }
}

/// Starts a flusher and returns its queue.
fn start() -> Arc<FlushQueue> {
    let queue = Arc::new(FlushQueue::default());
    tokio::spawn(run(Arc::downgrade(&queue)));
    queue
}

async fn run(queue: Weak<FlushQueue>) {
    let mut batch = Vec::new();
    while take(&queue, &mut batch).await {
        for (n, writer) in batch.drain(..).enumerate() {
            writer.drain();
            if n % BATCH == BATCH - 1 {
                tokio::task::yield_now().await;
            }
        }
        // Keeps some capacity: after a broadcast to thousands of clients, the next one is probably as large.
        batch.shrink_to(4 * BATCH);
    }
}

/// Waits until writers are queued and moves them into `batch`; returns `false` once the queue is dropped.
async fn take(queue: &Weak<FlushQueue>, batch: &mut Vec<Arc<Writer>>) -> bool {
    poll_fn(|cx| {
        let Some(queue) = queue.upgrade() else { return Poll::Ready(false) };
        let mut state = queue.state.lock();
        if state.waiting.is_empty() {
            state.flusher = Some(cx.waker().clone());
            return Poll::Pending;
        }
        std::mem::swap(&mut state.waiting, batch);
        Poll::Ready(true)
    })
    .await
}
