//! Consumers: stages without an output. They take one batch after the other, in order.
//!
//! The stage's one task takes a batch from its subscriptions, calls [`Consumer::handle_events`], and finishes the batch.

use super::kind::{ConsumerKind, Nothing};
use super::{Stage, StartError};
use crate::output::subscription::Subscriptions;
use crate::supervisor::crash::{HandlerResult, IntoHandlerResult};
use crate::supervisor::{StageFailed, Supervisor};
use tokio::time::Instant;

/// The code of a stage that handles one batch at a time.
///
/// ```
/// use bennu_pipeline::{Consumer, HandlerResult, handled};
///
/// #[derive(Clone)]
/// struct Sum {
///     total: u64,
/// }
///
/// impl Consumer<u64> for Sum {
///     async fn handle_events(&mut self, numbers: Vec<u64>) -> HandlerResult {
///         self.total += numbers.iter().sum::<u64>();
///         println!("{} so far", self.total);
///         handled()
///     }
/// }
/// ```
///
/// A closure `|items: Vec<T>| async move { .. }` is one too; it returns nothing, or a `Result<(), E>`.
pub trait Consumer<T>: Send + 'static {
    /// Handles a batch: at least one item, at most `max_demand - min_demand`, in the order in which they were delivered.
    ///
    /// The next batch follows when this has returned. An error or a panic ends this consumer and loses the batch; a new
    /// consumer starts from the value that the stage was started with. Other delivered items are kept for the new consumer.
    fn handle_events(&mut self, items: Vec<T>) -> impl Future<Output = HandlerResult> + Send;
}

impl<T, F, R> Consumer<T> for F
where
    T: Send,
    F: FnMut(Vec<T>) -> R + Send + 'static,
    R: Future<Output: IntoHandlerResult> + Send,
{
    async fn handle_events(&mut self, items: Vec<T>) -> HandlerResult {
        let handling = self(items);
        handling.await.into_handler_result()
    }
}

impl<T: Send + 'static> Stage<'_, ConsumerKind, T, Nothing> {
    /// Starts the stage. After a crash it restarts from a clone of `consumer`.
    ///
    /// # Errors
    ///
    /// Any [`StartError`] of a subscription.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn start(self, consumer: impl Consumer<T> + Clone + Sync) -> Result<(), StartError> {
        self.start_with(move || consumer.clone())
    }

    /// Starts the stage as [`start`](Self::start) does, with a closure that makes a consumer at the start and after each
    /// crash.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn start_with<C: Consumer<T>>(
        mut self,
        make: impl Fn() -> C + Send + Sync + 'static,
    ) -> Result<(), StartError> {
        let (supervisor, subscriptions) = (self.supervisor(), self.subscriptions()?);
        self.pipeline.spawn(self.name, run(supervisor, subscriptions, make));
        Ok(())
    }
}

/// The task of a consumer.
async fn run<T: Send, C: Consumer<T>>(
    supervisor: Supervisor,
    subscriptions: Subscriptions<T>,
    make: impl Fn() -> C + Send + Sync,
) -> Result<(), StageFailed> {
    let consume = || async {
        let mut consumer = make();
        while let Some((subscription, batch)) = subscriptions.batch(usize::MAX).await {
            let (count, started) = (batch.len(), Instant::now());
            consumer.handle_events(batch).await?;
            subscriptions.meters.time_in_stage.record(started.elapsed());
            subscription.finish(count);
        }
        Ok(())
    };
    supervisor.run(consume, || subscriptions.abandon()).await
}
