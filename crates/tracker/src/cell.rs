//! One shard behind its lock, and the two tasks that give it time and messages.
//!
//! Made and called by the tracker and by the guards of what is tracked. One task receives messages and ends periods, and is
//! the only one that publishes, but for hello and goodbye. The other tells diffs. Calls lock the shard for about a microsecond
//! and never wait for a task. The lock is held longest while a message is merged (256 KiB of presences: some 3 ms) or a
//! node's presences are hidden (1 µs each); readers take another. Locks are taken in the order shard, view; messages are
//! published and handlers called without either.

use crate::diff::{Diff, TopicDiff};
use crate::handler::DiffHandler;
use crate::hash;
use crate::message::Message;
use crate::options::Options;
use crate::replica::Replica;
use crate::shard::{Outgoing, Shard};
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

/// One shard, and what its tasks and its callers share.
pub(crate) struct Cell {
    shard: Mutex<Shard>,
    view: Arc<View>,
    /// There may be a diff to tell, sooner than was thought.
    changed: Notify,
    /// Somebody tells a diff: the next one has to wait. Changed under the shard's lock, and ended without it.
    telling: AtomicBool,
    replica: Replica,
    topic: String,
    pubsub: PubSub,
    subscriber: SubscriberId,
    /// What the shard counts time from.
    epoch: Instant,
}

impl Cell {
    pub(crate) fn new(
        pubsub: &PubSub,
        topic: String,
        subscriber: SubscriberId,
        incarnation: u64,
        options: &Options,
    ) -> Self {
        let view = Arc::new(View::default());
        // Nodes that start together do not speak together: the first period is up to a quarter longer.
        let stagger = hash::stable(&[pubsub.node().as_str().as_bytes(), topic.as_bytes(), &incarnation.to_be_bytes()]);
        let first_tick = options.broadcast_period + options.broadcast_period.mul_f64((stagger % 256) as f64 / 1024.0);
        let domain = topic.as_str().into();
        let node = pubsub.node().clone();
        let shard = Shard::new(node, incarnation, domain, options.clone(), view.clone(), first_tick);
        let replica = shard.replica().clone();
        Cell {
            shard: Mutex::new(shard),
            view,
            changed: Notify::new(),
            telling: AtomicBool::new(false),
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

    /// Runs a call on the shard, and sees to it that what changed is told.
    pub(crate) fn change<R>(&self, call: impl FnOnce(&mut Shard, Duration) -> R) -> R {
        let mut shard = self.shard.lock();
        // The time is read under the lock, so that it never runs backwards for the shard.
        let outcome = call(&mut shard, self.epoch.elapsed());
        let tell = shard.next_diff().is_some();
        drop(shard);
        if tell {
            self.changed.notify_one();
        }
        outcome
    }

    fn publish(&self, outgoing: Vec<Outgoing>) {
        for Outgoing { to, message } in outgoing {
            telemetry::sent(message.what);
            let published = match &to {
                Some(node) => self.pubsub.direct_broadcast(node, &self.topic, message),
                None => self.pubsub.broadcast_from(self.subscriber, &self.topic, message),
            };
            if let Err(error) = published {
                // What did not arrive is asked for again, as is what gets lost on the way.
                telemetry::unsent();
                tracing::debug!(%error, "presence: not published");
            }
        }
    }

    /// Tells a topic's changes here and now, where they are due and nobody tells others.
    pub(crate) fn tell_now(&self, topic: &str, tell: impl FnOnce(TopicDiff)) {
        let mut shard = self.shard.lock();
        if self.telling.load(Ordering::Acquire) {
            return;
        }
        let Some(diff) = shard.take_diff_of(self.epoch.elapsed(), topic) else { return };
        let telling = Telling::begin(self);
        drop(shard);
        telemetry::diff();
        tell(diff);
        drop(telling);
    }

    /// Says hello.
    pub(crate) fn start(&self) {
        let hello = self.shard.lock().start();
        self.publish(hello);
    }

    /// Says goodbye.
    pub(crate) fn leave(&self) {
        let goodbye = self.shard.lock().leave();
        self.publish(goodbye);
    }

    /// The other nodes that are up.
    pub(crate) fn nodes(&self) -> Vec<NodeName> {
        self.shard.lock().nodes()
    }

    /// What readers see.
    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    /// The task that receives messages and ends periods.
    pub(crate) async fn replicate(self: Arc<Self>, mut subscription: Subscription<Message>) {
        loop {
            let next_tick = self.shard.lock().next_tick();
            let Some(tick) = next_tick else { return };
            let outgoing = tokio::select! {
                message = subscription.recv() => match message {
                    Ok(message) => self.change(|shard, now| shard.receive(now, &message)),
                    Err(lagged) => {
                        telemetry::lost(lagged.lost);
                        continue;
                    }
                },
                () = sleep_until(self.epoch + tick) => self.change(Shard::tick),
            };
            self.publish(outgoing);
            tokio::task::consume_budget().await;
        }
    }

    /// The task that tells diffs.
    pub(crate) async fn tell(self: Arc<Self>, handler: Arc<impl DiffHandler>) {
        loop {
            let (diff, next) = {
                let mut shard = self.shard.lock();
                if self.telling.load(Ordering::Acquire) {
                    // Whoever it is says when it is done.
                    (None, None)
                } else {
                    let diff = shard.take_diff(self.epoch.elapsed());
                    (diff.map(|diff| (diff, Telling::begin(&self))), shard.next_diff())
                }
            };
            if let Some((diff, telling)) = diff {
                handle(&*handler, diff).await;
                drop(telling);
                continue;
            }
            let due = async {
                match next {
                    Some(next) => sleep_until(self.epoch + next).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                () = self.changed.notified() => {}
                () = due => {}
            }
        }
    }
}

/// One diff that is being told, of a shard: until it is dropped, no other is.
struct Telling<'a>(&'a Cell);

impl<'a> Telling<'a> {
    /// To be called under the shard's lock.
    fn begin(cell: &'a Cell) -> Self {
        cell.telling.store(true, Ordering::Relaxed);
        Telling(cell)
    }
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        self.0.telling.store(false, Ordering::Release);
        self.0.changed.notify_one();
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
