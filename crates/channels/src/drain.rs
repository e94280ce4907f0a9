//! Graceful shutdown: clients are told to go elsewhere, in batches, so that they do not all come back at once.

use crate::endpoint::Endpoint;
use bennu_protocol::Close;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// How to drain. The defaults are Phoenix's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drain {
    /// Connections closed together. Default 10,000.
    pub batch_size: usize,
    /// Time between two batches. Default 2 s.
    pub batch_interval: Duration,
    /// After this, what is left is left. Default 30 s.
    pub deadline: Duration,
}

impl Default for Drain {
    fn default() -> Self {
        Drain { batch_size: 10_000, batch_interval: Duration::from_secs(2), deadline: Duration::from_secs(30) }
    }
}

/// How a drain went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were told.
    pub connections: usize,
    /// Connections that were still there at the deadline.
    pub left: usize,
}

impl Drain {
    /// Closes every connection with code 1012 and waits until all have gone and all channels have terminated.
    ///
    /// From now on [`Endpoint::is_draining`] holds. A later call drains what has come meanwhile.
    #[tracing::instrument(name = "drain", level = "info", skip_all)]
    pub async fn run(&self, endpoint: &Endpoint) -> Drained {
        endpoint.start_draining();
        let deadline = Instant::now() + self.deadline;
        let connections = endpoint.connections();
        tracing::info!(connections = connections.len(), "draining");
        let mut told = 0;
        for (n, batch) in connections.chunks(self.batch_size.max(1)).enumerate() {
            if n > 0 && timeout_at(deadline, sleep(self.batch_interval)).await.is_err() {
                break;
            }
            for connection in batch.iter().filter_map(std::sync::Weak::upgrade) {
                connection.close(Close::Restart);
                metrics::counter!("bennu.drain.connections").increment(1);
                told += 1;
            }
        }
        let _ = timeout_at(deadline, endpoint.emptied()).await;
        let drained = Drained { connections: told, left: endpoint.connection_count() };
        tracing::info!(connections = drained.connections, left = drained.left, "drained");
        drained
    }
}
