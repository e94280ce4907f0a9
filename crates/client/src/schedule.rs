//! Retry schedules: Phoenix's delays, and the jitter that varies them.
//!
//! The session uses them for reconnects, rejoins and the first heartbeat. The module reads no clock, and the caller's
//! seed is its only source of randomness.

use std::borrow::Cow;
use std::time::Duration;

/// The delays before the first, second, third retry and so on. The last delay is repeated.
///
/// ```
/// use bennu_client::Schedule;
/// use std::time::Duration;
///
/// let patient = Schedule::new([Duration::from_secs(1), Duration::from_secs(60)]);
/// assert_eq!(patient.delay(0), Duration::from_secs(1));
/// assert_eq!(patient.delay(7), Duration::from_secs(60));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule(Cow<'static, [Duration]>);

impl Schedule {
    /// The schedule of phoenix.js for connections: 10, 50, 100, 150, 200, 250, 500, 1,000, 2,000, then always 5,000 ms.
    pub const RECONNECT: Schedule = Schedule(Cow::Borrowed(&[
        Duration::from_millis(10),
        Duration::from_millis(50),
        Duration::from_millis(100),
        Duration::from_millis(150),
        Duration::from_millis(200),
        Duration::from_millis(250),
        Duration::from_millis(500),
        Duration::from_millis(1000),
        Duration::from_millis(2000),
        Duration::from_millis(5000),
    ]));

    /// The schedule of phoenix.js for channels: 1, 2, 5, then always 10 s.
    pub const REJOIN: Schedule = Schedule(Cow::Borrowed(&[
        Duration::from_secs(1),
        Duration::from_secs(2),
        Duration::from_secs(5),
        Duration::from_secs(10),
    ]));

    /// Creates a schedule from these delays. Without any delay, every retry comes after 5 s.
    pub fn new(delays: impl Into<Vec<Duration>>) -> Self {
        Schedule(Cow::Owned(delays.into()))
    }

    /// Returns the delay before a retry, without jitter. Retries count from 0.
    pub fn delay(&self, retry: u32) -> Duration {
        let last = self.0.len().saturating_sub(1);
        let at = usize::try_from(retry).unwrap_or(last).min(last);
        self.0.get(at).copied().unwrap_or(Duration::from_secs(5))
    }
}

/// Limits a delay to ten years: `Duration::MAX` means never, and must not overflow an `Instant`.
pub(crate) fn bounded(delay: Duration) -> Duration {
    delay.min(Duration::from_secs(10 * 365 * 24 * 60 * 60))
}

/// A pseudo-random generator (SplitMix64) that varies delays, so that clients do not retry at the same time. It is not
/// cryptographic.
#[derive(Debug, Clone)]
pub(crate) struct Jitter {
    state: u64,
    /// The largest variation, as a share of the delay: 0.5 gives 0.5 to 1.5 times the delay.
    share: f32,
}

impl Jitter {
    pub(crate) fn new(seed: u64, share: f32) -> Self {
        // NaN and negative shares mean no jitter.
        Jitter { state: seed, share: if share >= 0.0 { share.min(1.0) } else { 0.0 } }
    }

    /// Returns the delay times a factor between `1 - share` and `1 + share`.
    pub(crate) fn vary(&mut self, delay: Duration) -> Duration {
        let share = f64::from(self.share);
        bounded(delay).mul_f64(1.0 - share + 2.0 * share * self.fraction())
    }

    /// Returns the delay times a factor between `1 - share` and 1: never a longer one.
    pub(crate) fn shorten(&mut self, delay: Duration) -> Duration {
        bounded(delay).mul_f64(1.0 - f64::from(self.share) * self.fraction())
    }

    /// Returns a number from 0 to 1, 1 excluded.
    fn fraction(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(schedule: &Schedule, retries: u32) -> Vec<u128> {
        (0..retries).map(|retry| schedule.delay(retry).as_millis()).collect()
    }

    #[test]
    fn the_schedules_are_those_of_phoenix() {
        let reconnect = [10, 50, 100, 150, 200, 250, 500, 1000, 2000, 5000, 5000, 5000];
        assert_eq!(millis(&Schedule::RECONNECT, 12), reconnect);
        assert_eq!(millis(&Schedule::REJOIN, 6), [1000, 2000, 5000, 10_000, 10_000, 10_000]);
        assert_eq!(Schedule::REJOIN.delay(u32::MAX), Duration::from_secs(10));
    }

    #[test]
    fn a_schedule_without_delays_waits_five_seconds() {
        assert_eq!(Schedule::new([]).delay(0), Duration::from_secs(5));
    }

    #[test]
    fn jitter_stays_within_its_share_and_uses_all_of_it() {
        let mut jitter = Jitter::new(7, 0.5);
        let second = Duration::from_secs(1);
        let delays: Vec<u128> = (0..1000).map(|_| jitter.vary(second).as_millis()).collect();
        assert!(delays.iter().all(|delay| (500..=1500).contains(delay)));
        assert!(delays.iter().any(|delay| *delay < 550) && delays.iter().any(|delay| *delay > 1450));
        assert!((0..1000).all(|_| (500..=1000).contains(&jitter.shorten(second).as_millis())));
    }

    #[test]
    fn endless_delays_and_a_share_that_is_not_a_number_do_not_overflow() {
        for share in [0.5, 7.0, -1.0, f32::NAN, f32::INFINITY] {
            let mut jitter = Jitter::new(7, share);
            assert!(jitter.vary(Duration::MAX) <= 2 * bounded(Duration::MAX));
            assert!(jitter.shorten(Duration::from_secs(1)) <= Duration::from_secs(1));
        }
    }

    #[test]
    fn two_seeds_give_two_sequences_and_no_jitter_gives_the_delay() {
        let delays = |seed, share| {
            let mut jitter = Jitter::new(seed, share);
            [0; 4].map(|_| jitter.vary(Duration::from_secs(10)))
        };
        assert_ne!(delays(1, 0.5), delays(2, 0.5));
        assert_eq!(delays(1, 0.0), [Duration::from_secs(10); 4]);
    }
}
