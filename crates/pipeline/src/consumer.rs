//! Stages that only take: one batch after the other, in order.

use crate::crash::{Handled, Outcome};
use crate::inlets::Inlets;
use crate::life::{Life, StageFailed};
use crate::slice::Slice;
use tokio::time::Instant;

/// What is done with items that have come together, one batch at a time.
///
/// ```
/// use bennu_pipeline::{Consumer, Handled, handled};
///
/// #[derive(Clone)]
/// struct Sum {
///     total: u64,
/// }
///
/// impl Consumer<u64> for Sum {
///     async fn handle_events(&mut self, numbers: Vec<u64>) -> Handled {
///         self.total += numbers.iter().sum::<u64>();
///         println!("{} so far", self.total);
///         handled()
///     }
/// }
/// ```
///
/// A closure `|items: Vec<T>| async move { .. }` is one too; it returns nothing, or a `Result<(), E>`.
pub trait Consumer<T>: Send + 'static {
    /// Works at a batch: at least one item, at most `max_demand - min_demand`, in the order in which they came.
    ///
    /// The next batch comes when this has returned. An error or a panic ends this consumer: the batch is lost, and a new
    /// one starts from what the stage was started with. What was delivered besides is kept for it.
    fn handle_events(&mut self, items: Vec<T>) -> impl Future<Output = Handled> + Send;
}

impl<T, F, R> Consumer<T> for F
where
    T: Send,
    F: FnMut(Vec<T>) -> R + Send + 'static,
    R: Future<Output: Outcome> + Send,
{
    async fn handle_events(&mut self, items: Vec<T>) -> Handled {
        let handling = self(items);
        handling.await.into_handled()
    }
}

/// The task of a consumer.
pub(crate) async fn run<T: Send, C: Consumer<T>>(
    life: Life,
    inlets: Inlets<T>,
    make: impl Fn() -> C + Send + Sync,
) -> Result<(), StageFailed> {
    let live = || async {
        let (mut consumer, mut slice) = (make(), Slice::default());
        while let Some((inlet, batch)) = inlets.batch(usize::MAX).await {
            let (count, started) = (batch.len(), Instant::now());
            consumer.handle_events(batch).await?;
            let now = Instant::now();
            let took = now.duration_since(started);
            inlets.meters.time_in_stage.record(took);
            inlet.finish_and_make(count, now);
            slice.spend(took).await;
        }
        Ok(())
    };
    life.run(live, || inlets.abandon()).await
}
