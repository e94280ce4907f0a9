//! A producer's life, which its task shares with whoever needs its items.
//!
//! Two tasks that take turns pay some microseconds for each turn, mostly because the runtime hands the one that was woken to
//! another core. A quick producer needs less than that for what it is asked for. So a subscriber that asks turns the crank:
//! it polls the producer's life itself, instead of waking its task.
//!
//! Owned by the outlet, run by the stage's task ([`Crank::own`]), turned by inlets. What holds:
//! - one polls at a time, and nobody waits for the other: who comes too late leaves a note, or wakes the task
//! - whoever polls does it with the waker of the producer's task, so what the producer waits for wakes that
//! - a panic stays in the life: it is the producer's stage that crashes
//! - a producer that is slow is not turned, but runs beside its subscribers

use crate::life::StageFailed;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::runtime::{Handle, Id};
use tokio::time::Instant;

/// About what it costs to wake a task on another core. What takes longer is better done there.
pub(crate) const WAKE_UP: Duration = Duration::from_micros(5);

/// How a life ended: by itself, or by a panic that its own care for panics did not catch.
type End = std::thread::Result<Result<(), StageFailed>>;

pub(crate) struct Crank {
    life: Mutex<State>,
    /// Whether the task found the life in other hands.
    missed: AtomicBool,
    /// Whether the last turn took less than a wake-up.
    quick: AtomicBool,
    runtime: Option<Id>,
}

enum State {
    Lives(BoxFuture<'static, End>),
    /// The task learns how.
    Ended(End),
    Gone,
}

impl Crank {
    pub(crate) fn new(life: impl Future<Output = Result<(), StageFailed>> + Send + 'static) -> Arc<Self> {
        Arc::new(Crank {
            life: Mutex::new(State::Lives(AssertUnwindSafe(life).catch_unwind().boxed())),
            missed: AtomicBool::new(false),
            quick: AtomicBool::new(true),
            runtime: current_runtime(),
        })
    }

    /// What the stage's task runs. When it is dropped, the life ends.
    pub(crate) fn own(self: Arc<Self>) -> Own {
        Own(self)
    }

    /// Whether it may be turned here: what a producer does belongs to the runtime that it was started on.
    pub(crate) fn is_near(&self) -> bool {
        self.runtime == current_runtime()
    }

    /// Goes on with the life for its task, whose waker this is; wakes that when it should go on itself. Takes the time, and
    /// says what it is afterwards.
    pub(crate) fn turn(&self, waker: Waker, mut now: Instant) -> Instant {
        let quick = self.quick.load(Ordering::Relaxed);
        let Some(mut life) = self.life.try_lock().filter(|_| quick) else {
            waker.wake();
            return now;
        };
        let ended = self.poll(&mut life, &mut Context::from_waker(&waker), &mut now).is_ready();
        drop(life);
        // After the lock: a task that comes later finds it free.
        if self.missed.swap(false, Ordering::AcqRel) || ended {
            waker.wake();
        }
        now
    }

    fn poll(&self, life: &mut State, cx: &mut Context<'_>, now: &mut Instant) -> Poll<()> {
        let State::Lives(lives) = life else { return Poll::Ready(()) };
        let polled = lives.poll_unpin(cx);
        let started = std::mem::replace(now, Instant::now());
        self.quick.store(now.duration_since(started) < WAKE_UP, Ordering::Relaxed);
        *life = State::Ended(ready!(polled));
        Poll::Ready(())
    }
}

fn current_runtime() -> Option<Id> {
    Handle::try_current().ok().map(|handle| handle.id())
}

/// The part of the producer's task.
pub(crate) struct Own(Arc<Crank>);

impl Future for Own {
    type Output = Result<(), StageFailed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let crank = &self.0;
        // Before the lock: whoever has it sees this when it is done, and wakes the task again.
        crank.missed.swap(true, Ordering::AcqRel);
        let Some(mut life) = crank.life.try_lock() else { return Poll::Pending };
        crank.missed.store(false, Ordering::Relaxed);
        ready!(crank.poll(&mut life, cx, &mut Instant::now()));
        match std::mem::replace(&mut *life, State::Gone) {
            State::Ended(Ok(ended)) => Poll::Ready(ended),
            State::Ended(Err(panic)) => resume_unwind(panic),
            State::Lives(_) | State::Gone => unreachable!("a task is not polled after its end"),
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // Waits for a turn that is under way, as the runtime waits for a poll.
        let life = std::mem::replace(&mut *self.0.life.lock(), State::Gone);
        // Without the lock: it is the user's.
        drop(life);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::task::{ArcWake, noop_waker, waker};
    use std::future::{pending, poll_fn};
    use std::sync::atomic::AtomicUsize;

    /// Counts how often a task is woken.
    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl ArcWake for Wakes {
        fn wake_by_ref(wakes: &Arc<Self>) {
            wakes.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Wakes {
        fn count(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    /// A life that does the next of these at each poll.
    fn life(steps: Vec<fn() -> Poll<Result<(), StageFailed>>>) -> Arc<Crank> {
        let mut steps = steps.into_iter();
        Crank::new(poll_fn(move |_| steps.next().expect("it is not polled after its end")()))
    }

    fn poll(own: &mut Own) -> Poll<Result<(), StageFailed>> {
        own.poll_unpin(&mut Context::from_waker(&noop_waker()))
    }

    #[test]
    fn a_turn_polls_the_life_and_wakes_its_task_only_at_the_end() {
        let crank = life(vec![|| Poll::Pending, || Poll::Pending, || Poll::Ready(Ok(()))]);
        let (mut own, wakes) = (crank.clone().own(), Arc::new(Wakes::default()));
        assert!(poll(&mut own).is_pending());
        crank.turn(waker(wakes.clone()), Instant::now());
        assert_eq!(wakes.count(), 0);
        crank.turn(waker(wakes.clone()), Instant::now());
        assert_eq!(wakes.count(), 1);
        assert_eq!(poll(&mut own), Poll::Ready(Ok(())));
    }

    #[test]
    fn a_slow_life_is_left_to_its_task() {
        let crank = life(vec![|| Poll::Pending]);
        let (mut own, wakes) = (crank.clone().own(), Arc::new(Wakes::default()));
        crank.quick.store(false, Ordering::Relaxed);
        crank.turn(waker(wakes.clone()), Instant::now());
        assert_eq!(wakes.count(), 1);
        assert!(poll(&mut own).is_pending());
    }

    #[test]
    fn a_task_that_finds_the_life_in_other_hands_is_woken_when_they_let_go() {
        let wakes = Arc::new(Wakes::default());
        let own: Arc<Mutex<Option<Own>>> = Arc::default();
        let inner = own.clone();
        // The life polls its own task, as another core may do meanwhile.
        let crank = Crank::new(poll_fn(move |_| {
            let mut own = inner.lock();
            assert!(poll(own.as_mut().expect("it was put there")).is_pending());
            Poll::Pending
        }));
        *own.lock() = Some(crank.clone().own());
        crank.turn(waker(wakes.clone()), Instant::now());
        assert_eq!(wakes.count(), 1);
        crank.quick.store(false, Ordering::Relaxed);
        let own = own.lock().take();
        drop(own);
    }

    #[test]
    fn who_turns_a_life_in_other_hands_wakes_its_task() {
        let crank = life(vec![]);
        let wakes = Arc::new(Wakes::default());
        let held = crank.life.lock();
        crank.turn(waker(wakes.clone()), Instant::now());
        assert_eq!(wakes.count(), 1);
        drop(held);
    }

    #[test]
    fn a_panic_that_nobody_caught_is_the_tasks() {
        let crank = life(vec![|| panic!("as it was told to")]);
        let wakes = Arc::new(Wakes::default());
        crank.turn(waker(wakes.clone()), Instant::now());
        assert_eq!(wakes.count(), 1);
        let mut own = crank.own();
        let panic = std::panic::catch_unwind(AssertUnwindSafe(|| poll(&mut own))).expect_err("it goes on there");
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"as it was told to"));
    }

    #[test]
    fn the_life_goes_with_its_task() {
        let alive = Arc::new(());
        let held = alive.clone();
        let crank = Crank::new(async move {
            let _held = held;
            pending().await
        });
        let mut own = crank.clone().own();
        assert!(poll(&mut own).is_pending());
        drop(own);
        assert_eq!(Arc::strong_count(&alive), 1);
        crank.turn(noop_waker(), Instant::now());
    }
}
