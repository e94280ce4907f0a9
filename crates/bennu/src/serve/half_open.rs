//! Half-open connections: accepted connections that have not sent a complete request yet.
//!
//! [`crate::serve`] spawns each accepted connection here. Invariant: at most [`MAX_HALF_OPEN`] connections are half
//! open. A further one evicts the oldest, so that opening many connections costs an attacker more than it costs the
//! server; an honest client needs milliseconds for its request.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use tokio::task::AbortHandle;

/// Connections that may be half open at once. Each costs a file descriptor and, while its headers arrive, up to 27 KB
/// (measured 2026-11-20 in a debug build).
pub(crate) const MAX_HALF_OPEN: usize = 4096;

/// The half-open connections of one server.
#[derive(Clone, Default)]
pub(crate) struct HalfOpen(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// The tasks of the connections by number, the oldest first.
    tasks: BTreeMap<u64, AbortHandle>,
    next: u64,
    warned: bool,
}

impl HalfOpen {
    /// Spawns the task of a connection, which calls [`Handshake::complete`] when its first request has arrived.
    pub(crate) fn spawn<F>(&self, connection: impl FnOnce(Handshake) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut state = self.0.lock();
        let id = state.next;
        state.next += 1;
        let handshake = Handshake { half_open: self.clone(), id };
        let guard = CompleteOnDrop(handshake.clone());
        let connection = connection(handshake);
        let task = tokio::spawn(async move {
            let _guard = guard;
            connection.await;
        });
        state.tasks.insert(id, task.abort_handle());
        if state.tasks.len() > MAX_HALF_OPEN
            && let Some((_, oldest)) = state.tasks.pop_first()
        {
            oldest.abort();
            metrics::counter!("bennu.http.half_open_dropped").increment(1);
            if !std::mem::replace(&mut state.warned, true) {
                tracing::warn!(
                    limit = MAX_HALF_OPEN,
                    "too many unfinished handshakes, dropping the oldest (logged once; bennu.http.half_open_dropped \
                     counts them)"
                );
            }
        }
    }
}

/// The handshake of one half-open connection.
#[derive(Clone)]
pub(crate) struct Handshake {
    half_open: HalfOpen,
    id: u64,
}

impl Handshake {
    /// Removes the connection from the half-open ones; it can no longer be evicted.
    pub(crate) fn complete(&self) {
        self.half_open.0.lock().tasks.remove(&self.id);
    }
}

/// Removes a connection that ends before its first request.
struct CompleteOnDrop(Handshake);

impl Drop for CompleteOnDrop {
    fn drop(&mut self) {
        self.0.complete();
    }
}
