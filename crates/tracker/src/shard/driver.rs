//! The driver of one shard: its lock, its clock, and its two tasks.
//!
//! [`Tracker`](crate::Tracker) and [`PresenceGuard`](crate::PresenceGuard) call the driver. The replication task
//! receives messages and ends periods; it publishes all messages except the first hello and the goodbye. The diff task
//! calls the handler. A call locks the shard for about a microsecond and never waits for a task. The lock is held
//! longest while a delta is merged (256 KiB of presences: about 3 ms) or a node's presences are hidden (1 µs each);
//! readers use the view's lock instead. Locks are taken in the order shard, view. Messages are published and handlers
//! called without either.

use super::{Outgoing, Shard};
use crate::crdt::Replica;
use crate::diff::{Diff, DiffHandler, TopicDiff};
use crate::hash;
use crate::message::Message;
use crate::options::Options;
use crate::telemetry;
use crate::view::View;
use bennu_pubsub::{NodeName, PubSub, SubscriberId, Subscription};
use futures::FutureExt;
use parking_lot::Mutex;
use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// A shard with the state that its tasks and its callers share.
pub(crate) struct ShardDriver {
    shard: Mutex<Shard>,
    view: Arc<View>,
    /// Wakes the diff task: a diff may be due earlier than before, or the delivery of one has ended.
    diff_ready: Notify,
    /// Whether a diff is being delivered. The next one waits. Set under the shard's lock, cleared without it.
    delivering: AtomicBool,
    replica: Replica,
    topic: String,
    pubsub: PubSub,
    subscriber: SubscriberId,
    /// The origin of the shard's times.
    epoch: Instant,
}

impl ShardDriver {
    pub(crate) fn new(
        pubsub: &PubSub,
        topic: String,
        subscriber: SubscriberId,
        incarnation: u64,
        options: &Options,
    ) -> Self {
        let view = Arc::new(View::default());
        // Nodes that start together must not broadcast together: the first period is longer, by a quarter at most.
        let stagger = hash::stable(&[pubsub.node().as_str().as_bytes(), topic.as_bytes(), &incarnation.to_be_bytes()]);
        let first_tick = options.broadcast_period + options.broadcast_period.mul_f64((stagger % 256) as f64 / 1024.0);
        let domain = topic.as_str().into();
        let node = pubsub.node().clone();
        let shard = Shard::new(node, incarnation, domain, options.clone(), view.clone(), first_tick);
        let replica = shard.replica().clone();
        ShardDriver {
            shard: Mutex::new(shard),
            view,
            diff_ready: Notify::new(),
            delivering: AtomicBool::new(false),
            replica,
            topic,
            pubsub: pubsub.clone(),
            subscriber,
            epoch: Instant::now(),
        }
    }

    pub(crate) fn replica(&self) -> &Replica {
        &self.replica
    }

    /// Calls the shard under its lock, and wakes the diff task when a diff is pending afterwards.
    pub(crate) fn call<R>(&self, call: impl FnOnce(&mut Shard, Duration) -> R) -> R {
        let mut shard = self.shard.lock();
        // The time is read under the lock, so it never decreases between two calls.
        let outcome = call(&mut shard, self.epoch.elapsed());
        let is_pending = shard.next_diff().is_some();
        drop(shard);
        if is_pending {
            self.diff_ready.notify_one();
        }
        outcome
    }

    fn publish(&self, outgoing: Vec<Outgoing>) {
        for Outgoing { to, message } in outgoing {
            telemetry::sent(message.kind);
            let published = match &to {
                Some(node) => self.pubsub.direct_broadcast(node, &self.topic, message),
                None => self.pubsub.broadcast_from(self.subscriber, &self.topic, message),
            };
            if let Err(error) = published {
                // Other nodes request the missing changes, as they do after the loss of a message in the network.
                telemetry::unsent();
                tracing::debug!(%error, "presence: could not publish a message");
            }
        }
    }

    /// Passes the diff of a topic to `deliver`, if it is due and no other diff is being delivered.
    pub(crate) fn deliver_due(&self, topic: &str, deliver: impl FnOnce(TopicDiff)) {
        let mut shard = self.shard.lock();
        if self.delivering.load(Ordering::Acquire) {
            return;
        }
        let Some(diff) = shard.take_topic_diff(self.epoch.elapsed(), topic) else { return };
        let delivery = Delivery::begin(self);
        drop(shard);
        telemetry::diff();
        deliver(diff);
        drop(delivery);
    }

    /// Publishes the first hello.
    pub(crate) fn start(&self) {
        let hello = self.shard.lock().start();
        self.publish(hello);
    }

    /// Publishes the goodbye. Afterwards the shard changes nothing.
    pub(crate) fn leave(&self) {
        let goodbye = self.shard.lock().leave();
        self.publish(goodbye);
    }

    /// Returns the other nodes that are up.
    pub(crate) fn nodes(&self) -> Vec<NodeName> {
        self.shard.lock().nodes()
    }

    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    /// Runs the replication task, which receives messages and ends periods. Returns when the shard has left.
    pub(crate) async fn replicate(self: Arc<Self>, mut subscription: Subscription<Message>) {
        loop {
            let next_tick = self.shard.lock().next_tick();
            let Some(tick) = next_tick else { return };
            let outgoing = tokio::select! {
                message = subscription.recv() => match message {
                    Ok(message) => self.call(|shard, now| shard.receive(now, &message)),
                    Err(lagged) => {
                        telemetry::lost(lagged.lost);
                        continue;
                    }
                },
                () = sleep_until(self.epoch + tick) => self.call(Shard::tick),
            };
            self.publish(outgoing);
            tokio::task::consume_budget().await;
        }
    }

    /// Runs the diff task, which calls the handler with each due diff. Ends only when it is aborted.
    pub(crate) async fn deliver_diffs(self: Arc<Self>, handler: Arc<impl DiffHandler>) {
        loop {
            let (diff, next) = {
                let mut shard = self.shard.lock();
                if self.delivering.load(Ordering::Acquire) {
                    // The end of that delivery notifies this task.
                    (None, None)
                } else {
                    let diff = shard.take_diff(self.epoch.elapsed());
                    (diff.map(|diff| (diff, Delivery::begin(&self))), shard.next_diff())
                }
            };
            if let Some((diff, delivery)) = diff {
                handle(&*handler, diff).await;
                drop(delivery);
                continue;
            }
            let due = async {
                match next {
                    Some(next) => sleep_until(self.epoch + next).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                () = self.diff_ready.notified() => {}
                () = due => {}
            }
        }
    }
}

/// The delivery of one diff of a shard. No other delivery begins until it is dropped.
struct Delivery<'a>(&'a ShardDriver);

impl<'a> Delivery<'a> {
    /// The caller must hold the shard's lock.
    fn begin(driver: &'a ShardDriver) -> Self {
        driver.delivering.store(true, Ordering::Relaxed);
        Delivery(driver)
    }
}

impl Drop for Delivery<'_> {
    fn drop(&mut self) {
        self.0.delivering.store(false, Ordering::Release);
        self.0.diff_ready.notify_one();
    }
}

async fn handle(handler: &impl DiffHandler, diff: Diff) {
    telemetry::diff();
    let handled = AssertUnwindSafe(async { handler.handle_diff(diff).await }).catch_unwind().await;
    if let Err(panic) = handled {
        let panic = &*panic;
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text");
        telemetry::handler_panic();
        tracing::error!(panic = text, "presence: handle_diff panicked, its diff is lost");
    }
}
