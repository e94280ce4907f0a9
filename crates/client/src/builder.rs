//! Describing a client before it connects.

use crate::address::Address;
use crate::connect::{Connector, Memory};
use crate::driver::Driver;
use crate::params::{Answer, Source};
use crate::session::Session;
use crate::settings::Settings;
use crate::stream::Tls;
use crate::{Client, ConnectError, Params, QueueLimit, Schedule, Transport, random};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// A client that is not connected yet. Made by [`Client::builder`].
#[derive(Clone)]
#[must_use = "nothing is connected before `connect` or `start`"]
pub struct Builder {
    url: String,
    params: Params,
    more_params: Option<Source<Params>>,
    auth_token: Option<Source<String>>,
    tls: Tls,
    transport: Transport,
    settings: Settings,
}

impl Builder {
    pub(crate) fn new(url: String) -> Self {
        Builder {
            url,
            params: Params::default(),
            more_params: None,
            auth_token: None,
            tls: Tls::default(),
            transport: Transport::default(),
            settings: Settings::default(),
        }
    }

    /// One param of the connection.
    pub fn param(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.params = self.params.with(key, value);
        self
    }

    /// Params of the connection, beside those that were given before.
    pub fn params(mut self, params: impl Into<Params>) -> Self {
        self.params.append(params.into());
        self
    }

    /// A function that is asked for params at every attempt to connect; its answer comes beside the values. It answers
    /// [`Params`], an array of pairs, or a `Result` of either.
    ///
    /// For a token that expires: the attempt after a refusal brings a new one.
    ///
    /// ```
    /// # async fn fetch_token() -> Result<String, std::io::Error> { Ok("secret".to_owned()) }
    /// use bennu_client::Client;
    ///
    /// let client = Client::builder("ws://localhost:4000/auth_socket")
    ///     .params_with(async || fetch_token().await.map(|token| [("token", token)]));
    /// ```
    pub fn params_with<F, R>(mut self, ask: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output: Answer<Params>> + Send + 'static,
    {
        self.more_params = Some(Source::function(ask));
        self
    }

    /// The token that travels outside of the URL, as the `authToken` of phoenix.js: as a subprotocol of a WebSocket, as
    /// a header of long poll. The server reads it with `auth_token` on.
    pub fn auth_token(mut self, token: impl Into<String>) -> Self {
        self.auth_token = Some(Source::Value(token.into()));
        self
    }

    /// A function that is asked for the token at every attempt to connect; it answers a `String` or a `Result` of it.
    pub fn auth_token_with<F, R>(mut self, ask: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output: Answer<String>> + Send + 'static,
    {
        self.auth_token = Some(Source::function(ask));
        self
    }

    /// Which transport to use; [`Transport::WebSocket`] by default.
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    /// How to speak TLS: for a private authority, or a client's own certificate. By default, Mozilla's list of
    /// authorities is trusted.
    #[cfg(feature = "tls")]
    pub fn tls_config(mut self, config: impl Into<Arc<rustls::ClientConfig>>) -> Self {
        self.tls = Tls { config: Some(config.into()) };
        self
    }

    /// How often the client says that it lives, and how long the server may take to answer; 30 s by default, which is
    /// phoenix.js's. The first heartbeat of a connection comes earlier by up to the jitter.
    pub fn heartbeat(mut self, interval: Duration) -> Self {
        self.settings.heartbeat = interval;
        self
    }

    /// How long a push waits for its reply; 10 s by default, which is phoenix.js's.
    pub fn push_timeout(mut self, timeout: Duration) -> Self {
        self.settings.push_timeout = timeout;
        self
    }

    /// How long a join waits for its reply; 10 s by default, which is phoenix.js's.
    pub fn join_timeout(mut self, timeout: Duration) -> Self {
        self.settings.join_timeout = timeout;
        self
    }

    /// How long an attempt to connect may take, not counting the functions that are asked; 10 s by default.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = timeout;
        self
    }

    /// When to connect again; [`Schedule::RECONNECT`] by default. It begins anew once the server has said something.
    pub fn reconnect(mut self, schedule: Schedule) -> Self {
        self.settings.reconnect = schedule;
        self
    }

    /// When to join again after a crash or a refusal; [`Schedule::REJOIN`] by default. It begins anew with a join that
    /// is answered ok, and with a new connection, which rejoins at once.
    pub fn rejoin(mut self, schedule: Schedule) -> Self {
        self.settings.rejoin = schedule;
        self
    }

    /// By how much each delay of the schedules varies, as a share of it: 0.5 by default, which makes 0.5 to 1.5 of each.
    /// 0 keeps the schedules as they are.
    ///
    /// A server that restarts loses thousands of clients in one moment. Without jitter they come back in step, all at
    /// each step of the schedule; with it, the step at which the server is back is as wide as it is long.
    pub fn jitter(mut self, share: f32) -> Self {
        self.settings.jitter = share;
        self
    }

    /// How much may wait to be sent, all channels together, joined or not; 1,000 messages and 1 MiB by default. One more
    /// is refused at once with [`PushError::BufferFull`](crate::PushError::BufferFull). The first is taken whatever its
    /// size.
    pub fn push_buffer(mut self, limit: QueueLimit) -> Self {
        self.settings.push_buffer = limit;
        self
    }

    /// How many events of a channel may wait to be read; 1,000 and 4 MiB by default. Past it the oldest are dropped, and
    /// [`Event::Lagged`](crate::Event::Lagged) tells how many. The newest is kept whatever its size.
    pub fn event_queue(mut self, limit: QueueLimit) -> Self {
        self.settings.event_queue = limit;
        self
    }

    /// The largest message that the server may send, in bytes; 16 MiB by default. Past it the connection is closed with
    /// 1009, and tried again.
    pub fn max_message_size(mut self, bytes: usize) -> Self {
        self.settings.max_message_size = bytes;
        self
    }

    /// Connects, and waits for how the first attempt goes. From then on the client connects again whenever it has to.
    ///
    /// Must be called on a tokio runtime, where the client's task runs.
    ///
    /// # Errors
    /// [`ConnectError`] when the first attempt fails; the client is gone then. [`ConnectError::Refused`] has the
    /// server's status and words.
    ///
    /// # Cancellation
    /// A dropped attempt is given up.
    pub async fn connect(self) -> Result<Client, ConnectError> {
        let client = self.start()?;
        client.first_connection().await?;
        Ok(client)
    }

    /// Starts a client that connects on its own, and keeps trying from the first attempt on: for a server that may
    /// not be up yet. [`Client::states`] tells how it goes.
    ///
    /// # Errors
    /// Only [`ConnectError::Url`].
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(self) -> Result<Client, ConnectError> {
        let settings = Arc::new(self.settings);
        let connector = Arc::new(Connector {
            address: Arc::new(Address::parse(&self.url)?),
            params: self.params,
            more_params: self.more_params,
            auth_token: self.auth_token,
            tls: self.tls,
            transport: self.transport,
            settings: Arc::clone(&settings),
            memory: Memory::default(),
        });
        let client = Client::new(Session::new(settings, u64::from_ne_bytes(random::bytes())));
        tokio::spawn(Driver::new(Arc::clone(&client.hold.shared), connector));
        Ok(client)
    }
}
