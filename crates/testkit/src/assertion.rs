//! The functions behind the assertion macros: wait for a matching arrival, or for none.
//!
//! They return a failure as the text of an `Err`. The macro panics with it, so the panic has the location of the test.

use crate::clock;
use crate::expectation::{Matcher, Selector};
use crate::failure;
use crate::mailbox::MailboxView;
use std::time::Duration;

/// The default timeout of an assertion in virtual time, and of a refutation and of [`TestSocket::closed`] in any. The default
/// of Phoenix (ExUnit).
///
/// [`TestSocket::closed`]: crate::TestSocket::closed
pub const TIMEOUT: Duration = Duration::from_millis(100);

/// The default timeout of an `assert_` macro in real time. A database that answers late must not fail a test, and a test that
/// passes does not wait for it.
const REAL_TIMEOUT: Duration = Duration::from_secs(5);

/// Waits for a matching arrival and removes it from the mailbox. Returns the matcher's value.
///
/// # Errors
/// The text of the failure.
pub async fn assert<R>(
    view: MailboxView,
    selector: Selector,
    (mut matcher, timeout): (Matcher<'_, R>, Option<Duration>),
) -> Result<R, String> {
    let timeout = timeout.unwrap_or_else(|| if clock::is_paused() { TIMEOUT } else { REAL_TIMEOUT });
    let taken = view.take(timeout, |arrival| matcher.test(selector.payload(arrival)?).ok()).await;
    taken.ok_or_else(|| failure::missing(&view, &selector, &mut matcher, timeout))
}

/// Checks that no matching arrival is in the mailbox or arrives within the timeout.
///
/// # Errors
/// The text of the failure.
pub async fn refute<R>(
    view: MailboxView,
    selector: Selector,
    (mut matcher, timeout): (Matcher<'_, R>, Option<Duration>),
) -> Result<(), String> {
    let timeout = timeout.unwrap_or(TIMEOUT);
    let taken =
        view.take(timeout, |arrival| matcher.test(selector.payload(arrival)?).is_ok().then(|| arrival.clone())).await;
    taken.map_or(Ok(()), |arrival| Err(failure::unexpected(&view, &selector, &matcher, &arrival)))
}
