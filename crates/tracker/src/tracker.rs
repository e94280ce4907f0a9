//! The tracker, the handle that applications hold: it routes each call to the shard of its topic.
//!
//! A tracker owns one [`ShardDriver`] for each shard and the two tasks of each driver. Every node assigns a topic to
//! the same shard. A guard keeps its tracker alive; the tasks do not.

use crate::crdt::PresenceRecord;
use crate::diff::{DiffHandler, TopicDiff};
use crate::guard::PresenceGuard;
use crate::hash;
use crate::message::Message;
use crate::options::{Options, OptionsError};
use crate::shard::ShardDriver;
use crate::validation::{self, MAX_META_BYTES, MAX_NAME_BYTES, TrackError};
use crate::view::PresenceSnapshot;
use bennu_pubsub::{NodeName, PubSub};
use parking_lot::Mutex;
use serde::Serialize;
use std::sync::{Arc, Weak};
use std::time::SystemTime;
use tokio::task::JoinHandle;

/// A replicated set of presences. Cloning is cheap; all clones share one tracker.
///
/// When the last clone and the last [`PresenceGuard`] have been dropped, the tracker sends a goodbye to the other
/// nodes, as [`Tracker::leave`] does.
#[derive(Clone)]
pub struct Tracker {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    shards: Box<[Arc<ShardDriver>]>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// A reference to a [`Tracker`] that does not keep it alive.
#[derive(Clone)]
pub struct WeakTracker(Weak<Inner>);

impl WeakTracker {
    /// Returns the tracker; `None` when it has been dropped.
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
    /// The largest topic and the largest key, in bytes.
    pub const MAX_NAME_BYTES: usize = MAX_NAME_BYTES;
    /// The largest meta, in bytes of its JSON.
    pub const MAX_META_BYTES: usize = MAX_META_BYTES;

    /// Starts a tracker. All trackers of one name, on the nodes of one PubSub, replicate each other's presences.
    ///
    /// The new tracker sends a hello at once and has the others' presences after a few round trips. Each node must have
    /// a name of its own.
    ///
    /// # Errors
    /// [`OptionsError`] when the options contradict each other.
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
        // Only orders the incarnations of a node. All periods are measured with a monotonic clock.
        let incarnation = u64::try_from(since_1970.as_micros()).unwrap_or(u64::MAX);
        let handler = Arc::new(handler);
        let (mut shards, mut tasks) = (Vec::new(), Vec::new());
        for number in 0..options.pool_size {
            let topic = format!("bennu.presence:{name}:{number}/{}", options.pool_size);
            let subscription = pubsub.subscribe::<Message>(&topic);
            let shard = Arc::new(ShardDriver::new(pubsub, topic, subscription.id(), incarnation, &options));
            shard.start();
            tasks.push(tokio::spawn(shard.clone().replicate(subscription)));
            tasks.push(tokio::spawn(shard.clone().deliver_diffs(handler.clone())));
            shards.push(shard);
        }
        let inner = Inner { name: name.to_owned(), shards: shards.into(), tasks: Mutex::new(tasks) };
        Ok(Tracker { inner: Arc::new(inner) })
    }

    /// Adds a presence of `key` at `topic`, which lasts until the returned guard is dropped. `meta` is any value that
    /// serde encodes as a JSON object.
    ///
    /// This node lists the presence on return, other nodes within a broadcast period. Each call adds a presence, also
    /// for a key that has one already.
    ///
    /// # Errors
    /// [`TrackError`] when the meta is not an object, when topic, key or meta is too long, or when the tracker has
    /// left.
    pub fn track(&self, topic: &str, key: &str, meta: &(impl Serialize + ?Sized)) -> Result<PresenceGuard, TrackError> {
        validation::check_names(topic, key)?;
        let meta = validation::encode_meta(meta)?;
        let shard = self.shard(topic);
        let presence = shard.call(|shard, now| shard.track(now, topic, key, meta)).ok_or(TrackError::Left)?;
        Ok(PresenceGuard::new(self.inner.clone(), shard.clone(), presence.dot()))
    }

    /// Returns the presences at a topic on all nodes, sorted by key, then by node, then in the order of joining.
    ///
    /// The snapshot is taken in constant time, holds no lock, and does not change.
    pub fn list(&self, topic: &str) -> PresenceSnapshot {
        PresenceSnapshot::new(self.shard(topic).view().presences(topic))
    }

    /// Returns the presences of one key at a topic.
    pub fn get_by_key(&self, topic: &str, key: &str) -> Vec<PresenceRecord> {
        self.list(topic).by_key(key).cloned().collect()
    }

    /// Returns the number of presences at a topic, in constant time.
    pub fn count(&self, topic: &str) -> usize {
        self.shard(topic).view().counts(topic).0
    }

    /// Returns the number of different keys at a topic, in constant time.
    pub fn key_count(&self, topic: &str) -> usize {
        self.shard(topic).view().counts(topic).1
    }

    /// Returns the number of topics with a presence.
    pub fn topic_count(&self) -> usize {
        self.inner.shards.iter().map(|shard| shard.view().topic_count()).sum()
    }

    /// Passes the pending changes of a topic to `deliver`, on the caller's thread, instead of to the [`DiffHandler`].
    ///
    /// Does nothing when the topic has no change, when its diff is not due yet, or while another diff of the shard is
    /// being delivered. `deliver` replaces the handler's call, and runs without a lock. A caller that has just made a
    /// change uses it to deliver the change before its next step: a client that tracks itself and then leaves receives
    /// both changes, in order.
    pub fn deliver_due(&self, topic: &str, deliver: impl FnOnce(TopicDiff)) {
        self.shard(topic).deliver_due(topic, deliver);
    }

    /// Returns the names of the other nodes that are up, sorted.
    pub fn nodes(&self) -> Vec<NodeName> {
        let mut nodes: Vec<_> = self.inner.shards.iter().flat_map(|shard| shard.nodes()).collect();
        nodes.sort();
        nodes.dedup();
        nodes
    }

    /// Returns the name from [`Tracker::start`].
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Sends a goodbye, on which other nodes remove this node's presences at once instead of after
    /// [`Options::down_period`]. Call it before the process ends.
    ///
    /// Afterwards the tracker is read-only: presences can be listed and not tracked, and the handler receives no
    /// further diff. A diff that the handler is processing is cancelled at its next `await`. Returns when the tracker's
    /// tasks have ended; the goodbye is published before the first `await`.
    pub async fn leave(&self) {
        self.inner.send_goodbye();
        let tasks = std::mem::take(&mut *self.inner.tasks.lock());
        for task in tasks {
            task.abort();
            // `Err` means that the task was cancelled, which is the intended end as much as a return.
            let _ = task.await;
        }
    }

    /// Returns a reference that does not keep the tracker alive, for example for its own handler.
    pub fn downgrade(&self) -> WeakTracker {
        WeakTracker(Arc::downgrade(&self.inner))
    }

    fn shard(&self, topic: &str) -> &Arc<ShardDriver> {
        let shards = &self.inner.shards;
        // All nodes must choose the same shard, also with different builds.
        &shards[(hash::stable(&[topic.as_bytes()]) % shards.len() as u64) as usize]
    }
}

impl std::fmt::Debug for Tracker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tracker({:?})", self.inner.name)
    }
}

impl Inner {
    fn send_goodbye(&self) {
        self.shards.iter().for_each(|shard| shard.leave());
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.send_goodbye();
        self.tasks.get_mut().iter().for_each(JoinHandle::abort);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn topics_are_distributed_over_all_shards() {
        let options = Options { pool_size: 4, ..Options::default() };
        let tracker = Tracker::start(&PubSub::local(), "app", options, ()).unwrap();
        let mut topics = [0; 4];
        for n in 0..400 {
            let shard = tracker.shard(&format!("room:{n}"));
            topics[tracker.inner.shards.iter().position(|other| Arc::ptr_eq(other, shard)).unwrap()] += 1;
        }
        assert!(topics.iter().all(|count| (60..140).contains(count)), "{topics:?}");
    }
}
