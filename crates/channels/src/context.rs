//! What a channel can do while one of its callbacks runs: push, broadcast, subscribe, set timers, track presences, reply
//! later.
//!
//! Made by the join, owned by the actor. Every method takes `&self`, so that an argument may come from the context itself, as
//! in `ctx.subscribe::<News>(&ctx.socket.feed)`.

use crate::broadcast::BroadcastError;
use crate::endpoint::Endpoint;
use crate::exit::TopicPartError;
use crate::info::{Info, InfoFor, Typed};
use crate::inform::{ChannelRef, InfoSink};
use crate::outcome::{Flow, Reply};
use crate::presence::{OwnPresence, Presence, PresenceError, PresenceList};
use crate::reply_ref::{NothingToReplyTo, ReplyRef};
use crate::session::{Join, JoinId};
use crate::slot::Slot;
use crate::socket::Socket;
use crate::task::Tasks;
use crate::telemetry::Filtered;
use crate::timer::{Timer, Timers};
use bennu_protocol::{EncodeError, IntoPayload, Name, Outbound, Ref};
use bennu_pubsub::{Attachment, Message, SubscriberId};
use bennu_token::TokenError;
use parking_lot::Mutex;
use serde::Serialize;
use std::borrow::Cow;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// Handed to every callback of a channel. It is the channel's own: nothing of it is shared with other channels but
/// [`Context::socket`] and [`Context::state`].
pub struct Context<S: Socket, C> {
    /// What `connect` returned.
    pub socket: Arc<S>,
    pub(crate) slot: Arc<ChannelSlot<S, C>>,
    pub(crate) id: JoinId,
    /// What replies and pushes carry: the client's join ref, or where it sent none the join's own ref (so does Phoenix).
    join_ref: Ref,
    /// The message that is being handled.
    pub(crate) in_reply_to: Option<Ref>,
    /// Our place in the topic's table.
    own: Attachment,
    /// The join has succeeded.
    pub(crate) joined: bool,
    /// What most channels do not have. Never locked by two: the context is the actor's, and callbacks run one at a time.
    extras: Mutex<Option<Box<Extras<S, C>>>>,
}

/// A message for the channel itself.
pub(crate) type OwnInfo<S, C> = Box<dyn Info<C, Context<S, C>>>;

/// The channel's slot.
pub(crate) type ChannelSlot<S, C> = Slot<S, OwnInfo<S, C>>;

struct Extras<S: Socket, C> {
    subscriptions: Vec<Attachment>,
    presences: Vec<OwnPresence>,
    tasks: Option<Tasks>,
    timers: Option<Timers<OwnInfo<S, C>>>,
}

/// A push that cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// The payload cannot be sent to this client.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The client does not know yet that it has joined.
    #[error("a channel cannot push inside `join`: return `accept_with(..)`, or push from `joined`")]
    NotJoined,
}

impl<S: Socket, C: Send + 'static> Context<S, C> {
    /// Subscribes the channel to its topic: what is broadcast from now on waits for the join.
    pub(crate) fn new(slot: Arc<ChannelSlot<S, C>>, join: &Join, sink: Arc<dyn bennu_pubsub::Sink>) -> Self {
        let join_ref = if join.join_ref.is_null() { &join.reference } else { &join.join_ref };
        let own = slot.connection.endpoint().pubsub().attach(&join.id.topic, sink);
        Context {
            socket: slot.socket.clone(),
            slot,
            id: join.id.clone(),
            join_ref: join_ref.clone(),
            in_reply_to: None,
            own,
            joined: false,
            extras: Mutex::new(None),
        }
    }

    /// The topic that was joined.
    pub fn topic(&self) -> &str {
        &self.id.topic
    }

    /// A part of the topic, by its name in the route's pattern: for `room:{id}`, `ctx.topic_part("id")?` in `join` is the
    /// id as whatever type is asked for. `String` takes any text.
    ///
    /// # Errors
    /// [`TopicPartError`]. With `?` in `join`, a part that is not a `T` refuses the join as an unknown topic is refused;
    /// a name that the pattern does not have crashes it.
    pub fn topic_part<T: FromStr>(&self, name: &str) -> Result<T, TopicPartError> {
        let pattern = &self.slot.route.pattern;
        let Some(value) = pattern.part(self.topic(), name) else {
            return Err(TopicPartError::Unknown { name: name.to_owned(), pattern: pattern.to_string() });
        };
        value.parse().map_err(|_| TopicPartError::Malformed {
            name: name.to_owned(),
            value: value.to_owned(),
            expected: std::any::type_name::<T>(),
        })
    }

    /// The state that the socket was mounted with, see [`Socket::State`].
    pub fn state(&self) -> &S::State {
        &self.slot.route.state
    }

    /// The application's endpoint.
    pub fn endpoint(&self) -> &Endpoint {
        self.slot.connection.endpoint()
    }

    /// Sends an event to this channel's client.
    ///
    /// # Errors
    /// [`PushError::NotJoined`] inside `join`; [`PushError::Encode`] for a payload that this client cannot receive.
    pub fn push(&self, event: &str, payload: impl IntoPayload) -> Result<(), PushError> {
        if !self.joined {
            return Err(PushError::NotJoined);
        }
        let payload = payload.into_payload();
        let parameters = Filtered { value: &payload, names: self.endpoint().filter_parameters() };
        tracing::trace!(topic = self.topic(), event, ?parameters, "push");
        let message = Outbound::Push { join_ref: &self.join_ref, topic: self.topic(), event, payload: &payload };
        Ok(self.slot.connection.send(&message)?)
    }

    /// Broadcasts an event on this channel's topic, to this client too.
    ///
    /// The broadcasts of one channel arrive everywhere in the order in which they were sent.
    ///
    /// # Errors
    /// As [`crate::Broadcast::new`]; [`BroadcastError::NotJoined`] inside `join`.
    pub fn broadcast(&self, event: &str, payload: impl IntoPayload) -> Result<(), BroadcastError> {
        self.broadcast_except(SubscriberId::NONE, event, payload)
    }

    /// Broadcasts an event on this channel's topic, to all but this client.
    ///
    /// # Errors
    /// As [`Context::broadcast`].
    pub fn broadcast_from(&self, event: &str, payload: impl IntoPayload) -> Result<(), BroadcastError> {
        self.broadcast_except(self.own.id(), event, payload)
    }

    fn broadcast_except(
        &self,
        except: SubscriberId,
        event: &str,
        payload: impl IntoPayload,
    ) -> Result<(), BroadcastError> {
        if !self.joined {
            return Err(BroadcastError::NotJoined);
        }
        self.endpoint().broadcast_from(except, self.topic(), event, payload)
    }

    /// The right to answer the present message later: return [`crate::noreply`] and send this on.
    ///
    /// # Errors
    /// [`NothingToReplyTo`] outside `handle_in`.
    pub fn reply_ref(&self) -> Result<ReplyRef, NothingToReplyTo> {
        let reference = self.in_reply_to.clone().ok_or(NothingToReplyTo)?;
        let connection = self.slot.connection.clone();
        Ok(ReplyRef { connection, topic: self.id.topic.clone(), join_ref: self.join_ref.clone(), reference })
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
    ///     async fn join(_topic: &str, _params: Payload, _ctx: &mut Context<S, Self>) -> Joined<Self> {
    ///         accept(SlowChannel)
    ///     }
    ///
    ///     async fn handle_in(&mut self, _event: &str, _payload: Payload, ctx: &mut Context<S, Self>) -> Handled {
    ///         let later = ctx.reply_ref()?;
    ///         ctx.spawn(async move {
    ///             tokio::time::sleep(Duration::from_secs(3)).await;
    ///             later.ok(json!({ "ping": "pong" }))?;
    ///             noreply()
    ///         });
    ///         noreply()
    ///     }
    /// }
    /// ```
    ///
    /// [`Channel::MAX_TASKS`]: crate::Channel::MAX_TASKS
    /// [`HandleInfo::handle_info`]: crate::HandleInfo::handle_info
    pub fn spawn(&self, task: impl Future<Output = Flow> + Send + 'static) {
        self.with_extras(|extras| extras.tasks.get_or_insert_with(Tasks::new).spawn(task));
    }

    /// Subscribes this channel to messages of one type on any topic of the PubSub, until it ends or unsubscribes.
    /// Subscribing to the same topic again delivers twice, as in Phoenix.
    pub fn subscribe<M: Message + Clone + InfoFor<S, C>>(&self, topic: &str) {
        let attachment = self.endpoint().pubsub().attach(topic, Arc::new(InfoSink::<S, C, M>::new(&self.slot)));
        self.with_extras(|extras| extras.subscriptions.push(attachment));
    }

    /// Ends all subscriptions of this channel to a topic but its own; says how many there were.
    pub fn unsubscribe(&self, topic: &str) -> usize {
        let ended: Vec<Attachment> = self.with_extras(|extras| {
            let is_meant = |attachment: &mut Attachment| &**attachment.topic() == topic;
            extras.subscriptions.extract_if(.., is_meant).collect()
        });
        ended.len()
    }

    /// Sends this channel a message after a while. The timer ends with the channel.
    pub fn send_after<M: InfoFor<S, C>>(&self, after: Duration, message: M) -> Timer {
        let message: OwnInfo<S, C> = Box::new(Typed(message));
        self.with_extras(|extras| extras.timers.get_or_insert_with(Timers::new).set(after, message))
    }

    /// Cancels a timer; says whether it had not fired yet.
    pub fn cancel(&self, timer: Timer) -> bool {
        // The message is dropped after the lock: its `Drop` is the application's.
        let cancelled = self.with_extras(|extras| extras.timers.as_mut()?.cancel(timer));
        cancelled.is_some()
    }

    /// Sends this channel a message, handled after what already waits.
    pub fn send_self<M: InfoFor<S, C>>(&self, message: M) {
        self.slot.inform(Box::new(Typed(message)), size_of::<M>());
    }

    /// A reference with which any task can send to this channel.
    pub fn channel(&self) -> ChannelRef<S, C> {
        ChannelRef::new(&self.slot)
    }

    /// The endpoint's presence, which knows who is where: see [`Presence`].
    pub fn presence(&self) -> Presence {
        self.endpoint().presence()
    }

    /// Tracks a key at this channel's topic with the endpoint's presence, until the channel ends. As [`Presence::track`].
    ///
    /// # Errors
    /// [`PresenceError`].
    pub fn track(&self, key: &str, meta: &(impl Serialize + ?Sized)) -> Result<String, PresenceError> {
        self.presence().track(self, key, meta)
    }

    /// Gives a key that this channel has tracked another meta. As [`Presence::update`].
    ///
    /// # Errors
    /// [`PresenceError`].
    pub fn update(&self, key: &str, meta: &(impl Serialize + ?Sized)) -> Result<String, PresenceError> {
        self.presence().update(self, key, meta)
    }

    /// Takes a key away that this channel has tracked. As [`Presence::untrack`].
    ///
    /// # Errors
    /// [`PresenceError::NotTracked`].
    pub fn untrack(&self, key: &str) -> Result<(), PresenceError> {
        self.presence().untrack(self, key)
    }

    /// The presences at this channel's topic on all nodes, to be pushed as `presence_state`. As [`Presence::list`].
    pub async fn presence_list(&self) -> PresenceList {
        self.presence().list(self.topic()).await
    }

    /// Signs a token with the endpoint's secret, see [`Endpoint::sign`].
    ///
    /// # Errors
    /// [`TokenError`] when the data cannot be written as a term.
    pub fn sign<T: Serialize + ?Sized>(&self, salt: &str, data: &T) -> Result<String, TokenError> {
        self.endpoint().sign(salt, data)
    }

    pub(crate) fn reply(&self, reference: &Ref, reply: &Reply) -> Result<(), EncodeError> {
        self.slot.connection.send(&Outbound::Reply {
            join_ref: &self.join_ref,
            reference,
            topic: &Name::Text(Cow::Borrowed(&self.id.topic)),
            status: &reply.status,
            payload: &reply.payload,
        })
    }

    /// Runs `change` on the presences that this channel has tracked, of whichever [`Presence`].
    pub(crate) fn with_presences<R>(&self, change: impl FnOnce(&mut Vec<OwnPresence>) -> R) -> R {
        self.with_extras(|extras| change(&mut extras.presences))
    }

    fn with_extras<R>(&self, change: impl FnOnce(&mut Extras<S, C>) -> R) -> R {
        let none = || Box::new(Extras { subscriptions: Vec::new(), presences: Vec::new(), tasks: None, timers: None });
        change(self.extras.lock().get_or_insert_with(none))
    }

    pub(crate) fn timers(&mut self) -> Option<&mut Timers<OwnInfo<S, C>>> {
        self.extras.get_mut().as_mut()?.timers.as_mut()
    }

    pub(crate) fn tasks(&mut self) -> Option<&mut Tasks> {
        self.extras.get_mut().as_mut()?.tasks.as_mut()
    }

    /// How many tasks run.
    pub(crate) fn task_count(&mut self) -> usize {
        self.tasks().map_or(0, |tasks| tasks.len())
    }
}
