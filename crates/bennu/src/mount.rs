//! The mount of a socket: its path, its options and its state, before it becomes a router.
//!
//! An application calls [`socket`], sets options on the [`Mount`], and calls [`Mount::router`], which `crate::router`
//! implements. The folder also owns the parts that both transports use:
//!
//! - [`mounted_socket`]: the socket with its options, and the checks before `connect`.
//! - [`origin`]: the check of a browser's `Origin`.
//! - [`session_cookie`]: the session of a page, read from a signed cookie.
//! - [`longpoll`]: the options of long polling.
//!
//! Invariant: nothing in this folder imports a transport, so both transports may import this folder.

pub(crate) mod longpoll;
pub(crate) mod mounted_socket;
pub(crate) mod origin;
pub(crate) mod session_cookie;

pub use longpoll::LongPoll;
pub use origin::CheckOrigin;
pub use session_cookie::{CSRF_PARAM, SessionCookie, SessionMap};

use axum::response::IntoResponse;
use bennu_channels::protocol::Serializer;
use bennu_channels::transport::Limits;
use bennu_channels::{Refusal, Socket};
use mounted_socket::Options;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// A builder that mounts a socket at a path. `G` is the type of the state that [`Mount::with_state`] was called with.
///
/// The defaults suit most applications. This example sets every option:
///
/// ```
/// # use bennu::prelude::*;
/// # struct UserSocket;
/// # #[derive(Clone)] struct App;
/// # impl Socket for UserSocket {
/// #     type State = App;
/// #     async fn connect(_: Connect<App>) -> Result<Self, Refusal> { Ok(UserSocket) }
/// #     fn channels(_: &mut ChannelRouter<Self>) {}
/// # }
/// use axum::http::StatusCode;
/// use bennu::protocol::Serializer;
/// use bennu::{CheckOrigin, LongPoll, SessionCookie};
/// use std::time::Duration;
///
/// # fn app(app: App, endpoint: Endpoint) -> Result<axum::Router, Box<dyn std::error::Error>> {
/// let socket = bennu::socket::<UserSocket>("/socket")
///     .with_state(app)
///     .check_origin(CheckOrigin::list(["https://example.com"])?)
///     .session(SessionCookie::new("_app_key", "signing salt"))
///     .auth_token(true)
///     .longpoll(LongPoll::default().window(Duration::from_secs(15)))
///     .error_handler(|_refusal| StatusCode::UNAUTHORIZED)
///     .timeout(Duration::from_secs(90))
///     .max_frame_size(1_000_000)
///     .compress(true)
///     .subprotocols(["phoenix"])
///     .serializers([Serializer::V2])
///     .max_channels(20)
///     .max_outbox_bytes(1 << 20)
///     .max_mailbox_bytes(256 << 10);
/// let app = axum::Router::new().merge(socket.router(&endpoint)?);
/// # Ok(app) }
/// ```
pub struct Mount<S: Socket, G = ()> {
    pub(crate) path: String,
    pub(crate) options: Options,
    pub(crate) limits: Limits,
    pub(crate) state: Arc<G>,
    socket: PhantomData<fn() -> S>,
}

/// Mounts a socket at a path. Clients connect to `path/websocket`, and with [`Mount::longpoll`] also to
/// `path/longpoll`.
///
/// The path begins with a slash and does not end with one. A part of it may be variable, written `{name}`; `connect`
/// reads it with `Connect::path_param`. [`Mount::router`] checks the path.
///
/// ```
/// use bennu::prelude::*;
///
/// struct TenantSocket {
///     tenant: String,
/// }
///
/// impl Socket for TenantSocket {
///     type State = ();
///
///     async fn connect(request: Connect) -> Result<Self, Refusal> {
///         Ok(TenantSocket { tenant: request.path_param("tenant")?.to_owned() })
///     }
///
///     fn channels(_router: &mut ChannelRouter<Self>) {}
/// }
///
/// let mount = bennu::socket::<TenantSocket>("/tenants/{tenant}/socket");
/// ```
pub fn socket<S: Socket>(path: impl Into<String>) -> Mount<S> {
    Mount {
        path: path.into(),
        options: Options::default(),
        limits: Limits::default(),
        state: Arc::new(()),
        socket: PhantomData,
    }
}

impl<S: Socket, G> Mount<S, G> {
    /// Sets the state that `connect` and all channels of the socket share: see [`Socket::State`]. A mount without the
    /// state that its socket names has no `router` method, so the program does not compile.
    pub fn with_state(self, state: S::State) -> Mount<S, S::State> {
        let Mount { path, options, limits, socket, .. } = self;
        Mount { path, options, limits, state: Arc::new(state), socket }
    }

    /// Sets how long a client may send nothing. Past it, the server closes a WebSocket with code 3008, and refuses a
    /// POST whose body is not complete. Default 60 s: Phoenix clients send a heartbeat every 30 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = timeout;
        self
    }

    /// Sets the largest size of a frame with its header, and of a message, in bytes. Past it, the server closes the
    /// connection with code 1009. Default 10,000,000, as in Bandit.
    pub fn max_frame_size(mut self, bytes: usize) -> Self {
        self.options.max_frame_size = bytes;
        self
    }

    /// Sets whether the server accepts `permessage-deflate` (RFC 7692). Default no: compression costs CPU and saves
    /// little on small messages. A broadcast is compressed once for all its receivers.
    pub fn compress(mut self, compress: bool) -> Self {
        self.options.compress = compress;
        self
    }

    /// Sets which pages may connect, by their origin. Default [`CheckOrigin::same_host`]. `true` and `false` mean the
    /// same as in Phoenix.
    pub fn check_origin(mut self, check: impl Into<CheckOrigin>) -> Self {
        self.options.check_origin = check.into();
        self
    }

    /// Sets the WebSocket subprotocols that the server supports, in order of preference. A client that offers only
    /// other subprotocols is refused with status 403. Default none.
    pub fn subprotocols<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.options.subprotocols = names.into_iter().map(Into::into).collect();
        self
    }

    /// Sets whether the server reads the `authToken` of phoenix.js, which a WebSocket sends as a subprotocol and long
    /// polling as a header; `connect` reads it with `Connect::auth_token`. Default no.
    pub fn auth_token(mut self, read: bool) -> Self {
        self.options.auth_token = read;
        self
    }

    /// Sets the versions of the protocol that clients may use. Default both.
    pub fn serializers(mut self, serializers: impl IntoIterator<Item = Serializer>) -> Self {
        self.options.serializers = serializers.into_iter().collect();
        self
    }

    /// Reads the session of a client from this cookie, if the client's parameter `_csrf_token` equals the CSRF token of
    /// the session; `connect` finds it in `ConnectInfo::session`. Default: no session is read.
    pub fn session(mut self, cookie: SessionCookie) -> Self {
        self.options.session = Some(cookie);
        self
    }

    /// Sets whether clients may also long poll, at `path/longpoll`: `true`, or a [`LongPoll`] with its options. Default
    /// no, as in Phoenix. phoenix.js falls back to long polling if its option `longPollFallbackMs` is set.
    pub fn longpoll(mut self, longpoll: impl Into<LongPoll>) -> Self {
        self.options.longpoll = longpoll.into();
        self
    }

    /// Sets the function that creates the response to a WebSocket handshake that `connect` refused with a reason.
    /// Default: status 403 for every refusal. A long-poll client always receives 403, the only refusal that its
    /// protocol has. A final refusal, [`Refusal::stop`](crate::Refusal::stop), does not reach it: the handshake
    /// succeeds, and the connection is closed with 1000.
    ///
    /// ```
    /// # use bennu::prelude::*;
    /// # struct UserSocket;
    /// # impl Socket for UserSocket {
    /// #     type State = ();
    /// #     async fn connect(_: Connect) -> Result<Self, Refusal> { Ok(UserSocket) }
    /// #     fn channels(_: &mut ChannelRouter<Self>) {}
    /// # }
    /// use axum::http::StatusCode;
    ///
    /// let mount = bennu::socket::<UserSocket>("/socket").error_handler(|refusal| match refusal.reason() {
    ///     Some("busy") => (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "5")]),
    ///     _ => (StatusCode::FORBIDDEN, [("retry-after", "60")]),
    /// });
    /// ```
    pub fn error_handler<R: IntoResponse>(mut self, handler: impl Fn(&Refusal) -> R + Send + Sync + 'static) -> Self {
        self.options.error_handler = Some(Arc::new(move |refusal| handler(refusal).into_response()));
        self
    }

    /// Sets how many channels one connection may have joined at once. Past it, a join receives an error reply. Default
    /// 100.
    pub fn max_channels(mut self, channels: usize) -> Self {
        self.limits.max_channels = channels;
        self
    }

    /// Sets how many bytes may wait for a client that does not read them. Past it, the server closes the connection.
    /// Default 4 MiB.
    pub fn max_outbox_bytes(mut self, bytes: usize) -> Self {
        self.limits.outbox_bytes = bytes;
        self
    }

    /// Sets how many bytes may wait for one channel. Past it, the channel crashes and its client receives `phx_error`.
    /// Default 1 MiB.
    pub fn max_mailbox_bytes(mut self, bytes: usize) -> Self {
        self.limits.mailbox_bytes = bytes;
        self
    }
}
