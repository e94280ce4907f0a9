//! What user code answers with: replies, no reply, stop, refusal and crash. Made by handlers, carried out by the actor.
//!
//! Each callback's result type holds only what that callback may answer, so a wrong outcome does not compile.

use bennu_protocol::{Payload, Status};
use std::borrow::Cow;
use std::fmt;

/// What `handle_in` returns: `?` on any error is what raising is in Elixir, it ends that channel and nothing else.
pub type Handled = Result<Outcome, Crash>;

/// What `handle_out` and `handle_info` return: there is no message to reply to.
pub type Flow = Result<Step, Crash>;

/// How `handle_in` ends: see [`reply_ok`], [`reply_error`], [`reply`], [`noreply`], [`stop`], [`stop_with`].
#[derive(Debug)]
pub struct Outcome {
    pub(crate) reply: Option<Reply>,
    pub(crate) stop: Option<StopReason>,
}

/// How `handle_out` or `handle_info` ends: see [`noreply`], [`stop`].
#[derive(Debug)]
pub struct Step {
    pub(crate) stop: Option<StopReason>,
}

/// An answer to one message.
#[derive(Debug, Clone)]
pub struct Reply {
    pub(crate) status: Status,
    pub(crate) payload: Payload,
}

/// Why a channel stops itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopReason {
    /// Its work is done: the client gets `phx_close`.
    Normal,
    /// It is shut down: the client gets `phx_close`.
    Shutdown,
    /// Something is wrong: the client gets `phx_error` and rejoins, the log gets the text.
    Failed(Cow<'static, str>),
}

/// A status to reply with, and its payload.
impl Reply {
    /// A reply with any status.
    pub fn new(status: impl Into<Status>, payload: impl Into<Payload>) -> Self {
        Reply { status: status.into(), payload: payload.into() }
    }

    /// An `ok` reply.
    pub fn ok(payload: impl Into<Payload>) -> Self {
        Reply::new(Status::Ok, payload)
    }

    /// An `error` reply.
    pub fn error(payload: impl Into<Payload>) -> Self {
        Reply::new(Status::Error, payload)
    }
}

/// Replies `ok`.
///
/// # Errors
/// Never; it is a `Result` so that it can end a handler.
pub fn reply_ok(payload: impl Into<Payload>) -> Handled {
    Ok(Outcome { reply: Some(Reply::ok(payload)), stop: None })
}

/// Replies `error`: the client's `receive("error")`, not a crash.
///
/// # Errors
/// Never; it is a `Result` so that it can end a handler.
pub fn reply_error(payload: impl Into<Payload>) -> Handled {
    Ok(Outcome { reply: Some(Reply::error(payload)), stop: None })
}

/// Replies with any status.
///
/// # Errors
/// Never; it is a `Result` so that it can end a handler.
pub fn reply(status: impl Into<Status>, payload: impl Into<Payload>) -> Handled {
    Ok(Outcome { reply: Some(Reply::new(status, payload)), stop: None })
}

/// Goes on without an answer.
///
/// # Errors
/// Never; it is a `Result` so that it can end a handler.
pub fn noreply<O: From<Step>>() -> Result<O, Crash> {
    Ok(Step { stop: None }.into())
}

/// Stops the channel without an answer.
///
/// # Errors
/// Never; it is a `Result` so that it can end a handler.
pub fn stop<O: From<Step>>(reason: StopReason) -> Result<O, Crash> {
    Ok(Step { stop: Some(reason) }.into())
}

/// Answers, then stops the channel.
///
/// # Errors
/// Never; it is a `Result` so that it can end a handler.
pub fn stop_with(reason: StopReason, reply: Reply) -> Handled {
    Ok(Outcome { reply: Some(reply), stop: Some(reason) })
}

/// For events that a channel does not know: crashes it, as in Phoenix.
///
/// # Errors
/// Always: that is what it is for.
pub fn unhandled(event: &str) -> Handled {
    Err(Crash::new(format!("no handler for event {event:?}")))
}

impl From<Step> for Outcome {
    fn from(step: Step) -> Self {
        Outcome { reply: None, stop: step.stop }
    }
}

/// Why a channel crashed: the text goes to the log, never to the client.
///
/// Made from any error by `?`.
pub struct Crash(Cow<'static, str>);

impl Crash {
    /// A crash of one's own words.
    pub fn new(why: impl Into<Cow<'static, str>>) -> Self {
        Crash(why.into())
    }
}

impl<E: std::error::Error> From<E> for Crash {
    fn from(error: E) -> Self {
        Crash(describe(&error).into())
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

/// Why a join did not succeed: refused (the client gets the payload) or crashed (it gets "join crashed").
///
/// Made from any error by `?`, which is a crash; from [`refuse`], which is a refusal.
#[derive(Debug)]
pub struct JoinError(pub(crate) JoinFailure);

#[derive(Debug)]
pub(crate) enum JoinFailure {
    Refused(Payload),
    Crashed(Crash),
}

/// Refuses a join with a payload, as in `return refuse(json!({ "reason": "unauthorized" }))`.
///
/// # Errors
/// Always: that is what it is for.
pub fn refuse<T>(payload: impl Into<Payload>) -> Result<T, JoinError> {
    Err(JoinError(JoinFailure::Refused(payload.into())))
}

impl<E: std::error::Error> From<E> for JoinError {
    fn from(error: E) -> Self {
        JoinError(JoinFailure::Crashed(Crash::from(error)))
    }
}

impl From<Crash> for JoinError {
    fn from(crash: Crash) -> Self {
        JoinError(JoinFailure::Crashed(crash))
    }
}

/// An error with its sources, in one line.
pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
