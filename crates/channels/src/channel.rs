//! The channel as its author writes it: one joined topic of one client.

use crate::context::{Context, PushError};
use crate::outcome::{Flow, Handled, Joined, noreply, unhandled};
use crate::socket::Socket;
use bennu_protocol::{EncodeError, Payload};
use std::future::Future;

/// One joined topic of one client: its own task, one message at a time, isolated from all others.
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
/// A panic or an error in any callback ends this channel with `phx_error`, calls [`Channel::terminate`], and harms
/// nothing else.
pub trait Channel<S: Socket>: Sized + Send + 'static {
    /// Events whose broadcasts go through [`Channel::handle_out`] instead of straight to the client.
    ///
    /// An intercepted broadcast costs one call and one encoding for each client; all others are encoded once. While one
    /// waits for its `handle_out`, later broadcasts on the topic wait behind it, so that their order holds.
    const INTERCEPT: &'static [&'static str] = &[];

    /// Most tasks of this channel's own, see [`Context::spawn`], that run at once. 100, as many as a client may have
    /// channels: what one client sets in motion is bounded. 1, the least there is, makes them run one after another.
    ///
    /// While so many run, the channel takes no message, timer or intercepted broadcast. They wait in its mailbox, in order,
    /// which is how a client feels it: its answers take longer, and past [`Limits::mailbox_bytes`] the channel crashes.
    ///
    /// [`Limits::mailbox_bytes`]: crate::Limits::mailbox_bytes
    const MAX_TASKS: usize = 100;

    /// A client wants to join `topic`. Runs beside the connection: other channels go on meanwhile, and messages sent
    /// to this topic wait in order.
    ///
    /// The channel is subscribed to its topic before this is called, and the broadcasts that arrive meanwhile wait, within
    /// [`Limits::mailbox_bytes`], until the join's reply has been sent and [`Channel::joined`] has returned. A state that
    /// is read here misses nothing: each later broadcast of this node reaches the client after the reply.
    ///
    /// Nothing can be pushed or broadcast yet: the reply carries what [`accept_with`](crate::accept_with) is given, and
    /// `joined` comes next.
    ///
    /// # Errors
    /// [`crate::refuse`] and [`OrReply::or_reply`](crate::OrReply::or_reply) refuse with a payload; `?` on any other error
    /// crashes the join. What waited for a join that does not succeed is dropped.
    ///
    /// [`Limits::mailbox_bytes`]: crate::Limits::mailbox_bytes
    fn join(topic: &str, params: Payload, ctx: &mut Context<S, Self>) -> impl Future<Output = Joined<Self>> + Send;

    /// The client has joined: the join's reply is on its way. Runs once, before the first message, broadcast or timer; what it
    /// broadcasts itself reaches its own client once it has returned.
    /// Does nothing, unless implemented.
    ///
    /// # Errors
    /// Any error crashes this channel.
    fn joined(&mut self, ctx: &mut Context<S, Self>) -> impl Future<Output = Flow> + Send {
        let _ = ctx;
        async { noreply() }
    }

    /// A message from the client.
    ///
    /// # Errors
    /// [`OrReply::or_reply`](crate::OrReply::or_reply) and [`crate::refuse`] answer with an `error` reply. Any other error
    /// crashes this channel, as does an event that nobody handles.
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

    /// A broadcast of an event in [`Channel::INTERCEPT`]. Pushes it unchanged, unless implemented; to a V1 client binary
    /// data is not pushed, which has no frame for it.
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

    /// The channel ends; its client may be gone already. Has [`crate::SHUTDOWN_TIMEOUT`] to finish.
    fn terminate(&mut self, reason: Terminate, ctx: &mut Context<S, Self>) -> impl Future<Output = ()> + Send {
        let _ = (reason, ctx);
        async {}
    }
}

/// Handles one type of message from timers, PubSub and other tasks. Only messages that a channel handles can be sent to
/// it.
pub trait HandleInfo<S: Socket, M>: Channel<S> {
    /// A message of that type.
    ///
    /// # Errors
    /// Any error crashes this channel.
    fn handle_info(&mut self, message: M, ctx: &mut Context<S, Self>) -> impl Future<Output = Flow> + Send;
}

/// Why a channel ends.
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
    /// It crashed; the text is what the log says.
    Crashed(String),
}
