//! A channel's timers: a map in the order in which they are due, and one sleep for the earliest, which is made with the
//! first timer.
//!
//! The actor's context owns them, so that they end with it. Timers of one instant fire in the order in which they were
//! set. A cancelled timer is removed at once, so that a client that causes a timer to be set again and again costs no
//! more than one timer.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// A timer that was set, for [`crate::Context::cancel`].
///
/// ```
/// use bennu_channels::prelude::*;
/// use std::time::Duration;
///
/// struct Form {
///     deadline: Timer,
/// }
///
/// struct TooLate;
///
/// impl<S: Socket> Channel<S> for Form {
///     async fn join(_topic: &str, _params: Payload, ctx: &mut Context<S, Self>) -> Joined<Self> {
///         accept(Form { deadline: ctx.send_after(Duration::from_secs(60), TooLate) })
///     }
///
///     async fn handle_in(&mut self, _event: &str, _payload: Payload, ctx: &mut Context<S, Self>) -> Handled {
///         ctx.cancel(self.deadline);
///         noreply()
///     }
/// }
///
/// impl<S: Socket> HandleInfo<S, TooLate> for Form {
///     async fn handle_info(&mut self, _: TooLate, _ctx: &mut Context<S, Self>) -> Flow {
///         stop(StopReason::Normal)
///     }
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timer {
    due: Instant,
    number: u64,
}

/// The longest delay, about 30 years, as in tokio: a longer one is not an [`Instant`].
const FAR: Duration = Duration::from_secs(86_400 * 365 * 30);

pub(crate) struct Timers<M> {
    messages: BTreeMap<Timer, M>,
    next: u64,
    sleep: Pin<Box<Sleep>>,
}

impl<M> Timers<M> {
    pub(crate) fn new() -> Self {
        Timers { messages: BTreeMap::new(), next: 0, sleep: Box::pin(sleep_until(Instant::now())) }
    }

    pub(crate) fn set(&mut self, after: Duration, message: M) -> Timer {
        let due = Instant::now() + after.min(FAR);
        let timer = Timer { due, number: self.next };
        self.next += 1;
        self.messages.insert(timer, message);
        timer
    }

    /// Removes a timer and returns its message, if it has not fired.
    pub(crate) fn cancel(&mut self, timer: Timer) -> Option<M> {
        self.messages.remove(&timer)
    }

    /// Returns the message of the earliest timer, once it is due.
    pub(crate) fn poll_fire(&mut self, cx: &mut Context<'_>) -> Poll<M> {
        let Some(earliest) = self.messages.first_entry() else { return Poll::Pending };
        let due = earliest.key().due;
        if self.sleep.deadline() != due {
            self.sleep.as_mut().reset(due);
        }
        ready!(self.sleep.as_mut().poll(cx));
        Poll::Ready(earliest.remove())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_timer_that_is_cancelled_takes_no_room() {
        let mut timers = Timers::new();
        for _ in 0..10_000 {
            let timer = timers.set(Duration::from_secs(3600), ());
            assert!(timers.cancel(timer).is_some());
            assert!(timers.cancel(timer).is_none());
        }
        assert!(timers.messages.is_empty());
    }
}
