//! The builder of a client: its URL, credentials and settings.

use crate::driver::Driver;
use crate::params::{Provider, ProviderOutput};
use crate::session::Session;
use crate::settings::Settings;
use crate::transport::{Address, Connector, FallbackState, Tls};
use crate::{Client, ConnectError, ConnectParams, QueueLimit, Schedule, Transport, random};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Configures a client before it connects. Created by [`Client::builder`].
#[derive(Clone)]
#[must_use = "a client connects after `connect` or `start`"]
pub struct ClientBuilder {
    url: String,
    params: ConnectParams,
    params_provider: Option<Provider<ConnectParams>>,
    auth_token: Option<Provider<String>>,
    headers: Vec<(String, String)>,
    tls: Tls,
    settings: Settings,
}

/// The headers of a request that the client itself writes.
const OWN_HEADERS: [HeaderName; 6] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::HOST,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::SEC_WEBSOCKET_PROTOCOL,
];

impl ClientBuilder {
    pub(crate) fn new(url: String) -> Self {
        ClientBuilder {
            url,
            params: ConnectParams::default(),
            params_provider: None,
            auth_token: None,
            headers: Vec::new(),
            tls: Tls::default(),
            settings: Settings::default(),
        }
    }

    /// Adds one param of the connection.
    pub fn param(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.params = self.params.with(key, value);
        self
    }

    /// Adds params of the connection to the earlier ones.
    pub fn params(mut self, params: impl Into<ConnectParams>) -> Self {
        self.params.append(params.into());
        self
    }

    /// Sets a function that provides params at each attempt to connect, in addition to the fixed ones. It returns
    /// [`ConnectParams`], an array of pairs, or a `Result` of either.
    ///
    /// Use it for a token that expires: the attempt after a refusal sends a new one.
    ///
    /// ```
    /// # async fn fetch_token() -> Result<String, std::io::Error> { Ok("secret".to_owned()) }
    /// use bennu_client::Client;
    ///
    /// let client = Client::builder("ws://localhost:4000/auth_socket")
    ///     .params_with(async || fetch_token().await.map(|token| [("token", token)]));
    /// ```
    pub fn params_with<F, R>(mut self, provide: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output: ProviderOutput<ConnectParams>> + Send + 'static,
    {
        self.params_provider = Some(Provider::function(provide));
        self
    }

    /// Sets the token that is sent outside of the URL, like the `authToken` of phoenix.js: as a subprotocol of a
    /// WebSocket, or as a header of long poll. The server reads it when its mount has `auth_token(true)`.
    pub fn auth_token(mut self, token: impl Into<String>) -> Self {
        self.auth_token = Some(Provider::Value(token.into()));
        self
    }

    /// Sets a function that provides the token at each attempt to connect. It returns a `String` or a `Result` of it.
    pub fn auth_token_with<F, R>(mut self, provide: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output: ProviderOutput<String>> + Send + 'static,
    {
        self.auth_token = Some(Provider::function(provide));
        self
    }

    /// Adds a header to every request of the client, over both transports: a cookie of a page's session, or one that a
    /// proxy in front of the server reads. A header that the handshake itself needs, or an invalid one, is an error of
    /// `connect` and `start`.
    ///
    /// ```
    /// use bennu_client::Client;
    ///
    /// let client = Client::builder("ws://localhost:4000/socket").header("cookie", "_app_key=SFMyNTY.g2gD...");
    /// ```
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the transport; [`Transport::WebSocket`] by default.
    pub fn transport(mut self, transport: Transport) -> Self {
        self.settings.transport = transport;
        self
    }

    /// Sets the TLS configuration: for a private authority, or a client certificate. By default, the client trusts
    /// Mozilla's list of authorities.
    #[cfg(feature = "tls")]
    pub fn tls_config(mut self, config: impl Into<Arc<rustls::ClientConfig>>) -> Self {
        self.tls = Tls { config: Some(config.into()) };
        self
    }

    /// Sets the interval of the heartbeat, which is also the time limit of the server's reply; 30 s by default, as in
    /// phoenix.js. The first heartbeat of a connection comes earlier by up to the jitter.
    pub fn heartbeat(mut self, interval: Duration) -> Self {
        self.settings.heartbeat = interval;
        self
    }

    /// Sets the time limit of a push's reply; 10 s by default, as in phoenix.js.
    pub fn push_timeout(mut self, timeout: Duration) -> Self {
        self.settings.push_timeout = timeout;
        self
    }

    /// Sets the time limit of a join's reply; 10 s by default, as in phoenix.js.
    pub fn join_timeout(mut self, timeout: Duration) -> Self {
        self.settings.join_timeout = timeout;
        self
    }

    /// Sets the time limit of an attempt to connect; 10 s by default. The functions that provide params and token do
    /// not count.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = timeout;
        self
    }

    /// Sets the delays before the client connects again; [`Schedule::RECONNECT`] by default. The schedule restarts with
    /// the first message of the server on a new connection.
    pub fn reconnect(mut self, schedule: Schedule) -> Self {
        self.settings.reconnect = schedule;
        self
    }

    /// Sets the delays before a channel joins again after a crash or a refusal; [`Schedule::REJOIN`] by default. The
    /// schedule restarts with a successful join, and with a new connection, on which channels join at once.
    pub fn rejoin(mut self, schedule: Schedule) -> Self {
        self.settings.rejoin = schedule;
        self
    }

    /// Sets the variation of the schedules' delays, as a share of each delay; 0.5 by default, which gives 0.5 to 1.5
    /// times the delay. 0 disables it.
    ///
    /// A server that restarts loses thousands of clients at one moment. Without jitter all of them retry at the same
    /// moments, at each step of the schedule. With the default, the retries of a step are spread over a time as long as
    /// its delay.
    pub fn jitter(mut self, share: f32) -> Self {
        self.settings.jitter = share;
        self
    }

    /// Sets the limit of pushes that wait to be sent, over all channels, joined or not; 1,000 messages and 1 MiB by
    /// default. Past the limit a push fails at once with [`SendError::BufferFull`](crate::SendError::BufferFull). An
    /// empty buffer accepts a push of any size.
    pub fn push_buffer(mut self, limit: QueueLimit) -> Self {
        self.settings.push_buffer = limit;
        self
    }

    /// Sets the limit of a channel's unread events; 1,000 events and 4 MiB by default. Past the limit the oldest are
    /// dropped, and [`ChannelEvent::Lagged`](crate::ChannelEvent::Lagged) has their number. The newest event is kept at
    /// any size.
    pub fn event_queue(mut self, limit: QueueLimit) -> Self {
        self.settings.event_queue = limit;
        self
    }

    /// Sets the limit of a server's message, in bytes; 16 MiB by default. At a larger message the client closes the
    /// connection with 1009 and connects again.
    pub fn max_message_size(mut self, bytes: usize) -> Self {
        self.settings.max_message_size = bytes;
        self
    }

    /// Connects and waits for the result of the first attempt. After that the client reconnects by itself.
    ///
    /// Must be called on a tokio runtime, which runs the client's task.
    ///
    /// # Errors
    /// [`ConnectError`] when the first attempt fails; the client then makes no further attempt.
    /// [`ConnectError::Refused`] has the status and body of the server's response.
    ///
    /// # Cancellation
    /// Dropping the future ends the attempt and the client.
    pub async fn connect(self) -> Result<Client, ConnectError> {
        let client = self.start()?;
        client.first_attempt().await?;
        Ok(client)
    }

    /// Starts a client that connects in the background and retries after a failed first attempt: for a server that may
    /// not run yet. [`Client::states`] reports the progress.
    ///
    /// # Errors
    /// Only [`ConnectError::Url`] and [`ConnectError::Header`].
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(self) -> Result<Client, ConnectError> {
        let settings = Arc::new(self.settings);
        let connector = Arc::new(Connector {
            address: Arc::new(Address::parse(&self.url)?.with_headers(headers(self.headers)?)),
            params: self.params,
            params_provider: self.params_provider,
            auth_token: self.auth_token,
            tls: self.tls,
            settings: Arc::clone(&settings),
            fallback: FallbackState::default(),
        });
        let client = Client::new(Session::new(settings, u64::from_ne_bytes(random::bytes())));
        tokio::spawn(Driver::new(Arc::clone(&client.handle.shared), connector));
        Ok(client)
    }
}

fn headers(pairs: Vec<(String, String)>) -> Result<HeaderMap, ConnectError> {
    let mut headers = HeaderMap::with_capacity(pairs.len());
    for (name, value) in pairs {
        let fail = |reason| ConnectError::Header { name: name.clone(), reason };
        let parsed = name.parse::<HeaderName>().map_err(|_| fail("it is not the name of a header"))?;
        if OWN_HEADERS.contains(&parsed) || parsed.as_str().starts_with("sec-websocket-") {
            return Err(fail("the client itself writes this header"));
        }
        let value = HeaderValue::try_from(value).map_err(|_| fail("its value may contain visible ASCII only"))?;
        headers.append(parsed, value);
    }
    Ok(headers)
}
