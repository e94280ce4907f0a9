//! A producer that other tasks push into. It has no code of its own, so it has no task either.
//!
//! Its items wait in its outlet until subscribers ask. It closes when its last handle is dropped, or when the pipeline
//! drains.

use crate::outlet::{Outlet, Refused};
use crate::output::Output;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A handle to push items into a pipeline with, from any task. Cheap to clone; it is the queue's [`Output`] as well.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use bennu_pipeline::{Buffer, Demand, Pipeline};
///
/// let mut pipeline = Pipeline::new();
/// let queue = pipeline.queue("numbers").buffer(Buffer::keep_last(2)).start()?;
/// queue.push(1).await?; // waits for room
/// queue.try_push(2)?; // refuses when there is none
/// assert_eq!(queue.force_push(3)?, Some(1)); // drops what the buffer does not keep, and hands it over
///
/// let print = |numbers: Vec<u32>| async move { println!("{numbers:?}") };
/// pipeline.consumer("print").subscribe(&queue, Demand::max(10)).start(print)?;
/// drop(queue);
/// pipeline.finished().await?;
/// # Ok(())
/// # }
/// ```
///
/// Items of one task keep their order. When all handles are dropped, what was pushed is still delivered; then the stages
/// behind it end.
pub struct Queue<T> {
    end: Arc<PushEnd<T>>,
}

struct PushEnd<T> {
    output: Output<T>,
}

impl<T> Drop for PushEnd<T> {
    fn drop(&mut self) {
        self.output.outlet.close();
    }
}

impl<T> Queue<T> {
    pub(crate) fn new(outlet: Arc<Outlet<T>>) -> Self {
        Queue { end: Arc::new(PushEnd { output: Output::new(outlet) }) }
    }

    /// Pushes an item, and waits for room when the buffer is full. So whoever pushes feels how fast the pipeline is.
    ///
    /// Cancellation safe: when the future is dropped before it is ready, the item was not pushed, and is dropped with it.
    ///
    /// # Errors
    ///
    /// When the pipeline drains or has ended: the item comes back.
    pub async fn push(&self, item: T) -> Result<(), PushError<T>> {
        self.end.output.outlet.push(item).await.map_err(PushError)
    }

    /// Pushes items in their order: as many at a time as there is room for. When the buffer is full it waits until half of it
    /// has room, or as much as the items need that are left. For many items this costs less than a [`push`](Self::push) of
    /// each: those that find room go through one lock, and it is woken seldom.
    ///
    /// Items that others push meanwhile may come between them. When the future is dropped before it is ready, the items that
    /// found no room yet are dropped with it.
    ///
    /// # Errors
    ///
    /// When the pipeline drains or has ended: the items that were not pushed come back.
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
    pub async fn push_all(&self, items: Vec<T>) -> Result<(), PushError<Vec<T>>> {
        self.end.output.outlet.push_all(items).await.map_err(PushError)
    }

    /// Pushes an item if there is room for it.
    ///
    /// # Errors
    ///
    /// When the buffer is full, or the pipeline drains or has ended: the item comes back.
    pub fn try_push(&self, item: T) -> Result<(), TryPushError<T>> {
        self.end.output.outlet.try_push(item).map_err(|refused| match refused {
            Refused::Full(item) => TryPushError::Full(item),
            Refused::Closed(item) => TryPushError::Closed(item),
        })
    }

    /// Pushes an item at once. When the buffer is full, one item has to go: the oldest if it keeps the last, this one if
    /// it keeps the first. It is counted and comes back.
    ///
    /// # Errors
    ///
    /// When the pipeline drains or has ended: the item comes back.
    pub fn force_push(&self, item: T) -> Result<Option<T>, PushError<T>> {
        self.end.output.outlet.force_push(item).map_err(PushError)
    }

    /// Whether nothing can be pushed any more.
    pub fn is_closed(&self) -> bool {
        self.end.output.outlet.closed()
    }
}

impl<T> Deref for Queue<T> {
    type Target = Output<T>;

    fn deref(&self) -> &Output<T> {
        &self.end.output
    }
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Queue { end: self.end.clone() }
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("stage", &self.stage()).finish()
    }
}

/// The pipeline takes no more items; here is yours.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("the pipeline takes no more items")]
pub struct PushError<T>(pub T);

/// Why an item was not taken; here it is.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TryPushError<T> {
    /// The buffer is full.
    #[error("the queue is full")]
    Full(T),
    /// The pipeline drains or has ended.
    #[error("the pipeline takes no more items")]
    Closed(T),
}

// Without the item, so that any error of a push can be an error by `?`.
impl<T> fmt::Debug for PushError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PushError")
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
