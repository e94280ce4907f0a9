//! A subscription for a task: a bounded queue, which loses its oldest message when the task falls behind.
//!
//! [`PubSub::subscribe`] creates it, the publisher's task fills the queue, and one task receives. Invariant: the queue
//! holds at most [`Subscription::CAPACITY`] messages, and every lost message is counted.

use crate::{Attachment, Message, PubSub, Publication, Sink, SubscriberId};
use parking_lot::Mutex;
use std::any::Any;
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::Arc;
use tokio::sync::Notify;

/// Messages of one type on one topic. Dropping it unsubscribes.
pub struct Subscription<M> {
    queue: Arc<Queue<M>>,
    attachment: Attachment,
    message: PhantomData<fn() -> M>,
}

/// An error: messages were lost because their receiver fell behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{lost} messages were lost: the receiver fell behind by more than the {capacity} messages of its queue")]
pub struct Lagged {
    /// The number of lost messages.
    pub lost: u64,
    /// The number of messages that the queue holds.
    pub capacity: usize,
}

struct Queue<M> {
    state: Mutex<State<M>>,
    arrived: Notify,
    metadata: Option<Box<dyn Any + Send + Sync>>,
}

struct State<M> {
    messages: VecDeque<Arc<M>>,
    lost: u64,
}

impl<M: Message> Subscription<M> {
    /// The number of messages that the queue holds; past it the oldest is lost.
    pub const CAPACITY: usize = 1024;

    pub(crate) fn new(pubsub: &PubSub, topic: &str, metadata: Option<Box<dyn Any + Send + Sync>>) -> Self {
        let state = Mutex::new(State { messages: VecDeque::new(), lost: 0 });
        let queue = Arc::new(Queue { state, arrived: Notify::new(), metadata });
        let attachment = pubsub.attach(topic, queue.clone());
        Subscription { queue, attachment, message: PhantomData }
    }

    /// Receives the next message, in the order of publishing.
    ///
    /// Cancel safe: a message is taken only when it is returned.
    ///
    /// # Errors
    /// [`Lagged`] once after messages were lost; the next call continues with the oldest one left.
    pub async fn recv(&mut self) -> Result<Arc<M>, Lagged> {
        loop {
            if let Some(next) = self.try_recv() {
                return next;
            }
            self.queue.arrived.notified().await;
        }
    }

    /// Returns the next message if the queue has one.
    pub fn try_recv(&mut self) -> Option<Result<Arc<M>, Lagged>> {
        let mut state = self.queue.state.lock();
        if state.lost > 0 {
            let lost = std::mem::take(&mut state.lost);
            return Some(Err(Lagged { lost, capacity: Self::CAPACITY }));
        }
        state.messages.pop_front().map(Ok)
    }

    /// Returns the id of this subscription, for [`PubSub::broadcast_from`].
    pub fn id(&self) -> SubscriberId {
        self.attachment.id()
    }
}

impl<M: Message> Sink for Queue<M> {
    fn deliver(&self, publication: &Publication) {
        let Some(message) = publication.downcast::<M>() else { return };
        let mut state = self.state.lock();
        if state.messages.len() >= Subscription::<M>::CAPACITY {
            state.messages.pop_front();
            state.lost += 1;
        }
        state.messages.push_back(message);
        drop(state);
        self.arrived.notify_one();
    }

    fn metadata(&self) -> Option<&(dyn Any + Send + Sync)> {
        self.metadata.as_deref()
    }
}
