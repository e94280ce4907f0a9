//! What a channel can do while one of its callbacks runs: push, broadcast, subscribe, set timers, reply later.

use crate::broadcast::BroadcastError;
use crate::endpoint::Endpoint;
use crate::info::Info;
use crate::outcome::Flow;
use crate::presence::{OwnPresence, Presence};
use crate::reply_ref::ReplyRef;
use crate::session::{Join, JoinId};
use crate::slot::Slot;
use crate::task::Tasks;
use crate::telemetry::Filtered;
use crate::timer::{Timer, Timers};
use bennu_protocol::{EncodeError, Name, Outbound, Payload, Ref};
use bennu_pubsub::{Attachment, Sink, SubscriberId};
use bennu_token::TokenError;
use parking_lot::Mutex;
use serde::Serialize;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// Handed to every callback of a channel. It is the channel's own: nothing of it is shared with other channels but
/// [`Context::socket`].
pub struct Context<S, C> {
    /// What `connect` returned.
    pub socket: Arc<S>,
    pub(crate) slot: Arc<ChannelSlot<S, C>>,
    pub(crate) id: JoinId,
    /// What replies and pushes carry: the client's join ref, or where it sent none the join's own ref (so does Phoenix).
    join_ref: Ref,
    /// The message that is being handled.
    pub(crate) in_reply_to: Option<Ref>,
    pub(crate) join_response: Option<Box<Payload>>,
    /// Our place in the topic's table; `None` before the join has succeeded.
    pub(crate) own: Option<Attachment>,
    /// What most channels do not have.
    extras: Option<Box<Extras<S, C>>>,
}

/// A message for the channel itself.
pub(crate) type OwnInfo<S, C> = Box<dyn Info<C, Context<S, C>>>;

/// The channel's slot.
pub(crate) type ChannelSlot<S, C> = Slot<S, OwnInfo<S, C>>;

struct Extras<S, C> {
    subscriptions: Vec<Attachment>,
    presences: Vec<OwnPresence>,
    tasks: Option<Tasks>,
    /// Messages that wait in timers need not be `Sync`, and a context must be: callbacks hold `&ctx` across an `await`. It
    /// is never locked.
    timers: Mutex<Option<Timers<OwnInfo<S, C>>>>,
}

/// A push that cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// The payload cannot be sent to this client.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The client does not know yet that it has joined; send yourself a message in `join` and push from there.
    #[error("a channel cannot push before its join has succeeded")]
    NotJoined,
}

impl<S, C> Context<S, C> {
    pub(crate) fn new(slot: Arc<ChannelSlot<S, C>>, join: &Join) -> Self {
        let join_ref = if join.join_ref.is_null() { &join.reference } else { &join.join_ref };
        Context {
            socket: slot.socket.clone(),
            slot,
            id: join.id.clone(),
            join_ref: join_ref.clone(),
            in_reply_to: None,
            join_response: None,
            own: None,
            extras: None,
        }
    }

    fn extras(&mut self) -> &mut Extras<S, C> {
        self.extras.get_or_insert_with(|| {
            let (subscriptions, presences) = (Vec::new(), Vec::new());
            Box::new(Extras { subscriptions, presences, tasks: None, timers: Mutex::new(None) })
        })
    }

    pub(crate) fn presences(&mut self) -> &mut Vec<OwnPresence> {
        &mut self.extras().presences
    }

    pub(crate) fn timers(&mut self) -> Option<&mut Timers<OwnInfo<S, C>>> {
        self.extras.as_mut()?.timers.get_mut().as_mut()
    }

    pub(crate) fn tasks(&mut self) -> Option<&mut Tasks> {
        self.extras.as_mut()?.tasks.as_mut()
    }

    /// How many tasks run.
    pub(crate) fn task_count(&self) -> usize {
        self.extras.as_ref().and_then(|extras| extras.tasks.as_ref()).map_or(0, Tasks::len)
    }

    /// Subscribes until the channel ends.
    pub(crate) fn attach(&mut self, topic: &str, sink: Arc<dyn Sink>) {
        let attachment = self.endpoint().pubsub().attach(topic, sink);
        self.extras().subscriptions.push(attachment);
    }

    pub(crate) fn set_timer(&mut self, after: Duration, message: OwnInfo<S, C>) -> Timer {
        self.extras().timers.get_mut().get_or_insert_with(Timers::new).set(after, message)
    }

    /// The topic that was joined.
    pub fn topic(&self) -> &str {
        &self.id.topic
    }

    /// The application's endpoint.
    pub fn endpoint(&self) -> &Endpoint {
        self.slot.connection.endpoint()
    }

    /// Who is where: the endpoint's presence, see [`Presence::track`].
    pub fn presence(&self) -> Presence {
        self.endpoint().presence()
    }

    /// Sends an event to this channel's client.
    ///
    /// # Errors
    /// [`PushError::NotJoined`] inside `join`; [`PushError::Encode`] for a payload that this client cannot receive.
    pub fn push(&self, event: &str, payload: impl Into<Payload>) -> Result<(), PushError> {
        if self.own.is_none() {
            return Err(PushError::NotJoined);
        }
        let payload = payload.into();
        let parameters = Filtered { value: &payload, names: self.endpoint().filter_parameters() };
        tracing::trace!(topic = self.topic(), event, ?parameters, "push");
        let message = Outbound::Push { join_ref: &self.join_ref, topic: self.topic(), event, payload: &payload };
        Ok(self.slot.connection.send(&message)?)
    }

    /// Broadcasts an event on this channel's topic, to this client too.
    ///
    /// # Errors
    /// As [`crate::Broadcast::new`]; [`BroadcastError::NotJoined`] inside `join`.
    pub fn broadcast(&self, event: &str, payload: impl Into<Payload>) -> Result<(), BroadcastError> {
        self.broadcast_except(SubscriberId::NONE, event, payload)
    }

    /// Broadcasts an event on this channel's topic, to all but this client.
    ///
    /// # Errors
    /// As [`Context::broadcast`].
    pub fn broadcast_from(&self, event: &str, payload: impl Into<Payload>) -> Result<(), BroadcastError> {
        self.broadcast_except(self.own.as_ref().map_or(SubscriberId::NONE, Attachment::id), event, payload)
    }

    fn broadcast_except(
        &self,
        except: SubscriberId,
        event: &str,
        payload: impl Into<Payload>,
    ) -> Result<(), BroadcastError> {
        if self.own.is_none() {
            return Err(BroadcastError::NotJoined);
        }
        self.endpoint().broadcast_from(except, self.topic(), event, payload)
    }

    /// Sets what the reply to this join carries; `{}` otherwise. For `join`, elsewhere it does nothing.
    pub fn join_reply(&mut self, payload: impl Into<Payload>) {
        self.join_response = Some(Box::new(payload.into()));
    }

    /// The right to answer the present message later: return [`crate::noreply`] and send this on.
    ///
    /// `None` outside `handle_in`, where there is nothing to answer.
    pub fn reply_ref(&self) -> Option<ReplyRef> {
        let reference = self.in_reply_to.clone()?;
        let connection = self.slot.connection.clone();
        Some(ReplyRef { connection, topic: self.id.topic.clone(), join_ref: self.join_ref.clone(), reference })
    }

    /// Starts a task of this channel's own, which runs beside its messages: what takes long need not keep the next message
    /// waiting. Answer with [`Context::reply_ref`], send to the channel with [`Context::channel`].
    ///
    /// The task ends as [`HandleInfo::handle_info`] does: [`crate::stop`] stops the channel, an error or a panic crashes it
    /// (and nothing else), so that the client hears of it instead of running into its timeout. When the channel ends, its
    /// tasks are dropped where they wait, before the client is told; what must outlive it belongs into `tokio::spawn`.
    ///
    /// Never waits. From [`Channel::MAX_TASKS`] on the channel takes nothing more out of its mailbox until one ends; only
    /// its own end it takes at once, and then what waited is not handled. A callback that starts several may pass the limit.
    ///
    /// ```
    /// use bennu_channels::prelude::*;
    /// use std::time::Duration;
    ///
    /// struct SlowChannel;
    ///
    /// impl<S: Socket> Channel<S> for SlowChannel {
    ///     const MAX_TASKS: usize = 5;
    ///
    ///     async fn join(_topic: &str, _params: Payload, _ctx: &mut Context<S, Self>) -> Result<Self, JoinError> {
    ///         Ok(SlowChannel)
    ///     }
    ///
    ///     async fn handle_in(&mut self, event: &str, _payload: Payload, ctx: &mut Context<S, Self>) -> Handled {
    ///         if let ("slow_ping", Some(later)) = (event, ctx.reply_ref()) {
    ///             ctx.spawn(async move {
    ///                 tokio::time::sleep(Duration::from_secs(3)).await;
    ///                 later.ok(json!({ "ping": "pong" }))?;
    ///                 noreply()
    ///             });
    ///         }
    ///         noreply()
    ///     }
    /// }
    /// ```
    ///
    /// [`Channel::MAX_TASKS`]: crate::Channel::MAX_TASKS
    /// [`HandleInfo::handle_info`]: crate::HandleInfo::handle_info
    pub fn spawn(&mut self, task: impl Future<Output = Flow> + Send + 'static) {
        self.extras().tasks.get_or_insert_with(Tasks::new).spawn(task);
    }

    /// Ends all subscriptions of this channel to a topic but its own; says how many there were.
    pub fn unsubscribe(&mut self, topic: &str) -> usize {
        let subscriptions = &mut self.extras().subscriptions;
        let before = subscriptions.len();
        subscriptions.retain(|attachment| &**attachment.topic() != topic);
        before - subscriptions.len()
    }

    /// Cancels a timer; says whether it had not fired yet.
    pub fn cancel(&mut self, timer: Timer) -> bool {
        self.timers().is_some_and(|timers| timers.cancel(timer))
    }

    /// Signs a token with the endpoint's secret, see [`Endpoint::sign`].
    ///
    /// # Errors
    /// [`TokenError`] when the data cannot be written as a term.
    pub fn sign<T: Serialize + ?Sized>(&self, salt: &str, data: &T) -> Result<String, TokenError> {
        self.endpoint().sign(salt, data)
    }

    pub(crate) fn reply(&self, reference: &Ref, reply: &crate::outcome::Reply) -> Result<(), EncodeError> {
        self.slot.connection.send(&Outbound::Reply {
            join_ref: &self.join_ref,
            reference,
            topic: &Name::Text(Cow::Borrowed(&self.id.topic)),
            status: &reply.status,
            payload: &reply.payload,
        })
    }
}
