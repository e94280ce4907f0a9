//! The router of a mount: both transports of a socket as axum routes.
//!
//! [`Mount::router`] is implemented here and not beside the builder: this file alone imports [`crate::mount`] and both
//! transports, so the transports may import the mount. Invariant: an endpoint has at most one living router at a path,
//! because axum panics when two routers with the same path are merged.

use crate::longpoll;
use crate::mount::Mount;
use crate::mount::mounted_socket::MountedSocket;
use crate::websocket::flusher::FlusherPool;
use crate::websocket::upgrade;
use axum::Router;
use axum::routing::{MethodRouter, any};
use bennu_channels::protocol::PatternError;
use bennu_channels::transport::SocketMount;
use bennu_channels::{Endpoint, GivenState, Socket};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};

/// The error of a socket that cannot be mounted: see [`Mount::router`].
///
/// ```
/// # use bennu::prelude::*;
/// # struct UserSocket;
/// # impl Socket for UserSocket {
/// #     type State = ();
/// #     async fn connect(_: Connect) -> Result<Self, Refusal> { Ok(UserSocket) }
/// #     fn channels(_: &mut ChannelRouter<Self>) {}
/// # }
/// # fn mount(endpoint: &Endpoint) {
/// use bennu::error::MountError;
///
/// let error = bennu::socket::<UserSocket>("socket").router::<()>(endpoint).unwrap_err();
/// assert_eq!(error, MountError::Path("socket".to_owned()));
/// # }
/// # let secret = bennu::token::Secret::new("a secret of at least twenty bytes").unwrap();
/// # mount(&Endpoint::new(secret));
/// ```
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MountError {
    /// The topic pattern of a channel cannot be routed.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// The path does not begin with a slash, ends with a slash, or has a part that axum cannot route.
    #[error(
        "could not mount a socket at {0:?}: the path must begin with \"/\" and must not end with \"/\", and a variable \
         part is written \"{{name}}\""
    )]
    Path(String),
    /// This endpoint has already mounted a socket at the path, and its router is still alive. The path is the one given to
    /// [`socket`](crate::socket), without the prefix of a `nest`: give nested sockets paths of their own. To serve one socket on
    /// two listeners, clone its router.
    #[error(
        "could not mount a socket at {0:?}: this endpoint already has a socket at that path; mount each socket at a \
         path of its own"
    )]
    Taken(String),
    /// The mount has no serializer, so no client could connect.
    #[error("could not mount a socket without a serializer; pass at least one to `serializers`")]
    NoSerializer,
}

impl<S: Socket, G> Mount<S, G> {
    /// Returns the router that serves the socket, to be merged into the application's router. It has no state of the
    /// application's, so it merges into a `Router<T>` of any `T`, before or after that router's `with_state`.
    ///
    /// ```
    /// # use bennu::prelude::*;
    /// # struct UserSocket;
    /// # impl Socket for UserSocket {
    /// #     type State = ();
    /// #     async fn connect(_: Connect) -> Result<Self, Refusal> { Ok(UserSocket) }
    /// #     fn channels(_: &mut ChannelRouter<Self>) {}
    /// # }
    /// # fn app(endpoint: Endpoint) -> Result<axum::Router, bennu::error::MountError> {
    /// use axum::routing::get;
    ///
    /// let socket = bennu::socket::<UserSocket>("/socket").router(&endpoint)?;
    /// let app = axum::Router::new().route("/", get(|| async { "hello" })).merge(socket);
    /// # Ok(app) }
    /// ```
    ///
    /// # Errors
    /// [`MountError`] if a topic pattern or the path is not valid, if the mount has no serializer, or if this endpoint
    /// already has a socket at the path.
    pub fn router<T>(self, endpoint: &Endpoint) -> Result<Router<T>, MountError>
    where
        G: GivenState<S::State>,
        T: Clone + Send + Sync + 'static,
    {
        if !self.path.strip_prefix('/').is_some_and(|path| path.split('/').all(is_routable)) {
            return Err(MountError::Path(self.path));
        }
        if self.options.serializers.is_empty() {
            return Err(MountError::NoSerializer);
        }
        let longpoll = self.options.longpoll.clone();
        let socket = SocketMount::new::<S>(endpoint.clone(), self.state.given(), self.limits)?;
        let mount = Arc::new(MountedSocket::new(socket, self.options));
        if !MountedPaths::of(endpoint).add(&self.path, &mount) {
            return Err(MountError::Taken(self.path));
        }
        let mut router = Router::new();
        if longpoll.enabled {
            let service = longpoll::Service::new(mount.clone(), longpoll);
            router = route(router, &self.path, "longpoll", any(move |request| service.serve(request)));
        }
        let flushers = Arc::new(FlusherPool::new());
        let serve = any(move |request| upgrade::serve(mount, flushers, request));
        Ok(route(router, &self.path, "websocket", serve))
    }
}

/// Formats the error as [`Display`](fmt::Display) does, because `main` prints its error with `Debug`.
impl fmt::Debug for MountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The paths at which an endpoint has sockets.
#[derive(Default)]
struct MountedPaths(Mutex<HashMap<String, Weak<MountedSocket>>>);

impl MountedPaths {
    fn of(endpoint: &Endpoint) -> Arc<Self> {
        endpoint.extension(Arc::default)
    }

    /// Adds a mount; returns `false` if the path has a mount whose router still exists. The name of a variable part
    /// makes no difference.
    fn add(&self, path: &str, mount: &Arc<MountedSocket>) -> bool {
        let segments = path.split('/').map(|segment| if segment.starts_with('{') { "{}" } else { segment });
        let route = segments.collect::<Vec<_>>().join("/");
        let mut paths = self.0.lock();
        if paths.get(&route).is_some_and(|mounted| mounted.strong_count() > 0) {
            return false;
        }
        paths.insert(route, Arc::downgrade(mount));
        true
    }
}

/// Returns whether axum can route a segment of a path; axum panics if it cannot.
fn is_routable(segment: &str) -> bool {
    let inner = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let name = inner.unwrap_or(segment);
    !name.is_empty() && !name.starts_with([':', '*']) && !name.contains(['{', '}'])
}

/// Routes the path of a transport, with and without a slash at its end.
fn route<T: Clone + Send + Sync + 'static>(
    router: Router<T>,
    path: &str,
    transport: &str,
    serve: MethodRouter<T>,
) -> Router<T> {
    router.route(&format!("{path}/{transport}/"), serve.clone()).route(&format!("{path}/{transport}"), serve)
}
