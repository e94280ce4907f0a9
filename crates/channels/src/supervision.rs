//! What stands between a channel's code and everything else: a panic is caught, and code that goes on for too long after
//! its channel was told to end is dropped.
//!
//! Used by the actor, for each callback, for the channel's own tasks, and for the values that go with it.

use crate::mailbox::Overflow;
use crate::slot::Slot;
use crate::socket::Socket;
use crate::telemetry::Callback;
use futures::FutureExt;
use futures::future::BoxFuture;
use std::any::Any;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;
use std::time::Duration;
use tokio::time::sleep;

/// How long a channel that is told to end, or whose mailbox has run full, may go on with the callback it is in, `terminate`
/// included; then it is dropped. Phoenix's default.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// How user code failed.
pub(crate) enum Failure {
    Panicked(String),
    /// Still running [`SHUTDOWN_TIMEOUT`] after it was told to end.
    Killed,
    /// Still running [`SHUTDOWN_TIMEOUT`] after more had come in than may wait.
    Flooded(Overflow),
}

impl Failure {
    pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Failure::Panicked(text.unwrap_or("with a value that is no text").to_owned())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Panicked(what) => write!(f, "panicked: {what}"),
            Failure::Killed => write!(f, "still running {SHUTDOWN_TIMEOUT:?} after it was told to end"),
            Failure::Flooded(overflow) => write!(f, "{overflow}, and it was still running {SHUTDOWN_TIMEOUT:?} later"),
        }
    }
}

/// Runs one callback: a panic is caught, and once the channel is told to end, or its mailbox is full, it has
/// [`SHUTDOWN_TIMEOUT`] left.
pub(crate) async fn supervise<S: Socket, I, T>(slot: &Slot<S, I>, callback: BoxFuture<'_, T>) -> Result<T, Failure> {
    let mut callback = AssertUnwindSafe(callback).catch_unwind();
    let mut deadline = None;
    let mut has_waited = false;
    let result = poll_fn(|cx| {
        if let Poll::Ready(result) = callback.poll_unpin(cx) {
            if has_waited {
                slot.mailbox.resume();
            }
            return Poll::Ready(result.map_err(|panic| Failure::panicked(&*panic)));
        }
        has_waited = true;
        if slot.mailbox.poll_ending(cx).is_pending() {
            return Poll::Pending;
        }
        let deadline = deadline.get_or_insert_with(|| Box::pin(sleep(SHUTDOWN_TIMEOUT)));
        deadline.as_mut().poll(cx).map(|()| Err(slot.mailbox.overflow().map_or(Failure::Killed, Failure::Flooded)))
    })
    .await;
    // One that is killed still holds what it was working with.
    match catch_unwind(AssertUnwindSafe(|| drop(callback))) {
        Ok(()) => result,
        Err(panic) => Err(Failure::panicked(&*panic)),
    }
}

/// Drops what holds values of the user's. A panic there is logged and goes no further; `false` says that there was one.
pub(crate) fn discard<S: Socket, I, T>(slot: &Slot<S, I>, topic: &str, what: T) -> bool {
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(what)));
    if let Err(panic) = &dropped {
        slot.route.instruments.crashed(topic, &Callback::Drop, &Failure::panicked(&**panic).to_string());
    }
    dropped.is_ok()
}
