//! Stages in between: they take batches, and others take what they make of them.

use crate::crash::Crash;
use crate::inlets::Inlets;
use crate::life::{Life, StageFailed};
use crate::outlet::Outlet;
use crate::slice::Slice;
use std::sync::Arc;
use tokio::time::Instant;

/// What is made of items on their way: fewer, more, or others.
///
/// ```
/// use bennu_pipeline::{Crash, ProducerConsumer};
///
/// #[derive(Clone)]
/// struct Words;
///
/// impl ProducerConsumer<String, String> for Words {
///     async fn handle_events(&mut self, lines: Vec<String>) -> Result<Vec<String>, Crash> {
///         Ok(lines.iter().flat_map(|line| line.split_whitespace()).map(str::to_owned).collect())
///     }
/// }
/// ```
///
/// A closure `|items: Vec<T>| async move { .. }` is one too; it returns a `Vec<U>` or a `Result<Vec<U>, E>`.
pub trait ProducerConsumer<T, U>: Send + 'static {
    /// Works at a batch: at least one item, at most `max_demand - min_demand`, in the order in which they came. It comes
    /// only when somebody has asked for more than there is, and has no more items than were asked for.
    ///
    /// What is returned keeps its order. Nothing of it is dropped, however much it is; but no further batch comes until
    /// all of it was asked for. An error or a panic ends this stage: the batch is lost, and a new one starts from what
    /// the stage was started with.
    fn handle_events(&mut self, items: Vec<T>) -> impl Future<Output = Result<Vec<U>, Crash>> + Send;
}

/// What a closure in between may return: items, or a result with any error.
pub trait Made<U>: sealed::Sealed {
    /// As a handler's result.
    #[doc(hidden)]
    fn into_made(self) -> Result<Vec<U>, Crash>;
}

impl<U> Made<U> for Vec<U> {
    fn into_made(self) -> Result<Vec<U>, Crash> {
        Ok(self)
    }
}

impl<U, E: Into<Crash>> Made<U> for Result<Vec<U>, E> {
    fn into_made(self) -> Result<Vec<U>, Crash> {
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
    R: Future<Output: Made<U>> + Send,
{
    async fn handle_events(&mut self, items: Vec<T>) -> Result<Vec<U>, Crash> {
        let handling = self(items);
        handling.await.into_made()
    }
}

/// The task of a producer-consumer.
pub(crate) async fn run<T: Send, U: Send, P: ProducerConsumer<T, U>>(
    life: Life,
    inlets: Inlets<T>,
    outlet: Arc<Outlet<U>>,
    make: impl Fn() -> P + Send + Sync,
) -> Result<(), StageFailed> {
    let live = || async {
        let (mut stage, mut slice) = (make(), Slice::default());
        while let Some((inlet, batch)) = inlets.batch(outlet.demand().await).await {
            let (count, started) = (batch.len(), Instant::now());
            let made = stage.handle_events(batch).await?;
            let now = Instant::now();
            let took = now.duration_since(started);
            inlets.meters.time_in_stage.record(took);
            outlet.emit_all(made);
            inlet.finish_and_make(count, now);
            slice.spend(took).await;
        }
        Ok(())
    };
    let lived = life.run(live, || inlets.abandon()).await;
    outlet.close();
    lived
}
