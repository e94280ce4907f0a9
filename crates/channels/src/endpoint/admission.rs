//! Admission control: a bounded number of clients connect and join at the same time, so that a crowd that reconnects
//! after a restart is admitted as fast as its joins are answered, and no faster.
//!
//! Without it all handshakes succeed at once, and all joins wait for the same database. Joins that wait too long time
//! out in the client, which joins again, so that the load grows. With it the crowd waits before its handshake, where
//! clients do not time out, and the joins of admitted clients are answered soon.
//!
//! [`SocketMount::connect`](crate::socket::mount::SocketMount::connect) acquires a [`Permit`] before each `connect`.
//! The connection marks it when the client's first join begins, and drops it when that join has been answered.
//! Invariants: waiting clients are admitted in their order; a permit counts for at most [`UNTIL_JOIN`] without a join,
//! and for at most [`DURING_JOIN`] with a join that hangs.

use metrics::{Counter, Gauge, counter, gauge};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// Permits in use at the same time. If joins take 10 ms and run ten at a time, 512 of them are answered in half a
/// second; with a round trip of 100 ms, 5,000 clients a second can be admitted.
const MAX_PERMITS: usize = 512;

/// The time for which the permit of a client without a join counts: a round trip. Some clients never join.
const UNTIL_JOIN: Duration = Duration::from_millis(100);

/// The time for which the permit of a client with an unanswered first join counts. After it other clients are admitted,
/// although the join hangs.
const DURING_JOIN: Duration = Duration::from_secs(1);

/// Clients that may wait for a permit: as many as are admitted within 8 s when every join hangs.
const MAX_WAITING: usize = 4096;

/// The permits of one endpoint, and the queue for them.
pub(crate) struct Admission {
    permits: Mutex<Permits>,
    released: Notify,
    /// Held by the first waiting client. The lock is fair: the others wait for it in their order.
    turn: tokio::sync::Mutex<()>,
    waiting: AtomicUsize,
    waiting_gauge: Gauge,
    rejected: Counter,
}

/// The queue for permits is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{waiting} clients wait for their connection already, the limit")]
pub struct Overloaded {
    /// The number of clients that wait.
    pub waiting: usize,
}

impl Admission {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Admission {
            permits: Mutex::default(),
            released: Notify::new(),
            turn: tokio::sync::Mutex::default(),
            waiting: AtomicUsize::new(0),
            waiting_gauge: gauge!("bennu.socket.waiting"),
            rejected: counter!("bennu.socket.turned_away"),
        })
    }

    /// Waits for a permit. Dropping the future leaves the queue.
    pub(crate) async fn acquire(self: &Arc<Self>) -> Result<Permit, Overloaded> {
        let _waiting = Waiting::new(self)?;
        let _first = self.turn.lock().await;
        loop {
            let released = self.released.notified();
            let next_free = match self.permits.lock().acquire(Instant::now()) {
                Ok(number) => return Ok(Permit { admission: self.clone(), number }),
                Err(next_free) => next_free,
            };
            tokio::select! {
                () = released => {}
                () = sleep_until(next_free) => {}
            }
        }
    }
}

/// Admits one client, until its first join has been answered or the client has gone.
pub(crate) struct Permit {
    admission: Arc<Admission>,
    number: u64,
}

impl Permit {
    /// Marks the begin of a join. Only the client's first one counts.
    pub(crate) fn joining(&self) {
        self.admission.permits.lock().joining(self.number, Instant::now());
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.admission.permits.lock().in_use.remove(&self.number);
        self.admission.released.notify_one();
    }
}

/// The permits in use.
#[derive(Default)]
struct Permits {
    in_use: HashMap<u64, PermitState>,
    next: u64,
}

struct PermitState {
    /// The time at which it stops counting.
    until: Instant,
    /// The client's first join has begun.
    is_joining: bool,
}

impl Permits {
    /// Returns the number of a new permit, or the time at which the next one stops counting.
    fn acquire(&mut self, now: Instant) -> Result<u64, Instant> {
        if self.in_use.len() >= MAX_PERMITS {
            self.in_use.retain(|_, permit| permit.until > now);
        }
        if self.in_use.len() >= MAX_PERMITS {
            return Err(self.in_use.values().map(|permit| permit.until).min().unwrap_or(now));
        }
        self.next += 1;
        self.in_use.insert(self.next, PermitState { until: now + UNTIL_JOIN, is_joining: false });
        Ok(self.next)
    }

    /// Gives a client time for its first join; later joins give no more. A permit that has stopped counting stays so.
    fn joining(&mut self, number: u64, now: Instant) {
        if let Some(permit) = self.in_use.get_mut(&number)
            && !std::mem::replace(&mut permit.is_joining, true)
        {
            permit.until = now + DURING_JOIN;
        }
    }
}

/// A place in the queue for permits.
struct Waiting<'a>(&'a Admission);

impl<'a> Waiting<'a> {
    fn new(admission: &'a Admission) -> Result<Self, Overloaded> {
        let waiting = admission.waiting.fetch_add(1, Ordering::Relaxed);
        admission.waiting_gauge.increment(1);
        let place = Waiting(admission);
        if waiting >= MAX_WAITING {
            admission.rejected.increment(1);
            return Err(Overloaded { waiting });
        }
        Ok(place)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
        self.0.waiting_gauge.decrement(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use std::pin::Pin;
    use tokio::task::unconstrained;

    /// Polls once.
    fn now<F: Future>(acquiring: &mut Pin<Box<F>>) -> Option<F::Output> {
        unconstrained(acquiring.as_mut()).now_or_never()
    }

    async fn full(admission: &Arc<Admission>) -> Vec<Permit> {
        let mut in_use = Vec::new();
        for _ in 0..MAX_PERMITS {
            in_use.push(admission.acquire().await.unwrap());
        }
        in_use
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_is_admitted_as_earlier_clients_are_answered() {
        let admission = Admission::new();
        let start = Instant::now();
        let mut in_use = full(&admission).await;
        let mut next = Box::pin(admission.acquire());
        assert!(now(&mut next).is_none());
        in_use.pop();
        next.await.unwrap();
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_clients_are_admitted_in_their_order() {
        let admission = Admission::new();
        let mut in_use = full(&admission).await;
        let mut first = Box::pin(admission.acquire());
        let mut second = Box::pin(admission.acquire());
        assert!(now(&mut first).is_none());
        assert!(now(&mut second).is_none());
        in_use.pop();
        assert!(now(&mut second).is_none());
        let _first = now(&mut first).expect("its turn").unwrap();
        in_use.pop();
        drop(first);
        now(&mut second).expect("its turn").unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_leaves_the_queue_delays_no_other() {
        let admission = Admission::new();
        let mut in_use = full(&admission).await;
        let mut first = Box::pin(admission.acquire());
        let mut second = Box::pin(admission.acquire());
        assert!(now(&mut first).is_none());
        assert!(now(&mut second).is_none());
        drop(first);
        in_use.pop();
        now(&mut second).expect("its turn").unwrap();
        assert_eq!(admission.waiting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn clients_without_a_join_delay_others_for_a_round_trip() {
        let admission = Admission::new();
        let start = Instant::now();
        let _inside = full(&admission).await;
        admission.acquire().await.unwrap();
        assert_eq!(start.elapsed(), UNTIL_JOIN);
    }

    #[tokio::test(start_paused = true)]
    async fn joins_that_hang_delay_others_for_a_second() {
        let admission = Admission::new();
        let start = Instant::now();
        let in_use = full(&admission).await;
        in_use.iter().for_each(Permit::joining);
        admission.acquire().await.unwrap();
        assert_eq!(start.elapsed(), DURING_JOIN);
    }

    #[tokio::test(start_paused = true)]
    async fn further_joins_that_hang_delay_others_no_longer() {
        let admission = Admission::new();
        let start = Instant::now();
        let in_use = full(&admission).await;
        in_use.iter().for_each(Permit::joining);
        tokio::time::advance(DURING_JOIN * 9 / 10).await;
        in_use.iter().for_each(Permit::joining);
        admission.acquire().await.unwrap();
        assert_eq!(start.elapsed(), DURING_JOIN);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_rejects_further_clients() {
        let admission = Admission::new();
        let _inside = full(&admission).await;
        let mut queue: Vec<_> = (0..MAX_WAITING).map(|_| Box::pin(admission.acquire())).collect();
        for waiting in &mut queue {
            assert!(now(waiting).is_none());
        }
        let refused = admission.acquire().await.err();
        assert_eq!(refused, Some(Overloaded { waiting: MAX_WAITING }));
        queue.pop();
        assert!(now(&mut Box::pin(admission.acquire())).is_none());
    }
}
