//! A channel as users hold it: one that hears and speaks, and others that only speak.

use crate::session::ChannelId;
use crate::shared::{Hold, Shared};
use crate::{Event, Interruption, IntoPayload, JoinError, Message, Payload, PushError, Reply};
use futures_core::Stream;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// A channel that is about to be joined.
#[must_use = "nothing is joined before `join` or `open`"]
pub struct Opening {
    hold: Arc<Hold>,
    topic: String,
    params: Payload,
}

impl Opening {
    pub(crate) fn new(hold: Arc<Hold>, topic: String) -> Self {
        Opening { hold, topic, params: Payload::empty() }
    }

    /// What the server's `join` gets; `{}` by default.
    pub fn params(self, params: impl IntoPayload) -> Self {
        Opening { params: params.into_payload(), ..self }
    }

    /// Joins and waits for the server's answer.
    ///
    /// # Errors
    /// [`JoinError`]: refused, not answered in time (a connection that is not there included), or the params cannot be
    /// written.
    ///
    /// # Cancellation
    /// A dropped join is taken back: the channel is left.
    pub async fn join(self) -> Result<Channel, JoinError> {
        let after = self.hold.shared.look(|session| session.settings().join_timeout);
        let mut channel = self.open()?;
        let topic = || channel.topic().to_owned();
        let (shared, id) = (&channel.pusher.hold.shared, channel.pusher.id);
        let response = loop {
            match poll_fn(|cx| shared.look(|session| session.poll_outcome(id, cx))).await {
                Some(Event::Joined(response)) => break response,
                Some(Event::Refused(response)) => return Err(JoinError::Refused { topic: topic(), response }),
                Some(Event::Interrupted(Interruption::JoinTimedOut)) => {
                    return Err(JoinError::Timeout { topic: topic(), after });
                }
                Some(Event::Closed(_)) | None => return Err(JoinError::Closed { topic: topic() }),
                // The join is sent again with the next connection.
                Some(Event::Interrupted(_) | Event::Message(_) | Event::Lagged(_)) => {}
            }
        };
        channel.response = response;
        Ok(channel)
    }

    /// Joins without waiting: for a client that may not be connected yet. Pushes wait for the join, a join that is
    /// refused is tried again, and [`Channel::next_event`] tells how it goes.
    ///
    /// # Errors
    /// Only [`JoinError::Unsendable`].
    pub fn open(self) -> Result<Channel, JoinError> {
        let id = self.hold.shared.act(|session| session.open(Shared::now(), &self.topic, self.params))?;
        let pusher = Pusher { hold: self.hold, id, topic: self.topic.into() };
        Ok(Channel { pusher, response: Payload::empty(), lagged: 0 })
    }
}

/// A joined channel: a stream of the server's messages, and the way to push.
///
/// It stays joined: when it crashes in the server, or the connection is lost, it is joined again by schedule, and pushes
/// wait meanwhile. What the server broadcasts in between is lost.
///
/// Messages wait in a queue until they are read ([`Builder::event_queue`](crate::Builder::event_queue)); past its limit
/// the oldest are dropped and counted. Dropping the channel leaves it.
///
/// It is a [`Stream`] of its messages too.
#[derive(Debug)]
pub struct Channel {
    pusher: Pusher,
    response: Payload,
    lagged: u64,
}

impl Channel {
    /// The topic.
    pub fn topic(&self) -> &str {
        self.pusher.topic()
    }

    /// What the server answered to the latest join that was seen here: by [`Opening::join`], or by an
    /// [`Event::Joined`] that was read.
    pub fn response(&self) -> &Payload {
        &self.response
    }

    /// Whether it is joined now.
    pub fn is_joined(&self) -> bool {
        self.pusher.is_joined()
    }

    /// How many events were dropped unread so far, as far as [`Channel::next`] has come.
    pub fn lagged(&self) -> u64 {
        self.lagged
    }

    /// The next message; `None` when the channel has ended. What else happens to the channel is passed over; what was
    /// dropped is counted ([`Channel::lagged`]) and logged.
    ///
    /// # Cancellation
    /// Safe: no message is lost.
    pub async fn next(&mut self) -> Option<Message> {
        poll_fn(|cx| self.poll_message(cx)).await
    }

    /// The next of everything that happens to the channel; `None` after [`Event::Closed`].
    ///
    /// # Cancellation
    /// Safe: no event is lost.
    pub async fn next_event(&mut self) -> Option<Event> {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    /// Pushes an event; the reply is what is awaited. See [`Pusher::push`].
    pub fn push(&self, event: impl Into<String>, payload: impl IntoPayload) -> Push {
        self.pusher.push(event, payload)
    }

    /// Sends an event whose reply nobody waits for. See [`Pusher::send`].
    ///
    /// # Errors
    /// As [`Pusher::send`].
    pub fn send(&self, event: &str, payload: impl IntoPayload) -> Result<(), PushError> {
        self.pusher.send(event, payload)
    }

    /// A handle that speaks for the channel while somebody else listens. It goes silent when the channel has ended.
    pub fn pusher(&self) -> Pusher {
        self.pusher.clone()
    }

    /// What the server's `join` gets the next times: for a channel that says where it left off.
    ///
    /// # Errors
    /// Only [`JoinError::Unsendable`].
    pub fn set_params(&self, params: impl IntoPayload) -> Result<(), JoinError> {
        self.pusher.hold.shared.look(|session| session.set_params(self.pusher.id, params.into_payload()))
    }

    /// Leaves, and waits until the server has answered, or the push timeout.
    ///
    /// Pushes that were given before are sent first; those that wait for a join never are.
    ///
    /// # Cancellation
    /// Leaving goes on.
    pub async fn leave(self) {
        let Pusher { hold, id, .. } = &self.pusher;
        let left = hold.shared.act(|session| session.leave(Shared::now(), *id));
        if let Some(reference) = left {
            let _ = Waiting { hold: Arc::clone(hold), reference }.await;
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let id = self.pusher.id;
        let event = std::task::ready!(self.pusher.hold.shared.look(|session| session.poll_event(id, cx)));
        match &event {
            Some(Event::Joined(response)) => self.response = response.clone(),
            Some(Event::Lagged(count)) => self.lagged += count,
            _ => {}
        }
        Poll::Ready(event)
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        loop {
            match std::task::ready!(self.poll_event(cx)) {
                Some(Event::Message(message)) => return Poll::Ready(Some(message)),
                Some(Event::Lagged(count)) => {
                    tracing::warn!(topic = self.topic(), count, "messages were dropped unread");
                }
                Some(_) => {}
                None => return Poll::Ready(None),
            }
        }
    }
}

/// The messages, as [`Channel::next`] gives them.
impl Stream for Channel {
    type Item = Message;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        self.get_mut().poll_message(cx)
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.pusher.hold.shared.act(|session| session.release(Shared::now(), self.pusher.id));
    }
}

/// Speaks for a channel. Cloning is cheap.
#[derive(Clone)]
pub struct Pusher {
    hold: Arc<Hold>,
    id: ChannelId,
    topic: Arc<str>,
}

impl Pusher {
    /// The channel's topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Whether the channel is joined now.
    pub fn is_joined(&self) -> bool {
        self.hold.shared.look(|session| session.is_joined(self.id))
    }

    /// Pushes an event; the reply is what is awaited.
    ///
    /// It is sent when it is first polled; while the channel is not joined it waits in the client's buffer. All pushes
    /// and sends of a channel arrive in the order in which they were made. A push is sent at most once.
    ///
    /// # Errors
    /// When awaited: [`PushError`].
    ///
    /// # Cancellation
    /// Dropped before it was sent, it is not sent. Dropped later, the reply is ignored.
    pub fn push(&self, event: impl Into<String>, payload: impl IntoPayload) -> Push {
        let timeout = self.hold.shared.look(|session| session.settings().push_timeout);
        let ready = Ready { pusher: self.clone(), event: event.into(), payload: payload.into_payload(), timeout };
        Push(Stage::Ready(Box::new(ready)))
    }

    /// Sends an event whose reply nobody waits for. It is in the client's buffer when this returns, and stays there
    /// until the channel is joined.
    ///
    /// # Errors
    /// [`PushError`]: the buffer is full, the channel has ended, or the message cannot be written.
    pub fn send(&self, event: &str, payload: impl IntoPayload) -> Result<(), PushError> {
        self.submit(event, payload.into_payload(), None).map(drop)
    }

    fn submit(&self, event: &str, payload: Payload, timeout: Option<Duration>) -> Result<u64, PushError> {
        let pushed = self.hold.shared.act(|session| session.push(Shared::now(), self.id, event, payload, timeout));
        pushed.map_err(|error| match error {
            // The session may have forgotten its name.
            PushError::Closed { .. } => PushError::Closed { topic: self.topic.to_string() },
            error => error,
        })
    }
}

impl std::fmt::Debug for Pusher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pusher").field("topic", &self.topic).field("joined", &self.is_joined()).finish_non_exhaustive()
    }
}

/// A push, and then the reply to it.
#[must_use = "a push is sent when it is awaited; `send` is for those that need no reply"]
pub struct Push(Stage);

enum Stage {
    Ready(Box<Ready>),
    Waiting(Waiting),
    Done,
}

struct Ready {
    pusher: Pusher,
    event: String,
    payload: Payload,
    timeout: Duration,
}

impl Push {
    /// Another timeout than the client's; counts from when the push is first polled, the wait for a join included.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        if let Stage::Ready(ready) = &mut self.0 {
            ready.timeout = timeout;
        }
        self
    }
}

impl Future for Push {
    type Output = Result<Reply, PushError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Stage::Ready(_) = self.0
            && let Stage::Ready(ready) = std::mem::replace(&mut self.0, Stage::Done)
        {
            let Ready { pusher, event, payload, timeout } = *ready;
            match pusher.submit(&event, payload, Some(timeout)) {
                Ok(reference) => self.0 = Stage::Waiting(Waiting { hold: pusher.hold, reference }),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        let Stage::Waiting(waiting) = &mut self.0 else { return Poll::Pending };
        let reply = std::task::ready!(Pin::new(waiting).poll(cx));
        self.0 = Stage::Done;
        Poll::Ready(reply)
    }
}

/// Waits for the answer to a request, and forgets it when dropped.
struct Waiting {
    hold: Arc<Hold>,
    reference: u64,
}

impl Future for Waiting {
    type Output = Result<Reply, PushError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.hold.shared.look(|session| session.poll_reply(self.reference, cx))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.hold.shared.drive(|session| session.cancel(self.reference));
    }
}
