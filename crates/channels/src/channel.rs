//! The channel as its author writes it: the traits that an application implements for one joined topic of one client.

pub(crate) mod context;
pub(crate) mod handle;
pub(crate) mod info;
pub(crate) mod mailbox;
mod presence;
pub(crate) mod reply_ref;
mod task;
pub(crate) mod timer;

use crate::channel::context::{Context, PushError};
use crate::outcome::{Flow, Handled, Joined, noreply, unhandled};
use crate::socket::Socket;
use bennu_protocol::{EncodeError, Payload};
use std::future::Future;

/// One joined topic of one client. It has a task of its own, handles one message at a time, and is isolated from all
/// others.
///
/// ```
/// use bennu_channels::prelude::*;
///
/// struct PingChannel;
///
/// impl<S: Socket> Channel<S> for PingChannel {
///     async fn join(_topic: &str, _params: Payload, _ctx: &mut Context<S, Self>) -> Joined<Self> {
///         accept(PingChannel)
///     }
///
///     async fn handle_in(&mut self, event: &str, _payload: Payload, _ctx: &mut Context<S, Self>) -> Handled {
///         match event {
///             "ping" => reply_ok(json!({ "ping": "pong" })),
///             _ => unhandled(event),
///         }
///     }
/// }
/// ```
///
/// A panic or an error in any callback ends this channel with `phx_error`, calls [`Channel::terminate`], and affects
/// nothing else.
pub trait Channel<S: Socket>: Sized + Send + 'static {
    /// The events whose broadcasts go through [`Channel::handle_out`] instead of straight to the client.
    ///
    /// An intercepted broadcast costs one call and one encoding for each client; all others are encoded once. While one
    /// waits for its `handle_out`, later broadcasts on the topic wait behind it, so that their order holds.
    const INTERCEPT: &'static [&'static str] = &[];

    /// The most tasks of this channel's own, see [`Context::spawn`], that run at once. Default 100, as many as a client
    /// may have channels. With 1, the least, they run one after another.
    ///
    /// While so many run, the channel takes no message, timer or broadcast that waits for it. They wait in its mailbox,
    /// in order, so that the client's replies take longer. Past the mailbox's limit, 1 MiB by default, the channel
    /// crashes.
    const MAX_TASKS: usize = 100;

    /// Handles a client's join of `topic`. It runs beside the connection: other channels go on meanwhile, and messages
    /// to this topic wait in order.
    ///
    /// The channel is subscribed to its topic before `join` is called. Broadcasts that arrive meanwhile wait in the
    /// mailbox, within its limit, until the join's reply has been sent and [`Channel::joined`] has returned. A snapshot
    /// that is read here misses nothing: each later broadcast of this node reaches the client after the reply.
    ///
    /// Nothing can be pushed or broadcast yet. The reply carries the payload of [`accept_with`](crate::accept_with),
    /// and `joined` runs next.
    ///
    /// # Errors
    /// [`crate::refuse`] and [`OrReply::or_reply`](crate::OrReply::or_reply) refuse with a payload; `?` on any other
    /// error crashes the join. Broadcasts that waited for a join that fails are dropped.
    fn join(topic: &str, params: Payload, ctx: &mut Context<S, Self>) -> impl Future<Output = Joined<Self>> + Send;

    /// Runs once, after the join's reply has been queued and before the first message, broadcast or timer. Its own
    /// broadcasts reach its own client after it has returned. Does nothing by default.
    ///
    /// # Errors
    /// Any error crashes this channel.
    fn joined(&mut self, ctx: &mut Context<S, Self>) -> impl Future<Output = Flow> + Send {
        let _ = ctx;
        async { noreply() }
    }

    /// Handles a message from the client.
    ///
    /// # Errors
    /// [`OrReply::or_reply`](crate::OrReply::or_reply) and [`crate::refuse`] answer with an `error` reply. Any other
    /// error crashes this channel, as does an event that is not handled.
    fn handle_in(
        &mut self,
        event: &str,
        payload: Payload,
        ctx: &mut Context<S, Self>,
    ) -> impl Future<Output = Handled> + Send {
        let _ = (payload, ctx);
        let unknown = unhandled(event);
        async move { unknown }
    }

    /// Handles a broadcast of an event in [`Channel::INTERCEPT`]. By default, pushes it unchanged. Binary data is not
    /// pushed to a V1 client, which has no frame for it.
    ///
    /// # Errors
    /// Any error crashes this channel.
    fn handle_out(
        &mut self,
        event: &str,
        payload: Payload,
        ctx: &mut Context<S, Self>,
    ) -> impl Future<Output = Flow> + Send {
        let pushed = ctx.push(event, payload);
        async move {
            match pushed {
                Err(PushError::Encode(EncodeError::BinaryInV1 { .. })) => noreply(),
                pushed => {
                    pushed?;
                    noreply()
                }
            }
        }
    }

    /// Runs when the channel ends; its client may be gone already. It has [`crate::SHUTDOWN_TIMEOUT`] to finish.
    fn terminate(&mut self, reason: Terminate, ctx: &mut Context<S, Self>) -> impl Future<Output = ()> + Send {
        let _ = (reason, ctx);
        async {}
    }
}

/// Handles one type of message from timers, PubSub and other tasks. Only types that a channel handles can be sent to
/// it.
///
/// ```
/// use bennu_channels::prelude::*;
/// use std::time::Duration;
///
/// struct Clock;
///
/// struct Tick;
///
/// impl<S: Socket> Channel<S> for Clock {
///     async fn join(_topic: &str, _params: Payload, ctx: &mut Context<S, Self>) -> Joined<Self> {
///         ctx.send_self(Tick);
///         accept(Clock)
///     }
/// }
///
/// impl<S: Socket> HandleInfo<S, Tick> for Clock {
///     async fn handle_info(&mut self, _: Tick, ctx: &mut Context<S, Self>) -> Flow {
///         ctx.push("tick", json!({}))?;
///         ctx.send_after(Duration::from_secs(1), Tick);
///         noreply()
///     }
/// }
/// ```
pub trait HandleInfo<S: Socket, M>: Channel<S> {
    /// Handles a message of that type.
    ///
    /// # Errors
    /// Any error crashes this channel.
    fn handle_info(&mut self, message: M, ctx: &mut Context<S, Self>) -> impl Future<Output = Flow> + Send;
}

/// The reason why a channel ends.
///
/// ```
/// use bennu_channels::prelude::*;
///
/// struct Desk;
///
/// impl<S: Socket> Channel<S> for Desk {
///     async fn join(_topic: &str, _params: Payload, _ctx: &mut Context<S, Self>) -> Joined<Self> {
///         accept(Desk)
///     }
///
///     async fn terminate(&mut self, reason: Terminate, ctx: &mut Context<S, Self>) {
///         if let Terminate::Crashed(cause) = reason {
///             eprintln!("{} crashed: {cause}", ctx.topic());
///         }
///     }
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Terminate {
    /// The client left the topic.
    Left,
    /// The client joined the topic again; the new join waits for this end.
    Replaced,
    /// The connection closed.
    Closed,
    /// A handler stopped it.
    Stopped,
    /// It crashed; the text is the one in the log.
    Crashed(String),
}
