//! The socket as its author writes it: who may connect, and which channels there are.

use crate::connect::Connect;
use crate::outcome::describe;
use crate::router::ChannelRouter;
use std::borrow::Cow;
use std::fmt;
use std::future::Future;

/// One client's connection, and what all its channels may know of it.
///
/// ```
/// use bennu_channels::prelude::*;
/// # struct RoomChannel;
/// # impl<S: Socket> Channel<S> for RoomChannel {
/// #     async fn join(_: &str, _: Payload, _: &mut Context<S, Self>) -> Result<Self, JoinError> { Ok(RoomChannel) }
/// # }
/// struct UserSocket { user_id: u64 }
///
/// impl Socket for UserSocket {
///     async fn connect(request: Connect) -> Result<Self, Refusal> {
///         let user_id = request.verify("user", request.param("token")?, Token::ONE_DAY)?;
///         Ok(UserSocket { user_id })
///     }
///     fn id(&self) -> Option<String> { Some(format!("user_socket:{}", self.user_id)) }
///     fn channels(router: &mut ChannelRouter<Self>) {
///         router.channel::<RoomChannel>("room:*");
///     }
/// }
/// ```
pub trait Socket: Sized + Send + Sync + 'static {
    /// A client wants to connect. What this returns is what every channel of the connection sees.
    ///
    /// # Errors
    /// [`Refusal`]: `?` on any error refuses plainly (403) and logs why.
    fn connect(request: Connect) -> impl Future<Output = Result<Self, Refusal>> + Send;

    /// Names the connections of, say, one user: broadcasting `disconnect` on that name closes them.
    fn id(&self) -> Option<String> {
        None
    }

    /// The channels, in the order in which their patterns are tried.
    fn channels(router: &mut ChannelRouter<Self>);
}

/// Why a connection is refused.
///
/// Without a reason the client gets 403; with one, the mount's error handler makes the response.
#[derive(Clone, PartialEq, Eq)]
pub struct Refusal {
    reason: Option<Cow<'static, str>>,
    cause: Option<String>,
}

impl Refusal {
    /// Refuses without a reason: 403.
    pub fn plain() -> Self {
        Refusal { reason: None, cause: None }
    }

    /// Refuses with a reason that the mount's error handler turns into a response.
    pub fn because(reason: impl Into<Cow<'static, str>>) -> Self {
        Refusal { reason: Some(reason.into()), cause: None }
    }

    /// The reason, for the error handler.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }
}

impl<E: std::error::Error> From<E> for Refusal {
    fn from(error: E) -> Self {
        Refusal { reason: None, cause: Some(describe(&error)) }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.cause.as_deref().or(self.reason()).unwrap_or("no reason given"))
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Refusal({self})")
    }
}
