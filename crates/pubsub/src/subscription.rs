//! A subscription that a task receives from: a bounded queue that loses the oldest when its task falls behind.

use crate::{Attachment, Delivery, Message, PubSub, Sink, SubscriberId};
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

/// This many messages were lost because their receiver fell behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{lost} messages were lost: the receiver fell more than {capacity} behind")]
pub struct Lagged {
    /// How many.
    pub lost: u64,
    /// How many may wait.
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
    /// Messages that may wait; past it the oldest is lost.
    pub const CAPACITY: usize = 1024;

    pub(crate) fn new(pubsub: &PubSub, topic: &str, metadata: Option<Box<dyn Any + Send + Sync>>) -> Self {
        let state = Mutex::new(State { messages: VecDeque::new(), lost: 0 });
        let queue = Arc::new(Queue { state, arrived: Notify::new(), metadata });
        let attachment = pubsub.attach(topic, queue.clone());
        Subscription { queue, attachment, message: PhantomData }
    }

    /// The next message, in the order of publishing.
    ///
    /// Cancel safe: a message is taken only when it is returned.
    ///
    /// # Errors
    /// [`Lagged`] once, when messages were lost; the next call goes on with the oldest that is left.
    pub async fn recv(&mut self) -> Result<Arc<M>, Lagged> {
        loop {
            if let Some(next) = self.try_recv() {
                return next;
            }
            self.queue.arrived.notified().await;
        }
    }

    /// The next message, if one waits.
    pub fn try_recv(&mut self) -> Option<Result<Arc<M>, Lagged>> {
        let mut state = self.queue.state.lock();
        if state.lost > 0 {
            let lost = std::mem::take(&mut state.lost);
            return Some(Err(Lagged { lost, capacity: Self::CAPACITY }));
        }
        state.messages.pop_front().map(Ok)
    }

    /// Identifies this subscription, for [`PubSub::broadcast_from`].
    pub fn id(&self) -> SubscriberId {
        self.attachment.id()
    }
}

impl<M: Message> Sink for Queue<M> {
    fn deliver(&self, delivery: &Delivery) {
        let Some(message) = delivery.downcast::<M>() else { return };
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
