//! The yardstick: a bare publish and subscribe by the engine's own client, `redis` or `async-nats`, as an application would
//! write it without an adapter. For Redis, messages are published in pipelines, without which it would be many times slower.

use crate::arrival::Arrivals;
use crate::server::Engine;
use crate::{PAYLOAD, Publish};
use futures::{Stream, StreamExt};
use redis::aio::MultiplexedConnection;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Messages that are published before others have their turn: a pipeline of Redis. Longer ones were not faster.
const TURN: u64 = 256;

pub(crate) struct Publisher {
    client: Client,
    payload: Vec<u8>,
    arrivals: Arc<Arrivals>,
    _subscriber: JoinSet<()>,
}

enum Client {
    Redis(MultiplexedConnection),
    Nats(async_nats::Client),
}

impl Publisher {
    pub(crate) async fn start(engine: Engine, port: u16) -> Self {
        let arrivals = Arc::new(Arrivals::new());
        let mut subscriber = JoinSet::new();
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
        };
        Publisher { client, payload: vec![b'd'; PAYLOAD], arrivals, _subscriber: subscriber }
    }
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
                // What waits is written when this task lets the client's have its turn.
                tokio::task::yield_now().await;
            }
        }
        messages
    }

    fn arrivals(&self) -> Arc<Arrivals> {
        self.arrivals.clone()
    }
}
