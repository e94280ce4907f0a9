//! How long to wait before the next try: Phoenix's schedules, and the jitter on top of them.
//!
//! Used by the session for reconnects, rejoins and the first heartbeat. No clock and no source of randomness but a seed.

use std::borrow::Cow;
use std::time::Duration;

/// Delays before the first, second, third try and so on; the last one is repeated.
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
    /// Phoenix's for connections: 10, 50, 100, 150, 200, 250, 500, 1,000, 2,000, then always 5,000 ms.
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

    /// Phoenix's for channels: 1, 2, 5, then always 10 s.
    pub const REJOIN: Schedule = Schedule(Cow::Borrowed(&[
        Duration::from_secs(1),
        Duration::from_secs(2),
        Duration::from_secs(5),
        Duration::from_secs(10),
    ]));

    /// A schedule of one's own. Without any delay in it, each try follows the one before after 5 s.
    pub fn new(delays: impl Into<Vec<Duration>>) -> Self {
        Schedule(Cow::Owned(delays.into()))
    }

    /// The delay before a try, without jitter. Tries count from 0.
    pub fn delay(&self, tries: u32) -> Duration {
        let last = self.0.len().saturating_sub(1);
        let at = usize::try_from(tries).unwrap_or(last).min(last);
        self.0.get(at).copied().unwrap_or(Duration::from_secs(5))
    }
}

/// At most ten years: a user's `Duration::MAX` means never, and must not overflow a clock.
pub(super) fn bounded(delay: Duration) -> Duration {
    delay.min(Duration::from_secs(10 * 365 * 24 * 60 * 60))
}

/// Numbers that look random: SplitMix64 from a seed. Spreads clients in time and hides nothing.
#[derive(Debug, Clone)]
pub(crate) struct Jitter {
    state: u64,
    /// By how much a delay may be longer or shorter, as a share of it: 0.5 makes 0.5 to 1.5 of 1.
    share: f32,
}

impl Jitter {
    pub(crate) fn new(seed: u64, share: f32) -> Self {
        // What is no number is no jitter.
        Jitter { state: seed, share: if share >= 0.0 { share.min(1.0) } else { 0.0 } }
    }

    /// The delay times a factor between `1 - share` and `1 + share`.
    pub(crate) fn around(&mut self, delay: Duration) -> Duration {
        let share = f64::from(self.share);
        bounded(delay).mul_f64(1.0 - share + 2.0 * share * self.fraction())
    }

    /// The delay times a factor between `1 - share` and 1: never later than it should be.
    pub(crate) fn before(&mut self, delay: Duration) -> Duration {
        bounded(delay).mul_f64(1.0 - f64::from(self.share) * self.fraction())
    }

    /// From 0 up to, and without, 1.
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

    fn millis(schedule: &Schedule, tries: u32) -> Vec<u128> {
        (0..tries).map(|tries| schedule.delay(tries).as_millis()).collect()
    }

    #[test]
    fn the_schedules_are_those_of_phoenix() {
        let reconnect = [10, 50, 100, 150, 200, 250, 500, 1000, 2000, 5000, 5000, 5000];
        assert_eq!(millis(&Schedule::RECONNECT, 12), reconnect);
        assert_eq!(millis(&Schedule::REJOIN, 6), [1000, 2000, 5000, 10_000, 10_000, 10_000]);
        assert_eq!(Schedule::REJOIN.delay(u32::MAX), Duration::from_secs(10));
    }

    #[test]
    fn a_schedule_without_delays_is_no_busy_loop() {
        assert_eq!(Schedule::new([]).delay(0), Duration::from_secs(5));
    }

    #[test]
    fn jitter_stays_within_its_share_and_fills_it() {
        let mut jitter = Jitter::new(7, 0.5);
        let second = Duration::from_secs(1);
        let delays: Vec<u128> = (0..1000).map(|_| jitter.around(second).as_millis()).collect();
        assert!(delays.iter().all(|delay| (500..=1500).contains(delay)));
        assert!(delays.iter().any(|delay| *delay < 550) && delays.iter().any(|delay| *delay > 1450));
        assert!((0..1000).all(|_| (500..=1000).contains(&jitter.before(second).as_millis())));
    }

    #[test]
    fn delays_for_ever_and_jitter_that_is_no_number_do_no_harm() {
        for share in [0.5, 7.0, -1.0, f32::NAN, f32::INFINITY] {
            let mut jitter = Jitter::new(7, share);
            assert!(jitter.around(Duration::MAX) <= 2 * bounded(Duration::MAX));
            assert!(jitter.before(Duration::from_secs(1)) <= Duration::from_secs(1));
        }
    }

    #[test]
    fn two_seeds_give_two_sequences_and_no_jitter_gives_the_delay() {
        let delays = |seed, share| {
            let mut jitter = Jitter::new(seed, share);
            [0; 4].map(|_| jitter.around(Duration::from_secs(10)))
        };
        assert_ne!(delays(1, 0.5), delays(2, 0.5));
        assert_eq!(delays(1, 0.0), [Duration::from_secs(10); 4]);
    }
}
