//! The callbacks with which an application extends presence, and the broadcast of diffs to this node's clients.

use super::list::{self, PresenceMap};
use crate::broadcast::Broadcast;
use bennu_protocol::Payload;
use bennu_pubsub::PubSub;
use bennu_tracker::{Diff, DiffHandler, PresenceSnapshot, TopicDiff, Tracker};
use futures::FutureExt;
use futures::future::BoxFuture;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use tokio::sync::Mutex;

/// The event that clients' `Presence` listens to.
const PRESENCE_DIFF: &str = "presence_diff";

/// The callbacks of a presence. `()` has none, and costs nothing.
///
/// A panic of a callback is logged; when `fetch` panics, clients get the presences as they are tracked.
///
/// ```
/// use bennu_channels::{PresenceHandler, PresenceMap};
///
/// struct Avatars;
///
/// impl PresenceHandler for Avatars {
///     type State = ();
///
///     fn init(&self) {}
///
///     async fn fetch(&self, _topic: &str, mut presences: PresenceMap) -> PresenceMap {
///         for (name, entry) in presences.iter_mut() {
///             entry.insert("avatar", format!("/avatars/{name}.png"));
///         }
///         presences
///     }
/// }
/// ```
pub trait PresenceHandler: Send + Sync + 'static {
    /// The state that [`PresenceHandler::handle_metas`] keeps between calls.
    type State: Send + 'static;

    /// Whether it has callbacks: `false` for `()` only.
    #[doc(hidden)]
    const SOME: bool = true;

    /// Makes the state at the start.
    fn init(&self) -> Self::State;

    /// Adds fields to the presences of many keys with one query: it is called once for a list, and once for each side
    /// of a diff. Source: `fetch/2`.
    fn fetch(&self, topic: &str, presences: PresenceMap) -> impl Future<Output = PresenceMap> + Send {
        let _ = topic;
        async { presences }
    }

    /// Receives a change at a topic, and all presences after it. It is called on every node for changes of all nodes,
    /// in order, one call at a time. Source: `handle_metas/4`.
    fn handle_metas(
        &self,
        diff: &TopicDiff,
        presences: &PresenceSnapshot,
        state: &mut Self::State,
    ) -> impl Future<Output = ()> + Send {
        let _ = (diff, presences, state);
        async {}
    }
}

impl PresenceHandler for () {
    type State = ();
    const SOME: bool = false;

    fn init(&self) {}
}

/// A handler whose type is erased.
pub(crate) trait Erased: Send + Sync {
    fn fetch<'a>(&'a self, topic: &'a str, presences: PresenceMap) -> BoxFuture<'a, PresenceMap>;
    fn handle_metas<'a>(&'a self, diff: &'a TopicDiff, presences: &'a PresenceSnapshot) -> BoxFuture<'a, ()>;
}

struct Typed<H: PresenceHandler> {
    handler: H,
    /// One call at a time, over all shards.
    state: Mutex<H::State>,
}

pub(crate) fn erase<H: PresenceHandler>(handler: H) -> Option<Arc<dyn Erased>> {
    if !H::SOME {
        return None;
    }
    let state = Mutex::new(handler.init());
    Some(Arc::new(Typed { handler, state }))
}

impl<H: PresenceHandler> Erased for Typed<H> {
    fn fetch<'a>(&'a self, topic: &'a str, presences: PresenceMap) -> BoxFuture<'a, PresenceMap> {
        async move {
            let tracked = presences.clone();
            let fetching = AssertUnwindSafe(async { self.handler.fetch(topic, presences).await }).catch_unwind();
            fetching.await.unwrap_or_else(|_| {
                tracing::error!(topic, "presence: fetch panicked, clients get the presences as they are tracked");
                tracked
            })
        }
        .boxed()
    }

    fn handle_metas<'a>(&'a self, diff: &'a TopicDiff, presences: &'a PresenceSnapshot) -> BoxFuture<'a, ()> {
        async move {
            let mut state = self.state.lock().await;
            let handling = async { self.handler.handle_metas(diff, presences, &mut state).await };
            if AssertUnwindSafe(handling).catch_unwind().await.is_err() {
                tracing::error!(topic = &*diff.topic, "presence: handle_metas panicked");
            }
        }
        .boxed()
    }
}

/// Broadcasts the changes of presences to this node's clients.
pub(crate) struct DiffBroadcaster {
    pubsub: PubSub,
    handler: Option<Arc<dyn Erased>>,
    tracker: Arc<LateTracker>,
}

/// The tracker that reports the diffs, which is started after its broadcaster. A weak reference: it does not keep the
/// tracker alive.
#[derive(Default)]
pub(crate) struct LateTracker(OnceLock<bennu_tracker::WeakTracker>);

impl LateTracker {
    pub(crate) fn set(&self, tracker: &Tracker) {
        let _ = self.0.set(tracker.downgrade());
    }

    fn list(&self, topic: &str) -> Option<PresenceSnapshot> {
        Some(self.0.get()?.upgrade()?.list(topic))
    }
}

impl DiffBroadcaster {
    pub(crate) fn new(pubsub: PubSub, handler: Option<Arc<dyn Erased>>) -> Self {
        DiffBroadcaster { pubsub, handler, tracker: Arc::default() }
    }

    pub(crate) fn tracker(&self) -> Arc<LateTracker> {
        self.tracker.clone()
    }

    async fn broadcast_diff(&self, diff: TopicDiff) {
        let Some(handler) = &self.handler else { return broadcast_plain_diff(&self.pubsub, &diff) };
        let topic = &*diff.topic;
        if self.pubsub.subscriber_count(topic) > 0 {
            let joins = handler.fetch(topic, PresenceMap::of(diff.joins.iter())).await;
            let leaves = handler.fetch(topic, PresenceMap::of(diff.leaves.iter())).await;
            broadcast(&self.pubsub, topic, list::fetched_diff(&joins, &leaves));
        }
        if let Some(presences) = self.tracker.list(topic) {
            handler.handle_metas(&diff, &presences).await;
        }
    }
}

/// Broadcasts a diff of a presence without a handler.
pub(crate) fn broadcast_plain_diff(pubsub: &PubSub, diff: &TopicDiff) {
    if pubsub.subscriber_count(&diff.topic) > 0 {
        broadcast(pubsub, &diff.topic, list::plain_diff(&diff.joins, &diff.leaves));
    }
}

fn broadcast(pubsub: &PubSub, topic: &str, payload: Payload) {
    match Broadcast::new(topic, PRESENCE_DIFF, payload) {
        Ok(broadcast) => drop(pubsub.local_broadcast(topic, broadcast)),
        Err(error) => tracing::error!(topic, %error, "could not broadcast a presence diff"),
    }
}

impl DiffHandler for DiffBroadcaster {
    async fn handle_diff(&self, diff: Diff) {
        for topic in diff.topics {
            self.broadcast_diff(topic).await;
        }
    }
}
