//! Connections that have not sent a whole request yet: bounded in number, so that opening many costs an attacker more
//! than it costs us. The oldest gives way to the newest: an honest client needs milliseconds.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use tokio::task::AbortHandle;

/// Handshakes that may be under way at once. Each costs a file descriptor and, while its headers come in, up to 27 KB
/// (measured 2026-11-20 in a debug build).
pub(crate) const MAX_HALF_OPEN: usize = 4096;

#[derive(Clone, Default)]
pub(crate) struct HalfOpen(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// By age.
    waiting: BTreeMap<u64, AbortHandle>,
    next: u64,
    warned: bool,
}

impl HalfOpen {
    /// Runs a connection, which calls `seen` once its first request is there.
    pub(crate) fn spawn<F>(&self, connection: impl FnOnce(Seen) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut state = self.0.lock();
        let id = state.next;
        state.next += 1;
        let seen = Seen { half_open: self.clone(), id };
        let ended = seen.clone();
        let running = connection(seen);
        let task = tokio::spawn(async move {
            let _ended = Ended(ended);
            running.await;
        });
        state.waiting.insert(id, task.abort_handle());
        if state.waiting.len() > MAX_HALF_OPEN
            && let Some((_, oldest)) = state.waiting.pop_first()
        {
            oldest.abort();
            metrics::counter!("bennu.http.half_open_dropped").increment(1);
            if !std::mem::replace(&mut state.warned, true) {
                tracing::warn!(
                    limit = MAX_HALF_OPEN,
                    "too many unfinished handshakes, dropping the oldest (said once; see bennu.http.half_open_dropped)"
                );
            }
        }
    }
}

/// Takes a connection off the list.
#[derive(Clone)]
pub(crate) struct Seen {
    half_open: HalfOpen,
    id: u64,
}

impl Seen {
    pub(crate) fn request(&self) {
        self.half_open.0.lock().waiting.remove(&self.id);
    }
}

/// Off the list too when it ends before its first request.
struct Ended(Seen);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.request();
    }
}
