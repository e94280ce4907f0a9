//! A reply that is sent later, possibly by another task.

use crate::connection::Connection;
use crate::outcome::Reply;
use bennu_protocol::{EncodeError, IntoPayload, Name, Outbound, Ref};
use std::borrow::Cow;
use std::sync::Arc;

/// The right to answer one message, from [`crate::Context::reply_ref`]. It can be sent to another task.
///
/// If it is dropped unused, the client's push times out.
///
/// ```
/// use bennu_channels::prelude::*;
///
/// struct Reports;
///
/// impl<S: Socket> Channel<S> for Reports {
///     async fn join(_topic: &str, _params: Payload, _ctx: &mut Context<S, Self>) -> Joined<Self> {
///         accept(Reports)
///     }
///
///     async fn handle_in(&mut self, _event: &str, _payload: Payload, ctx: &mut Context<S, Self>) -> Handled {
///         let reply = ctx.reply_ref()?;
///         ctx.spawn(async move {
///             let rows = count_rows().await;
///             reply.ok(json!({ "rows": rows }))?;
///             noreply()
///         });
///         noreply()
///     }
/// }
///
/// async fn count_rows() -> u64 {
///     3
/// }
/// ```
pub struct ReplyRef {
    pub(crate) connection: Arc<Connection>,
    pub(crate) topic: Arc<str>,
    pub(crate) join_ref: Ref,
    pub(crate) reference: Ref,
}

/// There is no message to reply to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no message to reply to: only `handle_in` has one")]
pub struct NothingToReplyTo;

impl ReplyRef {
    /// Sends the reply. It is not an error if the client has gone meanwhile.
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

    /// Sends an `ok` reply.
    ///
    /// # Errors
    /// As [`ReplyRef::reply`].
    pub fn ok(self, payload: impl IntoPayload) -> Result<(), EncodeError> {
        self.reply(Reply::ok(payload))
    }

    /// Sends an `error` reply.
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
