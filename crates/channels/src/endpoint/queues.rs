//! Samples the bytes that wait in the queues of all connections, for `bennu.socket.outbox_bytes` and
//! `bennu.channel.mailbox_bytes`.
//!
//! A gauge that each queue updates would cost time for every message; sampling 15,000 connections takes about 2 ms. The
//! server runs it for as long as it serves. No lock is held from one connection to the next.

use crate::endpoint::{Backlog, Endpoint};
use std::sync::Weak;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// The time between two samples.
const EVERY: Duration = Duration::from_secs(5);

/// Connections sampled before other tasks of the thread run: about 0.1 ms.
const BATCH: usize = 1000;

impl Endpoint {
    /// Samples the queues of this node's connections every 5 s, until the future is dropped.
    /// [`bennu::serve`](https://docs.rs/bennu) runs it; an application with a server of its own runs it beside that.
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
