//! What waits in the queues of all connections, measured now and then: `bennu.socket.outbox_bytes` and
//! `bennu.channel.mailbox_bytes`.
//!
//! A gauge that each queue kept up to date would cost every message; a look at 15,000 connections takes about 2 ms. Run by
//! whoever serves, for as long as it serves. No lock is held from one connection to the next.

use crate::endpoint::{Backlog, Endpoint};
use std::sync::Weak;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(5);

/// Connections looked at before other tasks of the thread get their turn: about 0.1 ms.
const BATCH: usize = 1000;

impl Endpoint {
    /// Measures what waits in the queues of this node's connections, every 5 s, until it is dropped.
    /// [`bennu::serve`](https://docs.rs/bennu) does it; who serves otherwise runs it beside the server.
    pub async fn measure_queues(&self) {
        let outboxes = metrics::gauge!("bennu.socket.outbox_bytes");
        let mailboxes = metrics::gauge!("bennu.channel.mailbox_bytes");
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let mut waiting = Backlog::default();
            for batch in self.connections().chunks(BATCH) {
                for connection in batch.iter().filter_map(Weak::upgrade) {
                    let Backlog { outboxes, mailboxes } = connection.backlog();
                    waiting.outboxes += outboxes;
                    waiting.mailboxes += mailboxes;
                }
                tokio::task::yield_now().await;
            }
            outboxes.set(waiting.outboxes as f64);
            mailboxes.set(waiting.mailboxes as f64);
        }
    }
}
