//! The mount of a socket: the socket's router, and its `connect` behind an interface without the socket's type.

use crate::connection::{Common, Connected, Connection, Limits, Opener, SessionChannel};
use crate::endpoint::Endpoint;
use crate::endpoint::admission::Overloaded;
use crate::socket::connect::Connect;
use crate::socket::router::ChannelRouter;
use crate::socket::{Refusal, Socket};
use crate::telemetry::{Filtered, SocketInstruments};
use bennu_protocol::PatternError;
use futures::FutureExt;
use futures::future::BoxFuture;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio::time::Instant;
use tracing::Instrument;

/// A mounted socket, with which transports connect clients. Cloning is cheap.
#[derive(Clone)]
pub struct SocketMount {
    connector: Arc<dyn Connector>,
    endpoint: Endpoint,
    common: Arc<Common>,
}

/// The reason for which a client has not been connected.
#[derive(Debug)]
pub enum NotConnected {
    /// The socket refused.
    Refused(Refusal),
    /// `connect` panicked; the log contains the place.
    Crashed,
    /// Too many clients wait already; `connect` was not called.
    Overloaded(Overloaded),
}

impl SocketMount {
    /// Mounts a socket, whose channels share `state`.
    ///
    /// # Errors
    /// [`PatternError`] for a pattern that cannot be a route.
    pub fn new<S: Socket>(endpoint: Endpoint, state: Arc<S::State>, limits: Limits) -> Result<Self, PatternError> {
        let router = Arc::new(ChannelRouter::<S>::of(state.clone())?);
        let common = Arc::new(Common { limits, instruments: SocketInstruments::of::<S>() });
        let connector = Arc::new(Typed { router, state, common: common.clone() });
        Ok(SocketMount { connector, endpoint, common })
    }

    /// Returns the endpoint of the mount.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Calls the socket's `connect`, once the client has a permit. Of a crowd, 512 clients connect and join at the same
    /// time, and the others wait in their order.
    ///
    /// # Errors
    /// [`NotConnected`] when the socket refuses or panics, or when too many clients wait already.
    pub async fn connect(&self, request: Connect) -> Result<Connected, NotConnected> {
        let permit = self.endpoint.admission().acquire().await.map_err(NotConnected::Overloaded)?;
        // Counted from before `connect`, so that a drain closes every client that connects before it.
        let upgrading = self.endpoint.upgrade_started();
        let (opener, id) = self.connector.connect(request).await?;
        Ok(Connected {
            opener,
            id,
            endpoint: self.endpoint.clone(),
            common: self.common.clone(),
            upgrading,
            permit: Some(permit),
            refused: None,
        })
    }

    /// Returns the connection of a client that its socket has refused for good, see [`Refusal::stop`]. The connection
    /// has no channels, and is closed with the reason as soon as it is open.
    pub fn refused_for_good(&self, refusal: &Refusal) -> Connected {
        Connected {
            opener: Arc::new(NoChannels),
            id: None,
            endpoint: self.endpoint.clone(),
            common: self.common.clone(),
            upgrading: self.endpoint.upgrade_started(),
            permit: None,
            refused: Some(refusal.reason().unwrap_or_default().to_owned()),
        }
    }
}

/// The channels of a client that was refused: none.
struct NoChannels;

impl Opener for NoChannels {
    fn open(&self, _topic: &str, _connection: &Arc<Connection>) -> Option<Arc<dyn SessionChannel>> {
        None
    }

    #[cfg(feature = "testkit")]
    fn socket(&self) -> Arc<dyn std::any::Any + Send + Sync> {
        Arc::new(())
    }
}

type Opened = (Arc<dyn Opener>, Option<String>);

trait Connector: Send + Sync {
    fn connect(&self, request: Connect) -> BoxFuture<'static, Result<Opened, NotConnected>>;
}

struct Typed<S: Socket> {
    router: Arc<ChannelRouter<S>>,
    state: Arc<S::State>,
    common: Arc<Common>,
}

impl<S: Socket> Connector for Typed<S> {
    fn connect(&self, request: Connect) -> BoxFuture<'static, Result<Opened, NotConnected>> {
        let (router, state, common) = (self.router.clone(), self.state.clone(), self.common.clone());
        async move {
            let started = Instant::now();
            let (params, endpoint) = (request.params.clone(), request.endpoint.clone());
            let span = common.instruments.connect_span();
            let request = request.with_state(state);
            let connecting = async { S::connect(request).await.map(|socket| (socket.id(), socket)) }.instrument(span);
            let connected = AssertUnwindSafe(connecting).catch_unwind().await.map_err(|_| {
                common.instruments.connect_crashed("see the panic's own message above");
                NotConnected::Crashed
            })?;
            let result = connected.as_ref().map(|_| ()).map_err(|refusal| refusal as &dyn std::fmt::Display);
            let parameters = Filtered { value: &params, names: endpoint.filter_parameters() };
            common.instruments.connected(&parameters, started.elapsed(), result);
            let (id, socket) = connected.map_err(NotConnected::Refused)?;
            let opener: Arc<dyn Opener> = Arc::new(Live { socket: Arc::new(socket), router });
            Ok((opener, id))
        }
        .boxed()
    }
}

/// The socket of one connected client, and its routes.
pub(crate) struct Live<S: Socket> {
    pub(crate) socket: Arc<S>,
    pub(crate) router: Arc<ChannelRouter<S>>,
}

impl<S: Socket> Opener for Live<S> {
    fn open(&self, topic: &str, connection: &Arc<Connection>) -> Option<Arc<dyn SessionChannel>> {
        self.router.open(topic, &self.socket, connection)
    }

    #[cfg(feature = "testkit")]
    fn socket(&self) -> Arc<dyn std::any::Any + Send + Sync> {
        self.socket.clone()
    }
}

/// Checks that the state of a mount is the socket's [`Socket::State`](crate::Socket::State).
///
/// Implemented for every type, with itself as the state. `()` is the state of a mount without `.with_state(..)`. A
/// mount with a state of another type than its socket's does not compile.
#[diagnostic::on_unimplemented(
    message = "the socket's state is `{T}`, given is `{Self}`",
    label = "write `.with_state(..)` before this, with a value of type `{T}`"
)]
pub trait GivenState<T>: Sized {
    /// Returns the state itself.
    #[doc(hidden)]
    fn given(self: Arc<Self>) -> Arc<T>;
}

#[diagnostic::do_not_recommend]
impl<T> GivenState<T> for T {
    fn given(self: Arc<Self>) -> Arc<T> {
        self
    }
}
