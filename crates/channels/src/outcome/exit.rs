//! The failures of user code: a crash, or an `error` reply to the client.
//!
//! `?` on any error is a crash, which ends the channel and nothing else. `.or_reply()?` turns a result's error into a
//! reply, in callbacks for which a client waits. Neither needs a `match`.

use bennu_protocol::{IntoPayload, Payload};
use serde::Serialize;
use std::borrow::Cow;
use std::error::Error;
use std::fmt;

/// A failure of `join` or `handle_in`: see [`Channel::join`](crate::Channel::join) and
/// [`Channel::handle_in`](crate::Channel::handle_in).
///
/// One type serves both, so that either can call a helper that returns `Result<T, Exit>`. `?` on any error makes a
/// crash; [`OrReply::or_reply`] and [`refuse`] make a reply.
#[derive(Debug)]
#[non_exhaustive]
pub enum Exit {
    /// The channel, or the join, crashes: the log gets the text, the client does not.
    Crash(Crash),
    /// The client gets an `error` reply with this payload. To a join that is a refusal; a joined channel goes on.
    Reply(Payload),
}

/// The reason for a crash. Its text goes to the log, never to the client.
///
/// `?` makes one of any error, with the texts of its sources; [`crash`] makes one of a text.
pub struct Crash(Cow<'static, str>);

/// An error that `?` turns into a [`Crash`], an [`Exit`] or a [`Refusal`](crate::Refusal).
///
/// Implemented for every `std::error::Error + Send + Sync + 'static`, for `Box<dyn Error + Send + Sync>`, for
/// `anyhow::Error`, and for `&str` and `String`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot become a crash",
    label = "write `.map_err(|error| error.to_string())?` to crash with it, or, in `join` and `handle_in`, `.or_reply()?` to \
             answer the client with it"
)]
pub trait IntoCrash {
    /// Converts the error.
    fn into_crash(self) -> Crash;
}

#[diagnostic::do_not_recommend]
impl<E: Into<Box<dyn Error + Send + Sync>>> IntoCrash for E {
    fn into_crash(self) -> Crash {
        Crash(describe(&*self.into()).into())
    }
}

/// Replies to the client with the error of a result: `.or_reply()?`.
///
/// ```
/// use bennu_channels::prelude::*;
/// use serde::Serialize;
///
/// #[derive(Serialize)]
/// #[serde(tag = "reason", rename_all = "snake_case")]
/// enum BidError {
///     TooLow { least: u64 },
/// }
///
/// fn check(amount: u64, least: u64) -> Result<u64, BidError> {
///     if amount < least { Err(BidError::TooLow { least }) } else { Ok(amount) }
/// }
///
/// /// A client that bids 1 gets an `error` reply with `{"reason":"too_low","least":5}`.
/// fn bid(payload: Payload) -> Handled {
///     let amount = check(payload.parse()?, 5).or_reply()?;
///     reply_ok(json!({ "bid": amount }))
/// }
/// # assert!(matches!(bid(Payload::json(&1)), Err(bennu_channels::Exit::Reply(_))));
/// ```
///
/// An error that is not `Serialize` is converted first, as in
/// `.map_err(|error| json!({ "reason": error.to_string() })).or_reply()?`. An `Option` becomes a result with `ok_or`.
pub trait OrReply<T, E> {
    /// Returns the value, or an [`Exit::Reply`] with the error as its payload.
    ///
    /// # Errors
    /// The error of the result.
    fn or_reply(self) -> Result<T, Exit>
    where
        E: Serialize;
}

impl<T, E> OrReply<T, E> for Result<T, E> {
    fn or_reply(self) -> Result<T, Exit>
    where
        E: Serialize,
    {
        self.or_else(|error| refuse(&error))
    }
}

/// Crashes with this text, in any callback: `return crash("..")`.
///
/// ```
/// use bennu_channels::prelude::*;
///
/// fn tick(is_ready: bool) -> Flow {
///     if !is_ready {
///         return crash("the clock is not ready");
///     }
///     noreply()
/// }
/// assert_eq!(tick(false).unwrap_err().to_string(), "the clock is not ready");
/// ```
///
/// # Errors
/// Always: that is its purpose.
pub fn crash<T, E: From<Crash>>(text: impl Into<Cow<'static, str>>) -> Result<T, E> {
    Err(Crash(text.into()).into())
}

/// Replies `error` with this payload: `return refuse(json!({ "reason": "unauthorized" }))`. In `join` it refuses the
/// join.
///
/// ```
/// use bennu_channels::prelude::*;
///
/// struct Staff;
///
/// fn join(is_staff: bool) -> Joined<Staff> {
///     if !is_staff {
///         return refuse(json!({ "reason": "unauthorized" }));
///     }
///     accept(Staff)
/// }
/// assert!(matches!(join(false), Err(Exit::Reply(_))));
/// ```
///
/// # Errors
/// Always: that is its purpose.
pub fn refuse<T>(payload: impl IntoPayload) -> Result<T, Exit> {
    Err(Exit::Reply(payload.into_payload()))
}

impl<E: IntoCrash> From<E> for Crash {
    fn from(error: E) -> Self {
        error.into_crash()
    }
}

impl<E: IntoCrash> From<E> for Exit {
    fn from(error: E) -> Self {
        Exit::Crash(error.into_crash())
    }
}

impl From<Crash> for Exit {
    fn from(crash: Crash) -> Self {
        Exit::Crash(crash)
    }
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An error of [`Context::topic_part`](crate::Context::topic_part).
///
/// With `?` in `join` or `handle_in`, a malformed part is answered with `unmatched topic`, as an unknown topic is. A
/// pattern without such a part crashes, since that is a mistake of the program.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TopicPartError {
    /// The part could not be read as the requested type.
    Malformed {
        /// The name of the part.
        name: String,
        /// The text in the topic.
        value: String,
        /// The Rust type.
        expected: &'static str,
    },
    /// The route's pattern has no part of that name.
    Unknown {
        /// The requested name.
        name: String,
        /// The pattern.
        pattern: String,
    },
}

impl fmt::Display for TopicPartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TopicPartError::Malformed { name, value, expected } => {
                write!(f, "the topic's part {name:?} is {value:?}, which is not a {expected}")
            }
            TopicPartError::Unknown { name, pattern } => {
                write!(f, "the pattern {pattern:?} has no part {name:?}: route the channel to \"..:{{{name}}}\"")
            }
        }
    }
}

impl From<TopicPartError> for Exit {
    fn from(error: TopicPartError) -> Self {
        match error {
            TopicPartError::Malformed { .. } => {
                Exit::Reply(Payload::json(&serde_json::json!({ "reason": bennu_protocol::event::UNMATCHED_TOPIC })))
            }
            TopicPartError::Unknown { .. } => Exit::Crash(error.into()),
        }
    }
}

impl From<TopicPartError> for Crash {
    fn from(error: TopicPartError) -> Self {
        Crash(error.to_string().into())
    }
}

/// Returns the text of an error and of its sources, in one line.
pub(crate) fn describe(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the bid was not stored")]
    struct NotStored(#[source] std::io::Error);

    fn crash_of<E: IntoCrash>(error: E) -> String {
        error.into_crash().to_string()
    }

    #[test]
    fn any_error_crashes_with_its_text_and_its_sources() {
        let disk_full = || std::io::Error::other("disk full");
        let boxed: Box<dyn Error + Send + Sync> = Box::new(disk_full());
        assert_eq!(crash_of(NotStored(disk_full())), "the bid was not stored: disk full");
        assert_eq!(crash_of(boxed), "disk full");
        assert_eq!(crash_of(anyhow::Error::new(disk_full()).context("export")), "export: disk full");
        assert_eq!((crash_of("no"), crash_of("no".to_owned())), ("no".to_owned(), "no".to_owned()));
    }

    #[test]
    fn a_helper_that_returns_an_exit_crashes_or_replies_with_a_question_mark() {
        fn helper(text: &str) -> Result<u8, Exit> {
            if text.is_empty() {
                return crash("empty");
            }
            let number: u8 = text.parse()?;
            Some(number).filter(|n| *n > 9).ok_or(serde_json::json!({ "least": 10 })).or_reply()
        }
        assert!(matches!(helper("10"), Ok(10)));
        assert!(matches!(helper("x"), Err(Exit::Crash(crash)) if crash.to_string() == "invalid digit found in string"));
        assert!(matches!(helper(""), Err(Exit::Crash(crash)) if crash.to_string() == "empty"));
        let Err(Exit::Reply(payload)) = helper("9") else { panic!("an answer") };
        assert_eq!(payload.as_json(), Some(r#"{"least":10}"#));
    }
}
