//! A join: subscribes the channel to its topic, runs the application's `join` and `joined`, and starts the channel's
//! task, or refuses the client.
//!
//! The session starts it through the channel's [`handle`](crate::actor::handle). Invariants: the channel is subscribed
//! before the application's `join` runs, so that a snapshot that `join` reads misses no broadcast; a join that fails
//! leaves nothing behind.

use crate::actor::supervision::{discard, supervise};
use crate::actor::{Actor, flushing};
use crate::channel::Channel;
use crate::channel::context::{Context as ChannelContext, Handle};
use crate::channel::handle::Mail;
use crate::connection::session::{End, Join, Unanswered};
use crate::outcome::Accepted;
use crate::outcome::exit::Exit;
use crate::socket::Socket;
use crate::telemetry::{Callback, Verdict};
use bennu_protocol::{Payload, event};
use futures::FutureExt;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tracing::Instrument;

/// The time after which a join is logged, once: half of the time after which clients give up.
const SLOW_JOIN: Duration = Duration::from_secs(5);

/// Runs a join. Its part before the first `await` that has to wait runs at once, so that a join which needs nothing is
/// answered before the client's next message, as in Phoenix; the rest runs beside the connection.
pub(crate) fn start<S: Socket, C: Channel<S>>(handle: Arc<Handle<S, C>>, join: Box<Join>) {
    let alive = handle.connection.endpoint().channel_started();
    handle.mailbox.start();
    let mut joining = Box::pin(run_join(handle.clone(), join));
    match joining.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(None) => {}
        Poll::Ready(Some(actor)) => actor.spawn(alive),
        Poll::Pending => {
            tokio::spawn(async move {
                if let Some(actor) = flushing(&handle.connection, joining.as_mut()).await {
                    actor.spawn(alive);
                }
            });
        }
    }
}

async fn run_join<S: Socket, C: Channel<S>>(handle: Arc<Handle<S, C>>, join: Box<Join>) -> Option<Box<Actor<S, C>>> {
    let Join { id, reference, params, .. } = &*join;
    let started = Instant::now();
    let mut ctx = ChannelContext::new(handle.clone(), &join, handle.clone());
    let joining = async { C::join(&id.topic, params.clone(), &mut ctx).await };
    let joining = joining.instrument(handle.route.instruments.join_span(&id.topic)).boxed();
    let joined = watched(&handle, &id.topic, supervise(&handle, joining)).await;
    let crashed = |why: String| {
        handle.route.instruments.crashed(&id.topic, &Callback::Join, &why);
        (Payload::json(&serde_json::json!({ "reason": event::JOIN_CRASHED })), Verdict::Crashed)
    };
    let (response, result) = match joined {
        Ok(Ok(Accepted { channel, reply })) => match handle.connection.check_join_reply(&join, &reply) {
            Ok(()) => {
                log_join(&handle, &join, started, Verdict::Ok);
                ctx.joined = true;
                handle.connection.joined(id, reference.clone(), reply);
                let mut actor = Box::new(Actor::new(channel, ctx));
                actor.joined().await;
                return Some(actor);
            }
            Err(error) => {
                discard(&handle, &id.topic, channel);
                crashed(format!("could not reply: {error}"))
            }
        },
        Ok(Err(Exit::Reply(response))) => match handle.connection.check_join_reply(&join, &response) {
            Ok(()) => (response, Verdict::Refused),
            Err(error) => crashed(format!("could not refuse: {error}")),
        },
        Ok(Err(Exit::Crash(crash))) => crashed(crash.to_string()),
        Err(failure) => crashed(failure.to_string()),
    };
    log_join(&handle, &join, started, result);
    // Unsubscribes first: no further broadcast is queued.
    discard(&handle, &id.topic, ctx);
    let left = handle.mailbox.close();
    let mut unanswered = Unanswered::default();
    for mail in &left {
        match mail {
            Mail::Message(message) => unanswered.messages.push(message.reference.clone()),
            Mail::End(End::Left(reference)) => unanswered.leave = Some(reference.clone()),
            Mail::End(_) | Mail::Intercepted(_) | Mail::Frame(_) | Mail::Info(_) => {}
        }
    }
    discard(&handle, &id.topic, left);
    handle.connection.refused(id, reference.clone(), response, unanswered);
    handle.mailbox.retire();
    None
}

/// Runs a join, and logs one that takes longer than [`SLOW_JOIN`].
async fn watched<S: Socket, C, T>(handle: &Handle<S, C>, topic: &str, joining: impl Future<Output = T>) -> T {
    let mut joining = std::pin::pin!(joining);
    match timeout(SLOW_JOIN, &mut joining).await {
        Ok(joined) => joined,
        Err(_) => {
            handle.route.instruments.join_hangs(topic, SLOW_JOIN);
            joining.await
        }
    }
}

fn log_join<S: Socket, C: Channel<S>>(handle: &Handle<S, C>, join: &Join, started: Instant, result: Verdict) {
    let filter = handle.connection.endpoint().filter_parameters();
    handle.route.instruments.join(&join.id.topic, &join.params, filter, started.elapsed(), result);
}
