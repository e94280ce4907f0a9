//! The tracker that applications hold: shards behind locks, and the tasks that give them time and messages.
//!
//! Each shard has two tasks. One receives messages and ends periods, and is the only one that publishes, but for the
//! goodbye. The other tells diffs. Calls lock their shard for about a microsecond and never wait for a task. The lock
//! is held longest while a message is merged (256 KiB of presences: some 3 ms) or a node's presences are hidden (1 µs
//! each); readers take another. Locks are taken in the order shard, view; messages are published and handlers called
//! without either.

use crate::diff::{Diff, TopicDiff};
use crate::handler::DiffHandler;
use crate::hash;
use crate::message::{self, MAX_META_BYTES, MAX_NAME_BYTES, Message};
use crate::options::{Options, OptionsError};
use crate::presence::Presence;
use crate::replica::Replica;
use crate::roster::Roster;
use crate::shard::{Outgoing, Shard};
use crate::telemetry;
use crate::tracked::Tracked;
use crate::view::View;
use bennu_pubsub::{NodeName, PubSub, SubscriberId, Subscription};
use futures::FutureExt;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// Knows who is where, on all nodes. Cloning is cheap and shares everything.
///
/// When the last clone is dropped, and with it the last [`Tracked`], the tracker says goodbye as [`Tracker::leave`]
/// does.
#[derive(Clone)]
pub struct Tracker {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    cells: Box<[Arc<Cell>]>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

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

/// A reference to a [`Tracker`] that does not keep it alive.
#[derive(Clone)]
pub struct WeakTracker(Weak<Inner>);

impl WeakTracker {
    /// The tracker, while somebody else holds it.
    pub fn upgrade(&self) -> Option<Tracker> {
        Some(Tracker { inner: self.0.upgrade()? })
    }
}

impl std::fmt::Debug for WeakTracker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WeakTracker")
    }
}

/// Why a presence is not tracked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrackError {
    /// The meta cannot be written as JSON.
    #[error("the meta cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The meta is JSON, but no object.
    #[error("the meta must be a JSON object, it is {0}")]
    NotAnObject(String),
    /// Too many bytes.
    #[error("the {what} has {bytes} bytes, the limit is {limit}")]
    TooLong {
        /// Topic, key or meta.
        what: &'static str,
        /// How many it has.
        bytes: usize,
        /// How many it may have.
        limit: usize,
    },
    /// The tracker has left.
    #[error("the tracker has left the cluster")]
    Left,
}

impl Tracker {
    /// Bytes that a topic and a key may have.
    pub const MAX_NAME_BYTES: usize = MAX_NAME_BYTES;
    /// Bytes that a meta may have as JSON.
    pub const MAX_META_BYTES: usize = MAX_META_BYTES;

    /// Starts a tracker. Those with one name, on the nodes of one PubSub, know each other's presences.
    ///
    /// It says hello at once, and knows what others have after a few round trips. Nodes must differ in their names.
    ///
    /// # Errors
    /// [`OptionsError`] when options contradict each other.
    ///
    /// # Panics
    /// Outside of a tokio runtime with time enabled.
    pub fn start(
        pubsub: &PubSub,
        name: &str,
        options: Options,
        handler: impl DiffHandler,
    ) -> Result<Tracker, OptionsError> {
        options.check()?;
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        // Only to tell which of two lives of a node is the later one. Time is measured with a monotonic clock.
        let incarnation = u64::try_from(since_1970.as_micros()).unwrap_or(u64::MAX);
        let handler = Arc::new(handler);
        let (mut cells, mut tasks) = (Vec::new(), Vec::new());
        for number in 0..options.pool_size {
            let topic = format!("bennu.presence:{name}:{number}/{}", options.pool_size);
            let subscription = pubsub.subscribe::<Message>(&topic);
            let cell = Arc::new(Cell::new(pubsub, topic, subscription.id(), incarnation, &options));
            cell.publish(cell.shard.lock().start());
            tasks.push(tokio::spawn(cell.clone().replicate(subscription)));
            tasks.push(tokio::spawn(cell.clone().tell(handler.clone())));
            cells.push(cell);
        }
        let inner = Inner { name: name.to_owned(), cells: cells.into(), tasks: Mutex::new(tasks) };
        Ok(Tracker { inner: Arc::new(inner) })
    }

    /// Adds a presence: `key` is at `topic`, until the returned guard is dropped. `meta` is anything that serde writes
    /// as a JSON object.
    ///
    /// This node lists it on return; others within a broadcast period. Each call adds one, also for the same key.
    ///
    /// # Errors
    /// [`TrackError`] when the meta is no object, something is too long, or the tracker has left.
    pub fn track(&self, topic: &str, key: &str, meta: &(impl Serialize + ?Sized)) -> Result<Tracked, TrackError> {
        for (what, text) in [("topic", topic), ("key", key)] {
            if text.len() > MAX_NAME_BYTES {
                return Err(TrackError::TooLong { what, bytes: text.len(), limit: MAX_NAME_BYTES });
            }
        }
        let meta = encode(meta)?;
        let cell = self.cell(topic);
        let presence = cell.change(|shard, now| shard.track(now, topic, key, meta)).ok_or(TrackError::Left)?;
        Ok(Tracked::new(self.clone(), cell.clone(), presence.dot()))
    }

    /// Who is at a topic now, on all nodes: by key, then by node, then in the order of joining.
    ///
    /// Takes a snapshot in constant time. Nothing is locked while it is read, and it does not change.
    pub fn list(&self, topic: &str) -> Presences {
        Presences { roster: self.cell(topic).view.roster(topic) }
    }

    /// The presences of one key at a topic.
    pub fn get_by_key(&self, topic: &str, key: &str) -> Vec<Presence> {
        self.list(topic).by_key(key).cloned().collect()
    }

    /// How many presences a topic has, in constant time.
    pub fn count(&self, topic: &str) -> usize {
        self.cell(topic).view.counts(topic).0
    }

    /// How many different keys are at a topic, in constant time.
    pub fn key_count(&self, topic: &str) -> usize {
        self.cell(topic).view.counts(topic).1
    }

    /// How many topics have a presence.
    pub fn topic_count(&self) -> usize {
        self.inner.cells.iter().map(|cell| cell.view.topic_count()).sum()
    }

    /// Tells a topic's changes here and now, where they are due: for who has just made one, and would otherwise leave it to
    /// the task that calls the handler. So a client that tracks itself and leaves at once is told of both, in order.
    ///
    /// `tell` does what the handler would do. It runs without a lock, and not while the handler is being told something.
    pub fn tell_now(&self, topic: &str, tell: impl FnOnce(TopicDiff)) {
        let cell = self.cell(topic);
        let mut shard = cell.shard.lock();
        if cell.telling.load(Ordering::Acquire) {
            return;
        }
        let Some(diff) = shard.take_diff_of(cell.epoch.elapsed(), topic) else { return };
        let telling = Telling::begin(cell);
        drop(shard);
        telemetry::diff();
        tell(diff);
        drop(telling);
    }

    /// The other nodes that are up, sorted by name.
    pub fn nodes(&self) -> Vec<NodeName> {
        let mut nodes: Vec<_> = self.inner.cells.iter().flat_map(|cell| cell.shard.lock().nodes()).collect();
        nodes.sort();
        nodes.dedup();
        nodes
    }

    /// The name that it was started with.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Says goodbye: other nodes let this node's presences go at once, where they would otherwise wait for
    /// [`Options::down_period`]. To be called before a process ends.
    ///
    /// From now on nothing changes here: presences can be listed, and not be tracked; the handler is told nothing more.
    /// A diff that is being handled is dropped at its next `await`. Returns when the tracker's tasks have ended; the
    /// goodbye has been published before the first `await`.
    pub async fn leave(&self) {
        self.inner.say_goodbye();
        let tasks = std::mem::take(&mut *self.inner.tasks.lock());
        for task in tasks {
            task.abort();
            // Either it has ended, or it is cancelled: both are what is wanted.
            let _ = task.await;
        }
    }

    /// A reference that does not keep the tracker alive: for its own handler, say.
    pub fn downgrade(&self) -> WeakTracker {
        WeakTracker(Arc::downgrade(&self.inner))
    }

    fn cell(&self, topic: &str) -> &Arc<Cell> {
        let cells = &self.inner.cells;
        // The same on every node, whatever its build.
        &cells[(hash::stable(&[topic.as_bytes()]) % cells.len() as u64) as usize]
    }
}

impl std::fmt::Debug for Tracker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tracker({:?})", self.inner.name)
    }
}

impl Inner {
    fn say_goodbye(&self) {
        for cell in &self.cells {
            let goodbye = cell.shard.lock().leave();
            cell.publish(goodbye);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.say_goodbye();
        self.tasks.get_mut().iter().for_each(JoinHandle::abort);
    }
}

pub(crate) fn encode(meta: &(impl Serialize + ?Sized)) -> Result<Arc<RawValue>, TrackError> {
    let meta = to_raw_value(meta)?;
    if !message::is_object(&meta) {
        let shown: String = meta.get().chars().take(64).collect();
        return Err(TrackError::NotAnObject(shown));
    }
    match meta.get().len() {
        bytes if bytes > MAX_META_BYTES => Err(TrackError::TooLong { what: "meta", bytes, limit: MAX_META_BYTES }),
        _ => Ok(meta.into()),
    }
}

impl Cell {
    fn new(pubsub: &PubSub, topic: String, subscriber: SubscriberId, incarnation: u64, options: &Options) -> Self {
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

    /// The task that receives messages and ends periods.
    async fn replicate(self: Arc<Self>, mut subscription: Subscription<Message>) {
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
    async fn tell(self: Arc<Self>, handler: Arc<impl DiffHandler>) {
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

/// Who was at a topic when it was listed. Cloning is cheap.
#[derive(Clone)]
pub struct Presences {
    roster: Roster,
}

impl Presences {
    /// By key, then by node, then in the order of joining.
    pub fn iter(&self) -> impl Iterator<Item = &Presence> {
        self.roster.iter()
    }

    /// Those with this key.
    pub fn by_key<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a Presence> + use<'a> {
        self.roster.by_key(key)
    }

    /// How many they are.
    pub fn len(&self) -> usize {
        self.roster.len()
    }

    /// Whether nobody was there.
    pub fn is_empty(&self) -> bool {
        self.roster.len() == 0
    }

    /// How many different keys they have.
    pub fn key_count(&self) -> usize {
        self.roster.keys()
    }
}

impl std::fmt::Debug for Presences {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn topics_are_spread_over_all_shards() {
        let options = Options { pool_size: 4, ..Options::default() };
        let tracker = Tracker::start(&PubSub::local(), "app", options, ()).unwrap();
        let mut topics = [0; 4];
        for n in 0..400 {
            let cell = tracker.cell(&format!("room:{n}"));
            topics[tracker.inner.cells.iter().position(|other| Arc::ptr_eq(other, cell)).unwrap()] += 1;
        }
        assert!(topics.iter().all(|count| (60..140).contains(count)), "{topics:?}");
    }
}
