//! A channel, as users hold it: [`ChannelBuilder`] joins it, [`ClientChannel`] receives its messages and pushes.

use crate::push::PendingReply;
use crate::session::ChannelId;
use crate::shared::{Handle, Shared};
use crate::{
    ChannelEvent, ChannelMessage, ChannelSender, Interruption, IntoPayload, JoinError, Payload, Push, SendError,
};
use futures_core::Stream;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// Configures a channel before it is joined. Created by [`Client::channel`](crate::Client::channel).
#[must_use = "a channel is joined after `join` or `open`"]
pub struct ChannelBuilder {
    handle: Arc<Handle>,
    topic: String,
    params: Payload,
}

impl ChannelBuilder {
    pub(crate) fn new(handle: Arc<Handle>, topic: String) -> Self {
        ChannelBuilder { handle, topic, params: Payload::empty() }
    }

    /// Sets the payload for the server's `join`; `{}` by default.
    pub fn params(self, params: impl IntoPayload) -> Self {
        ChannelBuilder { params: params.into_payload(), ..self }
    }

    /// Joins the topic and waits for the server's reply.
    ///
    /// # Errors
    /// [`JoinError`]: the server refused, no reply arrived in time (also because there was no connection), or the wire
    /// cannot carry the params.
    ///
    /// # Cancellation
    /// Dropping the future leaves the channel.
    pub async fn join(self) -> Result<ClientChannel, JoinError> {
        let after = self.handle.shared.access(|session| session.settings().join_timeout);
        let mut channel = self.open()?;
        let topic = || channel.topic().to_owned();
        let (shared, id) = (&channel.sender.handle.shared, channel.id());
        let response = loop {
            match poll_fn(|cx| shared.access(|session| session.poll_join_result(id, cx))).await {
                Some(ChannelEvent::Joined(response)) => break response,
                Some(ChannelEvent::Refused(response)) => return Err(JoinError::Refused { topic: topic(), response }),
                Some(ChannelEvent::Interrupted(Interruption::JoinTimedOut)) => {
                    return Err(JoinError::Timeout { topic: topic(), after });
                }
                Some(ChannelEvent::Closed(_)) | None => return Err(JoinError::Closed { topic: topic() }),
                // The client sends the join again with the next connection.
                Some(ChannelEvent::Interrupted(_) | ChannelEvent::Message(_) | ChannelEvent::Lagged(_)) => {}
            }
        };
        channel.response = response;
        Ok(channel)
    }

    /// Joins the topic without waiting: for a client that may not be connected yet. Pushes wait for the join, the
    /// client repeats a refused join, and [`ClientChannel::next_event`] returns the progress.
    ///
    /// # Errors
    /// Only [`JoinError::Encode`].
    pub fn open(self) -> Result<ClientChannel, JoinError> {
        let open =
            |session: &mut crate::session::Session| session.open_channel(Shared::now(), &self.topic, self.params);
        let id = self.handle.shared.command(open)?;
        let sender = ChannelSender { handle: self.handle, id, topic: self.topic.into() };
        Ok(ClientChannel { sender, response: Payload::empty(), lagged: 0 })
    }
}

/// A joined channel: receives the server's messages and pushes events. It is a [`Stream`] of its messages too.
///
/// After a crash of the channel in the server, or the loss of the connection, the client joins it again by schedule.
/// Pushes wait meanwhile. The channel misses the server's broadcasts of that time.
///
/// Unread messages wait in a queue. Past its limit ([`ClientBuilder::event_queue`](crate::ClientBuilder::event_queue))
/// the oldest are dropped and counted. Dropping the channel leaves it.
#[derive(Debug)]
pub struct ClientChannel {
    sender: ChannelSender,
    response: Payload,
    lagged: u64,
}

impl ClientChannel {
    /// Returns the topic.
    pub fn topic(&self) -> &str {
        self.sender.topic()
    }

    /// Returns the server's response to the latest join that this handle has seen: by [`ChannelBuilder::join`], or by
    /// reading [`ChannelEvent::Joined`].
    pub fn response(&self) -> &Payload {
        &self.response
    }

    /// Returns whether the channel is joined now.
    pub fn is_joined(&self) -> bool {
        self.sender.is_joined()
    }

    /// Returns how many unread events were dropped before the latest event that this handle has read.
    pub fn lagged(&self) -> u64 {
        self.lagged
    }

    /// Returns the next message; `None` when the channel has ended. Other events are skipped. Dropped messages are
    /// counted ([`ClientChannel::lagged`]) and logged.
    ///
    /// # Cancellation
    /// Safe: no message is lost.
    pub async fn next(&mut self) -> Option<ChannelMessage> {
        poll_fn(|cx| self.poll_message(cx)).await
    }

    /// Returns the next event of any kind; `None` after [`ChannelEvent::Closed`].
    ///
    /// # Cancellation
    /// Safe: no event is lost.
    pub async fn next_event(&mut self) -> Option<ChannelEvent> {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    /// Pushes an event. The returned future sends it and completes with the reply. See [`ChannelSender::push`].
    pub fn push(&self, event: impl Into<String>, payload: impl IntoPayload) -> Push {
        self.sender.push(event, payload)
    }

    /// Sends an event without a reply. See [`ChannelSender::send`].
    ///
    /// # Errors
    /// As [`ChannelSender::send`].
    pub fn send(&self, event: &str, payload: impl IntoPayload) -> Result<(), SendError> {
        self.sender.send(event, payload)
    }

    /// Returns a handle that pushes to this channel, for other tasks than the one that receives. Its pushes fail with
    /// [`SendError::Closed`] after the channel has ended.
    pub fn sender(&self) -> ChannelSender {
        self.sender.clone()
    }

    /// Sets the params of the next joins, such as the position from which the server should continue.
    ///
    /// # Errors
    /// Only [`JoinError::Encode`].
    pub fn set_params(&self, params: impl IntoPayload) -> Result<(), JoinError> {
        self.sender.handle.shared.access(|session| session.set_params(self.id(), params.into_payload()))
    }

    /// Leaves the channel and waits for the server's reply, for the push timeout at most.
    ///
    /// Earlier pushes are sent first. Pushes that wait for a join are not sent.
    ///
    /// # Cancellation
    /// After the future is dropped, the client still leaves.
    pub async fn leave(self) {
        let handle = &self.sender.handle;
        let leave_ref = handle.shared.command(|session| session.leave(Shared::now(), self.id()));
        if let Some(reference) = leave_ref {
            let _ = PendingReply { handle: Arc::clone(handle), reference }.await;
        }
    }

    fn id(&self) -> ChannelId {
        self.sender.id
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<ChannelEvent>> {
        let id = self.id();
        let event = ready!(self.sender.handle.shared.access(|session| session.poll_event(id, cx)));
        match &event {
            Some(ChannelEvent::Joined(response)) => self.response = response.clone(),
            Some(ChannelEvent::Lagged(count)) => self.lagged += count,
            _ => {}
        }
        Poll::Ready(event)
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Option<ChannelMessage>> {
        loop {
            match ready!(self.poll_event(cx)) {
                Some(ChannelEvent::Message(message)) => return Poll::Ready(Some(message)),
                Some(ChannelEvent::Lagged(count)) => {
                    tracing::warn!(topic = self.topic(), count, "unread messages were dropped");
                }
                Some(_) => {}
                None => return Poll::Ready(None),
            }
        }
    }
}

/// The messages of [`ClientChannel::next`].
impl Stream for ClientChannel {
    type Item = ChannelMessage;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ChannelMessage>> {
        self.get_mut().poll_message(cx)
    }
}

impl Drop for ClientChannel {
    fn drop(&mut self) {
        self.sender.handle.shared.command(|session| session.release(Shared::now(), self.id()));
    }
}
