//! The socket as its author writes it: who may connect, and which channels there are.

use crate::connect::Connect;
use crate::exit::{Crash, IntoCrash};
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
/// #     async fn join(_: &str, _: Payload, _: &mut Context<S, Self>) -> Joined<Self> { accept(RoomChannel) }
/// # }
/// struct UserSocket { user_id: u64 }
///
/// impl Socket for UserSocket {
///     type State = ();
///
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
    /// The application's state, such as its database pool: given to the mount by `.with_state(..)`, and shared by
    /// `connect` and all channels of the socket. `()` when there is none.
    ///
    /// A channel reads it with [`Context::state`](crate::Context::state). A channel for more than one socket asks for the
    /// part that it needs, as in `impl<S: Socket<State: AsRef<Db>>> Channel<S> for Audit`.
    type State: Send + Sync + 'static;

    /// Decides whether a client may connect. Every channel of the connection sees the socket that this returns.
    ///
    /// # Errors
    /// [`Refusal`]: `?` on any error refuses plainly (403) and logs why.
    fn connect(request: Connect<Self::State>) -> impl Future<Output = Result<Self, Refusal>> + Send;

    /// Names the connections of, say, one user: broadcasting `disconnect` on that name closes them.
    fn id(&self) -> Option<String> {
        None
    }

    /// The channels, in the order in which their patterns are tried.
    fn channels(router: &mut ChannelRouter<Self>);
}

/// Why a connection is refused.
///
/// | | the client gets |
/// |---|---|
/// | [`Refusal::plain`], `?` on an error | 403 |
/// | [`Refusal::because`] | the response of the mount's error handler; 403 without one |
/// | [`Refusal::stop`] | a connection that is closed at once, with code 1000 and the reason |
///
/// A browser hides the response to a refused handshake from its page, so in the first two cases a stock client connects
/// again for ever, more and more slowly. A client that long polls gets 403 in each case.
#[derive(Clone, PartialEq, Eq)]
pub struct Refusal {
    kind: Kind,
    cause: Option<String>,
}

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    Plain,
    Because(Cow<'static, str>),
    Stop(Cow<'static, str>),
}

impl Refusal {
    /// Refuses without a reason: 403.
    pub fn plain() -> Self {
        Refusal { kind: Kind::Plain, cause: None }
    }

    /// Refuses with a reason that the mount's error handler turns into a response.
    pub fn because(reason: impl Into<Cow<'static, str>>) -> Self {
        Refusal { kind: Kind::Because(reason.into()), cause: None }
    }

    /// Refuses for good: a client that is banned, or whose account has expired, need not try again.
    ///
    /// The handshake succeeds, and the connection is closed at once with code 1000 and the reason, which `phoenix.js` hands
    /// to `socket.onClose`. Up to version 1.8.15 it does not connect again. Later versions do unless the page disconnects,
    /// which one line does for all versions:
    ///
    /// ```js
    /// socket.onClose(({ code, reason }) => { if (code === 1000 && reason) socket.disconnect() })
    /// ```
    ///
    /// The Rust client stops by itself. The reason is cut at 123 bytes, the most that a close frame holds.
    pub fn stop(reason: impl Into<Cow<'static, str>>) -> Self {
        Refusal { kind: Kind::Stop(reason.into()), cause: None }
    }

    /// The reason, for the error handler.
    pub fn reason(&self) -> Option<&str> {
        match &self.kind {
            Kind::Plain => None,
            Kind::Because(reason) | Kind::Stop(reason) => Some(reason),
        }
    }

    /// Whether the client need not try again: see [`Refusal::stop`].
    pub fn is_final(&self) -> bool {
        matches!(self.kind, Kind::Stop(_))
    }
}

impl<E: IntoCrash> From<E> for Refusal {
    fn from(error: E) -> Self {
        Refusal::from(error.into_crash())
    }
}

impl From<Crash> for Refusal {
    fn from(crash: Crash) -> Self {
        Refusal { kind: Kind::Plain, cause: Some(crash.to_string()) }
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
