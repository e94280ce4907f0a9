//! The join of a topic by a client of a test.

use crate::arrival::Arrival;
use crate::channel::TestChannel;
use crate::mailbox::Mailbox;
use crate::socket::TestSocket;
use bennu_channels::protocol::event;
use bennu_channels::{IntoPayload, Payload, Socket, Status};
use serde_json::Value;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

/// The longest wait for the reply to a join, in virtual time. The default of `phoenix.js`.
const JOIN_TIMEOUT: Duration = Duration::from_secs(10);

/// A failed join, with its response. It equals the response:
/// `assert_eq!(refused, json!({ "reason": "unauthorized" }))`.
///
/// The reason is `join crashed` after a crash, and `unmatched topic` for a topic without a route.
#[derive(Clone, PartialEq, Eq)]
pub struct Refused(Payload);

impl<S: Socket> TestSocket<S> {
    /// Joins a topic by the routes of the socket, and subscribes the test to the topic. Broadcasts then arrive at the
    /// client, and once more at the test, for [`assert_broadcast!`](crate::assert_broadcast).
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

    /// Joins a topic by the routes of the socket.
    ///
    /// # Errors
    /// [`Refused`] when the channel refuses the join or crashes, and when no route matches.
    ///
    /// # Panics
    /// When no reply arrives within 10 s of virtual time.
    #[track_caller]
    pub fn join(&self, topic: &str, params: impl IntoPayload) -> impl Future<Output = Result<TestChannel<S>, Refused>> {
        let (caller, params) = (Location::caller(), params.into_payload());
        async move {
            let join_ref = self.next_ref();
            self.send(&join_ref, &join_ref, topic, event::JOIN, params);
            let view = self.view();
            let reply = view.take(JOIN_TIMEOUT, |arrival| match arrival {
                Arrival::Reply { reference, status, payload, .. } if *reference == join_ref => {
                    Some((status.clone(), payload.clone()))
                }
                _ => None,
            });
            match reply.await {
                Some((Status::Ok, response)) => Ok(TestChannel::new(self.clone(), topic, join_ref, response)),
                Some((_, response)) => Err(Refused(response)),
                None => panic!(
                    "{caller}: no reply to the join of {topic:?} arrived within {JOIN_TIMEOUT:?}; arrivals: {:#?}",
                    self.mailbox()
                ),
            }
        }
    }
}

impl Refused {
    /// Returns the response.
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
