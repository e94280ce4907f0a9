//! The task of one joined topic: runs user code one message at a time, and makes sure that whatever goes wrong in it
//! ends this channel only.
//!
//! Spawned by [`crate::slot`] when the session starts a join; reports to the session when it joined, was refused, or
//! ended. Callbacks run boxed: an idle channel's task holds its state, not its largest handler.

use crate::channel::{Channel, Terminate};
use crate::context::Context as ChannelContext;
use crate::endpoint::ChannelAlive;
use crate::outcome::{Crash, Flow, JoinFailure, Outcome, Reply, StopReason};
use crate::session::{End, Exit, Incoming, Join};
use crate::slot::{Mail, Slot};
use crate::socket::Socket;
use crate::telemetry::{Callback, JoinResult};
use bennu_protocol::{Name, Payload, event};
use futures::FutureExt;
use futures::future::BoxFuture;
use std::any::Any;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tracing::Instrument;

/// How long a channel that is told to end may go on with the callback it is in, `terminate` included; then it is
/// dropped. Phoenix's default.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs a join. Its part before the first `await` that has to wait runs at once, so that a join which needs nothing is
/// answered before the client's next message, as in Phoenix; the rest runs beside the connection.
pub(crate) fn start<S: Socket, C: Channel<S>>(slot: Arc<Slot<S, C>>, join: Join) {
    let alive = slot.connection.endpoint().channel_started();
    let mut joining = Box::pin(run_join(slot, join));
    match joining.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(None) => {}
        Poll::Ready(Some((channel, ctx))) => spawn(channel, ctx, alive),
        Poll::Pending => {
            tokio::spawn(async move {
                if let Some((channel, ctx)) = joining.await {
                    spawn(channel, ctx, alive);
                }
            });
        }
    }
}

/// The channel's own task. It ends by itself: [`Endpoint`](crate::Endpoint) counts it until then.
fn spawn<S: Socket, C: Channel<S>>(channel: C, ctx: ChannelContext<S, C>, alive: ChannelAlive) {
    tokio::spawn(async move {
        let _alive = alive;
        run(channel, ctx).await;
    });
}

/// Why the loop ends.
enum Ending {
    Ended(End),
    Stopped,
    Crashed(Callback, String),
    /// Too long in one callback after it was told to end.
    Killed(Callback),
}

impl From<(Callback, Failure)> for Ending {
    fn from((callback, failure): (Callback, Failure)) -> Self {
        match failure {
            Failure::Killed => Ending::Killed(callback),
            Failure::Panicked(what) => Ending::Crashed(callback, format!("panicked: {what}")),
        }
    }
}

enum Failure {
    Panicked(String),
    Killed,
}

async fn run_join<S: Socket, C: Channel<S>>(slot: Arc<Slot<S, C>>, join: Join) -> Option<(C, ChannelContext<S, C>)> {
    let Join { ref id, ref reference, ref params, .. } = join;
    let started = Instant::now();
    let mut ctx = ChannelContext::new(slot.clone(), &join);
    let joined = supervise(&slot, async { C::join(&id.topic, params.clone(), &mut ctx).await }.boxed()).await;
    let (response, result) = match joined {
        Ok(Ok(channel)) => {
            // Subscribed before the client knows: from the reply on, it misses nothing.
            ctx.own = Some(ctx.endpoint().pubsub().attach(&id.topic, slot.clone()));
            log_join(&slot, &join, started, JoinResult::Ok);
            let response = ctx.join_response.take().unwrap_or_default();
            slot.connection.joined(id, reference.clone(), response);
            return Some((channel, ctx));
        }
        Ok(Err(error)) => match error.0 {
            JoinFailure::Refused(response) => (response, JoinResult::Refused),
            JoinFailure::Crashed(crash) => {
                slot.instruments.crashed(&id.topic, &Callback::Join, &crash.to_string());
                (join_crashed(), JoinResult::Crashed)
            }
        },
        Err(failure) => {
            slot.instruments.crashed(&id.topic, &Callback::Join, &describe(&failure));
            (join_crashed(), JoinResult::Crashed)
        }
    };
    log_join(&slot, &join, started, result);
    drop(ctx);
    let waiting = slot.mailbox.close().into_iter().filter_map(|mail| match mail {
        Mail::Message(message) => Some(message.reference),
        _ => None,
    });
    slot.connection.refused(id, reference.clone(), response, waiting.collect());
    None
}

fn log_join<S: Socket, C: Channel<S>>(slot: &Slot<S, C>, join: &Join, started: Instant, result: JoinResult) {
    let filter = slot.connection.endpoint().filter_parameters();
    slot.instruments.join(&join.id.topic, &join.params, filter, started.elapsed(), result);
}

fn join_crashed() -> Payload {
    Payload::json(&serde_json::json!({ "reason": event::JOIN_CRASHED }))
}

async fn run<S: Socket, C: Channel<S>>(mut channel: C, mut ctx: ChannelContext<S, C>) {
    let ending = serve(&mut channel, &mut ctx).await;
    Box::pin(finish(channel, ctx, ending)).await;
}

/// Handles mail and timers until something ends the channel.
async fn serve<S: Socket, C: Channel<S>>(channel: &mut C, ctx: &mut ChannelContext<S, C>) -> Ending {
    let mut batch = VecDeque::new();
    loop {
        // An idle channel holds no queue.
        batch.shrink_to_fit();
        match next(ctx, &mut batch).await {
            Ok(Some(fired)) => batch.push_back(Mail::Info(fired)),
            Ok(None) => {}
            Err(overflow) => return Ending::Crashed(Callback::Mailbox, overflow.to_string()),
        }
        while let Some(mail) = batch.pop_front() {
            if let Some(ending) = handle(channel, ctx, mail).await {
                return ending;
            }
            tokio::task::coop::consume_budget().await;
        }
    }
}

/// Waits for mail, which lands in `batch`, or for a timer, which is returned.
async fn next<S: Socket, C: Channel<S>>(
    ctx: &mut ChannelContext<S, C>,
    batch: &mut VecDeque<Mail<S, C>>,
) -> Result<Option<Box<dyn crate::info::Info<S, C>>>, crate::mailbox::Overflow> {
    poll_fn(|cx| {
        if let Poll::Ready(taken) = ctx.slot.mailbox.poll_take(cx, batch) {
            return Poll::Ready(taken.map(|()| None));
        }
        match &mut ctx.timers {
            Some(timers) => timers.poll_fire(cx).map(|fired| Ok(Some(fired))),
            None => Poll::Pending,
        }
    })
    .await
}

/// Handles one mail; says whether it ends the channel.
async fn handle<S: Socket, C: Channel<S>>(
    channel: &mut C,
    ctx: &mut ChannelContext<S, C>,
    mail: Mail<S, C>,
) -> Option<Ending> {
    match mail {
        Mail::Message(message) => handle_in(channel, ctx, message).await,
        Mail::Intercepted(broadcast) => {
            let slot = ctx.slot.clone();
            let (event, payload) = (broadcast.event(), broadcast.payload().clone());
            let handled = supervise(&slot, async { channel.handle_out(event, payload, ctx).await }.boxed()).await;
            settle(Callback::HandleOut(event.into()), handled)
        }
        Mail::Info(info) => {
            let (slot, name) = (ctx.slot.clone(), info.name());
            settle(Callback::HandleInfo(name), supervise(&slot, info.handle(channel, ctx)).await)
        }
        Mail::End(End::Left(reference)) => {
            let answered = ctx.reply(&reference, &Reply::ok(Payload::empty()));
            if let Err(error) = answered {
                return Some(Ending::Crashed(Callback::Mailbox, error.to_string()));
            }
            Some(Ending::Ended(End::Left(reference)))
        }
        Mail::End(end) => Some(Ending::Ended(end)),
    }
}

async fn handle_in<S: Socket, C: Channel<S>>(
    channel: &mut C,
    ctx: &mut ChannelContext<S, C>,
    message: Incoming,
) -> Option<Ending> {
    let Incoming { reference, event, payload } = message;
    let event = match event {
        Name::Text(event) => event,
        Name::Json(json) => return Some(crash(&json, format!("the event is {json}, not a string"))),
    };
    let started = Instant::now();
    let slot = ctx.slot.clone();
    let span = slot.instruments.message(&ctx.id.topic, &event, &payload, ctx.endpoint().filter_parameters());
    ctx.in_reply_to = Some(reference);
    let handled = async { channel.handle_in(&event, payload, ctx).await }.instrument(span).boxed();
    let handled = supervise(&slot, handled).await;
    let reference = ctx.in_reply_to.take().unwrap_or_default();
    slot.instruments.handled(started.elapsed());
    let Outcome { reply, stop } = match handled {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(why)) => return Some(crash(&event, why.to_string())),
        Err(failure) => return Some(Ending::from((Callback::HandleIn(event.into_owned()), failure))),
    };
    if let Some(reply) = reply
        && let Err(error) = ctx.reply(&reference, &reply)
    {
        return Some(crash(&event, format!("cannot reply: {error}")));
    }
    stop.map(|reason| stopped(Callback::HandleIn(event.into_owned()), reason))
}

fn crash(event: &str, why: String) -> Ending {
    Ending::Crashed(Callback::HandleIn(event.to_owned()), why)
}

fn settle(callback: Callback, handled: Result<Flow, Failure>) -> Option<Ending> {
    match handled {
        Ok(Ok(step)) => step.stop.map(|reason| stopped(callback, reason)),
        Ok(Err(why)) => Some(Ending::Crashed(callback, Crash::to_string(&why))),
        Err(failure) => Some(Ending::from((callback, failure))),
    }
}

fn stopped(callback: Callback, reason: StopReason) -> Ending {
    match reason {
        StopReason::Normal | StopReason::Shutdown => Ending::Stopped,
        StopReason::Failed(why) => Ending::Crashed(callback, format!("stopped: {why}")),
    }
}

/// Runs `terminate`, gives everything back and tells the session.
async fn finish<S: Socket, C: Channel<S>>(mut channel: C, mut ctx: ChannelContext<S, C>, ending: Ending) {
    let slot = ctx.slot.clone();
    let (mut exit, reason) = match ending {
        Ending::Ended(End::Left(_)) => (Exit::Done, Some(Terminate::Left)),
        Ending::Ended(End::Replaced) => (Exit::Done, Some(Terminate::Replaced)),
        Ending::Ended(End::Closed) => (Exit::Done, Some(Terminate::Closed)),
        Ending::Stopped => (Exit::Done, Some(Terminate::Stopped)),
        Ending::Crashed(callback, why) => {
            slot.instruments.crashed(ctx.topic(), &callback, &why);
            (Exit::Crashed, Some(Terminate::Crashed(why)))
        }
        Ending::Killed(callback) => {
            slot.instruments.crashed(ctx.topic(), &callback, &describe(&Failure::Killed));
            (Exit::Done, None)
        }
    };
    if let Some(reason) = reason {
        // Whatever ended it, `terminate` itself has the shutdown timeout.
        slot.mailbox.push_end(Mail::End(End::Closed));
        if let Err(failure) = supervise(&slot, async { channel.terminate(reason, &mut ctx).await }.boxed()).await {
            slot.instruments.crashed(ctx.topic(), &Callback::Terminate, &describe(&failure));
            exit = Exit::Crashed;
        }
    }
    let id = ctx.id.clone();
    // Unsubscribes and cancels timers before the client hears that the channel has ended.
    drop(ctx);
    let left = slot.mailbox.close();
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop((channel, left)))) {
        slot.instruments.crashed(&id.topic, &Callback::Drop, &panic_text(&*panic));
        exit = Exit::Crashed;
    }
    slot.instruments.ended();
    slot.connection.exited(&id, exit);
}

/// Runs one callback: a panic is caught, and once the channel is told to end it has [`SHUTDOWN_TIMEOUT`] left.
async fn supervise<S: Socket, C: Channel<S>, T>(slot: &Slot<S, C>, callback: BoxFuture<'_, T>) -> Result<T, Failure> {
    let mut callback = AssertUnwindSafe(callback).catch_unwind();
    let mut deadline = None;
    poll_fn(|cx| {
        if let Poll::Ready(result) = callback.poll_unpin(cx) {
            return Poll::Ready(result.map_err(|panic| Failure::Panicked(panic_text(&*panic))));
        }
        if slot.mailbox.poll_ending(cx).is_pending() {
            return Poll::Pending;
        }
        let deadline = deadline.get_or_insert_with(|| Box::pin(sleep(SHUTDOWN_TIMEOUT)));
        deadline.as_mut().poll(cx).map(|()| Err(Failure::Killed))
    })
    .await
}

fn describe(failure: &Failure) -> String {
    match failure {
        Failure::Panicked(what) => format!("panicked: {what}"),
        Failure::Killed => format!("still running {SHUTDOWN_TIMEOUT:?} after it was told to end"),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text: Cow<'_, str> = if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).into()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.into()
    } else {
        "with a value that is no text".into()
    };
    text.into_owned()
}
