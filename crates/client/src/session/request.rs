//! Requests: pushes and leaves whose sender waits for an answer. Each gets exactly one, a reply or an error.
//!
//! A request is added by [`command`](super::command), resolved by the server's reply, a timeout or the end of the
//! connection or channel, and removed when the handle has read the answer or was dropped.

use super::outbox::Outgoing;
use super::{ChannelId, Session, Timer};
use crate::schedule::bounded;
use crate::{Payload, PushReply, SendError, Status};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(crate) struct Request {
    pub(super) channel: ChannelId,
    event: Box<str>,
    timeout: Duration,
    deadline: Instant,
    /// A transport has fetched it. Whether the server has received it is unknown.
    sent: bool,
    /// The handle was dropped: the request is removed when it is resolved.
    detached: bool,
    waiter: Option<Waker>,
    answer: Option<Result<PushReply, SendError>>,
}

impl Session {
    /// Returns the answer to a request and removes the request.
    pub(crate) fn poll_reply(&mut self, reference: u64, cx: &mut Context<'_>) -> Poll<Result<PushReply, SendError>> {
        let Some(request) = self.requests.get_mut(&reference) else {
            // The future was polled after it had returned the answer.
            return Poll::Pending;
        };
        if let Some(answer) = request.answer.take() {
            self.remove_request(reference);
            return Poll::Ready(answer);
        }
        request.waiter = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Drops the interest in an answer. A push that was not sent yet is not sent. A leave continues.
    pub(crate) fn cancel(&mut self, reference: u64) {
        if let Some(request) = self.requests.get_mut(&reference)
            && request.answer.is_none()
            && &*request.event == bennu_protocol::event::LEAVE
        {
            request.detached = true;
            return;
        }
        if let Some(request) = self.remove_request(reference)
            && !request.sent
        {
            self.remove_push(request.channel, reference);
        }
    }

    pub(super) fn add_request(
        &mut self,
        now: Instant,
        channel: ChannelId,
        reference: u64,
        event: &str,
        timeout: Duration,
    ) {
        let deadline = now + bounded(timeout);
        let request = Request {
            channel,
            event: event.into(),
            timeout,
            deadline,
            sent: false,
            detached: false,
            waiter: None,
            answer: None,
        };
        self.requests.insert(reference, request);
        self.timers.insert((deadline, Timer::Request(reference)));
    }

    pub(super) fn mark_sent(&mut self, outgoing: &Outgoing) {
        let reference = match outgoing {
            Outgoing::Push { push, .. } => push.reference,
            Outgoing::Leave { reference, .. } => *reference,
            Outgoing::Join(..) | Outgoing::Heartbeat(_) => return,
        };
        if let Some(request) = self.requests.get_mut(&reference) {
            request.sent = true;
        }
    }

    /// Stores the answer to a request and wakes its waiter. A request that already has an answer keeps it.
    pub(super) fn resolve(&mut self, reference: u64, answer: impl FnOnce(&Request) -> Result<PushReply, SendError>) {
        if let Some(request) = self.requests.get_mut(&reference)
            && request.answer.is_none()
        {
            self.timers.remove(&(request.deadline, Timer::Request(reference)));
            request.answer = Some(answer(request));
            self.wakes.extend(request.waiter.take());
            if request.detached {
                self.remove_request(reference);
            }
        }
    }

    pub(super) fn resolve_with_reply(&mut self, reference: u64, status: Status, payload: Payload) {
        self.resolve(reference, |_| Ok(PushReply { status, payload }));
    }

    /// Fails all requests that were sent, those of one channel or of all. `error` gets the event of the request.
    pub(super) fn fail_sent(&mut self, channel: Option<ChannelId>, error: impl Fn(String) -> SendError) {
        let concerns = |request: &Request| request.sent && channel.is_none_or(|id| id == request.channel);
        let found = self.requests.iter().filter(|(_, request)| concerns(request)).map(|(reference, _)| *reference);
        for reference in found.collect::<Vec<_>>() {
            self.resolve(reference, |request| Err(error(request.event.to_string())));
        }
    }

    /// Fails all requests of a channel, sent or not.
    pub(super) fn fail_all(&mut self, channel: ChannelId, error: &SendError) {
        let found = self.requests.iter().filter(|(_, request)| request.channel == channel);
        for reference in found.map(|(reference, _)| *reference).collect::<Vec<_>>() {
            self.resolve(reference, |_| Err(error.clone()));
        }
    }

    pub(super) fn request_timed_out(&mut self, reference: u64) {
        let Some(request) = self.requests.get(&reference) else { return };
        let (channel, sent) = (request.channel, request.sent);
        if !sent {
            self.remove_push(channel, reference);
        }
        self.resolve(reference, |request| {
            Err(SendError::Timeout { event: request.event.to_string(), after: request.timeout })
        });
        self.leave_timed_out(channel, reference);
    }

    fn remove_request(&mut self, reference: u64) -> Option<Request> {
        let request = self.requests.remove(&reference)?;
        self.timers.remove(&(request.deadline, Timer::Request(reference)));
        if self.requests.is_empty() && self.requests.capacity() > 64 {
            self.requests.shrink_to_fit();
        }
        Some(request)
    }

    /// Removes a push from the outbox or from the pushes that wait for the channel's join.
    fn remove_push(&mut self, channel: ChannelId, reference: u64) {
        self.outbox.remove(reference);
        if let Some(channel) = self.channels.get_mut(&channel)
            && let Some(at) = channel.pending_pushes.iter().position(|push| push.reference == reference)
            && let Some(push) = channel.pending_pushes.remove(at)
        {
            self.outbox.discount(&push);
        }
    }
}
