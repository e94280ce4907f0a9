//! Producer-consumers: stages in the middle. They take batches and make items of them for other stages.
//!
//! The stage's one task waits for demand of its own subscribers before it takes a batch, so it never takes items that nobody
//! has requested.

use super::kind::ProducerConsumerKind;
use super::{Stage, StartError};
use crate::output::Output;
use crate::output::shared::SharedOutput;
use crate::output::subscription::Subscriptions;
use crate::supervisor::crash::HandlerError;
use crate::supervisor::{StageFailed, Supervisor};
use std::sync::Arc;
use tokio::time::Instant;

/// The code of a stage that makes fewer, more, or other items of its input.
///
/// ```
/// use bennu_pipeline::{HandlerError, ProducerConsumer};
///
/// #[derive(Clone)]
/// struct Words;
///
/// impl ProducerConsumer<String, String> for Words {
///     async fn handle_events(&mut self, lines: Vec<String>) -> Result<Vec<String>, HandlerError> {
///         Ok(lines.iter().flat_map(|line| line.split_whitespace()).map(str::to_owned).collect())
///     }
/// }
/// ```
///
/// A closure `|items: Vec<T>| async move { .. }` is one too; it returns a `Vec<U>` or a `Result<Vec<U>, E>`.
pub trait ProducerConsumer<T, U>: Send + 'static {
    /// Handles a batch: at least one item, at most `max_demand - min_demand`, in the order in which they were delivered. A
    /// batch follows only when subscribers have requested more items than the stage buffers, and has no more items than were
    /// requested.
    ///
    /// The returned items keep their order. None of them is dropped, however many they are; but no further batch follows
    /// until all of them have been requested. An error or a panic ends this producer-consumer and loses the batch; a new one
    /// starts from the value that the stage was started with.
    fn handle_events(&mut self, items: Vec<T>) -> impl Future<Output = Result<Vec<U>, HandlerError>> + Send;
}

/// The return value of a closure that makes items: the items, or a result with any error.
pub trait IntoItems<U>: sealed::Sealed {
    /// Converts it into a handler's result.
    #[doc(hidden)]
    fn into_items(self) -> Result<Vec<U>, HandlerError>;
}

impl<U> IntoItems<U> for Vec<U> {
    fn into_items(self) -> Result<Vec<U>, HandlerError> {
        Ok(self)
    }
}

impl<U, E: Into<HandlerError>> IntoItems<U> for Result<Vec<U>, E> {
    fn into_items(self) -> Result<Vec<U>, HandlerError> {
        self.map_err(Into::into)
    }
}

mod sealed {
    pub trait Sealed {}
    impl<U> Sealed for Vec<U> {}
    impl<U, E> Sealed for Result<Vec<U>, E> {}
}

impl<T, U, F, R> ProducerConsumer<T, U> for F
where
    T: Send,
    F: FnMut(Vec<T>) -> R + Send + 'static,
    R: Future<Output: IntoItems<U>> + Send,
{
    async fn handle_events(&mut self, items: Vec<T>) -> Result<Vec<U>, HandlerError> {
        let handling = self(items);
        handling.await.into_items()
    }
}

impl<T: Send + 'static, U: Send + 'static> Stage<'_, ProducerConsumerKind, T, U> {
    /// Starts the stage. After a crash it restarts from a clone of `stage`.
    ///
    /// # Errors
    ///
    /// Any [`StartError`].
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn start(self, stage: impl ProducerConsumer<T, U> + Clone + Sync) -> Result<Output<U>, StartError> {
        self.start_with(move || stage.clone())
    }

    /// Starts the stage as [`start`](Self::start) does, with a closure that makes a producer-consumer at the start and after
    /// each crash.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn start_with<P: ProducerConsumer<T, U>>(
        mut self,
        make: impl Fn() -> P + Send + Sync + 'static,
    ) -> Result<Output<U>, StartError> {
        let (supervisor, subscriptions, output) = (self.supervisor(), self.subscriptions()?, self.output()?);
        self.pipeline.spawn(self.name, run(supervisor, subscriptions, output.clone(), make));
        Ok(Output::new(output))
    }
}

/// The task of a producer-consumer.
async fn run<T: Send, U: Send, P: ProducerConsumer<T, U>>(
    supervisor: Supervisor,
    subscriptions: Subscriptions<T>,
    output: Arc<SharedOutput<U>>,
    make: impl Fn() -> P + Send + Sync,
) -> Result<(), StageFailed> {
    let transform = || async {
        let mut stage = make();
        while let Some((subscription, batch)) = subscriptions.batch(output.demand().await).await {
            let (count, started) = (batch.len(), Instant::now());
            let items = stage.handle_events(batch).await?;
            subscriptions.meters.time_in_stage.record(started.elapsed());
            output.emit_all(items);
            subscription.finish(count);
        }
        Ok(())
    };
    let result = supervisor.run(transform, || subscriptions.abandon()).await;
    output.close();
    result
}
