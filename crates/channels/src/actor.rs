//! The task of one joined topic. It runs the application's channel one message at a time, and confines a failure to
//! that channel.
//!
//! A [`join`](crate::actor::join) that has succeeded makes it, runs `joined`, and starts the task. The task reports its
//! end to the session. Each callback runs in a box of its own, so that an idle task holds the channel's state and not
//! its largest handler. Invariant: all frames that the channel has queued are flushed before its task waits.

mod fastlane;
mod handle;
pub(crate) mod join;
pub(crate) mod supervision;

use crate::actor::supervision::{Failure, discard, supervise};
use crate::channel::context::{Context as ChannelContext, OwnInfo};
use crate::channel::handle::Mail;
use crate::channel::mailbox::Overflow;
use crate::channel::{Channel, Terminate};
use crate::connection::Connection;
use crate::connection::session::{End, Ended, Event, Incoming};
use crate::endpoint::ChannelAlive;
use crate::outcome::exit::Exit;
use crate::outcome::{Flow, Reply, StopReason};
use crate::socket::Socket;
use crate::telemetry::Callback;
use bennu_protocol::Payload;
use futures::FutureExt;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use tokio::task::JoinError;
use tokio::time::Instant;
use tracing::Instrument;

/// A joined channel.
pub(crate) struct Actor<S: Socket, C> {
    channel: C,
    ctx: ChannelContext<S, C>,
    /// How `joined` has ended the channel, if it did.
    ending: Option<Box<Ending>>,
}

/// The result of one mail.
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
    /// A callback ran for too long after the channel had been ended.
    Killed(Callback),
}

impl<S: Socket, C: Channel<S>> Actor<S, C> {
    pub(crate) fn new(channel: C, ctx: ChannelContext<S, C>) -> Self {
        Actor { channel, ctx, ending: None }
    }

    /// Runs the channel's `joined`, once the join's reply is queued. Broadcasts that arrived since the join began are
    /// sent after it.
    pub(crate) async fn joined(&mut self) {
        let Actor { channel, ctx, .. } = self;
        let handle = ctx.handle.clone();
        let joined = supervise(&handle, async { Handled::from(channel.joined(ctx).await) }.boxed()).await;
        handle.release();
        self.ending = Ending::after(Callback::Joined, joined).map(Box::new);
    }

    /// Starts the channel's task, which ends by itself. The [`Endpoint`](crate::Endpoint) counts it until then.
    pub(crate) fn spawn(self: Box<Self>, alive: ChannelAlive) {
        tokio::spawn(self.task(alive));
    }

    async fn task(self: Box<Self>, _alive: ChannelAlive) {
        let connection = self.ctx.handle.connection.clone();
        flushing(&connection, pin!(self.run())).await;
    }

    async fn run(mut self: Box<Self>) {
        let mut batch = VecDeque::new();
        let ending = match self.ending.take() {
            Some(ending) => *ending,
            None => self.serve(&mut batch).await,
        };
        Box::pin(self.finish(ending, batch)).await;
    }

    /// Handles mail, timers and the ends of tasks until something ends the channel.
    async fn serve(&mut self, batch: &mut VecDeque<Mail<OwnInfo<S, C>>>) -> Ending {
        let handle = self.ctx.handle.clone();
        loop {
            // A scope of its own: a value that lives across an await takes room in the task of every channel.
            {
                let ending = if self.ctx.task_count() >= C::MAX_TASKS {
                    // In a box, as a callback is.
                    Box::pin(self.fewer_tasks(batch)).await
                } else if let Some(mail) = batch.pop_front() {
                    match mail {
                        // Without a box of its own: there may be one for each of many broadcasts.
                        Mail::Frame(frame) => {
                            handle.forward(frame);
                            None
                        }
                        mail => {
                            let callback = Callback::of(&mail);
                            Ending::after(callback, supervise(&handle, self.handle(mail).boxed()).await)
                        }
                    }
                } else {
                    // A new queue each time, so that an idle channel holds none.
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

    /// Waits for mail and timers, which it appends to `batch`, and for the end of a task. It polls all of them each
    /// time, so that a client that never pauses cannot delay a timer.
    async fn next(&mut self, batch: &mut VecDeque<Mail<OwnInfo<S, C>>>) -> Option<Ending> {
        poll_fn(|cx| {
            let ended = self.ctx.tasks().map_or(Poll::Pending, |tasks| tasks.poll_ended(cx));
            let taken = self.ctx.handle.mailbox.poll_take(cx, batch);
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

    /// Waits for the end of a task and leaves the mail in the mailbox. The channel's own end is taken out before other
    /// mail, most of which would only start tasks that are dropped again.
    async fn fewer_tasks(&mut self, batch: &mut VecDeque<Mail<OwnInfo<S, C>>>) -> Option<Ending> {
        let handle = self.ctx.handle.clone();
        let mut waits = false;
        let ended = poll_fn(|cx| {
            if let Some(Poll::Ready(ended)) = self.ctx.tasks().map(|tasks| tasks.poll_ended(cx)) {
                return Poll::Ready(Some(ended));
            }
            if !std::mem::replace(&mut waits, true) {
                handle.route.instruments.task_limit();
            }
            handle.mailbox.poll_ending(cx).map(|()| None)
        })
        .await;
        handle.mailbox.resume();
        if let Some(ended) = ended {
            return Ending::after(Callback::Task, task_ended(ended));
        }
        let mut waiting = VecDeque::new();
        if let Poll::Ready(Err(overflow)) =
            handle.mailbox.poll_take(&mut Context::from_waker(Waker::noop()), &mut waiting)
        {
            return Some(overflow.into());
        }
        batch.append(&mut waiting);
        let end = batch.iter().position(|mail| matches!(mail, Mail::End(_))).and_then(|at| batch.remove(at));
        let handled = self.handle(end.expect("an end was pushed and not handled yet")).await;
        Ending::after(Callback::Mailbox, Ok(handled))
    }

    async fn handle(&mut self, mail: Mail<OwnInfo<S, C>>) -> Handled {
        let Actor { channel, ctx, .. } = self;
        match mail {
            Mail::Message(message) => self.handle_in(message).await,
            Mail::Intercepted(sent) => {
                let flow = channel.handle_out(sent.event(), sent.payload().clone(), ctx).await;
                ctx.handle.release();
                Handled::from(flow)
            }
            Mail::Frame(_) => unreachable!("`serve` forwards frames itself"),
            Mail::Info(info) => Handled::from(info.handle(channel, ctx).await),
            Mail::End(End::Left(reference)) => match ctx.reply(&reference, &Reply::ok(Payload::empty())) {
                Ok(()) => Handled::Ended(End::Left(reference)),
                Err(error) => Handled::Crashed(format!("could not reply: {error}")),
            },
            Mail::End(end) => Handled::Ended(end),
        }
    }

    async fn handle_in(&mut self, message: Incoming) -> Handled {
        let Actor { channel, ctx, .. } = self;
        let Incoming { reference, event, payload } = message;
        let event = match event {
            Event::Named(event) => event,
            Event::NotText(json) => return Handled::Crashed(format!("the event is {json}, not a string")),
        };
        let handle = ctx.handle.clone();
        let started = Instant::now();
        let span =
            handle.route.instruments.message(&ctx.id.topic, &event, &payload, ctx.endpoint().filter_parameters());
        ctx.in_reply_to = Some(reference);
        let handled = channel.handle_in(&event, payload, ctx).instrument(span).await;
        let reference = ctx.in_reply_to.take().unwrap_or_default();
        handle.route.instruments.handled(started.elapsed());
        let (reply, stop) = match handled {
            Ok(outcome) => (outcome.reply, outcome.stop),
            Err(Exit::Reply(payload)) => (Some(Reply::error(payload)), None),
            Err(Exit::Crash(crash)) => return Handled::Crashed(crash.to_string()),
        };
        if let Some(reply) = reply
            && let Err(error) = ctx.reply(&reference, &reply)
        {
            return Handled::Crashed(format!("could not reply: {error}"));
        }
        stop.map_or(Handled::Done, Handled::from)
    }

    /// Runs `terminate`, releases everything, and reports the end to the session.
    async fn finish(self: Box<Self>, ending: Ending, batch: VecDeque<Mail<OwnInfo<S, C>>>) {
        let Actor { mut channel, mut ctx, .. } = *self;
        let handle = ctx.handle.clone();
        let (mut ended, reason) = match ending {
            Ending::Ended(End::Left(_)) => (Ended::Done, Some(Terminate::Left)),
            Ending::Ended(End::Replaced) => (Ended::Done, Some(Terminate::Replaced)),
            Ending::Ended(End::Closed) => (Ended::Done, Some(Terminate::Closed)),
            Ending::Stopped => (Ended::Done, Some(Terminate::Stopped)),
            Ending::Crashed(callback, why) => {
                handle.route.instruments.crashed(ctx.topic(), &callback, &why);
                (Ended::Crashed, Some(Terminate::Crashed(why)))
            }
            Ending::Killed(callback) => {
                handle.route.instruments.crashed(ctx.topic(), &callback, &Failure::Killed.to_string());
                (Ended::Done, None)
            }
        };
        if let Some(reason) = reason {
            // `terminate` has the shutdown timeout of its own.
            handle.mailbox.push_end(Mail::End(End::Closed));
            let terminated = async { channel.terminate(reason, &mut ctx).await }.boxed();
            if let Err(failure) = supervise(&handle, terminated).await {
                handle.route.instruments.crashed(ctx.topic(), &Callback::Terminate, &failure.to_string());
                ended = Ended::Crashed;
            }
        }
        let id = ctx.id.clone();
        if let Some(tasks) = ctx.tasks() {
            let down = match supervise(&handle, tasks.shutdown().boxed()).await {
                Ok(panicked) => panicked.map_or(Ok(Handled::Done), |error| task_ended(Err(error))),
                Err(failure) => Err(failure),
            };
            if let Err(failure) = down {
                handle.route.instruments.crashed(&id.topic, &Callback::Task, &failure.to_string());
                ended = Ended::Crashed;
            }
        }
        // Unsubscribes and cancels timers before the client receives the end of the channel.
        let mut whole = discard(&handle, &id.topic, ctx);
        whole &= discard(&handle, &id.topic, (batch, handle.mailbox.close()));
        whole &= discard(&handle, &id.topic, channel);
        if !whole {
            ended = Ended::Crashed;
        }
        handle.route.instruments.ended();
        handle.connection.exited(&id, ended);
        handle.mailbox.retire();
    }
}

impl Ending {
    /// The ending that follows from a result; `None` when the channel goes on.
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
    fn of<S: Socket, C>(mail: &Mail<OwnInfo<S, C>>) -> Self {
        match mail {
            Mail::Message(Incoming { event: Event::Named(event) | Event::NotText(event), .. }) => {
                Callback::HandleIn(event.clone())
            }
            Mail::Intercepted(sent) => Callback::HandleOut(sent.event().into()),
            Mail::Info(info) => Callback::HandleInfo(info.name()),
            Mail::Frame(_) | Mail::End(_) => Callback::Mailbox,
        }
    }
}

/// Runs a channel's code and flushes the outbox at the end of each poll. The caller pins the code: a future that is
/// moved in here would take its room twice.
pub(crate) fn flushing<F: Future>(connection: &Connection, mut code: Pin<&mut F>) -> impl Future<Output = F::Output> {
    poll_fn(move |cx| {
        let polled = code.as_mut().poll(cx);
        connection.outbox().flush();
        polled
    })
}

/// Converts the end of a task into the result of a callback. A task is cancelled from outside only when its runtime
/// ends.
fn task_ended(ended: Result<Flow, JoinError>) -> Result<Handled, Failure> {
    match ended.map_err(JoinError::try_into_panic) {
        Ok(flow) => Ok(Handled::from(flow)),
        Err(Ok(panic)) => Err(Failure::panicked(&*panic)),
        Err(Err(_)) => Ok(Handled::Done),
    }
}

#[cfg(test)]
mod tests;
