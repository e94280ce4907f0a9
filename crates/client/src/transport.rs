//! The transports: WebSocket and long poll, and the attempt to connect with one of them.
//!
//! The driver starts [`Connector::connect`], which obtains the credentials and opens a transport. Then the driver polls
//! the open [`Connection`], which passes received messages to the session and fetches the messages to send from it.

mod address;
mod http;
mod long_poll;
mod stream;
mod websocket;

pub(crate) use address::Address;
pub(crate) use long_poll::LongPoll;
pub(crate) use stream::Tls;
pub(crate) use websocket::WebSocket;

use crate::params::Provider;
use crate::settings::{Settings, Transport};
use crate::{ConnectError, ConnectParams};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::timeout;

/// Opens the connections of a client.
pub(crate) struct Connector {
    pub(crate) address: Arc<Address>,
    pub(crate) params: ConnectParams,
    pub(crate) params_provider: Option<Provider<ConnectParams>>,
    pub(crate) auth_token: Option<Provider<String>>,
    pub(crate) tls: Tls,
    pub(crate) settings: Arc<Settings>,
    pub(crate) fallback: FallbackState,
}

/// The results of earlier attempts with [`Transport::Fallback`].
#[derive(Default)]
pub(crate) struct FallbackState {
    websocket_worked: AtomicBool,
    fell_back: AtomicBool,
}

pub(crate) enum Connection {
    WebSocket(Box<WebSocket>),
    LongPoll(Box<LongPoll>),
}

struct Credentials {
    params: ConnectParams,
    auth_token: Option<String>,
}

impl Connector {
    /// Makes one attempt to connect.
    ///
    /// # Errors
    /// [`ConnectError`]. When both transports fail, it is the error of long poll, the later one.
    pub(crate) async fn connect(&self) -> Result<Connection, ConnectError> {
        let credentials = self.credentials().await?;
        let limit = self.settings.connect_timeout;
        match self.settings.transport {
            Transport::LongPoll => within(limit, self.long_poll(&credentials)).await,
            Transport::Fallback { .. } if self.fallback.fell_back.load(Ordering::Relaxed) => {
                within(limit, self.long_poll(&credentials)).await
            }
            Transport::Fallback { after } if !self.fallback.websocket_worked.load(Ordering::Relaxed) => {
                self.websocket_or_long_poll(&credentials, after).await
            }
            Transport::WebSocket | Transport::Fallback { .. } => {
                let websocket = within(limit, self.websocket(&credentials)).await?;
                Ok(Connection::WebSocket(Box::new(websocket)))
            }
        }
    }

    async fn websocket_or_long_poll(
        &self,
        credentials: &Credentials,
        after: Duration,
    ) -> Result<Connection, ConnectError> {
        let checked = async {
            let mut websocket = within(after, self.websocket(credentials)).await?;
            within(after, websocket.exchange_heartbeat()).await?;
            Ok(websocket)
        };
        match checked.await {
            Ok(websocket) => {
                self.fallback.websocket_worked.store(true, Ordering::Relaxed);
                Ok(Connection::WebSocket(Box::new(websocket)))
            }
            Err(error) if is_refusal_by_the_socket(&error) => Err(error),
            Err(error) => {
                tracing::debug!(%error, "falling back to long poll");
                let connection = within(self.settings.connect_timeout, self.long_poll(credentials)).await?;
                self.fallback.fell_back.store(true, Ordering::Relaxed);
                Ok(connection)
            }
        }
    }

    async fn credentials(&self) -> Result<Credentials, ConnectError> {
        let mut params = self.params.clone();
        if let Some(provider) = &self.params_provider {
            params.append(provider.get().await?);
        }
        let auth_token = match &self.auth_token {
            Some(provider) => Some(provider.get().await?),
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

/// Returns whether the server's socket itself has refused: it would refuse over another transport too. 401 and 403
/// concern the credentials, 429 and 503 the server's load. Any other status may come from a proxy without WebSocket.
fn is_refusal_by_the_socket(error: &ConnectError) -> bool {
    matches!(error, ConnectError::Refused { status: 401 | 403 | 429 | 503, .. })
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, ConnectError>>) -> Result<T, ConnectError> {
    timeout(limit, work).await.unwrap_or(Err(ConnectError::Timeout { after: limit }))
}
