//! The number of arrived messages, and the time of the last arrival.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::time::timeout;

/// Written by the receiver of an engine's messages, awaited by the publisher.
pub(crate) struct Arrivals {
    clock: Instant,
    count: AtomicU64,
    /// Nanoseconds on the clock.
    last: AtomicU64,
    arrived: Notify,
}

impl Arrivals {
    pub(crate) fn new() -> Self {
        Arrivals { clock: Instant::now(), count: AtomicU64::new(0), last: AtomicU64::new(0), arrived: Notify::new() }
    }

    /// Records the arrival of messages.
    pub(crate) fn add(&self, messages: u64) {
        self.last.store(self.now().as_nanos() as u64, Ordering::Relaxed);
        self.count.fetch_add(messages, Ordering::Release);
        self.arrived.notify_one();
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// Returns the time of the last arrival.
    pub(crate) fn last(&self) -> Duration {
        Duration::from_nanos(self.last.load(Ordering::Relaxed))
    }

    pub(crate) fn now(&self) -> Duration {
        self.clock.elapsed()
    }

    /// Waits until so many messages have arrived.
    pub(crate) async fn at_least(&self, count: u64) {
        while self.count() < count {
            let arrived = timeout(Duration::from_secs(10), self.arrived.notified()).await;
            arrived.unwrap_or_else(|_| panic!("{} of {count} messages arrived", self.count()));
        }
    }
}

/// The time from publishing to arrival, in microseconds.
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Latency {
    pub(crate) fn of(mut latencies: Vec<Duration>) -> Self {
        latencies.sort();
        let at = |part: f64| latencies[(latencies.len() as f64 * part) as usize].as_secs_f64() * 1e6;
        Latency { p50: at(0.5), p99: at(0.99) }
    }
}
