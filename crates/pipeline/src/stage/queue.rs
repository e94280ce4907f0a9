//! Queues: stages that other tasks push items into. A queue runs no code, so it has no task.
//!
//! Applications hold the handle, [`Queue`]. The items wait in the queue's output until subscribers request them. The output
//! closes when the last handle is dropped, or when the pipeline drains.

use super::kind::{Nothing, QueueKind};
use super::{Stage, StartError};
use crate::output::Output;
use crate::output::shared::Rejected;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A handle that pushes items into a pipeline, from any task. Cheap to clone; it derefs to the queue's [`Output`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use bennu_pipeline::{Buffer, Demand, Pipeline};
///
/// let mut pipeline = Pipeline::new();
/// let queue = pipeline.queue("numbers").buffer(Buffer::keep_last(2)).start()?;
/// queue.push(1).await?; // waits for room
/// queue.try_push(2)?; // is an error when there is no room
/// assert_eq!(queue.force_push(3)?, Some(1)); // drops an item when there is no room, and returns it
///
/// let print = |numbers: Vec<u32>| async move { println!("{numbers:?}") };
/// pipeline.consumer("print").subscribe(&queue, Demand::max(10)).start(print)?;
/// drop(queue);
/// pipeline.finished().await?;
/// # Ok(())
/// # }
/// ```
///
/// Items of one task keep their order. When all handles are dropped, the items in the queue are still delivered; then the
/// stages behind it end.
pub struct Queue<T> {
    input: Arc<Input<T>>,
}

/// The end to push into. It closes the output when the last handle is dropped.
struct Input<T> {
    output: Output<T>,
}

impl<T> Drop for Input<T> {
    fn drop(&mut self) {
        self.output.shared.close();
    }
}

impl<T: Send + 'static> Stage<'_, QueueKind, Nothing, T> {
    /// Starts the stage, and returns the handle that pushes into it.
    ///
    /// # Errors
    ///
    /// [`StartError::NoPartitions`], [`StartError::NoBuffer`].
    pub fn start(mut self) -> Result<Queue<T>, StartError> {
        let output = self.output()?;
        self.pipeline.close_at_drain(&output);
        Ok(Queue { input: Arc::new(Input { output: Output::new(output) }) })
    }
}

impl<T> Queue<T> {
    /// Pushes an item, and waits for room when the buffer is full: the calling task becomes as slow as the pipeline. Pushes
    /// that wait are served in the order in which they came.
    ///
    /// Cancellation safe: when the future is dropped before it is ready, the item is not pushed, and is dropped with it. A push
    /// that waits keeps its turn until its future is polled or dropped, so do not await another push of the same queue while you
    /// hold one that is not polled.
    ///
    /// # Errors
    ///
    /// When the pipeline drains or has ended. The error contains the item.
    pub async fn push(&self, item: T) -> Result<(), QueueClosed<T>> {
        self.input.output.shared.push(item).await.map_err(QueueClosed)
    }

    /// Pushes items in their order: as many at a time as there is room for. When the buffer is full it waits until half of the
    /// buffer has room, or less where fewer items are left. For many items this costs less than a [`push`](Self::push) of
    /// each: it takes one lock for all that find room, and the task is woken seldom.
    ///
    /// Items of other pushes may come between them. When the future is dropped before it is ready, the items that have found
    /// no room yet are dropped with it.
    ///
    /// # Errors
    ///
    /// When the pipeline drains or has ended. The error contains the items that were not pushed.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use bennu_pipeline::{Buffer, Demand, Pipeline};
    ///
    /// let mut pipeline = Pipeline::new();
    /// let queue = pipeline.queue("numbers").buffer(Buffer::keep_last(100)).start()?;
    /// let print = |number: u32| async move { println!("{number}") };
    /// pipeline.workers("print").subscribe(&queue, Demand::max(10)).start(print)?;
    /// queue.push_all((0..1_000).collect()).await?; // waits while the buffer is full
    /// # Ok(())
    /// # }
    /// ```
    pub async fn push_all(&self, items: Vec<T>) -> Result<(), QueueClosed<Vec<T>>> {
        self.input.output.shared.push_all(items).await.map_err(QueueClosed)
    }

    /// Pushes an item if there is room for it.
    ///
    /// # Errors
    ///
    /// When the buffer is full, or the pipeline drains or has ended. The error contains the item.
    pub fn try_push(&self, item: T) -> Result<(), TryPushError<T>> {
        self.input.output.shared.try_push(item).map_err(|rejected| match rejected {
            Rejected::Full(item) => TryPushError::Full(item),
            Rejected::Closed(item) => TryPushError::Closed(item),
        })
    }

    /// Pushes an item without waiting. A full buffer drops one item: its oldest if it keeps the last, this one if it keeps the
    /// first. The dropped item is counted and returned.
    ///
    /// # Errors
    ///
    /// When the pipeline drains or has ended. The error contains the item.
    pub fn force_push(&self, item: T) -> Result<Option<T>, QueueClosed<T>> {
        self.input.output.shared.force_push(item).map_err(QueueClosed)
    }

    /// Returns whether the queue accepts no more items: the pipeline drains or has ended.
    pub fn is_closed(&self) -> bool {
        self.input.output.shared.closed()
    }
}

impl<T> Deref for Queue<T> {
    type Target = Output<T>;

    fn deref(&self) -> &Output<T> {
        &self.input.output
    }
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Queue { input: self.input.clone() }
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("stage", &self.stage()).finish()
    }
}

/// The pipeline accepts no more items. Contains the item, or the items, of the push.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("could not push: the pipeline is draining or has ended")]
pub struct QueueClosed<T>(pub T);

/// An item was not accepted. Contains the item.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TryPushError<T> {
    /// The buffer is full.
    #[error("could not push: the buffer of the queue is full")]
    Full(T),
    /// The pipeline drains or has ended.
    #[error("could not push: the pipeline is draining or has ended")]
    Closed(T),
}

// Without the item, so that `?` works for items without `Debug`.
impl<T> fmt::Debug for QueueClosed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("QueueClosed")
    }
}

impl<T> fmt::Debug for TryPushError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TryPushError::Full(_) => "Full",
            TryPushError::Closed(_) => "Closed",
        })
    }
}
