//! Two nodes: one broadcasts, the other has a subscriber of the topic.

use crate::arrival::Arrivals;
use crate::server::Engine;
use crate::{PAYLOAD, Publish};
use bennu_pubsub::{Attachment, Message, NodeName, PubSub, Publication, Sink};
use bennu_pubsub_nats::Nats;
use bennu_pubsub_redis::Redis;
use bennu_pubsub_zenoh::Zenoh;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The messages that are published before other tasks run.
const TURN: u64 = 64;

#[derive(Serialize, Deserialize)]
struct Note {
    d: String,
}

impl Message for Note {
    const KIND: &'static str = "note";
}

pub(crate) struct Publisher {
    here: PubSub,
    arrivals: Arc<Arrivals>,
    text: String,
    _there: (PubSub, Attachment),
}

struct Counting {
    arrivals: Arc<Arrivals>,
    /// Whether any message has arrived.
    received: AtomicBool,
}

impl Sink for Counting {
    fn deliver(&self, publication: &Publication) {
        // Decoded, as for a subscriber.
        match publication.downcast_ref::<Note>() {
            Some(note) if note.d.len() == PAYLOAD => self.arrivals.add(1),
            _ => self.received.store(true, Ordering::Relaxed),
        }
    }
}

impl Publisher {
    pub(crate) async fn start(engine: Engine, port: u16) -> Self {
        let join = |name: &'static str| {
            let name = NodeName::new(name);
            match engine {
                Engine::Redis => {
                    PubSub::new(Redis::new(&format!("redis://127.0.0.1:{port}")).expect("a URL").join(name))
                }
                Engine::Nats => PubSub::new(Nats::new(&format!("nats://127.0.0.1:{port}")).expect("a URL").join(name)),
                Engine::Zenoh => {
                    let address = match name.as_str() {
                        "here" => format!("zenoh://127.0.0.1:{port}"),
                        _ => format!("zenoh://127.0.0.1:0?connect=127.0.0.1:{port}"),
                    };
                    PubSub::new(Zenoh::new(&address).expect("an address").join(name))
                }
            }
        };
        let (here, there) = (join("here"), join("there"));
        let arrivals = Arc::new(Arrivals::new());
        let sink = Arc::new(Counting { arrivals: arrivals.clone(), received: AtomicBool::new(false) });
        let attachment = there.attach("bench", sink.clone());
        // Messages published before the subscription is in effect are lost.
        while !sink.received.load(Ordering::Relaxed) {
            here.broadcast("bench", Note { d: String::new() }).expect("it is small");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Publisher { here, arrivals, text: "d".repeat(PAYLOAD), _there: (there, attachment) }
    }
}

impl Publish for Publisher {
    async fn publish(&mut self, most: u64) -> u64 {
        let messages = most.min(TURN);
        for _ in 0..messages {
            self.here.broadcast("bench", Note { d: self.text.clone() }).expect("it is small");
        }
        if messages == TURN {
            tokio::task::yield_now().await;
        }
        messages
    }

    fn arrivals(&self) -> Arc<Arrivals> {
        self.arrivals.clone()
    }
}
