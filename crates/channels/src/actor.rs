//! The task of one joined topic: runs user code one message at a time, and makes sure that whatever goes wrong in it
//! ends this channel only.
//!
//! Started as the session's [`ChannelHandle`] when a join begins; reports to the session when it joined, was refused, or
//! ended. Each callback runs in a box of its own: an idle channel's task holds its state, not its largest handler.
//! Invariant: what the channel has said is flushed before its task waits.

use crate::channel::{Channel, Terminate};
use crate::connection::ChannelHandle;
use crate::context::{ChannelSlot, Context as ChannelContext, OwnInfo};
use crate::endpoint::ChannelAlive;
use crate::mailbox::Overflow;
use crate::outcome::{Flow, JoinFailure, Reply, StopReason};
use crate::session::{End, Event, Exit, Incoming, Join, Unheard};
use crate::slot::Mail;
use crate::socket::Socket;
use crate::supervision::{Failure, discard, supervise};
use crate::telemetry::{Callback, Verdict};
use bennu_protocol::{Payload, event};
use futures::FutureExt;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::task::JoinError;
use tokio::time::Instant;
use tracing::Instrument;

impl<S: Socket, C: Channel<S>> ChannelHandle for ChannelSlot<S, C> {
    fn start(self: Arc<Self>, join: Box<Join>) {
        start(self, join);
    }

    fn deliver(&self, message: Incoming) {
        let size = message.size();
        self.push(Mail::Message(message), size);
    }

    fn end(&self, end: End) {
        self.mailbox.push_end(Mail::End(end));
    }

    fn poll_look_up(&self, cx: &mut Context<'_>, watched: &mut bool) -> Poll<()> {
        self.mailbox.poll_look_up(cx, watched)
    }

    fn waiting_bytes(&self) -> usize {
        self.mailbox.waiting_bytes()
    }

    #[cfg(feature = "testkit")]
    fn as_any(self: Arc<Self>) -> Arc<dyn std::any::Any + Send + Sync> {
        self
    }
}

/// Runs a join. Its part before the first `await` that has to wait runs at once, so that a join which needs nothing is
/// answered before the client's next message, as in Phoenix; the rest runs beside the connection.
fn start<S: Socket, C: Channel<S>>(slot: Arc<ChannelSlot<S, C>>, join: Box<Join>) {
    let alive = slot.connection.endpoint().channel_started();
    let mut joining = Box::pin(run_join(slot.clone(), join));
    match joining.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(None) => {}
        Poll::Ready(Some(actor)) => spawn(actor, alive),
        Poll::Pending => {
            tokio::spawn(async move {
                let joined = joining.await;
                slot.connection.outbox().flush();
                if let Some(actor) = joined {
                    spawn(actor, alive);
                }
            });
        }
    }
}

/// The channel's own task. It ends by itself: [`Endpoint`](crate::Endpoint) counts it until then.
fn spawn<S: Socket, C: Channel<S>>(actor: Box<Actor<S, C>>, alive: ChannelAlive) {
    let slot = actor.ctx.slot.clone();
    tokio::spawn(async move {
        let _alive = alive;
        let mut running = std::pin::pin!(actor.run());
        poll_fn(|cx| {
            let polled = running.as_mut().poll(cx);
            slot.connection.outbox().flush();
            polled
        })
        .await;
    });
}

/// A joined channel.
struct Actor<S: Socket, C: Channel<S>> {
    channel: C,
    ctx: ChannelContext<S, C>,
}

/// How one mail went.
enum Handled {
    Done,
    Ended(End),
    Stopped,
    Crashed(String),
}

/// Why the loop ends.
enum Ending {
    Ended(End),
    Stopped,
    Crashed(Callback, String),
    /// Too long in one callback after it was told to end.
    Killed(Callback),
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
            return Some(Box::new(Actor { channel, ctx }));
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

impl<S: Socket, C: Channel<S>> Actor<S, C> {
    async fn run(mut self: Box<Self>) {
        let mut batch = VecDeque::new();
        let ending = self.serve(&mut batch).await;
        Box::pin(self.finish(ending, batch)).await;
    }

    /// Handles mail, timers and the ends of tasks until something ends the channel.
    async fn serve(&mut self, batch: &mut VecDeque<Mail<OwnInfo<S, C>>>) -> Ending {
        let slot = self.ctx.slot.clone();
        loop {
            // A scope of its own: what is kept across an await is room in the task of every channel.
            {
                let ending = if self.ctx.task_count() >= C::MAX_TASKS {
                    // In a box, as a callback is.
                    Box::pin(self.fewer_tasks(batch)).await
                } else if let Some(mail) = batch.pop_front() {
                    let callback = Callback::of(&mail);
                    Ending::after(callback, supervise(&slot, self.handle(mail).boxed()).await)
                } else {
                    // Made anew each time: an idle channel holds no queue.
                    *batch = VecDeque::new();
                    self.next(batch).await
                };
                if let Some(ending) = ending {
                    return ending;
                }
            }
            tokio::task::coop::consume_budget().await;
        }
    }

    /// Waits for mail and timers, which land in `batch`, and for a task that ends. All are looked at each time: a client
    /// that never pauses cannot hold up a timer.
    async fn next(&mut self, batch: &mut VecDeque<Mail<OwnInfo<S, C>>>) -> Option<Ending> {
        poll_fn(|cx| {
            let ended = self.ctx.tasks().map_or(Poll::Pending, |tasks| tasks.poll_ended(cx));
            let taken = self.ctx.slot.mailbox.poll_take(cx, batch);
            if let Some(Poll::Ready(fired)) = self.ctx.timers().map(|timers| timers.poll_fire(cx)) {
                batch.push_back(Mail::Info(fired));
            }
            match (taken, ended) {
                (Poll::Ready(Err(overflow)), _) => Poll::Ready(Some(overflow.into())),
                (_, Poll::Ready(ended)) => Poll::Ready(Ending::after(Callback::Task, task_ended(ended))),
                _ if batch.is_empty() => Poll::Pending,
                _ => Poll::Ready(None),
            }
        })
        .await
    }

    /// Waits for a task that ends, with the mail left where it is; or else for the channel's own end, which is then taken
    /// before all that waits: most of that would start tasks, only for them to be dropped.
    async fn fewer_tasks(&mut self, batch: &mut VecDeque<Mail<OwnInfo<S, C>>>) -> Option<Ending> {
        let slot = self.ctx.slot.clone();
        let mut waits = false;
        let ended = poll_fn(|cx| {
            if let Some(Poll::Ready(ended)) = self.ctx.tasks().map(|tasks| tasks.poll_ended(cx)) {
                return Poll::Ready(Some(ended));
            }
            if !std::mem::replace(&mut waits, true) {
                slot.instruments.task_limit();
            }
            slot.mailbox.poll_ending(cx).map(|()| None)
        })
        .await;
        slot.mailbox.resume();
        if let Some(ended) = ended {
            return Ending::after(Callback::Task, task_ended(ended));
        }
        let mut waiting = VecDeque::new();
        if let Poll::Ready(Err(overflow)) =
            slot.mailbox.poll_take(&mut Context::from_waker(Waker::noop()), &mut waiting)
        {
            return Some(overflow.into());
        }
        batch.append(&mut waiting);
        let end = batch.iter().position(|mail| matches!(mail, Mail::End(_))).and_then(|at| batch.remove(at));
        let handled = self.handle(end.expect("an end was pushed and not handled yet")).await;
        Ending::after(Callback::Mailbox, Ok(handled))
    }

    async fn handle(&mut self, mail: Mail<OwnInfo<S, C>>) -> Handled {
        let Actor { channel, ctx } = self;
        match mail {
            Mail::Message(message) => self.handle_in(message).await,
            Mail::Intercepted(sent) => {
                Handled::from(channel.handle_out(sent.event(), sent.payload().clone(), ctx).await)
            }
            Mail::Info(info) => Handled::from(info.handle(channel, ctx).await),
            Mail::End(End::Left(reference)) => match ctx.reply(&reference, &Reply::ok(Payload::empty())) {
                Ok(()) => Handled::Ended(End::Left(reference)),
                Err(error) => Handled::Crashed(format!("cannot reply: {error}")),
            },
            Mail::End(end) => Handled::Ended(end),
        }
    }

    async fn handle_in(&mut self, message: Incoming) -> Handled {
        let Actor { channel, ctx } = self;
        let Incoming { reference, event, payload } = message;
        let event = match event {
            Event::Named(event) => event,
            Event::NotText(json) => return Handled::Crashed(format!("the event is {json}, not a string")),
        };
        let slot = ctx.slot.clone();
        let started = Instant::now();
        let span = slot.instruments.message(&ctx.id.topic, &event, &payload, ctx.endpoint().filter_parameters());
        ctx.in_reply_to = Some(reference);
        let handled = channel.handle_in(&event, payload, ctx).instrument(span).await;
        let reference = ctx.in_reply_to.take().unwrap_or_default();
        slot.instruments.handled(started.elapsed());
        let outcome = match handled {
            Ok(outcome) => outcome,
            Err(why) => return Handled::Crashed(why.to_string()),
        };
        if let Some(reply) = outcome.reply
            && let Err(error) = ctx.reply(&reference, &reply)
        {
            return Handled::Crashed(format!("cannot reply: {error}"));
        }
        outcome.stop.map_or(Handled::Done, Handled::from)
    }

    /// Runs `terminate`, gives everything back and tells the session.
    async fn finish(self: Box<Self>, ending: Ending, batch: VecDeque<Mail<OwnInfo<S, C>>>) {
        let Actor { mut channel, mut ctx } = *self;
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
                slot.instruments.crashed(ctx.topic(), &callback, &Failure::Killed.to_string());
                (Exit::Done, None)
            }
        };
        if let Some(reason) = reason {
            // Whatever ended it, `terminate` itself has the shutdown timeout.
            slot.mailbox.push_end(Mail::End(End::Closed));
            let terminated = async { channel.terminate(reason, &mut ctx).await }.boxed();
            if let Err(failure) = supervise(&slot, terminated).await {
                slot.instruments.crashed(ctx.topic(), &Callback::Terminate, &failure.to_string());
                exit = Exit::Crashed;
            }
        }
        let id = ctx.id.clone();
        if let Some(tasks) = ctx.tasks() {
            let ended = match supervise(&slot, tasks.shutdown().boxed()).await {
                Ok(panicked) => panicked.map_or(Ok(Handled::Done), |error| task_ended(Err(error))),
                Err(failure) => Err(failure),
            };
            if let Err(failure) = ended {
                slot.instruments.crashed(&id.topic, &Callback::Task, &failure.to_string());
                exit = Exit::Crashed;
            }
        }
        // Unsubscribes and cancels timers before the client hears that the channel has ended.
        let mut whole = discard(&slot, &id.topic, ctx);
        whole &= discard(&slot, &id.topic, (batch, slot.mailbox.close()));
        whole &= discard(&slot, &id.topic, channel);
        if !whole {
            exit = Exit::Crashed;
        }
        slot.instruments.ended();
        slot.connection.exited(&id, exit);
        slot.mailbox.retire();
    }
}

impl Ending {
    /// What follows from how something went; `None` goes on.
    fn after(callback: Callback, handled: Result<Handled, Failure>) -> Option<Self> {
        match handled {
            Ok(Handled::Done) => None,
            Ok(Handled::Ended(end)) => Some(Ending::Ended(end)),
            Ok(Handled::Stopped) => Some(Ending::Stopped),
            Ok(Handled::Crashed(why)) => Some(Ending::Crashed(callback, why)),
            Err(Failure::Killed) => Some(Ending::Killed(callback)),
            Err(failure) => Some(Ending::Crashed(callback, failure.to_string())),
        }
    }
}

impl From<Overflow> for Ending {
    fn from(overflow: Overflow) -> Self {
        Ending::Crashed(Callback::Mailbox, overflow.to_string())
    }
}

impl From<Flow> for Handled {
    fn from(flow: Flow) -> Self {
        match flow {
            Ok(step) => step.stop.map_or(Handled::Done, Handled::from),
            Err(why) => Handled::Crashed(why.to_string()),
        }
    }
}

impl From<StopReason> for Handled {
    fn from(reason: StopReason) -> Self {
        match reason {
            StopReason::Normal | StopReason::Shutdown => Handled::Stopped,
            StopReason::Failed(why) => Handled::Crashed(format!("stopped: {why}")),
        }
    }
}

impl Callback {
    fn of<S, C>(mail: &Mail<OwnInfo<S, C>>) -> Self {
        match mail {
            Mail::Message(Incoming { event: Event::Named(event) | Event::NotText(event), .. }) => {
                Callback::HandleIn(event.clone())
            }
            Mail::Intercepted(sent) => Callback::HandleOut(sent.event().into()),
            Mail::Info(info) => Callback::HandleInfo(info.name()),
            Mail::End(_) => Callback::Mailbox,
        }
    }
}

/// A task ends as a callback does. One that was cancelled from outside has met the end of its runtime.
fn task_ended(ended: Result<Flow, JoinError>) -> Result<Handled, Failure> {
    match ended.map_err(JoinError::try_into_panic) {
        Ok(flow) => Ok(Handled::from(flow)),
        Err(Ok(panic)) => Err(Failure::panicked(&*panic)),
        Err(Err(_)) => Ok(Handled::Done),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{self, Flow, JoinError, noreply};
    use crate::socket::Refusal;
    use crate::{ChannelRouter, Connect, HandleInfo};

    struct Nobody;

    impl Socket for Nobody {
        async fn connect(_: Connect) -> Result<Self, Refusal> {
            Ok(Nobody)
        }

        fn channels(_: &mut ChannelRouter<Self>) {}
    }

    /// One whose handlers hold `SIZE` bytes while they wait.
    struct Holds<const SIZE: usize>;

    async fn hold<const SIZE: usize>() {
        let held = [0_u8; SIZE];
        tokio::task::yield_now().await;
        assert_eq!(held.len(), SIZE);
    }

    impl<const SIZE: usize> Channel<Nobody> for Holds<SIZE> {
        async fn join(_: &str, _: Payload, _: &mut ChannelContext<Nobody, Self>) -> Result<Self, JoinError> {
            hold::<SIZE>().await;
            Ok(Holds)
        }

        async fn handle_in(&mut self, _: &str, _: Payload, _: &mut ChannelContext<Nobody, Self>) -> outcome::Handled {
            hold::<SIZE>().await;
            noreply()
        }

        async fn handle_out(&mut self, _: &str, _: Payload, _: &mut ChannelContext<Nobody, Self>) -> Flow {
            hold::<SIZE>().await;
            noreply()
        }

        async fn terminate(&mut self, _: Terminate, _: &mut ChannelContext<Nobody, Self>) {
            hold::<SIZE>().await;
        }
    }

    impl<const SIZE: usize> HandleInfo<Nobody, ()> for Holds<SIZE> {
        async fn handle_info(&mut self, _: (), _: &mut ChannelContext<Nobody, Self>) -> Flow {
            hold::<SIZE>().await;
            noreply()
        }
    }

    fn size_of_output<I, O>(_: impl Fn(I) -> O) -> usize {
        size_of::<O>()
    }

    #[test]
    fn a_channels_task_is_as_large_as_its_state_and_not_as_its_handlers() {
        let [small, large] =
            [size_of_output(Actor::<Nobody, Holds<1>>::run), size_of_output(Actor::<Nobody, Holds<10_000>>::run)];
        assert_eq!(small, large);
    }
}
