//! Who is told of changes: implemented by applications, and by the presence of channels.

use crate::diff::Diff;
use std::future::Future;

/// Hears who came and who went.
///
/// Diffs of one shard are told in order and one at a time; those of different shards may be told at once. A handler may
/// take its time: meanwhile changes are collected into the next diff, where what came and went again cancels out, and
/// nothing else waits. When it panics, that is logged, its diff is lost, and the next one follows. It is called without
/// any lock, so it may use the tracker.
///
/// `()` is a handler that does nothing.
pub trait DiffHandler: Send + Sync + 'static {
    /// Takes one diff. Dropped at its next `await` when the tracker ends.
    fn handle_diff(&self, diff: Diff) -> impl Future<Output = ()> + Send;
}

impl DiffHandler for () {
    async fn handle_diff(&self, _diff: Diff) {}
}
