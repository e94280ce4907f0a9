//! The tracker that applications hold: shards behind locks, and what is asked of all of them.

use crate::cell::Cell;
use crate::diff::TopicDiff;
use crate::handler::DiffHandler;
use crate::hash;
use crate::message::{MAX_META_BYTES, MAX_NAME_BYTES, Message};
use crate::meta::{TrackError, encode};
use crate::options::{Options, OptionsError};
use crate::presence::Presence;
use crate::presences::Presences;
use crate::tracked::Tracked;
use bennu_pubsub::{NodeName, PubSub};
use parking_lot::Mutex;
use serde::Serialize;
use std::sync::{Arc, Weak};
use std::time::SystemTime;
use tokio::task::JoinHandle;

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
            cell.start();
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
        Ok(Tracked::new(self.inner.clone(), cell.clone(), presence.dot()))
    }

    /// Who is at a topic now, on all nodes: by key, then by node, then in the order of joining.
    ///
    /// Takes a snapshot in constant time. Nothing is locked while it is read, and it does not change.
    pub fn list(&self, topic: &str) -> Presences {
        Presences { roster: self.cell(topic).view().roster(topic) }
    }

    /// The presences of one key at a topic.
    pub fn get_by_key(&self, topic: &str, key: &str) -> Vec<Presence> {
        self.list(topic).by_key(key).cloned().collect()
    }

    /// How many presences a topic has, in constant time.
    pub fn count(&self, topic: &str) -> usize {
        self.cell(topic).view().counts(topic).0
    }

    /// How many different keys are at a topic, in constant time.
    pub fn key_count(&self, topic: &str) -> usize {
        self.cell(topic).view().counts(topic).1
    }

    /// How many topics have a presence.
    pub fn topic_count(&self) -> usize {
        self.inner.cells.iter().map(|cell| cell.view().topic_count()).sum()
    }

    /// Tells a topic's changes here and now, where they are due: for who has just made one, and would otherwise leave it to
    /// the task that calls the handler. So a client that tracks itself and leaves at once is told of both, in order.
    ///
    /// `tell` does what the handler would do. It runs without a lock, and not while the handler is being told something.
    pub fn tell_now(&self, topic: &str, tell: impl FnOnce(TopicDiff)) {
        self.cell(topic).tell_now(topic, tell);
    }

    /// The other nodes that are up, sorted by name.
    pub fn nodes(&self) -> Vec<NodeName> {
        let mut nodes: Vec<_> = self.inner.cells.iter().flat_map(|cell| cell.nodes()).collect();
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
        self.cells.iter().for_each(|cell| cell.leave());
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.say_goodbye();
        self.tasks.get_mut().iter().for_each(JoinHandle::abort);
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
