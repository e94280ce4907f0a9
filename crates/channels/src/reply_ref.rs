//! A reply that is given later, possibly by another task.

use crate::connection::Connection;
use crate::outcome::Reply;
use bennu_protocol::{EncodeError, IntoPayload, Name, Outbound, Ref};
use std::borrow::Cow;
use std::sync::Arc;

/// The right to answer one message, from [`crate::Context::reply_ref`]. Can be sent to another task.
///
/// Dropping it without an answer leaves the client to its timeout.
pub struct ReplyRef {
    pub(crate) connection: Arc<Connection>,
    pub(crate) topic: Arc<str>,
    pub(crate) join_ref: Ref,
    pub(crate) reference: Ref,
}

/// There is no message that a reply could answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no message to reply to: only `handle_in` has one")]
pub struct NothingToReplyTo;

impl ReplyRef {
    /// Answers. A client that has gone meanwhile does not get it; that is no error.
    ///
    /// # Errors
    /// [`EncodeError`] when the payload cannot be sent to this client.
    pub fn reply(self, reply: Reply) -> Result<(), EncodeError> {
        self.connection.send(&Outbound::Reply {
            join_ref: &self.join_ref,
            reference: &self.reference,
            topic: &Name::Text(Cow::Borrowed(&self.topic)),
            status: &reply.status,
            payload: &reply.payload,
        })?;
        self.connection.outbox().flush();
        Ok(())
    }

    /// Answers `ok`.
    ///
    /// # Errors
    /// As [`ReplyRef::reply`].
    pub fn ok(self, payload: impl IntoPayload) -> Result<(), EncodeError> {
        self.reply(Reply::ok(payload))
    }

    /// Answers `error`.
    ///
    /// # Errors
    /// As [`ReplyRef::reply`].
    pub fn error(self, payload: impl IntoPayload) -> Result<(), EncodeError> {
        self.reply(Reply::error(payload))
    }
}

impl std::fmt::Debug for ReplyRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ReplyRef({:?}, {:?})", self.topic, self.reference)
    }
}
