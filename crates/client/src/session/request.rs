//! Pushes and leaves that are waited for: each gets one answer, a reply or the reason why there is none.

use super::outbox::Outgoing;
use super::schedule::bounded;
use super::{ChannelId, Due, Session};
use crate::{Payload, PushError, Reply, Status};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(crate) struct Request {
    pub(super) channel: ChannelId,
    event: Box<str>,
    timeout: Duration,
    deadline: Instant,
    /// Taken by a transport; from then on nobody knows whether the server has it.
    pub(super) sent: bool,
    /// Nobody asks for the answer: it goes when the request is answered.
    detached: bool,
    waiter: Option<Waker>,
    answer: Option<Result<Reply, PushError>>,
}

impl Session {
    /// The answer to a request; once it is given, the request is forgotten.
    pub(crate) fn poll_reply(&mut self, reference: u64, cx: &mut Context<'_>) -> Poll<Result<Reply, PushError>> {
        let Some(request) = self.requests.get_mut(&reference) else {
            // A future that is polled after its end.
            return Poll::Pending;
        };
        if let Some(answer) = request.answer.take() {
            self.forget_request(reference);
            return Poll::Ready(answer);
        }
        request.waiter = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Nobody waits any more. A push that was not sent yet is not sent at all.
    /// A leave goes on.
    pub(crate) fn cancel(&mut self, reference: u64) {
        if let Some(request) = self.requests.get_mut(&reference)
            && request.answer.is_none()
            && &*request.event == bennu_protocol::event::LEAVE
        {
            request.detached = true;
            return;
        }
        self.forget_request(reference).filter(|request| !request.sent).inspect(|request| {
            self.unqueue(request.channel, reference);
        });
    }

    pub(super) fn await_reply(
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
        self.deadlines.insert((deadline, Due::Request(reference)));
    }

    /// Gives a request its answer.
    pub(super) fn answer(&mut self, reference: u64, answer: impl FnOnce(&Request) -> Result<Reply, PushError>) {
        if let Some(request) = self.requests.get_mut(&reference)
            && request.answer.is_none()
        {
            self.deadlines.remove(&(request.deadline, Due::Request(reference)));
            request.answer = Some(answer(request));
            self.wakes.extend(request.waiter.take());
            if request.detached {
                self.forget_request(reference);
            }
        }
    }

    /// Gives the reply of the server.
    pub(super) fn reply(&mut self, reference: u64, status: Status, payload: Payload) {
        self.answer(reference, |_| Ok(Reply { status, payload }));
    }

    /// Gives all requests of a channel (or of all) that were sent the same answer.
    pub(super) fn fail_sent(&mut self, channel: Option<ChannelId>, error: impl Fn(String) -> PushError) {
        let concerns = |request: &Request| request.sent && channel.is_none_or(|id| id == request.channel);
        let found = self.requests.iter().filter(|(_, request)| concerns(request)).map(|(reference, _)| *reference);
        for reference in found.collect::<Vec<_>>() {
            self.answer(reference, |request| Err(error(request.event.to_string())));
        }
    }

    /// Gives all requests of a channel the same answer.
    pub(super) fn fail_all(&mut self, channel: ChannelId, error: &PushError) {
        let found = self.requests.iter().filter(|(_, request)| request.channel == channel);
        for reference in found.map(|(reference, _)| *reference).collect::<Vec<_>>() {
            self.answer(reference, |_| Err(error.clone()));
        }
    }

    pub(super) fn request_due(&mut self, reference: u64) {
        let Some(request) = self.requests.get(&reference) else { return };
        let (channel, sent) = (request.channel, request.sent);
        if !sent {
            self.unqueue(channel, reference);
        }
        self.answer(reference, |request| {
            Err(PushError::Timeout { event: request.event.to_string(), after: request.timeout })
        });
        self.leave_due(channel, reference);
    }

    fn forget_request(&mut self, reference: u64) -> Option<Request> {
        let request = self.requests.remove(&reference)?;
        self.deadlines.remove(&(request.deadline, Due::Request(reference)));
        if self.requests.is_empty() && self.requests.capacity() > 64 {
            self.requests.shrink_to_fit();
        }
        Some(request)
    }

    /// Takes a push out of where it waits.
    fn unqueue(&mut self, channel: ChannelId, reference: u64) {
        self.outbox.remove(reference);
        if let Some(room) = self.rooms.get_mut(&channel)
            && let Some(at) = room.waiting.iter().position(|push| push.reference == reference)
            && let Some(push) = room.waiting.remove(at)
        {
            self.outbox.discount(&push);
        }
    }

    pub(super) fn sent(&mut self, outgoing: &Outgoing) {
        let reference = match outgoing {
            Outgoing::Push { push, .. } => push.reference,
            Outgoing::Leave { reference, .. } => *reference,
            Outgoing::Join(..) | Outgoing::Heartbeat(_) => return,
        };
        if let Some(request) = self.requests.get_mut(&reference) {
            request.sent = true;
        }
    }
}
