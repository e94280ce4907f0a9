//! A join: subscribes the channel to its topic, runs the application's `join` and `joined`, and starts the channel's task;
//! or refuses.
//!
//! Started by the session through the channel's [`handle`](crate::handle). Invariants: a channel is subscribed before the
//! application's `join` runs, so that a state which is read there misses no broadcast; a join that does not succeed leaves
//! nothing behind.

use crate::actor::{Actor, flushing};
use crate::channel::Channel;
use crate::context::{ChannelSlot, Context as ChannelContext};
use crate::exit::Exit;
use crate::outcome::Accepted;
use crate::session::{End, Join, Unheard};
use crate::slot::Mail;
use crate::socket::Socket;
use crate::supervision::{discard, supervise};
use crate::telemetry::{Callback, Verdict};
use bennu_protocol::{Payload, event};
use futures::FutureExt;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tracing::Instrument;

/// A join that takes longer is logged, once: half of the time after which clients give up.
const SLOW_JOIN: Duration = Duration::from_secs(5);

/// Runs a join. Its part before the first `await` that has to wait runs at once, so that a join which needs nothing is
/// answered before the client's next message, as in Phoenix; the rest runs beside the connection.
pub(crate) fn start<S: Socket, C: Channel<S>>(slot: Arc<ChannelSlot<S, C>>, join: Box<Join>) {
    let alive = slot.connection.endpoint().channel_started();
    slot.mailbox.start();
    let mut joining = Box::pin(run_join(slot.clone(), join));
    match joining.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(None) => {}
        Poll::Ready(Some(actor)) => actor.spawn(alive),
        Poll::Pending => {
            tokio::spawn(async move {
                if let Some(actor) = flushing(&slot.connection, joining.as_mut()).await {
                    actor.spawn(alive);
                }
            });
        }
    }
}

async fn run_join<S: Socket, C: Channel<S>>(slot: Arc<ChannelSlot<S, C>>, join: Box<Join>) -> Option<Box<Actor<S, C>>> {
    let Join { id, reference, params, .. } = &*join;
    let started = Instant::now();
    let mut ctx = ChannelContext::new(slot.clone(), &join, slot.clone());
    let joining = async { C::join(&id.topic, params.clone(), &mut ctx).await };
    let joining = joining.instrument(slot.route.instruments.join_span(&id.topic)).boxed();
    let joined = watched(&slot, &id.topic, supervise(&slot, joining)).await;
    let crashed = |why: String| {
        slot.route.instruments.crashed(&id.topic, &Callback::Join, &why);
        (Payload::json(&serde_json::json!({ "reason": event::JOIN_CRASHED })), Verdict::Crashed)
    };
    let (response, result) = match joined {
        Ok(Ok(Accepted { channel, reply })) => match slot.connection.can_send(&reply) {
            Ok(()) => {
                log_join(&slot, &join, started, Verdict::Ok);
                ctx.joined = true;
                slot.connection.joined(id, reference.clone(), reply);
                let mut actor = Box::new(Actor::new(channel, ctx));
                actor.joined().await;
                return Some(actor);
            }
            Err(error) => {
                discard(&slot, &id.topic, channel);
                crashed(format!("could not reply: {error}"))
            }
        },
        Ok(Err(Exit::Reply(response))) => match slot.connection.can_send(&response) {
            Ok(()) => (response, Verdict::Refused),
            Err(error) => crashed(format!("could not refuse: {error}")),
        },
        Ok(Err(Exit::Crash(crash))) => crashed(crash.to_string()),
        Err(failure) => crashed(failure.to_string()),
    };
    log_join(&slot, &join, started, result);
    // Unsubscribes first: what comes afterwards is for others.
    discard(&slot, &id.topic, ctx);
    let left = slot.mailbox.close();
    let mut unheard = Unheard::default();
    for mail in &left {
        match mail {
            Mail::Message(message) => unheard.messages.push(message.reference.clone()),
            Mail::End(End::Left(reference)) => unheard.leave = Some(reference.clone()),
            Mail::End(_) | Mail::Intercepted(_) | Mail::Frame(_) | Mail::Info(_) => {}
        }
    }
    discard(&slot, &id.topic, left);
    slot.connection.refused(id, reference.clone(), response, unheard);
    slot.mailbox.retire();
    None
}

/// Runs a join; one that takes long is logged.
async fn watched<S: Socket, C, T>(slot: &ChannelSlot<S, C>, topic: &str, joining: impl Future<Output = T>) -> T {
    let mut joining = std::pin::pin!(joining);
    match timeout(SLOW_JOIN, &mut joining).await {
        Ok(joined) => joined,
        Err(_) => {
            slot.route.instruments.join_hangs(topic, SLOW_JOIN);
            joining.await
        }
    }
}

fn log_join<S: Socket, C: Channel<S>>(slot: &ChannelSlot<S, C>, join: &Join, started: Instant, result: Verdict) {
    let filter = slot.connection.endpoint().filter_parameters();
    slot.route.instruments.join(&join.id.topic, &join.params, filter, started.elapsed(), result);
}
