//! How many clients may be on their way in at once: a crowd that comes back after a restart is let in as fast as its joins
//! are answered, and no faster.
//!
//! Without it all handshakes succeed at once and all joins wait for the same database; those that wait too long time out
//! in the client, which joins again, and the crowd grows. Here the crowd waits before its handshake instead, where
//! clients do not time out, and whoever is let in is answered in a moment.
//!
//! [`crate::mount`] asks before each `connect`; [`crate::connection`] says when a client's first join has come, and drops
//! its [`Newcomer`] when that has been answered. Invariants: who waits is let in by the order of coming; nobody inside can hold up others for longer
//! than [`ARRIVING`] without joining, or [`JOINING`] with a join that hangs.

use metrics::{Counter, Gauge, counter, gauge};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// Clients that may be on their way in at once. Joins that take 10 ms each, ten at a time, are then answered in half a
/// second, and a network with 100 ms there and back brings 5,000 clients a second.
const INSIDE: usize = 512;

/// How long a client that has not joined anything counts: a round trip. Some never do.
const ARRIVING: Duration = Duration::from_millis(100);

/// How long a client whose first join is not answered counts. Then others are let in although it hangs.
const JOINING: Duration = Duration::from_secs(1);

/// Clients that may wait to be let in: what comes in within 8 s when every join hangs.
const WAITING: usize = 4096;

/// See the module.
pub(crate) struct Admission {
    room: Mutex<Room>,
    left: Notify,
    /// Held by the first of those who wait; the others wait for it, in their order.
    door: tokio::sync::Mutex<()>,
    waiting: AtomicUsize,
    waiting_gauge: Gauge,
    turned_away: Counter,
}

/// Too many wait already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{waiting} clients wait to be let in already, the limit")]
pub struct Crowded {
    /// How many that are.
    pub waiting: usize,
}

impl Admission {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Admission {
            room: Mutex::default(),
            left: Notify::new(),
            door: tokio::sync::Mutex::default(),
            waiting: AtomicUsize::new(0),
            waiting_gauge: gauge!("bennu.socket.waiting"),
            turned_away: counter!("bennu.socket.turned_away"),
        })
    }

    /// Waits until this client may come in. Giving up is leaving the queue.
    pub(crate) async fn enter(self: &Arc<Self>) -> Result<Newcomer, Crowded> {
        let _waiting = Waiting::new(self)?;
        let _first = self.door.lock().await;
        loop {
            let left = self.left.notified();
            let full_until = match self.room.lock().enter(Instant::now()) {
                Ok(number) => return Ok(Newcomer { admission: self.clone(), number }),
                Err(full_until) => full_until,
            };
            tokio::select! {
                () = left => {}
                () = sleep_until(full_until) => {}
            }
        }
    }
}

/// A client on its way in. It has arrived, or has gone, when this is dropped.
pub(crate) struct Newcomer {
    admission: Arc<Admission>,
    number: u64,
}

impl Newcomer {
    /// Its first join has begun.
    pub(crate) fn joining(&self) {
        self.admission.room.lock().joining(self.number, Instant::now());
    }
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        self.admission.room.lock().inside.remove(&self.number);
        self.admission.left.notify_one();
    }
}

/// Who is on the way in, and until when each counts.
#[derive(Default)]
struct Room {
    inside: HashMap<u64, Instant>,
    next: u64,
}

impl Room {
    /// A number for one more; or until when there is none to be had if nobody leaves.
    fn enter(&mut self, now: Instant) -> Result<u64, Instant> {
        if self.inside.len() >= INSIDE {
            self.inside.retain(|_, until| *until > now);
        }
        if self.inside.len() >= INSIDE {
            return Err(self.inside.values().min().copied().unwrap_or(now));
        }
        self.next += 1;
        self.inside.insert(self.next, now + ARRIVING);
        Ok(self.next)
    }

    /// One that does not count any more goes on not counting.
    fn joining(&mut self, number: u64, now: Instant) {
        if let Some(until) = self.inside.get_mut(&number) {
            *until = now + JOINING;
        }
    }
}

/// A place in the queue.
struct Waiting<'a>(&'a Admission);

impl<'a> Waiting<'a> {
    fn new(admission: &'a Admission) -> Result<Self, Crowded> {
        let waiting = admission.waiting.fetch_add(1, Ordering::Relaxed);
        admission.waiting_gauge.increment(1);
        let place = Waiting(admission);
        if waiting >= WAITING {
            admission.turned_away.increment(1);
            return Err(Crowded { waiting });
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

    /// What it comes to without waiting.
    fn now<F: Future>(entering: &mut Pin<Box<F>>) -> Option<F::Output> {
        unconstrained(entering.as_mut()).now_or_never()
    }

    async fn full(admission: &Arc<Admission>) -> Vec<Newcomer> {
        let mut inside = Vec::new();
        for _ in 0..INSIDE {
            inside.push(admission.enter().await.unwrap());
        }
        inside
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_comes_in_as_those_before_it_arrive() {
        let admission = Admission::new();
        let start = Instant::now();
        let mut inside = full(&admission).await;
        let mut next = Box::pin(admission.enter());
        assert!(now(&mut next).is_none());
        inside.pop();
        next.await.unwrap();
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_comes_in_by_the_order_of_coming() {
        let admission = Admission::new();
        let mut inside = full(&admission).await;
        let mut first = Box::pin(admission.enter());
        let mut second = Box::pin(admission.enter());
        assert!(now(&mut first).is_none());
        assert!(now(&mut second).is_none());
        inside.pop();
        assert!(now(&mut second).is_none());
        let _first = now(&mut first).expect("its turn").unwrap();
        inside.pop();
        drop(first);
        now(&mut second).expect("its turn").unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_waiting_holds_up_nobody() {
        let admission = Admission::new();
        let mut inside = full(&admission).await;
        let mut first = Box::pin(admission.enter());
        let mut second = Box::pin(admission.enter());
        assert!(now(&mut first).is_none());
        assert!(now(&mut second).is_none());
        drop(first);
        inside.pop();
        now(&mut second).expect("its turn").unwrap();
        assert_eq!(admission.waiting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn clients_that_join_nothing_hold_up_others_for_a_round_trip() {
        let admission = Admission::new();
        let start = Instant::now();
        let _inside = full(&admission).await;
        admission.enter().await.unwrap();
        assert_eq!(start.elapsed(), ARRIVING);
    }

    #[tokio::test(start_paused = true)]
    async fn joins_that_hang_hold_up_others_for_a_second() {
        let admission = Admission::new();
        let start = Instant::now();
        let inside = full(&admission).await;
        inside.iter().for_each(Newcomer::joining);
        admission.enter().await.unwrap();
        assert_eq!(start.elapsed(), JOINING);
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_that_is_too_long_turns_away() {
        let admission = Admission::new();
        let _inside = full(&admission).await;
        let mut queue: Vec<_> = (0..WAITING).map(|_| Box::pin(admission.enter())).collect();
        for waiting in &mut queue {
            assert!(now(waiting).is_none());
        }
        let refused = admission.enter().await.err();
        assert_eq!(refused, Some(Crowded { waiting: WAITING }));
        queue.pop();
        assert!(now(&mut Box::pin(admission.enter())).is_none());
    }
}
