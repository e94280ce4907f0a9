//! Virtual time: stops the clock of the test's runtime, once. Called when a [`crate::ChannelTest`] is made.

use std::time::Duration;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::time::Instant;

/// From here on, the runtime's clock only moves when every task waits, and then at once to the next timer.
///
/// # Panics
/// Outside a runtime, and in one with several threads, whose clock cannot be stopped.
#[track_caller]
pub(crate) fn stop() {
    let Ok(runtime) = Handle::try_current() else {
        panic!("a ChannelTest needs a runtime: make it in a #[tokio::test]");
    };
    assert!(
        runtime.runtime_flavor() == RuntimeFlavor::CurrentThread,
        "a ChannelTest needs a runtime of one thread, whose clock it can stop: write a plain #[tokio::test], without a \
         flavor"
    );
    if !is_stopped() {
        tokio::time::pause();
    }
}

/// Whether the clock stands still while real time goes by. tokio does not say, and stopping it twice panics.
fn is_stopped() -> bool {
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
    async fn a_clock_is_stopped_once_and_then_stands_still() {
        assert!(!is_stopped());
        stop();
        assert!(is_stopped());
        stop();
        let started = std::time::Instant::now();
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert!(started.elapsed() < Duration::from_secs(60));
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_somebody_else_has_stopped_is_left_alone() {
        stop();
        assert!(is_stopped());
    }

    #[tokio::test(flavor = "multi_thread")]
    #[should_panic(expected = "write a plain #[tokio::test], without a flavor")]
    async fn several_threads_are_refused_with_the_way_out() {
        stop();
    }

    #[test]
    #[should_panic(expected = "make it in a #[tokio::test]")]
    fn no_runtime_is_refused_with_the_way_out() {
        stop();
    }
}
