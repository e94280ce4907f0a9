//! The commands of the user's handles: open a channel, push, leave, release, and read its events.

use super::channel_state::{ChannelId, ChannelState, Stage};
use super::inbox::Inbox;
use super::outbox::{Outgoing, QueuedPush};
use super::outgoing::check_encodable;
use super::{Intent, Session};
use crate::schedule::bounded;
use crate::{ChannelEvent, CloseReason, JoinError, Payload, SendError};
use bennu_protocol::event;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

impl Session {
    /// Starts to join a topic. A live channel of the same topic is left and ends as replaced.
    ///
    /// # Errors
    /// Only [`JoinError::Encode`], for params that the wire cannot carry.
    pub(crate) fn open_channel(&mut self, now: Instant, topic: &str, params: Payload) -> Result<ChannelId, JoinError> {
        check_encodable(topic, event::JOIN, &params)
            .map_err(|source| JoinError::Encode { topic: topic.to_owned(), source })?;
        let topic: Arc<str> = topic.into();
        if let Some(previous) = self.topics.get(&topic).copied() {
            self.queue_leave(previous);
            self.end(previous, CloseReason::Replaced);
        }
        self.last_channel += 1;
        let id = ChannelId(self.last_channel);
        let channel = ChannelState {
            topic: Arc::clone(&topic),
            params,
            stage: Stage::Unjoined,
            join_ref: 0,
            joins: 0,
            failed_joins: 0,
            deadline: None,
            pending_pushes: VecDeque::new(),
            inbox: Inbox::default(),
            leave_ref: None,
            has_handle: true,
        };
        self.channels.insert(id, Box::new(channel));
        if matches!(self.intent(), Intent::Close | Intent::Finish) {
            self.end(id, CloseReason::Disconnected);
            return Ok(id);
        }
        self.topics.insert(topic, id);
        if self.is_open() {
            self.join(now, id);
        } else {
            // The join times out without a connection too.
            self.set_deadline(id, Some(now + bounded(self.settings.join_timeout)));
        }
        Ok(id)
    }

    /// Sets the params of the next joins.
    ///
    /// # Errors
    /// Only [`JoinError::Encode`], for params that the wire cannot carry.
    pub(crate) fn set_params(&mut self, id: ChannelId, params: Payload) -> Result<(), JoinError> {
        let Some(channel) = self.channels.get_mut(&id) else { return Ok(()) };
        check_encodable(&channel.topic, event::JOIN, &params)
            .map_err(|source| JoinError::Encode { topic: channel.topic.to_string(), source })?;
        channel.params = params;
        Ok(())
    }

    /// Queues a push until the channel is joined, and returns its ref. With a timeout, the push is a request: its
    /// answer comes from [`Session::poll_reply`].
    ///
    /// # Errors
    /// The channel has ended, the buffer is full, or the wire cannot carry the message.
    pub(crate) fn push(
        &mut self,
        now: Instant,
        id: ChannelId,
        event: &str,
        payload: Payload,
        timeout: Option<Duration>,
    ) -> Result<u64, SendError> {
        let channel =
            self.channels.get_mut(&id).filter(|channel| !matches!(channel.stage, Stage::Leaving | Stage::Closed));
        let Some(channel) = channel else { return Err(self.closed_error(id)) };
        check_encodable(&channel.topic, event, &payload)?;
        let reference = self.last_ref + 1;
        let push = QueuedPush { reference, expects_reply: timeout.is_some(), event: event.into(), payload };
        self.outbox.check_limit(&push, self.settings.push_buffer)?;
        self.outbox.count(&push);
        self.last_ref = reference;
        match channel.stage {
            Stage::Joined => {
                let (topic, join_ref) = (Arc::clone(&channel.topic), channel.join_ref);
                self.outbox.push(Outgoing::Push { channel: id, topic, join_ref, push });
            }
            _ => channel.pending_pushes.push_back(push),
        }
        if let Some(timeout) = timeout {
            self.add_request(now, id, reference, event, timeout);
        }
        Ok(reference)
    }

    /// Leaves a channel. Returns the ref of the leave when there is a reply to wait for; a channel that is not joined
    /// ends at once, as in phoenix.js.
    pub(crate) fn leave(&mut self, now: Instant, id: ChannelId) -> Option<u64> {
        let stage = self.channels.get(&id)?.stage;
        if stage == Stage::Leaving {
            return None;
        }
        let leave_ref = self.queue_leave(id);
        match leave_ref {
            Some(reference) if stage == Stage::Joined => {
                self.fail_pending_pushes(id);
                let timeout = self.settings.push_timeout;
                self.add_request(now, id, reference, event::LEAVE, timeout);
                let channel = self.channels.get_mut(&id)?;
                channel.stage = Stage::Leaving;
                channel.leave_ref = leave_ref;
                self.set_deadline(id, None);
                leave_ref
            }
            _ => {
                self.end(id, CloseReason::Left);
                None
            }
        }
    }

    /// Leaves a channel whose handle was dropped, and drops its unread events.
    pub(crate) fn release(&mut self, now: Instant, id: ChannelId) {
        if let Some(reference) = self.leave(now, id) {
            self.cancel(reference);
        }
        if let Some(channel) = self.channels.get_mut(&id) {
            channel.has_handle = false;
            channel.inbox = Inbox::default();
        }
        self.remove_if_released(id);
    }

    pub(crate) fn poll_event(&mut self, id: ChannelId, cx: &mut Context<'_>) -> Poll<Option<ChannelEvent>> {
        self.channels.get_mut(&id).map_or(Poll::Ready(None), |channel| channel.inbox.poll(cx))
    }

    pub(crate) fn poll_join_result(&mut self, id: ChannelId, cx: &mut Context<'_>) -> Poll<Option<ChannelEvent>> {
        self.channels.get_mut(&id).map_or(Poll::Ready(None), |channel| channel.inbox.poll_join_result(cx))
    }

    pub(crate) fn is_joined(&self, id: ChannelId) -> bool {
        self.channels.get(&id).is_some_and(|channel| channel.stage == Stage::Joined)
    }
}
