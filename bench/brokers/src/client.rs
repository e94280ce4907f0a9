//! The baseline: publish and subscribe with the engine's own client, `redis`, `async-nats` or `zenoh`, as an
//! application would write it without an adapter. Redis publishes in pipelines, without which it would be many times
//! slower. Zenoh publishes with a declared publisher that does not drop, and receives with a callback.

use crate::arrival::Arrivals;
use crate::server::Engine;
use crate::{PAYLOAD, Publish};
use futures::{Stream, StreamExt};
use redis::aio::MultiplexedConnection;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use zenoh::qos::CongestionControl;

/// The messages that are published before other tasks run: a pipeline of Redis. Longer ones were not faster.
const TURN: u64 = 256;

pub(crate) struct Publisher {
    client: Client,
    payload: Vec<u8>,
    arrivals: Arc<Arrivals>,
    _subscriber: JoinSet<()>,
    /// The receiving session.
    _receiver: Option<zenoh::Session>,
}

enum Client {
    Redis(MultiplexedConnection),
    Nats(async_nats::Client),
    Zenoh {
        publisher: zenoh::pubsub::Publisher<'static>,
        /// Closes when it is dropped.
        _session: zenoh::Session,
    },
}

impl Publisher {
    pub(crate) async fn start(engine: Engine, port: u16) -> Self {
        let arrivals = Arc::new(Arrivals::new());
        let mut subscriber = JoinSet::new();
        let mut kept = None;
        let client = match engine {
            Engine::Redis => {
                let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).expect("a URL");
                let mut subscription = client.get_async_pubsub().await.expect("the server listens");
                subscription.subscribe("bench").await.expect("nothing forbids it");
                let messages = subscription.into_on_message().map(|message| message.get_payload_bytes().len());
                subscriber.spawn(count(messages, arrivals.clone()));
                Client::Redis(client.get_multiplexed_async_connection().await.expect("the server listens"))
            }
            Engine::Nats => {
                let url = format!("nats://127.0.0.1:{port}");
                let receiver = async_nats::connect(&url).await.expect("the server listens");
                let subscription = receiver.subscribe("bench").await.expect("nothing forbids it");
                receiver.flush().await.expect("the server answers");
                subscriber.spawn(count(subscription.map(|message| message.payload.len()), arrivals.clone()));
                Client::Nats(async_nats::connect(&url).await.expect("the server listens"))
            }
            Engine::Zenoh => {
                let receiver = zenoh_session("listen", port).await;
                let counted = arrivals.clone();
                let subscriber = receiver.declare_subscriber("bench").callback(move |sample| {
                    if sample.payload().len() == PAYLOAD {
                        counted.add(1);
                    }
                });
                subscriber.background().await.expect("nothing forbids it");
                let session = zenoh_session("connect", port).await;
                let publisher = session.declare_publisher("bench").congestion_control(CongestionControl::Block);
                let publisher = publisher.await.expect("nothing forbids it");
                while !publisher.matching_status().await.expect("the session is open").matching() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                kept = Some(receiver);
                Client::Zenoh { publisher, _session: session }
            }
        };
        Publisher { client, payload: vec![b'd'; PAYLOAD], arrivals, _subscriber: subscriber, _receiver: kept }
    }
}

/// Opens a session that listens on a port or connects to it; `action` is `listen` or `connect`.
async fn zenoh_session(action: &str, port: u16) -> zenoh::Session {
    let mut config = zenoh::Config::default();
    config.insert_json5("scouting/multicast/enabled", "false").expect("a setting");
    config.insert_json5("listen/endpoints", "[]").expect("a setting");
    config.insert_json5(&format!("{action}/endpoints"), &format!("[\"tcp/127.0.0.1:{port}\"]")).expect("a setting");
    zenoh::open(config).await.expect("the port is free")
}

async fn count(messages: impl Stream<Item = usize>, arrivals: Arc<Arrivals>) {
    let mut messages = std::pin::pin!(messages);
    while let Some(bytes) = messages.next().await {
        if bytes == PAYLOAD {
            arrivals.add(1);
        }
    }
}

impl Publish for Publisher {
    async fn publish(&mut self, most: u64) -> u64 {
        let messages = most.min(TURN);
        match &mut self.client {
            Client::Redis(connection) => {
                let mut pipeline = redis::pipe();
                for _ in 0..messages {
                    pipeline.publish("bench", &self.payload).ignore();
                }
                pipeline.exec_async(connection).await.expect("the server answers");
            }
            Client::Nats(client) => {
                for _ in 0..messages {
                    client.publish("bench", self.payload.clone().into()).await.expect("the server is there");
                }
                // The client's task writes the queued messages when this task yields.
                tokio::task::yield_now().await;
            }
            Client::Zenoh { publisher, .. } => {
                for _ in 0..messages {
                    publisher.put(&self.payload).await.expect("the session is open");
                }
                if messages == TURN {
                    tokio::task::yield_now().await;
                }
            }
        }
        messages
    }

    fn arrivals(&self) -> Arc<Arrivals> {
        self.arrivals.clone()
    }
}
