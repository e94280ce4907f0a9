//! Graceful shutdown: connections are closed at a bounded rate, so that their clients do not all reconnect at the same
//! time.

use crate::endpoint::Endpoint;
use bennu_protocol::Close;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// The time between two closes, or longer where one connection each tick is still too many.
const TICK: Duration = Duration::from_millis(10);

/// The options of a drain. The defaults are Phoenix's. Phoenix closes a whole batch at once; here a batch is spread
/// over its interval, since clients reconnect at the rate at which they are closed.
///
/// ```
/// use bennu_channels::{Drain, Drained, Endpoint, token::Secret};
/// use std::time::Duration;
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let endpoint = Endpoint::new(Secret::new("a secret that is at least 32 bytes long")?);
/// let drain = Drain { deadline: Duration::from_secs(10), ..Drain::default() };
/// assert_eq!(drain.run(&endpoint).await, Drained { connections: 0, left: 0 });
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drain {
    /// Connections closed in each interval. Default 10,000.
    pub batch_size: usize,
    /// The time over which a batch is spread. Default 2 s, which makes 50 connections each 10 ms.
    pub batch_interval: Duration,
    /// The time after which the drain ends, although connections may be left. Default 30 s.
    pub deadline: Duration,
}

impl Default for Drain {
    fn default() -> Self {
        Drain { batch_size: 10_000, batch_interval: Duration::from_secs(2), deadline: Duration::from_secs(30) }
    }
}

/// The result of a drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were closed.
    pub connections: usize,
    /// Connections that were left at the deadline.
    pub left: usize,
}

impl Drain {
    /// Closes every connection with code 1012 and waits until all have gone and all channels have terminated.
    ///
    /// From now on [`Endpoint::is_draining`] returns `true`. A later call drains connections that were made in between.
    #[tracing::instrument(name = "drain", level = "info", skip_all)]
    pub async fn run(&self, endpoint: &Endpoint) -> Drained {
        endpoint.start_draining();
        let deadline = Instant::now() + self.deadline;
        let connections = endpoint.connections();
        tracing::info!(connections = connections.len(), "draining");
        let mut closed = 0;
        let (at_once, pause) = self.pace();
        for (n, few) in connections.chunks(at_once).enumerate() {
            if n > 0 && timeout_at(deadline, sleep(pause)).await.is_err() {
                break;
            }
            for connection in few.iter().filter_map(std::sync::Weak::upgrade) {
                connection.close(Close::Restart);
                metrics::counter!("bennu.drain.connections").increment(1);
                closed += 1;
            }
        }
        let _ = timeout_at(deadline, endpoint.empty()).await;
        let drained = Drained { connections: closed, left: endpoint.connection_count() };
        tracing::info!(connections = drained.connections, left = drained.left, "drained");
        drained
    }

    /// Returns the number of connections that are closed together, and the time until the next.
    fn pace(&self) -> (usize, Duration) {
        let batch = self.batch_size.max(1);
        let ticks = self.batch_interval.as_nanos() / TICK.as_nanos();
        let at_once = batch / usize::try_from(ticks).unwrap_or(usize::MAX).clamp(1, batch);
        (at_once, self.batch_interval.mul_f64(at_once as f64 / batch as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(batch_size: usize, millis: u64) -> (usize, Duration) {
        Drain { batch_size, batch_interval: Duration::from_millis(millis), ..Drain::default() }.pace()
    }

    #[test]
    fn a_batch_is_spread_over_its_interval() {
        assert_eq!(Drain::default().pace(), (50, Duration::from_millis(10)));
        assert_eq!(pace(2, 500), (1, Duration::from_millis(250)));
        assert_eq!(pace(100, 15), (100, Duration::from_millis(15)));
        assert_eq!(pace(150, 1000), (1, Duration::from_secs(1).mul_f64(1.0 / 150.0)));
    }

    #[test]
    fn a_batch_without_an_interval_is_closed_at_once_and_one_of_size_zero_one_by_one() {
        assert_eq!(pace(10, 0), (10, Duration::ZERO));
        assert_eq!(pace(0, 1000), (1, Duration::from_secs(1)));
    }
}
