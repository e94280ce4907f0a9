//! A channel's timers: a heap, and one sleep for the earliest, made only once there is a timer.
//!
//! Owned by the actor's context, so that they end with it. Timers of one instant fire in the order they were set.

use crate::channel::Channel;
use crate::info::Info;
use crate::socket::Socket;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// A timer that was set; see [`crate::Context::cancel`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timer(u64);

pub(crate) struct Timers<S: Socket, C: Channel<S>> {
    due: BinaryHeap<Reverse<(Instant, Timer)>>,
    messages: BTreeMap<Timer, Box<dyn Info<S, C>>>,
    next: u64,
    sleep: Pin<Box<Sleep>>,
}

impl<S: Socket, C: Channel<S>> Timers<S, C> {
    pub(crate) fn new() -> Self {
        let (due, messages) = (BinaryHeap::new(), BTreeMap::new());
        Timers { due, messages, next: 0, sleep: Box::pin(sleep_until(Instant::now())) }
    }

    pub(crate) fn set(&mut self, after: Duration, message: Box<dyn Info<S, C>>) -> Timer {
        let timer = Timer(self.next);
        self.next += 1;
        self.due.push(Reverse((Instant::now() + after, timer)));
        self.messages.insert(timer, message);
        timer
    }

    pub(crate) fn cancel(&mut self, timer: Timer) -> bool {
        self.messages.remove(&timer).is_some()
    }

    /// The message of the earliest timer that is due.
    pub(crate) fn poll_fire(&mut self, cx: &mut Context<'_>) -> Poll<Box<dyn Info<S, C>>> {
        while let Some(Reverse((at, timer))) = self.due.peek().copied() {
            if !self.messages.contains_key(&timer) {
                self.due.pop();
                continue;
            }
            if self.sleep.deadline() != at {
                self.sleep.as_mut().reset(at);
            }
            std::task::ready!(self.sleep.as_mut().poll(cx));
            self.due.pop();
            if let Some(message) = self.messages.remove(&timer) {
                return Poll::Ready(message);
            }
        }
        Poll::Pending
    }
}
