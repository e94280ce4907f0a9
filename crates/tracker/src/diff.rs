//! Diffs: the changes of a shard's presences, as an application's [`DiffHandler`] receives them.
//!
//! The shard collects changes in [`PendingDiffs`]; the diff task of its driver calls the handler.

mod pending;

pub(crate) use pending::PendingDiffs;

use crate::crdt::PresenceRecord;
use std::future::Future;
use std::sync::Arc;

/// The joins and leaves of one shard since its previous diff.
///
/// All diffs of a shard, applied in order, give exactly the presences that the tracker lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diff {
    /// The diffs by topic, sorted by topic. None is empty.
    pub topics: Vec<TopicDiff>,
}

/// The joins and leaves of one topic. An update is both: the old record leaves, and the new one joins, with the old
/// reference as its [`PresenceRecord::previous`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicDiff {
    /// The topic.
    pub topic: Arc<str>,
    /// The presences that joined, sorted by node, then in the order of joining.
    pub joins: Vec<PresenceRecord>,
    /// The presences that left, in the same order.
    pub leaves: Vec<PresenceRecord>,
}

/// Receives the diffs of a tracker. Implemented by applications, and by the presence service of `bennu-channels`.
///
/// The tracker delivers the diffs of one shard in order, one at a time; those of different shards may be delivered
/// concurrently. A slow handler delays nothing else: changes are collected into the next diff meanwhile, where a join
/// and a leave of the same presence cancel out. When the handler panics, the panic is logged, the diff is lost, and the
/// next one follows. The handler runs without a lock and may use the tracker.
///
/// `()` is a handler that ignores all diffs.
pub trait DiffHandler: Send + Sync + 'static {
    /// Handles one diff. The future is dropped at its next `await` when the tracker ends.
    fn handle_diff(&self, diff: Diff) -> impl Future<Output = ()> + Send;
}

impl DiffHandler for () {
    async fn handle_diff(&self, _diff: Diff) {}
}
