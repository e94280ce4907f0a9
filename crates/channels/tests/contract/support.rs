//! The harness: a client that speaks the protocol over a transport that is a queue, with notes and a captured log.

use bennu_channels::protocol::{Close, DecodeError, Frame, FrameKind, Serializer};
use bennu_channels::token::Secret;
use bennu_channels::transport::{Connection, Drainer, Encoding, Framing, Limits, SocketMount, Taken};
use bennu_channels::{Connect, ConnectInfo, Endpoint, Params, Socket};
use bytes::Bytes;
use serde_json::Value;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::{Arc, Once};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::timeout;
use tracing_subscriber::layer::SubscriberExt;

/// One byte for the kind of the frame, then the message.
static PLAIN: Framing = Framing {
    name: "plain",
    frame: |kind, message| {
        let kind = if kind == FrameKind::Text { b't' } else { b'b' };
        [&[kind], message].concat().into()
    },
};

pub fn endpoint() -> Endpoint {
    Endpoint::new(secret())
}

pub fn secret() -> Secret {
    Secret::new("a secret that is long enough for a test of channels").expect("long enough")
}

/// A client of a new endpoint, with the defaults.
pub async fn connect<S: Socket<State = ()>>() -> Client {
    connect_to::<S>(&endpoint()).await
}

pub async fn connect_to<S: Socket<State = ()>>(endpoint: &Endpoint) -> Client {
    Connecting::to(endpoint).open::<S>().await
}

/// A connection that is not made with the defaults.
pub struct Connecting {
    endpoint: Endpoint,
    pub limits: Limits,
    pub serializer: Serializer,
    pub params: Params,
}

impl Connecting {
    pub fn to(endpoint: &Endpoint) -> Self {
        let params = Params::default();
        Connecting { endpoint: endpoint.clone(), limits: Limits::default(), serializer: Serializer::V2, params }
    }

    pub fn params<const N: usize>(mut self, params: [(&str, &str); N]) -> Self {
        self.params = Params::from_iter(params);
        self
    }

    pub async fn open<S: Socket<State = ()>>(self) -> Client {
        self.open_with::<S>(()).await
    }

    /// Of a socket that was mounted with a state.
    pub async fn open_with<S: Socket>(self, state: S::State) -> Client {
        let mount = SocketMount::new::<S>(self.endpoint.clone(), Arc::new(state), self.limits);
        let mount = mount.expect("the routes are right");
        let request = Connect::new(self.params, ConnectInfo::new(), self.endpoint);
        let connected = mount.connect(request).await.expect("the socket accepts");
        let signal = Arc::new(Signal(Notify::new()));
        let encoding = Encoding { serializer: self.serializer, framing: &PLAIN };
        let connection = connected.open(encoding, signal.clone());
        Client { connection, signal, arrived: VecDeque::new(), closed: None }
    }
}

struct Signal(Notify);

impl Drainer for Signal {
    fn wake(&self) {
        self.0.notify_one();
    }
}

/// A client and its transport.
pub struct Client {
    connection: Arc<Connection>,
    signal: Arc<Signal>,
    arrived: VecDeque<Bytes>,
    closed: Option<Close>,
}

impl Client {
    /// Sends a text frame.
    pub fn send(&self, message: Value) {
        self.send_text(&message.to_string());
    }

    /// Sends many messages as one read of the transport.
    pub fn send_all(&self, messages: impl IntoIterator<Item = Value>) {
        for message in messages {
            self.connection.receive(Frame::Text(&message.to_string())).expect("a message");
        }
        self.connection.flush();
    }

    pub fn send_text(&self, text: &str) {
        self.try_send(Frame::Text(text)).expect("a message");
    }

    pub fn send_binary(&self, bytes: &[u8]) {
        self.try_send(Frame::Binary(bytes)).expect("a message");
    }

    pub fn try_send(&self, frame: Frame<'_>) -> Result<(), DecodeError> {
        let received = self.connection.receive(frame);
        self.connection.flush();
        received
    }

    /// Joins and sees that it worked.
    pub async fn join(&mut self, topic: &str, join_ref: &str) {
        self.join_with(topic, join_ref, serde_json::json!({})).await;
    }

    pub async fn join_with(&mut self, topic: &str, join_ref: &str, params: Value) {
        self.send(serde_json::json!([join_ref, join_ref, topic, "phx_join", params]));
        let reply = self.next().await;
        assert_eq!((&reply[0], &reply[2]), (&join_ref.into(), &topic.into()), "{reply}");
        assert_eq!(reply[4]["status"], "ok", "{reply}");
    }

    /// The next frame, which must be a text frame.
    pub async fn next(&mut self) -> Value {
        let frame = self.next_frame().await;
        assert_eq!(frame[0], b't', "a text frame");
        serde_json::from_slice(&frame[1..]).expect("JSON")
    }

    /// The text of the next frame, which must be a text frame.
    pub async fn next_text(&mut self) -> String {
        let frame = self.next_frame().await;
        assert_eq!(frame[0], b't', "a text frame");
        String::from_utf8(frame[1..].to_vec()).expect("a text frame is UTF-8")
    }

    /// The next frame, which must be a binary frame.
    pub async fn next_binary(&mut self) -> Bytes {
        let frame = self.next_frame().await;
        assert_eq!(frame[0], b'b', "a binary frame: {frame:?}");
        frame.slice(1..)
    }

    async fn next_frame(&mut self) -> Bytes {
        // Paused time runs to this only when nothing else is left to happen.
        timeout(Duration::from_secs(24 * 3600), async {
            loop {
                self.drain();
                if let Some(frame) = self.arrived.pop_front() {
                    return frame;
                }
                assert!(self.closed.is_none(), "closed: {:?}", self.closed);
                self.signal.0.notified().await;
            }
        })
        .await
        .expect("nothing came")
    }

    /// Sees that these frames come, in this order.
    pub async fn expect<const N: usize>(&mut self, frames: [Value; N]) {
        for expected in frames {
            assert_eq!(self.next().await, expected);
        }
    }

    /// Sees that nothing waits for this client once everything has come to rest.
    pub async fn expect_nothing(&mut self) {
        rest().await;
        self.drain();
        assert!(self.arrived.is_empty(), "{:?}", self.arrived);
    }

    /// Sees that the connection itself still answers.
    pub async fn expect_heartbeat(&mut self) {
        self.send(serde_json::json!([null, "heart", "phoenix", "heartbeat", {}]));
        self.expect([serde_json::json!([null, "heart", "phoenix", "phx_reply", {"status": "ok", "response": {}}])])
            .await;
    }

    /// Returns the frames that have arrived, without running other tasks.
    pub fn take_waiting(&mut self) -> Vec<Value> {
        self.drain();
        self.arrived.drain(..).map(|frame| serde_json::from_slice(&frame[1..]).expect("JSON")).collect()
    }

    /// Why the server closes this connection; waits for it.
    pub async fn closed(&mut self) -> Close {
        timeout(Duration::from_secs(24 * 3600), async {
            loop {
                self.drain();
                if let Some(close) = self.closed.take() {
                    return close;
                }
                self.signal.0.notified().await;
            }
        })
        .await
        .expect("not closed")
    }

    /// The transport is gone, as when the client closes.
    pub fn hang_up(self) {
        self.connection.finish();
    }

    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    fn drain(&mut self) {
        let mut frames = Vec::new();
        loop {
            match self.connection.take(&mut frames, 16) {
                Taken::Some => {}
                Taken::All => break,
                Taken::Last(close) => {
                    self.closed = Some(close);
                    break;
                }
            }
        }
        self.arrived.extend(frames);
    }
}

/// Returns when every task waits: paused time only moves on then.
pub async fn rest() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// An `ok` reply as it comes to a V2 client.
pub fn ok(join_ref: &str, reference: &str, topic: &str, response: Value) -> Value {
    serde_json::json!([join_ref, reference, topic, "phx_reply", {"status": "ok", "response": response}])
}

pub fn error(join_ref: &str, reference: &str, topic: &str, response: Value) -> Value {
    serde_json::json!([join_ref, reference, topic, "phx_reply", {"status": "error", "response": response}])
}

pub fn unmatched(reference: &str, topic: &str) -> Value {
    let payload = serde_json::json!({"status": "error", "response": {"reason": "unmatched topic"}});
    serde_json::json!([null, reference, topic, "phx_reply", payload])
}

pub fn phx_close(join_ref: &str, topic: &str) -> Value {
    serde_json::json!([join_ref, join_ref, topic, "phx_close", {}])
}

pub fn phx_error(join_ref: &str, topic: &str) -> Value {
    serde_json::json!([join_ref, join_ref, topic, "phx_error", {"reason": "channel_crash"}])
}

thread_local! {
    static NOTES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static LOG: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Writes down that something happened. A test and all its tasks are one thread.
pub fn note(text: impl Into<String>) {
    NOTES.with_borrow_mut(|notes| notes.push(text.into()));
}

/// Returns the notes since the last call.
pub fn notes() -> Vec<String> {
    NOTES.take()
}

/// Everything that is logged from here on by this test.
pub struct Log;

impl Log {
    pub fn capture() -> Self {
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(|| {
            let subscriber = tracing_subscriber::registry().with(Recorder);
            tracing::subscriber::set_global_default(subscriber).expect("nobody else sets it");
        });
        LOG.set(Some(Vec::new()));
        Log
    }

    /// The lines so far: level, message and fields.
    pub fn lines(&self) -> Vec<String> {
        LOG.with_borrow(|log| log.clone().unwrap_or_default())
    }

    /// The lines of one level.
    pub fn of(&self, level: &str) -> Vec<String> {
        self.lines().into_iter().filter(|line| line.starts_with(level)).collect()
    }
}

struct Recorder;

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Recorder {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        struct Fields(String);
        impl tracing::field::Visit for Fields {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                if field.name() == "message" {
                    self.0.push_str(&format!(" {value:?}"));
                } else {
                    self.0.push_str(&format!(" {}={value:?}", field.name()));
                }
            }
        }
        LOG.with_borrow_mut(|log| {
            if let Some(lines) = log {
                let mut fields = Fields(event.metadata().level().to_string());
                event.record(&mut fields);
                lines.push(fields.0);
            }
        });
    }
}

/// A socket that accepts everybody and routes by `Routes`.
#[macro_export]
macro_rules! socket {
    ($socket:ident: $($pattern:literal => $channel:ty),+ $(,)?) => {
        pub struct $socket;

        impl bennu_channels::Socket for $socket {
            type State = ();

            async fn connect(_: bennu_channels::Connect) -> Result<Self, bennu_channels::Refusal> {
                Ok($socket)
            }

            fn channels(router: &mut bennu_channels::ChannelRouter<Self>) {
                router$(.channel::<$channel>($pattern))+;
            }
        }
    };
}

/// A panic in a test of panics is no noise on the terminal.
pub fn quiet_panics() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let payload = info.payload();
            let text = payload.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| payload.downcast_ref().copied()).unwrap_or_default();
            if !text.contains("on purpose") {
                loud(info);
            }
        }));
    });
}
