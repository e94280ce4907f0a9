//! One attempt to connect: params are asked for, then a transport is opened, or the other one.

use crate::address::Address;
use crate::long_poll::LongPoll;
use crate::params::Source;
use crate::settings::Settings;
use crate::stream::Tls;
use crate::websocket::WebSocket;
use crate::{ConnectError, Params};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::timeout;

/// Which transport a client uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Transport {
    /// WebSocket only; the default, as in phoenix.js.
    #[default]
    WebSocket,
    /// Long poll only.
    LongPoll,
    /// WebSocket, and long poll where WebSocket does not work: the handshake fails otherwise than by a refusal of the
    /// server's socket, or it, or the answer to a first heartbeat, takes longer than `after`.
    ///
    /// Once WebSocket has worked it is never given up: a server that restarts is no reason. Once long poll had to take
    /// over it stays, for as long as the client lives.
    Fallback {
        /// How long to wait for WebSocket.
        after: Duration,
    },
}

impl Transport {
    /// [`Transport::Fallback`] after 2.5 s, which is Phoenix's.
    pub const fn fallback() -> Self {
        Transport::Fallback { after: Duration::from_millis(2500) }
    }
}

/// What every attempt needs.
pub(crate) struct Connector {
    pub(crate) address: Arc<Address>,
    pub(crate) params: Params,
    pub(crate) more_params: Option<Source<Params>>,
    pub(crate) auth_token: Option<Source<String>>,
    pub(crate) tls: Tls,
    pub(crate) transport: Transport,
    pub(crate) settings: Arc<Settings>,
    pub(crate) memory: Memory,
}

/// What earlier attempts have shown.
#[derive(Default)]
pub(crate) struct Memory {
    websocket_works: AtomicBool,
    long_poll_took_over: AtomicBool,
}

pub(crate) enum Connection {
    WebSocket(Box<WebSocket>),
    LongPoll(Box<LongPoll>),
}

/// What an attempt brings along.
struct Credentials {
    params: Params,
    auth_token: Option<String>,
}

impl Connector {
    /// Tries once.
    ///
    /// # Errors
    /// Of the fallback, where there was one: it is the later word.
    pub(crate) async fn attempt(&self) -> Result<Connection, ConnectError> {
        let credentials = self.credentials().await?;
        let limit = self.settings.connect_timeout;
        match self.transport {
            Transport::LongPoll => within(limit, self.long_poll(&credentials)).await,
            Transport::Fallback { .. } if self.memory.long_poll_took_over.load(Ordering::Relaxed) => {
                within(limit, self.long_poll(&credentials)).await
            }
            Transport::Fallback { after } if !self.memory.websocket_works.load(Ordering::Relaxed) => {
                self.either(&credentials, after).await
            }
            Transport::WebSocket | Transport::Fallback { .. } => {
                let websocket = within(limit, self.websocket(&credentials)).await?;
                Ok(Connection::WebSocket(Box::new(websocket)))
            }
        }
    }

    async fn either(&self, credentials: &Credentials, after: Duration) -> Result<Connection, ConnectError> {
        let proved = async {
            let mut websocket = within(after, self.websocket(credentials)).await?;
            within(after, websocket.prove()).await?;
            Ok(websocket)
        };
        match proved.await {
            Ok(websocket) => {
                self.memory.websocket_works.store(true, Ordering::Relaxed);
                Ok(Connection::WebSocket(Box::new(websocket)))
            }
            Err(error) if is_of_the_socket(&error) => Err(error),
            Err(error) => {
                tracing::debug!(%error, "falling back to long poll");
                let connection = within(self.settings.connect_timeout, self.long_poll(credentials)).await?;
                self.memory.long_poll_took_over.store(true, Ordering::Relaxed);
                Ok(connection)
            }
        }
    }

    async fn credentials(&self) -> Result<Credentials, ConnectError> {
        let mut params = self.params.clone();
        if let Some(more) = &self.more_params {
            params.append(more.get().await?);
        }
        let auth_token = match &self.auth_token {
            Some(source) => Some(source.get().await?),
            None => None,
        };
        Ok(Credentials { params, auth_token })
    }

    async fn websocket(&self, credentials: &Credentials) -> Result<WebSocket, ConnectError> {
        let Credentials { params, auth_token } = credentials;
        WebSocket::open(&self.address, &self.tls, params, auth_token.as_deref(), self.settings.max_message_size).await
    }

    async fn long_poll(&self, credentials: &Credentials) -> Result<Connection, ConnectError> {
        let Credentials { params, auth_token } = credentials;
        let address = Arc::clone(&self.address);
        let max = self.settings.max_message_size;
        let opened = LongPoll::open(address, &self.tls, params, auth_token.as_deref(), max).await?;
        Ok(Connection::LongPoll(Box::new(opened)))
    }
}

/// Whether the server's socket has spoken: over another transport it would say the same. 401 and 403 are about who asks,
/// 429 and 503 about how much the server has to do; any other status may be a proxy's that knows no WebSocket.
fn is_of_the_socket(error: &ConnectError) -> bool {
    matches!(error, ConnectError::Refused { status: 401 | 403 | 429 | 503, .. })
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, ConnectError>>) -> Result<T, ConnectError> {
    timeout(limit, work).await.unwrap_or(Err(ConnectError::Timeout { after: limit }))
}
