//! The tasks that write. A connection whose outbox has something is queued here; a flusher takes all that are queued
//! and writes each, so a broadcast to thousands of clients costs a loop of writes, not thousands of task switches.
//!
//! There is one flusher a core, started with the first connection; each connection belongs to one, which keeps its
//! writes in order. A flusher ends when the mounts it serves are gone.

use parking_lot::Mutex;
use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Poll, Waker};

/// Connections written before other tasks of the thread get their turn: about half a millisecond of system calls.
const BATCH: usize = 64;

/// What a flusher writes: a connection's link.
pub(crate) trait Flush: Send + Sync + 'static {
    /// Writes until there is nothing left or the socket takes no more; never waits.
    fn drain(&self);
}

/// All flushers of a mount's runtime.
pub(crate) struct Flushers<T> {
    queues: OnceLock<Box<[Arc<Queue<T>>]>>,
    next: AtomicUsize,
}

/// Connections that wait to be written by one flusher.
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
}

struct State<T> {
    waiting: Vec<Arc<T>>,
    flusher: Option<Waker>,
}

impl<T: Flush> Flushers<T> {
    pub(crate) fn new() -> Self {
        Flushers { queues: OnceLock::new(), next: AtomicUsize::new(0) }
    }

    /// The queue for a new connection. Must be called on the runtime that serves it.
    pub(crate) fn assign(&self) -> Arc<Queue<T>> {
        let queues = self.queues.get_or_init(|| {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            (0..cores).map(|_| start()).collect()
        });
        queues[self.next.fetch_add(1, Ordering::Relaxed) % queues.len()].clone()
    }
}

impl<T> Queue<T> {
    pub(super) fn push(&self, link: Arc<T>) {
        let mut state = self.state.lock();
        state.waiting.push(link);
        if let Some(flusher) = state.flusher.take() {
            drop(state);
            flusher.wake();
        }
    }
}

impl<T> Drop for Queue<T> {
    fn drop(&mut self) {
        // The flusher finds its queue gone and ends.
        if let Some(flusher) = self.state.get_mut().flusher.take() {
            flusher.wake();
        }
    }
}

fn start<T: Flush>() -> Arc<Queue<T>> {
    let queue = Arc::new(Queue { state: Mutex::new(State { waiting: Vec::new(), flusher: None }) });
    tokio::spawn(run(Arc::downgrade(&queue)));
    queue
}

async fn run<T: Flush>(queue: Weak<Queue<T>>) {
    let mut batch = Vec::new();
    while take(&queue, &mut batch).await {
        for (n, link) in batch.drain(..).enumerate() {
            link.drain();
            if n % BATCH == BATCH - 1 {
                tokio::task::yield_now().await;
            }
        }
        // After a broadcast to thousands the next is likely as big; after a lull it is not.
        batch.shrink_to(4 * BATCH);
    }
}

/// Waits until something is queued; `false` once the queue is gone.
async fn take<T>(queue: &Weak<Queue<T>>, batch: &mut Vec<Arc<T>>) -> bool {
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
