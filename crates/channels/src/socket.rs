//! The socket, as the application defines it: a decision about each client that connects, and the routes of its
//! channels.

pub(crate) mod connect;
pub(crate) mod mount;
pub(crate) mod params;
pub(crate) mod router;

use crate::outcome::exit::{Crash, IntoCrash};
use crate::socket::connect::Connect;
use crate::socket::router::ChannelRouter;
use std::borrow::Cow;
use std::fmt;
use std::future::Future;

/// The connection of one client, with the data that all its channels share.
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
    /// The application's state, such as its database pool. `.with_state(..)` gives it to the mount; `connect` and all
    /// channels of the socket share it. `()` when there is none.
    ///
    /// A channel reads it with [`Context::state`](crate::Context::state). A channel for more than one socket requires
    /// only the part that it needs, as in `impl<S: Socket<State: AsRef<Db>>> Channel<S> for Audit`.
    type State: Send + Sync + 'static;

    /// Decides whether a client may connect. All channels of the connection share the socket that it returns.
    ///
    /// # Errors
    /// [`Refusal`] refuses the client. `?` on any error makes one without a reason for the client (403), and logs the
    /// error.
    fn connect(request: Connect<Self::State>) -> impl Future<Output = Result<Self, Refusal>> + Send;

    /// Returns the name of a group of connections, such as those of one user. Broadcasting `disconnect` to that name
    /// closes them, see [`Endpoint::disconnect`](crate::Endpoint::disconnect).
    fn id(&self) -> Option<String> {
        None
    }

    /// Registers the channels, in the order in which their patterns are tried.
    fn channels(router: &mut ChannelRouter<Self>);
}

/// The refusal of a connection.
///
/// | | the client gets |
/// |---|---|
/// | [`Refusal::plain`], `?` on an error | 403 |
/// | [`Refusal::because`] | the response of the mount's error handler; 403 without one |
/// | [`Refusal::stop`] | a connection that is closed at once, with code 1000 and the reason |
///
/// A browser hides the response to a refused handshake from its page, so that in the first two cases a stock client
/// connects again for ever, at growing intervals. A client that long polls gets 403 in each case.
///
/// ```
/// use bennu_channels::Refusal;
///
/// fn check(name: &str) -> Result<(), Refusal> {
///     match name {
///         "" => Err(Refusal::because("a name is missing")),
///         "mallory" => Err(Refusal::stop("banned")),
///         _ => Ok(()),
///     }
/// }
/// assert_eq!(check("mallory").unwrap_err().reason(), Some("banned"));
/// ```
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

    /// Refuses for good, for a client that is banned or whose account has expired.
    ///
    /// The handshake succeeds, and the connection is closed at once with code 1000 and the reason, which `phoenix.js`
    /// passes to `socket.onClose`. Up to version 1.8.15 `phoenix.js` does not connect again. Later versions do, unless
    /// the page disconnects. One line does so for all versions:
    ///
    /// ```js
    /// socket.onClose(({ code, reason }) => { if (code === 1000 && reason) socket.disconnect() })
    /// ```
    ///
    /// The Rust client stops by itself. The reason is cut at 123 bytes, the most that a close frame holds.
    pub fn stop(reason: impl Into<Cow<'static, str>>) -> Self {
        Refusal { kind: Kind::Stop(reason.into()), cause: None }
    }

    /// Returns the reason, for the error handler.
    pub fn reason(&self) -> Option<&str> {
        match &self.kind {
            Kind::Plain => None,
            Kind::Because(reason) | Kind::Stop(reason) => Some(reason),
        }
    }

    /// Returns whether it was made by [`Refusal::stop`].
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
