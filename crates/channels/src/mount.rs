//! A socket type made ready for transports: its router is built, its `connect` can be called without knowing its type.

use crate::admission::Crowded;
use crate::connect::Connect;
use crate::connection::{ChannelHandle, Common, Connected, Connection, Limits, Opener};
use crate::endpoint::Endpoint;
use crate::router::ChannelRouter;
use crate::socket::{Refusal, Socket};
use crate::telemetry::SocketInstruments;
use bennu_protocol::PatternError;
use futures::FutureExt;
use futures::future::BoxFuture;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio::time::Instant;
use tracing::Instrument;

/// A mounted socket. Cloning is cheap.
#[derive(Clone)]
pub struct SocketMount {
    connector: Arc<dyn Connector>,
    endpoint: Endpoint,
    common: Arc<Common>,
}

/// Why there is no connection.
#[derive(Debug)]
pub enum NotConnected {
    /// The socket refused.
    Refused(Refusal),
    /// `connect` panicked; the log says where.
    Crashed,
    /// Too many clients are on their way in; `connect` was not asked.
    Crowded(Crowded),
}

impl SocketMount {
    /// Builds the router of a socket, whose channels share `state`.
    ///
    /// # Errors
    /// [`PatternError`] for a pattern that cannot be a route.
    pub fn new<S: Socket>(endpoint: Endpoint, state: Arc<S::State>, limits: Limits) -> Result<Self, PatternError> {
        let router = Arc::new(ChannelRouter::<S>::of(state.clone())?);
        let common = Arc::new(Common { limits, instruments: SocketInstruments::of::<S>() });
        let connector = Arc::new(Typed { router, state, common: common.clone() });
        Ok(SocketMount { connector, endpoint, common })
    }

    /// The endpoint it belongs to.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Asks the socket, once this client may come in: of a crowd, 512 are on their way in at once, and the others wait by
    /// the order of coming.
    ///
    /// # Errors
    /// [`NotConnected`] when the socket refuses or panics, or when too many wait already.
    pub async fn connect(&self, request: Connect) -> Result<Connected, NotConnected> {
        let newcomer = self.endpoint.admission().enter().await.map_err(NotConnected::Crowded)?;
        // Counted from before `connect`: whoever gets in before a drain is told by it.
        let upgrading = self.endpoint.upgrade_started();
        let (opener, id) = self.connector.connect(request).await?;
        Ok(Connected {
            opener,
            id,
            endpoint: self.endpoint.clone(),
            common: self.common.clone(),
            upgrading,
            newcomer: Some(newcomer),
            refused: None,
        })
    }

    /// A client that its socket has refused for good, see [`Refusal::stop`]: its connection has no channels, and is
    /// closed with the reason as soon as it is open.
    pub fn turned_away(&self, refusal: &Refusal) -> Connected {
        Connected {
            opener: Arc::new(Nothing),
            id: None,
            endpoint: self.endpoint.clone(),
            common: self.common.clone(),
            upgrading: self.endpoint.upgrade_started(),
            newcomer: None,
            refused: Some(refusal.reason().unwrap_or_default().to_owned()),
        }
    }
}

/// The channels of a client that was turned away.
struct Nothing;

impl Opener for Nothing {
    fn open(&self, _topic: &str, _connection: &Arc<Connection>) -> Option<Arc<dyn ChannelHandle>> {
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
            common.instruments.connected(&params, endpoint.filter_parameters(), started.elapsed(), result);
            let (id, socket) = connected.map_err(NotConnected::Refused)?;
            let opener: Arc<dyn Opener> = Arc::new(Live { socket: Arc::new(socket), router });
            Ok((opener, id))
        }
        .boxed()
    }
}

/// One connected client's socket and its routes.
pub(crate) struct Live<S: Socket> {
    pub(crate) socket: Arc<S>,
    pub(crate) router: Arc<ChannelRouter<S>>,
}

impl<S: Socket> Opener for Live<S> {
    fn open(&self, topic: &str, connection: &Arc<Connection>) -> Option<Arc<dyn ChannelHandle>> {
        self.router.open(topic, &self.socket, connection)
    }

    #[cfg(feature = "testkit")]
    fn socket(&self) -> Arc<dyn std::any::Any + Send + Sync> {
        self.socket.clone()
    }
}
