//! Virtual time: pauses the clock of the test's runtime, once. [`crate::ChannelTest::with_endpoint`] calls it. The
//! assertions call `is_paused` to choose their default timeout.

use std::time::Duration;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::time::Instant;

/// Pauses the runtime's clock. From then on it advances only when every task waits, and then at once to the next timer.
///
/// # Panics
/// Outside a runtime, and in one with several threads, whose clock cannot be paused.
#[track_caller]
pub(crate) fn pause() {
    let Ok(runtime) = Handle::try_current() else {
        panic!("could not create a ChannelTest outside a runtime: create it in a #[tokio::test]");
    };
    assert!(
        runtime.runtime_flavor() == RuntimeFlavor::CurrentThread,
        "could not pause the clock of a runtime with several threads: use a plain #[tokio::test], without a flavor"
    );
    if !is_paused() {
        tokio::time::pause();
    }
}

/// Returns whether the clock stands still while real time passes. tokio has no such function, and a second pause
/// panics.
pub(crate) fn is_paused() -> bool {
    let (virtual_time, real_time) = (Instant::now(), std::time::Instant::now());
    while real_time.elapsed() < Duration::from_micros(20) {
        std::hint::spin_loop();
    }
    Instant::now() == virtual_time
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_clock_is_paused_once_and_then_stands_still() {
        assert!(!is_paused());
        pause();
        assert!(is_paused());
        pause();
        let started = std::time::Instant::now();
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert!(started.elapsed() < Duration::from_secs(60));
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_paused_already_stays_paused() {
        pause();
        assert!(is_paused());
    }

    #[tokio::test(flavor = "multi_thread")]
    #[should_panic(expected = "use a plain #[tokio::test], without a flavor")]
    async fn a_runtime_with_several_threads_is_rejected_with_the_remedy() {
        pause();
    }

    #[test]
    #[should_panic(expected = "create it in a #[tokio::test]")]
    fn a_missing_runtime_is_rejected_with_the_remedy() {
        pause();
    }
}
