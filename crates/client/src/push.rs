//! Pushes: [`ChannelSender`] sends events to a channel, [`Push`] is the future of a reply.

use crate::session::ChannelId;
use crate::shared::{Handle, Shared};
use crate::{IntoPayload, Payload, PushReply, SendError};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Pushes events to a channel. Cloning is cheap. Created by [`ClientChannel::sender`](crate::ClientChannel::sender).
#[derive(Clone)]
pub struct ChannelSender {
    pub(crate) handle: Arc<Handle>,
    pub(crate) id: ChannelId,
    pub(crate) topic: Arc<str>,
}

impl ChannelSender {
    /// Returns the channel's topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Returns whether the channel is joined now.
    pub fn is_joined(&self) -> bool {
        self.handle.shared.access(|session| session.is_joined(self.id))
    }

    /// Pushes an event. The returned future completes with the reply.
    ///
    /// The first poll of the future sends the push. While the channel is not joined, the push waits in the client's
    /// buffer. The pushes and sends of a channel are sent in the order of their first polls and calls. A push is sent
    /// at most once.
    ///
    /// # Errors
    /// The future returns [`SendError`].
    ///
    /// # Cancellation
    /// Dropping the future before the push was sent cancels the push. Dropping it later only ignores the reply.
    pub fn push(&self, event: impl Into<String>, payload: impl IntoPayload) -> Push {
        let timeout = self.handle.shared.access(|session| session.settings().push_timeout);
        let unsent = UnsentPush { sender: self.clone(), event: event.into(), payload: payload.into_payload(), timeout };
        Push(PushState::Unsent(Box::new(unsent)))
    }

    /// Sends an event without a reply. When the call returns, the event is in the client's buffer, where it waits until
    /// the channel is joined.
    ///
    /// # Errors
    /// [`SendError`]: the buffer is full, the channel has ended, or the wire cannot carry the message.
    pub fn send(&self, event: &str, payload: impl IntoPayload) -> Result<(), SendError> {
        self.submit(event, payload.into_payload(), None).map(drop)
    }

    fn submit(&self, event: &str, payload: Payload, timeout: Option<Duration>) -> Result<u64, SendError> {
        let pushed =
            self.handle.shared.command(|session| session.push(Shared::now(), self.id, event, payload, timeout));
        pushed.map_err(|error| match error {
            // The session may have removed the channel, and its topic with it.
            SendError::Closed { .. } => SendError::Closed { topic: self.topic.to_string() },
            error => error,
        })
    }
}

impl std::fmt::Debug for ChannelSender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChannelSender")
            .field("topic", &self.topic)
            .field("joined", &self.is_joined())
            .finish_non_exhaustive()
    }
}

/// The future of a push: its first poll sends the push, and it completes with the reply.
#[must_use = "a push is sent when it is awaited; `send` sends without a reply"]
pub struct Push(PushState);

enum PushState {
    Unsent(Box<UnsentPush>),
    Sent(PendingReply),
    Done,
}

struct UnsentPush {
    sender: ChannelSender,
    event: String,
    payload: Payload,
    timeout: Duration,
}

impl Push {
    /// Sets another timeout than the client's. It runs from the first poll, and includes the wait for a join.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        if let PushState::Unsent(unsent) = &mut self.0 {
            unsent.timeout = timeout;
        }
        self
    }
}

impl Future for Push {
    type Output = Result<PushReply, SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let PushState::Unsent(_) = self.0
            && let PushState::Unsent(unsent) = std::mem::replace(&mut self.0, PushState::Done)
        {
            let UnsentPush { sender, event, payload, timeout } = *unsent;
            match sender.submit(&event, payload, Some(timeout)) {
                Ok(reference) => self.0 = PushState::Sent(PendingReply { handle: sender.handle, reference }),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        let PushState::Sent(pending) = &mut self.0 else { return Poll::Pending };
        let reply = ready!(Pin::new(pending).poll(cx));
        self.0 = PushState::Done;
        Poll::Ready(reply)
    }
}

/// Waits for the answer to a request. Dropping it cancels the request.
pub(crate) struct PendingReply {
    pub(crate) handle: Arc<Handle>,
    pub(crate) reference: u64,
}

impl Future for PendingReply {
    type Output = Result<PushReply, SendError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.handle.shared.access(|session| session.poll_reply(self.reference, cx))
    }
}

impl Drop for PendingReply {
    fn drop(&mut self) {
        self.handle.shared.update(|session| session.cancel(self.reference));
    }
}
