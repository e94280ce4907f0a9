//! The options of a mount's long polling.

use std::time::Duration;

/// How a mount long polls. The defaults are Phoenix's where Phoenix has the option.
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
/// let plain = bennu::socket::<UserSocket>("/socket").longpoll(true);
/// let patient = bennu::socket::<UserSocket>("/socket").longpoll(LongPoll::default().window(Duration::from_secs(15)));
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
    /// As Phoenix's `longpoll: true` and `false`.
    fn from(enabled: bool) -> Self {
        LongPoll { enabled, ..LongPoll::default() }
    }
}

impl LongPoll {
    /// How long a poll waits for messages before it is answered without any. Default 10 s. Must be shorter than what
    /// clients wait for a response, 20 s in `phoenix.js` (its `longpollerTimeout`) and in `bennu-client`, and than what
    /// proxies on the way allow one to take, often 60 s.
    pub fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// How long a client may neither poll nor post before its session ends. Default one and a half windows: 15 s.
    pub fn idle_time(mut self, idle_time: Duration) -> Self {
        self.idle_time = Some(idle_time);
        self
    }

    /// The most that one POST may carry, in bytes, however many messages that is; past it the request is refused with
    /// status 400. Default 8,000,000, as Plug's.
    pub fn max_body_bytes(mut self, bytes: usize) -> Self {
        self.max_body_bytes = bytes;
        self
    }

    /// Whether pages of other sites may read the responses; which sites may connect at all is the mount's
    /// `check_origin`. Default yes.
    pub fn cors(mut self, cors: bool) -> Self {
        self.cors = cors;
        self
    }

    /// How old the token of a session may be. Each response brings a new one. Default 14 days.
    pub fn crypto_max_age(mut self, age: Duration) -> Self {
        self.crypto_max_age = age;
        self
    }

    /// Sessions that this node may hold, those of all mounts of the endpoint together; past it nobody can open another
    /// one, which is answered with 503. Default 100,000. What one session may hold is the mount's `max_outbox_bytes`.
    pub fn max_sessions(mut self, sessions: usize) -> Self {
        self.max_sessions = sessions;
        self
    }

    /// Sessions that one peer may hold on this node; past it that peer cannot open another one, which is answered with
    /// 429. A peer is an IPv4 address or an IPv6 network of 64 bits. Default 10,000: behind a proxy all clients come
    /// from the proxy's address.
    pub fn max_sessions_per_peer(mut self, sessions: usize) -> Self {
        self.max_sessions_per_peer = sessions;
        self
    }

    pub(crate) fn idle(&self) -> Duration {
        self.idle_time.unwrap_or(self.window + self.window / 2)
    }
}
