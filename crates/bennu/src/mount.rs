//! Mounting a socket at a path: its options, and the axum router that serves it.

use crate::longpoll::{self, LongPoll};
use crate::mounted::{Mounted, MountedPaths};
use crate::options::Options;
use crate::origin::CheckOrigin;
use crate::session_cookie::SessionCookie;
use crate::websocket::flush::Flushers;
use crate::websocket::upgrade;
use axum::Router;
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, any};
use bennu_channels::protocol::{PatternError, Serializer};
use bennu_channels::{Endpoint, GivenState, Limits, Refusal, Socket, SocketMount};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// A socket to be mounted at a path. `G` is the state that it was given, see [`Mount::with_state`].
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
/// # fn app(app: App, endpoint: Endpoint) -> Result<axum::Router, bennu::MountError> {
/// let app = axum::Router::new()
///     .merge(bennu::socket::<UserSocket>("/socket").with_state(app).compress(true).router(&endpoint)?);
/// # Ok(app) }
/// ```
pub struct Mount<S: Socket, G = ()> {
    path: String,
    options: Options,
    limits: Limits,
    state: Arc<G>,
    socket: PhantomData<fn() -> S>,
}

/// A socket that cannot be mounted.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MountError {
    /// A channel's topic pattern cannot be a route.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// The path does not begin with a slash or ends with one, or a part of it is no part of a path.
    #[error(
        "mount path {0:?} must begin with \"/\" and not end with it, and its variable parts are written \"{{name}}\""
    )]
    Path(String),
    /// The path is mounted already, with this endpoint.
    #[error("mount path {0:?} is taken: this endpoint has a socket there already; mount each at a path of its own")]
    Taken(String),
    /// No serializer is left that a client could speak.
    #[error("a socket needs at least one serializer")]
    NoSerializer,
}

/// Mounts a socket at a path; clients connect to `path/websocket`, and with [`Mount::longpoll`] to `path/longpoll`. The path may have parts like `/ws/{id}`, which
/// `connect` reads with `path_param`.
pub fn socket<S: Socket>(path: impl Into<String>) -> Mount<S> {
    Mount {
        path: path.into(),
        options: Options {
            timeout: Duration::from_secs(60),
            max_frame_size: 10_000_000,
            compress: false,
            check_origin: CheckOrigin::default(),
            subprotocols: Vec::new(),
            auth_token: false,
            serializers: Serializer::ALL.to_vec(),
            session: None,
            error_handler: None,
            longpoll: false.into(),
        },
        limits: Limits::default(),
        state: Arc::new(()),
        socket: PhantomData,
    }
}

impl<S: Socket, G> Mount<S, G> {
    /// Gives the socket its state, which `connect` and all its channels share: see [`Socket::State`]. A mount without
    /// the state that its socket names has no router, so it does not compile.
    pub fn with_state(self, state: S::State) -> Mount<S, S::State> {
        let Mount { path, options, limits, socket, .. } = self;
        Mount { path, options, limits, state: Arc::new(state), socket }
    }

    /// How long a client may be silent before it is closed with code 3008. Default 60 s: clients send a heartbeat every
    /// 30 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = timeout;
        self
    }

    /// Largest frame, header included, and largest message, in bytes; past it the client is closed with code 1009.
    /// Default 10,000,000, as Bandit's.
    pub fn max_frame_size(mut self, bytes: usize) -> Self {
        self.options.max_frame_size = bytes;
        self
    }

    /// Whether to accept `permessage-deflate` (RFC 7692). Default no: it costs CPU, and small messages grow little
    /// smaller. A broadcast is compressed once for all its receivers.
    pub fn compress(mut self, compress: bool) -> Self {
        self.options.compress = compress;
        self
    }

    /// Which pages may connect. Default: those of the same host. `true` and `false` are as in Phoenix.
    pub fn check_origin(mut self, check: impl Into<CheckOrigin>) -> Self {
        self.options.check_origin = check.into();
        self
    }

    /// WebSocket subprotocols, the preferred first. A client that offers only others is refused. Default none.
    pub fn subprotocols<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.options.subprotocols = names.into_iter().map(Into::into).collect();
        self
    }

    /// Whether to read phoenix.js's `authToken`, which travels as a subprotocol; `connect` gets it from
    /// `Connect::auth_token`. Default no.
    pub fn auth_token(mut self, read: bool) -> Self {
        self.options.auth_token = read;
        self
    }

    /// Which versions of the protocol may be spoken. Default both.
    pub fn serializers(mut self, serializers: impl IntoIterator<Item = Serializer>) -> Self {
        self.options.serializers = serializers.into_iter().collect();
        self
    }

    /// Reads the session from a cookie, for clients whose `_csrf_token` parameter matches it. Default no.
    pub fn session(mut self, cookie: SessionCookie) -> Self {
        self.options.session = Some(cookie);
        self
    }

    /// Whether clients may also long poll, at `path/longpoll`, and how: `true`, or a [`LongPoll`]. Default no, as in
    /// Phoenix. phoenix.js falls back to it by itself when told to by its option `longPollFallbackMs`.
    pub fn longpoll(mut self, longpoll: impl Into<LongPoll>) -> Self {
        self.options.longpoll = longpoll.into();
        self
    }

    /// Makes the response for WebSocket handshakes that were refused with a reason. Default 403 for all; a long-poll
    /// client is always told 403, the one refusal that it knows.
    pub fn error_handler<R: IntoResponse>(mut self, handler: impl Fn(&Refusal) -> R + Send + Sync + 'static) -> Self {
        self.options.error_handler = Some(Arc::new(move |refusal| handler(refusal).into_response()));
        self
    }

    /// Channels that one connection may have joined at once. Default 100.
    pub fn max_channels(mut self, channels: usize) -> Self {
        self.limits.max_channels = channels;
        self
    }

    /// Bytes that may wait for a client that does not read them, before it is closed. Default 4 MiB.
    pub fn max_outbox_bytes(mut self, bytes: usize) -> Self {
        self.limits.outbox_bytes = bytes;
        self
    }

    /// Bytes that may wait for one channel, before it crashes with `phx_error`. Default 1 MiB.
    pub fn max_mailbox_bytes(mut self, bytes: usize) -> Self {
        self.limits.mailbox_bytes = bytes;
        self
    }

    /// The router that serves the socket, to be merged into the application's. Its state is the mount's own: it merges
    /// into a `Router<T>` for any `T`, before or after that router's `.with_state(..)`.
    ///
    /// # Errors
    /// [`MountError`] for a topic pattern or a path that cannot be, and for a path that this endpoint has mounted already.
    pub fn router<T>(self, endpoint: &Endpoint) -> Result<Router<T>, MountError>
    where
        G: GivenState<S::State>,
        T: Clone + Send + Sync + 'static,
    {
        if !self.path.strip_prefix('/').is_some_and(|path| path.split('/').all(is_segment)) {
            return Err(MountError::Path(self.path));
        }
        if self.options.serializers.is_empty() {
            return Err(MountError::NoSerializer);
        }
        let longpoll = self.options.longpoll.clone();
        let socket = SocketMount::new::<S>(endpoint.clone(), self.state.given(), self.limits)?;
        let mount = Arc::new(Mounted::new(socket, self.options));
        if !MountedPaths::of(endpoint).add(&self.path, &mount) {
            return Err(MountError::Taken(self.path));
        }
        let mut router = Router::new();
        if longpoll.enabled {
            let service = longpoll::Service::new(mount.clone(), longpoll);
            router = route(router, &self.path, "longpoll", any(move |request| service.serve(request)));
        }
        let flushers = Arc::new(Flushers::new());
        let serve = any(move |request| upgrade::serve(mount, flushers, request));
        Ok(route(router, &self.path, "websocket", serve))
    }
}

/// As [`Display`](fmt::Display): `main` prints the error that it returns with `Debug`.
impl fmt::Debug for MountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether axum can route it: it panics at what it cannot.
fn is_segment(segment: &str) -> bool {
    let inner = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let name = inner.unwrap_or(segment);
    !name.is_empty() && !name.starts_with([':', '*']) && !name.contains(['{', '}'])
}

/// With or without a slash at the end.
fn route<T: Clone + Send + Sync + 'static>(
    router: Router<T>,
    path: &str,
    transport: &str,
    serve: MethodRouter<T>,
) -> Router<T> {
    router.route(&format!("{path}/{transport}/"), serve.clone()).route(&format!("{path}/{transport}"), serve)
}
