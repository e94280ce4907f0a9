//! How a client of a test joins a topic.

use crate::arrival::Arrival;
use crate::channel::TestChannel;
use crate::mailbox::Inbox;
use crate::socket::TestSocket;
use bennu_channels::protocol::event;
use bennu_channels::{IntoPayload, Payload, Socket, Status};
use serde_json::Value;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

/// How long a join may take, in virtual time. It is what `phoenix.js` waits.
const JOIN_TIMEOUT: Duration = Duration::from_secs(10);

/// A join that did not succeed, with the response that says why. It equals that response:
/// `assert_eq!(refused, json!({ "reason": "unauthorized" }))`.
///
/// A join that crashed has the reason `join crashed`, a topic that no channel has `unmatched topic`.
#[derive(Clone, PartialEq, Eq)]
pub struct Refused(Payload);

impl<S: Socket> TestSocket<S> {
    /// Joins a topic, by the routes of its socket, and subscribes the test to it as well: broadcasts arrive at the
    /// client, and again at the test for [`assert_broadcast!`](crate::assert_broadcast).
    ///
    /// # Errors
    /// [`Refused`], as [`TestSocket::join`].
    ///
    /// # Panics
    /// As [`TestSocket::join`].
    #[track_caller]
    pub fn subscribe_and_join(
        &self,
        topic: &str,
        params: impl IntoPayload,
    ) -> impl Future<Output = Result<TestChannel<S>, Refused>> {
        self.test().subscribe(topic);
        self.join(topic, params)
    }

    /// Joins a topic, by the routes of its socket.
    ///
    /// # Errors
    /// [`Refused`] when the channel refuses or crashes, and when no route matches.
    ///
    /// # Panics
    /// When there is no answer within 10 s of virtual time.
    #[track_caller]
    pub fn join(&self, topic: &str, params: impl IntoPayload) -> impl Future<Output = Result<TestChannel<S>, Refused>> {
        let (caller, params) = (Location::caller(), params.into_payload());
        async move {
            let join_ref = self.next_ref();
            self.send(&join_ref, &join_ref, topic, event::JOIN, params);
            let view = self.view();
            let answered = view.take(JOIN_TIMEOUT, |arrival| match arrival {
                Arrival::Reply { reference, status, payload, .. } if *reference == join_ref => {
                    Some((status.clone(), payload.clone()))
                }
                _ => None,
            });
            match answered.await {
                Some((Status::Ok, response)) => Ok(TestChannel::new(self.clone(), topic, join_ref, response)),
                Some((_, response)) => Err(Refused(response)),
                None => panic!(
                    "{caller}: the join of {topic:?} was not answered within {JOIN_TIMEOUT:?}; what arrived: {:#?}",
                    self.mailbox()
                ),
            }
        }
    }
}

impl Refused {
    /// The response.
    pub fn response(&self) -> &Payload {
        &self.0
    }
}

impl PartialEq<Value> for Refused {
    fn eq(&self, response: &Value) -> bool {
        self.0.parse::<Value>().is_ok_and(|own| own == *response)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the join was refused with {:?}", self.0)
    }
}

impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Refused({:?})", self.0)
    }
}

impl std::error::Error for Refused {}
