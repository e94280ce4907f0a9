//! The metrics of an adapter, looked up once at its start.
//!
//! [`crate::LocalNode`] owns them; the adapters on brokers and the Zenoh adapter count with them.

use metrics::{Counter, Gauge, counter, gauge};

/// The counters and gauges of one adapter.
pub struct Instruments {
    /// 1 while the engine is connected, else 0.
    pub connected: Gauge,
    /// Connections that replaced a lost one.
    pub reconnects: Counter,
    /// Messages written to the engine.
    pub published: Counter,
    /// Their bytes, in the engine's protocol.
    pub published_bytes: Counter,
    /// Messages lost because the queue was full.
    pub dropped_full: Counter,
    /// Messages lost because the engine was out of reach.
    pub dropped_disconnected: Counter,
    /// Commands that the engine refused.
    pub refused: Counter,
    /// Bytes that are not a message between nodes.
    pub garbage: Counter,
}

impl Instruments {
    /// Looks up the instruments of the adapter of that name.
    pub fn new(adapter: &'static str) -> Self {
        Instruments {
            connected: gauge!("bennu.pubsub.connected", "adapter" => adapter),
            reconnects: counter!("bennu.pubsub.reconnects", "adapter" => adapter),
            published: counter!("bennu.pubsub.published", "adapter" => adapter),
            published_bytes: counter!("bennu.pubsub.published_bytes", "adapter" => adapter),
            dropped_full: counter!("bennu.pubsub.dropped", "adapter" => adapter, "reason" => "queue_full"),
            dropped_disconnected: counter!("bennu.pubsub.dropped", "adapter" => adapter, "reason" => "disconnected"),
            refused: counter!("bennu.pubsub.refused", "adapter" => adapter),
            garbage: counter!("bennu.pubsub.garbage"),
        }
    }
}
