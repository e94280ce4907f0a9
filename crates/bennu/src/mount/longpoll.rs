//! The options of long polling: set on a mount, read by [`crate::longpoll`].

use std::time::Duration;

/// The options of long polling, for [`Mount::longpoll`](crate::Mount::longpoll). The defaults are those of Phoenix, for
/// the options that Phoenix has.
///
/// ```
/// # use std::time::Duration;
/// # use bennu::prelude::*;
/// # struct UserSocket;
/// # impl Socket for UserSocket {
/// #     type State = ();
/// #     async fn connect(_: Connect) -> Result<Self, Refusal> { Ok(UserSocket) }
/// #     fn channels(_: &mut ChannelRouter<Self>) {}
/// # }
/// use bennu::LongPoll;
///
/// let defaults = bennu::socket::<UserSocket>("/socket").longpoll(true);
/// let options = LongPoll::default()
///     .window(Duration::from_secs(15))
///     .idle_time(Duration::from_secs(30))
///     .max_body_bytes(1_000_000)
///     .cors(false)
///     .crypto_max_age(Duration::from_secs(86_400))
///     .max_sessions(20_000)
///     .max_sessions_per_peer(1_000);
/// let configured = bennu::socket::<UserSocket>("/socket").longpoll(options);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LongPoll {
    pub(crate) enabled: bool,
    pub(crate) window: Duration,
    pub(crate) idle_time: Option<Duration>,
    pub(crate) max_body_bytes: usize,
    pub(crate) cors: bool,
    pub(crate) crypto_max_age: Duration,
    pub(crate) max_sessions: usize,
    pub(crate) max_sessions_per_peer: usize,
}

impl Default for LongPoll {
    fn default() -> Self {
        LongPoll {
            enabled: true,
            window: Duration::from_secs(10),
            idle_time: None,
            max_body_bytes: 8_000_000,
            cors: true,
            crypto_max_age: Duration::from_secs(14 * 86_400),
            max_sessions: 100_000,
            max_sessions_per_peer: 10_000,
        }
    }
}

impl From<bool> for LongPoll {
    /// Converts Phoenix's `longpoll: true` and `longpoll: false`.
    fn from(enabled: bool) -> Self {
        LongPoll { enabled, ..LongPoll::default() }
    }
}

impl LongPoll {
    /// Sets how long a poll waits for messages before it receives an empty response. Default 10 s. The window must be
    /// shorter than the time that clients wait for a response, 20 s in `phoenix.js` (its `longpollerTimeout`) and in
    /// `bennu-client`, and shorter than the timeout of proxies on the way, often 60 s.
    pub fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Sets how long a client may send no request before its session ends. Default one and a half windows: 15 s.
    pub fn idle_time(mut self, idle_time: Duration) -> Self {
        self.idle_time = Some(idle_time);
        self
    }

    /// Sets the largest body of a POST, in bytes, for all its messages together. Past it, the request is refused with
    /// status 400. Default 8,000,000, as in Plug.
    pub fn max_body_bytes(mut self, bytes: usize) -> Self {
        self.max_body_bytes = bytes;
        self
    }

    /// Sets whether pages of other sites may read the responses. The sites that may connect at all are set by
    /// [`Mount::check_origin`](crate::Mount::check_origin). Default yes.
    pub fn cors(mut self, cors: bool) -> Self {
        self.cors = cors;
        self
    }

    /// Sets the maximum age of a session token. Each response carries a new token. Default 14 days.
    pub fn crypto_max_age(mut self, age: Duration) -> Self {
        self.crypto_max_age = age;
        self
    }

    /// Sets how many sessions this node may have, in all mounts of the endpoint together. Past it, a new session is
    /// refused with status 503. Default 100,000. The memory of one session is bounded by
    /// [`Mount::max_outbox_bytes`](crate::Mount::max_outbox_bytes).
    pub fn max_sessions(mut self, sessions: usize) -> Self {
        self.max_sessions = sessions;
        self
    }

    /// Sets how many sessions one peer may have on this node. Past it, a new session of that peer gets status 429. A
    /// peer is an IPv4 address or an IPv6 network of 64 bits. Default 10,000: behind a proxy, all clients have the
    /// proxy's address.
    pub fn max_sessions_per_peer(mut self, sessions: usize) -> Self {
        self.max_sessions_per_peer = sessions;
        self
    }

    /// Returns how long a session may receive no request.
    pub(crate) fn idle(&self) -> Duration {
        self.idle_time.unwrap_or(self.window + self.window / 2)
    }
}
