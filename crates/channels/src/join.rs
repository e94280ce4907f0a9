//! A join: asks the application, subscribes the channel to its topic, and starts its task; or says why not.
//!
//! Started by the session through the channel's [`handle`](crate::handle). Invariant: whoever is told that it has joined is
//! subscribed already, and whoever is not leaves nothing behind.

use crate::actor::Actor;
use crate::channel::Channel;
use crate::context::{ChannelSlot, Context as ChannelContext};
use crate::outcome::JoinFailure;
use crate::session::{End, Join, Unheard};
use crate::slot::Mail;
use crate::socket::Socket;
use crate::supervision::{discard, supervise};
use crate::telemetry::{Callback, Verdict};
use bennu_protocol::{Payload, event};
use futures::FutureExt;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::time::Instant;
use tracing::Instrument;

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
                let joined = joining.await;
                slot.connection.outbox().flush();
                if let Some(actor) = joined {
                    actor.spawn(alive);
                }
            });
        }
    }
}

async fn run_join<S: Socket, C: Channel<S>>(slot: Arc<ChannelSlot<S, C>>, join: Box<Join>) -> Option<Box<Actor<S, C>>> {
    let Join { id, reference, params, .. } = &*join;
    let started = Instant::now();
    let mut ctx = ChannelContext::new(slot.clone(), &join);
    let joining = async { C::join(&id.topic, params.clone(), &mut ctx).await };
    let joined = supervise(&slot, joining.instrument(slot.instruments.join_span(&id.topic)).boxed()).await;
    let (response, result) = match joined {
        Ok(Ok(channel)) => {
            // Subscribed before the client knows: from the reply on, it misses nothing.
            ctx.own = Some(ctx.endpoint().pubsub().attach(&id.topic, slot.clone()));
            log_join(&slot, &join, started, Verdict::Ok);
            let response = ctx.join_response.take().map(|response| *response).unwrap_or_default();
            slot.connection.joined(id, reference.clone(), response);
            return Some(Box::new(Actor::new(channel, ctx)));
        }
        Ok(Err(error)) => match error.0 {
            JoinFailure::Refused(response) => (response, Verdict::Refused),
            JoinFailure::Crashed(crash) => {
                slot.instruments.crashed(&id.topic, &Callback::Join, &crash.to_string());
                (join_crashed(), Verdict::Crashed)
            }
        },
        Err(failure) => {
            slot.instruments.crashed(&id.topic, &Callback::Join, &failure.to_string());
            (join_crashed(), Verdict::Crashed)
        }
    };
    log_join(&slot, &join, started, result);
    let left = slot.mailbox.close();
    let mut unheard = Unheard::default();
    for mail in &left {
        match mail {
            Mail::Message(message) => unheard.messages.push(message.reference.clone()),
            Mail::End(End::Left(reference)) => unheard.leave = Some(reference.clone()),
            Mail::End(_) | Mail::Intercepted(_) | Mail::Info(_) => {}
        }
    }
    discard(&slot, &id.topic, ctx);
    discard(&slot, &id.topic, left);
    slot.connection.refused(id, reference.clone(), response, unheard);
    slot.mailbox.retire();
    None
}

fn log_join<S: Socket, C: Channel<S>>(slot: &ChannelSlot<S, C>, join: &Join, started: Instant, result: Verdict) {
    let filter = slot.connection.endpoint().filter_parameters();
    slot.instruments.join(&join.id.topic, &join.params, filter, started.elapsed(), result);
}

fn join_crashed() -> Payload {
    Payload::json(&serde_json::json!({ "reason": event::JOIN_CRASHED }))
}
