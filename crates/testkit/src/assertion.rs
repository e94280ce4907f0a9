//! The assertions that the macros await: wait for an arrival, or for none. Whether they hold is a `Result`, so that the
//! panic is the macro's, at the line of the test.

use crate::expectation::{Matcher, Wanted};
use crate::failure;
use crate::mailbox::View;
use std::time::Duration;

/// How long an assertion waits, in virtual time, unless it says otherwise. As in Phoenix (ExUnit).
pub const TIMEOUT: Duration = Duration::from_millis(100);

/// Waits for an arrival and takes it out of the mailbox; gives what the matcher made of it.
///
/// # Errors
/// The message of the failure.
pub async fn assert<R>(
    view: View,
    wanted: Wanted,
    (mut matcher, patience): (Matcher<'_, R>, Option<Duration>),
) -> Result<R, String> {
    let patience = patience.unwrap_or(TIMEOUT);
    let taken = view.take(patience, |arrival| matcher.test(wanted.payload(arrival)?).ok()).await;
    taken.ok_or_else(|| failure::missing(&view, &wanted, &mut matcher, patience))
}

/// Waits and sees that nothing of the kind is there or arrives.
///
/// # Errors
/// The message of the failure.
pub async fn refute<R>(
    view: View,
    wanted: Wanted,
    (mut matcher, patience): (Matcher<'_, R>, Option<Duration>),
) -> Result<(), String> {
    let patience = patience.unwrap_or(TIMEOUT);
    let taken =
        view.take(patience, |arrival| matcher.test(wanted.payload(arrival)?).is_ok().then(|| arrival.clone())).await;
    taken.map_or(Ok(()), |arrival| Err(failure::unwanted(&view, &wanted, &matcher, &arrival)))
}
