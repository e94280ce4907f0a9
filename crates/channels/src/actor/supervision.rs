//! The supervision of user code: it catches a panic, and drops a callback that runs for too long after its channel has
//! been ended.
//!
//! The actor uses it for each callback, for the channel's own tasks, and for dropping the channel's values.

use crate::channel::handle::ChannelHandle;
use crate::channel::mailbox::Overflow;
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

/// The time that a callback has left once its channel has been ended or its mailbox has overflowed; then the callback
/// is dropped. `terminate` has the same time. Phoenix's default.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// A failure of user code.
pub(crate) enum Failure {
    Panicked(String),
    /// Still running [`SHUTDOWN_TIMEOUT`] after its channel had been ended.
    Killed,
    /// Still running [`SHUTDOWN_TIMEOUT`] after the mailbox had overflowed.
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
            Failure::Panicked(text) => write!(f, "panicked: {text}"),
            Failure::Killed => write!(f, "still running {SHUTDOWN_TIMEOUT:?} after the channel began to end"),
            Failure::Flooded(overflow) => write!(f, "{overflow}, and it was still running {SHUTDOWN_TIMEOUT:?} later"),
        }
    }
}

/// Runs one callback. It catches a panic, and drops the callback [`SHUTDOWN_TIMEOUT`] after the channel has been ended
/// or its mailbox has overflowed.
pub(crate) async fn supervise<S: Socket, I, T>(
    handle: &ChannelHandle<S, I>,
    callback: BoxFuture<'_, T>,
) -> Result<T, Failure> {
    let mut callback = AssertUnwindSafe(callback).catch_unwind();
    let mut deadline = None;
    let mut has_waited = false;
    let result = poll_fn(|cx| {
        if let Poll::Ready(result) = callback.poll_unpin(cx) {
            if has_waited {
                handle.mailbox.resume();
            }
            return Poll::Ready(result.map_err(|panic| Failure::panicked(&*panic)));
        }
        has_waited = true;
        if handle.mailbox.poll_ending(cx).is_pending() {
            return Poll::Pending;
        }
        let deadline = deadline.get_or_insert_with(|| Box::pin(sleep(SHUTDOWN_TIMEOUT)));
        deadline.as_mut().poll(cx).map(|()| Err(handle.mailbox.overflow().map_or(Failure::Killed, Failure::Flooded)))
    })
    .await;
    // A callback that is killed still owns values, whose drop may panic.
    match catch_unwind(AssertUnwindSafe(|| drop(callback))) {
        Ok(()) => result,
        Err(panic) => Err(Failure::panicked(&*panic)),
    }
}

/// Drops values that may own the application's. A panic in a drop is logged and caught; the result is then `false`.
pub(crate) fn discard<S: Socket, I, T>(handle: &ChannelHandle<S, I>, topic: &str, value: T) -> bool {
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(value)));
    if let Err(panic) = &dropped {
        handle.route.instruments.crashed(topic, &Callback::Drop, &Failure::panicked(&**panic).to_string());
    }
    dropped.is_ok()
}
