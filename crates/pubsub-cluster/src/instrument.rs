//! The adapter's metrics, looked up once, when it starts.

use metrics::{Counter, Gauge, counter, gauge};

/// Counters and gauges of one adapter.
pub struct Instruments {
    /// 1 while the engine can be reached, else 0.
    pub connected: Gauge,
    /// Connections that were made again after one was lost.
    pub reconnects: Counter,
    /// Messages written to the engine.
    pub published: Counter,
    /// Their bytes, as the engine's protocol has them.
    pub published_bytes: Counter,
    /// Messages lost because the queue was full.
    pub dropped_full: Counter,
    /// Messages lost because the engine was out of reach.
    pub dropped_disconnected: Counter,
    /// Commands that the engine did not carry out.
    pub refused: Counter,
    /// Messages of others that are none.
    pub garbage: Counter,
}

impl Instruments {
    /// Of the adapter of that name.
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
