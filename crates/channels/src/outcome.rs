//! The results of callbacks: an accepted join, a reply, no reply, and stop. User code makes them, the actor carries
//! them out.
//!
//! Each callback's result type holds only the outcomes that this callback may have, so that another one does not compile.
//! How callbacks fail is in [`exit`](crate::outcome::exit).

pub(crate) mod exit;

use crate::outcome::exit::{Crash, Exit};
use bennu_protocol::{IntoPayload, Payload, Status};
use std::borrow::Cow;

/// The result of `join`: see [`accept`], [`accept_with`], [`refuse`](crate::refuse).
pub type Joined<C> = Result<Accepted<C>, Exit>;

/// The result of `handle_in`. `?` on any error does what `raise` does in Elixir: it ends that channel and nothing else.
pub type Handled = Result<Outcome, Exit>;

/// The result of `joined`, `handle_out` and `handle_info`: there is no message to reply to.
pub type Flow = Result<Step, Crash>;

/// A join that succeeds: the channel, and the payload of the join's reply. Made by [`accept`] and [`accept_with`].
#[derive(Debug)]
pub struct Accepted<C> {
    pub(crate) channel: C,
    pub(crate) reply: Payload,
}

/// The outcome of `handle_in`: see [`reply_ok`], [`reply_error`], [`reply`], [`noreply`], [`stop`], [`stop_with`].
#[derive(Debug)]
pub struct Outcome {
    pub(crate) reply: Option<Reply>,
    pub(crate) stop: Option<StopReason>,
}

/// The outcome of `joined`, `handle_out` or `handle_info`: see [`noreply`], [`stop`].
#[derive(Debug)]
pub struct Step {
    pub(crate) stop: Option<StopReason>,
}

/// An answer to one message.
///
/// ```
/// use bennu_channels::prelude::*;
///
/// fn last_words() -> Handled {
///     stop_with(StopReason::Normal, Reply::ok(json!({ "bye": true })))
/// }
/// # assert!(last_words().is_ok());
/// ```
#[derive(Debug, Clone)]
pub struct Reply {
    pub(crate) status: Status,
    pub(crate) payload: Payload,
}

/// The reason for which a channel stops itself.
///
/// ```
/// use bennu_channels::prelude::*;
///
/// fn handle(event: &str) -> Handled {
///     match event {
///         "done" => stop_with(StopReason::Normal, Reply::ok(json!({ "bye": true }))),
///         "broken" => stop(StopReason::Failed("the printer is on fire".into())),
///         _ => noreply(),
///     }
/// }
/// # assert!(handle("done").is_ok() && handle("broken").is_ok() && handle("").is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopReason {
    /// Its work is done: the client gets `phx_close`.
    Normal,
    /// It is shut down: the client gets `phx_close`.
    Shutdown,
    /// It has failed: the client gets `phx_error` and joins again, the log gets the text.
    Failed(Cow<'static, str>),
}

/// A status to reply with, and its payload.
impl Reply {
    /// Makes a reply with any status.
    pub fn new(status: impl Into<Status>, payload: impl IntoPayload) -> Self {
        Reply { status: status.into(), payload: payload.into_payload() }
    }

    /// Makes an `ok` reply.
    pub fn ok(payload: impl IntoPayload) -> Self {
        Reply::new(Status::Ok, payload)
    }

    /// Makes an `error` reply.
    pub fn error(payload: impl IntoPayload) -> Self {
        Reply::new(Status::Error, payload)
    }
}

/// Accepts a join. The reply to the client is `{}`.
///
/// ```
/// use bennu_channels::prelude::*;
///
/// struct Lobby;
///
/// fn join() -> Joined<Lobby> {
///     accept(Lobby)
/// }
/// # assert!(join().is_ok());
/// ```
///
/// # Errors
/// Never; it is a `Result` so that it can end `join`.
pub fn accept<C>(channel: C) -> Joined<C> {
    Ok(Accepted::from(channel))
}

/// Accepts a join, with the payload of the reply to the client.
///
/// ```
/// use bennu_channels::prelude::*;
///
/// struct Lobby;
///
/// fn join() -> Joined<Lobby> {
///     accept_with(Lobby, json!({ "motd": "welcome" }))
/// }
/// # assert!(join().is_ok());
/// ```
///
/// # Errors
/// Never; it is a `Result` so that it can end `join`.
pub fn accept_with<C>(channel: C, reply: impl IntoPayload) -> Joined<C> {
    Ok(Accepted { channel, reply: reply.into_payload() })
}

/// Replies `ok`.
///
/// ```
/// use bennu_channels::prelude::*;
///
/// fn ping() -> Handled {
///     reply_ok(json!({ "ping": "pong" }))
/// }
/// # assert!(ping().is_ok());
/// ```
///
/// # Errors
/// Never; it is a `Result` so that it can end a handler.
pub fn reply_ok(payload: impl IntoPayload) -> Handled {
    Ok(Outcome { reply: Some(Reply::ok(payload)), stop: None })
}

/// Replies `error`: the client's `receive("error")`, not a crash. [`OrReply::or_reply`](crate::OrReply::or_reply) makes
/// one of a result.
///
/// ```
/// use bennu_channels::prelude::*;
///
/// fn buy() -> Handled {
///     reply_error(json!({ "reason": "sold out" }))
/// }
/// # assert!(buy().is_ok());
/// ```
///
/// # Errors
/// Never; it is a `Result` so that it can end a handler.
pub fn reply_error(payload: impl IntoPayload) -> Handled {
    Ok(Outcome { reply: Some(Reply::error(payload)), stop: None })
}

/// Replies with any status.
///
/// ```
/// use bennu_channels::prelude::*;
///
/// fn search() -> Handled {
///     reply("partial", json!({ "found": 3 }))
/// }
/// # assert!(search().is_ok());
/// ```
///
/// # Errors
/// Never; it is a `Result` so that it can end a handler.
pub fn reply(status: impl Into<Status>, payload: impl IntoPayload) -> Handled {
    Ok(Outcome { reply: Some(Reply::new(status, payload)), stop: None })
}

/// Goes on without an answer.
///
/// ```
/// use bennu_channels::prelude::*;
///
/// fn heartbeat() -> Flow {
///     noreply()
/// }
/// # assert!(heartbeat().is_ok());
/// ```
///
/// # Errors
/// Never; it is a `Result` so that it can end a handler.
pub fn noreply<O: From<Step>, E>() -> Result<O, E> {
    Ok(Step { stop: None }.into())
}

/// Stops the channel without an answer.
///
/// ```
/// use bennu_channels::prelude::*;
///
/// fn auction_closed() -> Flow {
///     stop(StopReason::Normal)
/// }
/// # assert!(auction_closed().is_ok());
/// ```
///
/// # Errors
/// Never; it is a `Result` so that it can end a handler.
pub fn stop<O: From<Step>, E>(reason: StopReason) -> Result<O, E> {
    Ok(Step { stop: Some(reason) }.into())
}

/// Answers, then stops the channel.
///
/// ```
/// use bennu_channels::prelude::*;
///
/// fn log_out() -> Handled {
///     stop_with(StopReason::Normal, Reply::ok(json!({})))
/// }
/// # assert!(log_out().is_ok());
/// ```
///
/// # Errors
/// Never; it is a `Result` so that it can end a handler.
pub fn stop_with(reason: StopReason, reply: Reply) -> Handled {
    Ok(Outcome { reply: Some(reply), stop: Some(reason) })
}

/// Crashes the channel for an event that it does not handle, as in Phoenix.
///
/// ```
/// use bennu_channels::prelude::*;
///
/// fn handle(event: &str) -> Handled {
///     match event {
///         "ping" => reply_ok(json!({})),
///         _ => unhandled(event),
///     }
/// }
/// assert!(handle("pong").is_err());
/// ```
///
/// # Errors
/// Always: that is its purpose.
pub fn unhandled(event: &str) -> Handled {
    crate::outcome::exit::crash(format!("no handler for event {event:?}"))
}

impl<C> From<C> for Accepted<C> {
    fn from(channel: C) -> Self {
        Accepted { channel, reply: Payload::empty() }
    }
}

impl From<Step> for Outcome {
    fn from(step: Step) -> Self {
        Outcome { reply: None, stop: step.stop }
    }
}
