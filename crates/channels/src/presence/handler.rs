//! What an application may add to presences, and the telling of diffs to this node's clients.

use super::list::{self, PresenceMap};
use crate::broadcast::Broadcast;
use bennu_tracker::{Diff, DiffHandler, Presences, TopicDiff, Tracker};
use bennu_protocol::Payload;
use bennu_pubsub::PubSub;
use futures::FutureExt;
use futures::future::BoxFuture;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use tokio::sync::Mutex;

/// The event that clients' `Presence` listens to.
const PRESENCE_DIFF: &str = "presence_diff";

/// What an application adds to its presences. `()` adds nothing, and costs nothing.
///
/// A callback that panics is logged; without `fetch`'s answer clients get what is tracked.
pub trait PresenceHandler: Send + Sync + 'static {
    /// What [`PresenceHandler::handle_metas`] keeps between calls.
    type State: Send + 'static;

    /// Whether there is anything in it: `false` for `()` only.
    #[doc(hidden)]
    const SOME: bool = true;

    /// The state at the start.
    fn init(&self) -> Self::State;

    /// Adds to many presences at once what clients are to know of their keys: one query for a list, one for each side
    /// of a diff. Source: `fetch/2`.
    fn fetch(&self, topic: &str, presences: PresenceMap) -> impl Future<Output = PresenceMap> + Send {
        let _ = topic;
        async { presences }
    }

    /// Hears what changed on a topic, on all nodes, and who is there now. Called on every node, in order, one call at a
    /// time. Source: `handle_metas/4`.
    fn handle_metas(
        &self,
        diff: &TopicDiff,
        presences: &Presences,
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

/// A handler without its types.
pub(super) trait Erased: Send + Sync {
    fn fetch<'a>(&'a self, topic: &'a str, presences: PresenceMap) -> BoxFuture<'a, PresenceMap>;
    fn handle_metas<'a>(&'a self, diff: &'a TopicDiff, presences: &'a Presences) -> BoxFuture<'a, ()>;
}

struct Typed<H: PresenceHandler> {
    handler: H,
    /// One call at a time, whichever shard it is for.
    state: Mutex<H::State>,
}

pub(super) fn erase<H: PresenceHandler>(handler: H) -> Option<Arc<dyn Erased>> {
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
                tracing::error!(topic, "presence: fetch panicked, clients get what is tracked");
                tracked
            })
        }
        .boxed()
    }

    fn handle_metas<'a>(&'a self, diff: &'a TopicDiff, presences: &'a Presences) -> BoxFuture<'a, ()> {
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

/// Tells this node's clients what changed.
pub(super) struct Teller {
    pubsub: PubSub,
    handler: Option<Arc<dyn Erased>>,
    tracker: Arc<Seen>,
}

/// The tracker that the teller belongs to, which starts with it. Not kept alive by it.
#[derive(Default)]
pub(super) struct Seen(OnceLock<bennu_tracker::WeakTracker>);

impl Seen {
    pub(super) fn set(&self, tracker: &Tracker) {
        let _ = self.0.set(tracker.downgrade());
    }

    fn list(&self, topic: &str) -> Option<Presences> {
        Some(self.0.get()?.upgrade()?.list(topic))
    }
}

impl Teller {
    pub(super) fn new(pubsub: PubSub, handler: Option<Arc<dyn Erased>>) -> Self {
        Teller { pubsub, handler, tracker: Arc::default() }
    }

    pub(super) fn tracker(&self) -> Arc<Seen> {
        self.tracker.clone()
    }

    async fn tell(&self, diff: TopicDiff) {
        let Some(handler) = &self.handler else { return tell_plain(&self.pubsub, &diff) };
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

/// Tells a diff where there is no handler.
pub(super) fn tell_plain(pubsub: &PubSub, diff: &TopicDiff) {
    if pubsub.subscriber_count(&diff.topic) > 0 {
        broadcast(pubsub, &diff.topic, list::plain_diff(&diff.joins, &diff.leaves));
    }
}

fn broadcast(pubsub: &PubSub, topic: &str, payload: Payload) {
    match Broadcast::new(topic, PRESENCE_DIFF, payload) {
        Ok(broadcast) => drop(pubsub.local_broadcast(topic, broadcast)),
        Err(error) => tracing::error!(topic, %error, "a presence diff cannot be sent"),
    }
}

impl DiffHandler for Teller {
    async fn handle_diff(&self, diff: Diff) {
        for topic in diff.topics {
            self.tell(topic).await;
        }
    }
}
