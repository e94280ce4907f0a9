//! The context of a channel: the operations that its callbacks have. They push, broadcast, subscribe, set timers, track
//! presences, and reply later.
//!
//! The join makes it, the actor owns it. Every method takes `&self`, so that an argument may come from the context
//! itself, as in `ctx.subscribe::<News>(&ctx.socket.feed)`.

use crate::broadcast::BroadcastError;
use crate::channel::handle::ChannelHandle;
use crate::channel::info::{ChannelRef, InfoSink};
use crate::channel::info::{Info, InfoFor, Typed};
use crate::channel::presence::OwnPresence;
use crate::channel::reply_ref::{NothingToReplyTo, ReplyRef};
use crate::channel::task::Tasks;
use crate::channel::timer::{Timer, Timers};
use crate::connection::session::{Join, JoinId};
use crate::endpoint::Endpoint;
use crate::outcome::exit::TopicPartError;
use crate::outcome::{Flow, Reply};
use crate::presence::{Presence, PresenceError, PresenceList};
use crate::socket::Socket;
use crate::telemetry::Filtered;
use bennu_protocol::{EncodeError, IntoPayload, Name, Outbound, Ref};
use bennu_pubsub::{Attachment, Message, SubscriberId};
use bennu_token::TokenError;
use parking_lot::Mutex;
use serde::Serialize;
use std::borrow::Cow;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// The context that every callback of a channel gets. Only [`Context::socket`] and [`Context::state`] are shared with
/// other channels.
///
/// ```
/// use bennu_channels::prelude::*;
/// use std::time::Duration;
///
/// struct Auction {
///     highest: u64,
/// }
///
/// struct Closed;
///
/// impl<S: Socket> Channel<S> for Auction {
///     async fn join(_topic: &str, _params: Payload, ctx: &mut Context<S, Self>) -> Joined<Self> {
///         ctx.send_after(Duration::from_secs(60), Closed);
///         accept(Auction { highest: 0 })
///     }
///
///     async fn handle_in(&mut self, event: &str, payload: Payload, ctx: &mut Context<S, Self>) -> Handled {
///         match event {
///             "bid" => {
///                 self.highest = payload.parse()?;
///                 ctx.broadcast("bid", json!({ "highest": self.highest }))?;
///                 noreply()
///             }
///             _ => unhandled(event),
///         }
///     }
/// }
///
/// impl<S: Socket> HandleInfo<S, Closed> for Auction {
///     async fn handle_info(&mut self, _: Closed, ctx: &mut Context<S, Self>) -> Flow {
///         ctx.push("closed", json!({ "highest": self.highest }))?;
///         stop(StopReason::Normal)
///     }
/// }
/// ```
pub struct Context<S: Socket, C> {
    /// The socket that `connect` has returned.
    pub socket: Arc<S>,
    pub(crate) handle: Arc<Handle<S, C>>,
    pub(crate) id: JoinId,
    /// The join ref of replies and pushes: the client's, or the ref of the join message where it sent none, as in
    /// Phoenix.
    join_ref: Ref,
    /// The ref of the message that is being handled.
    pub(crate) in_reply_to: Option<Ref>,
    /// The subscription to the channel's own topic.
    own: Attachment,
    /// The join has succeeded.
    pub(crate) joined: bool,
    /// Subscriptions, presences, tasks and timers, which most channels do not have. The lock is never contended:
    /// callbacks of a channel run one at a time.
    extras: Mutex<Option<Box<Extras<S, C>>>>,
}

/// A message for the channel itself.
pub(crate) type OwnInfo<S, C> = Box<dyn Info<C, Context<S, C>>>;

/// The channel's handle.
pub(crate) type Handle<S, C> = ChannelHandle<S, OwnInfo<S, C>>;

struct Extras<S: Socket, C> {
    subscriptions: Vec<Attachment>,
    presences: Vec<OwnPresence>,
    tasks: Option<Tasks>,
    timers: Option<Timers<OwnInfo<S, C>>>,
}

/// A push that could not be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// The payload cannot be sent to this client.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The join has not been answered yet.
    #[error("a channel cannot push inside `join`: return `accept_with(..)`, or push from `joined`")]
    NotJoined,
}

impl<S: Socket, C: Send + 'static> Context<S, C> {
    /// Makes the context of a join, and subscribes the channel to its topic: broadcasts wait for the join from now on.
    pub(crate) fn new(handle: Arc<Handle<S, C>>, join: &Join, sink: Arc<dyn bennu_pubsub::Sink>) -> Self {
        let join_ref = if join.join_ref.is_null() { &join.reference } else { &join.join_ref };
        let own = handle.connection.endpoint().pubsub().attach(&join.id.topic, sink);
        Context {
            socket: handle.socket.clone(),
            handle,
            id: join.id.clone(),
            join_ref: join_ref.clone(),
            in_reply_to: None,
            own,
            joined: false,
            extras: Mutex::new(None),
        }
    }

    /// Returns the topic of the channel.
    pub fn topic(&self) -> &str {
        &self.id.topic
    }

    /// Returns a part of the topic, by its name in the route's pattern, as any type that implements `FromStr`: for the
    /// pattern `room:{id}`, `let id: u64 = ctx.topic_part("id")?`. A `String` takes any text.
    ///
    /// # Errors
    /// [`TopicPartError`]. With `?` in `join`, a part that is not a `T` refuses the join as an unknown topic is refused;
    /// a name that the pattern does not have crashes it.
    pub fn topic_part<T: FromStr>(&self, name: &str) -> Result<T, TopicPartError> {
        let pattern = &self.handle.route.pattern;
        let Some(value) = pattern.part(self.topic(), name) else {
            return Err(TopicPartError::Unknown { name: name.to_owned(), pattern: pattern.to_string() });
        };
        value.parse().map_err(|_| TopicPartError::Malformed {
            name: name.to_owned(),
            value: value.to_owned(),
            expected: std::any::type_name::<T>(),
        })
    }

    /// Returns the state that the socket was mounted with, see [`Socket::State`].
    pub fn state(&self) -> &S::State {
        &self.handle.route.state
    }

    /// Returns the application's endpoint.
    pub fn endpoint(&self) -> &Endpoint {
        self.handle.connection.endpoint()
    }

    /// Pushes an event to this channel's client.
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
        Ok(self.handle.connection.send(&message)?)
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

    /// Returns the right to answer the present message later. The handler returns [`crate::noreply`], and any task may
    /// use the [`ReplyRef`].
    ///
    /// # Errors
    /// [`NothingToReplyTo`] outside `handle_in`.
    pub fn reply_ref(&self) -> Result<ReplyRef, NothingToReplyTo> {
        let reference = self.in_reply_to.clone().ok_or(NothingToReplyTo)?;
        let connection = self.handle.connection.clone();
        Ok(ReplyRef { connection, topic: self.id.topic.clone(), join_ref: self.join_ref.clone(), reference })
    }

    /// Starts a task of this channel's own, which runs beside its messages, so that slow work does not delay the next
    /// message. The task answers with [`Context::reply_ref`] and sends to the channel with [`Context::channel`].
    ///
    /// The task ends as [`HandleInfo::handle_info`] does: [`crate::stop`] stops the channel, an error or a panic
    /// crashes it and nothing else, so that the client receives `phx_error` instead of waiting for its timeout. When
    /// the channel ends, its tasks are dropped where they wait, before the client receives the end. Work that must
    /// outlive the channel belongs into `tokio::spawn`.
    ///
    /// Never waits. While [`Channel::MAX_TASKS`] tasks run, the channel takes nothing out of its mailbox but its own
    /// end, after which the waiting mail is dropped. A callback that starts several tasks may pass the limit.
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
        let attachment = self.endpoint().pubsub().attach(topic, Arc::new(InfoSink::<S, C, M>::new(&self.handle)));
        self.with_extras(|extras| extras.subscriptions.push(attachment));
    }

    /// Ends all subscriptions of this channel to a topic, except for its own topic's. Returns their number.
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

    /// Cancels a timer. Returns whether it had not fired yet.
    pub fn cancel(&self, timer: Timer) -> bool {
        // The message is dropped after the lock is released: its `Drop` is the application's.
        let cancelled = self.with_extras(|extras| extras.timers.as_mut()?.cancel(timer));
        cancelled.is_some()
    }

    /// Sends this channel a message, which is handled after the mail that already waits.
    pub fn send_self<M: InfoFor<S, C>>(&self, message: M) {
        self.handle.inform(Box::new(Typed(message)), size_of::<M>());
    }

    /// Returns a reference with which any task can send to this channel.
    pub fn channel(&self) -> ChannelRef<S, C> {
        ChannelRef::new(&self.handle)
    }

    /// Returns the endpoint's presence, which lists the presences of all nodes: see [`Presence`].
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

    /// Removes a key that this channel has tracked. As [`Presence::untrack`].
    ///
    /// # Errors
    /// [`PresenceError::NotTracked`].
    pub fn untrack(&self, key: &str) -> Result<(), PresenceError> {
        self.presence().untrack(self, key)
    }

    /// Returns the presences at this channel's topic on all nodes, to be pushed as `presence_state`. As
    /// [`Presence::list`].
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
        self.handle.connection.send(&Outbound::Reply {
            join_ref: &self.join_ref,
            reference,
            topic: &Name::Text(Cow::Borrowed(&self.id.topic)),
            status: &reply.status,
            payload: &reply.payload,
        })
    }

    /// Runs `change` on the presences that this channel has tracked with any [`Presence`].
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

    /// Returns the number of tasks that run.
    pub(crate) fn task_count(&mut self) -> usize {
        self.tasks().map_or(0, |tasks| tasks.len())
    }
}
