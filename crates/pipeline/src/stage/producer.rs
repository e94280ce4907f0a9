//! Producers: stages that make items on demand.
//!
//! The stage's one task waits for demand, calls [`Producer::handle_demand`], and inserts the items into its output. It ends
//! with the producer's last item or at a drain, and then closes the output.

use super::kind::{Nothing, ProducerKind};
use super::producer_consumer::IntoItems;
use super::{Stage, StartError};
use crate::output::Output;
use crate::output::shared::SharedOutput;
use crate::pipeline::DrainSignal;
use crate::supervisor::crash::HandlerError;
use crate::supervisor::{StageFailed, Supervisor};
use std::sync::Arc;

/// The code of a stage that makes items on demand.
///
/// ```
/// use bennu_pipeline::{HandlerError, Producer};
///
/// #[derive(Clone)]
/// struct Counter(u64);
///
/// impl Producer<u64> for Counter {
///     async fn handle_demand(&mut self, demand: usize) -> Result<Vec<u64>, HandlerError> {
///         let first = self.0;
///         self.0 += demand as u64;
///         Ok((first..self.0).collect())
///     }
/// }
/// ```
///
/// A closure `|demand: usize| async move { .. }` is one too; it returns a `Vec<T>` or a `Result<Vec<T>, E>`. [`from_iter`]
/// makes one of an iterator.
pub trait Producer<T>: Send + 'static {
    /// Makes items: at most `demand`, at least one. It may wait until it has some.
    ///
    /// `demand` is the number of items that subscribers have requested and not received; the stage calls again while some of
    /// it is left. **An empty vector** means that there will never be more items: the stage delivers the earlier ones, and
    /// then the stages behind it end. Items past `demand` go into the buffer, and past its size are dropped
    /// ([`dropped`](Self::dropped)).
    ///
    /// The future should be cancellation safe: a drain drops it while it waits. An error or a panic ends this producer, and a
    /// new one starts from the value that the stage was started with.
    fn handle_demand(&mut self, demand: usize) -> impl Future<Output = Result<Vec<T>, HandlerError>> + Send;

    /// Receives the items that a full buffer dropped. Does nothing by default; the stage counts and logs them in any case.
    fn dropped(&mut self, items: Vec<T>) {
        drop(items);
    }
}

impl<T, F, R> Producer<T> for F
where
    F: FnMut(usize) -> R + Send + 'static,
    R: Future<Output: IntoItems<T>> + Send,
{
    async fn handle_demand(&mut self, demand: usize) -> Result<Vec<T>, HandlerError> {
        let making = self(demand);
        making.await.into_items()
    }
}

/// Makes a producer of an iterator's items. It ends when the iterator does.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use bennu_pipeline::{Demand, Pipeline, from_iter};
///
/// let mut pipeline = Pipeline::new();
/// let numbers = pipeline.producer("numbers").start(from_iter(1..=100))?;
/// let print = |numbers: Vec<u32>| async move { println!("{numbers:?}") };
/// pipeline.consumer("print").subscribe(&numbers, Demand::max(10)).start(print)?;
/// pipeline.finished().await?;
/// # Ok(())
/// # }
/// ```
pub fn from_iter<I: IntoIterator>(items: I) -> FromIter<I::IntoIter> {
    FromIter { items: items.into_iter() }
}

/// The producer that [`from_iter`] makes.
#[derive(Debug, Clone)]
pub struct FromIter<I> {
    items: I,
}

impl<I: Iterator<Item: Send> + Send + 'static> Producer<I::Item> for FromIter<I> {
    async fn handle_demand(&mut self, demand: usize) -> Result<Vec<I::Item>, HandlerError> {
        Ok(self.items.by_ref().take(demand).collect())
    }
}

impl<T: Send + 'static> Stage<'_, ProducerKind, Nothing, T> {
    /// Starts the stage. After a crash it restarts from a clone of `producer`.
    ///
    /// # Errors
    ///
    /// [`StartError::NoPartitions`], [`StartError::NoBuffer`].
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn start(self, producer: impl Producer<T> + Clone + Sync) -> Result<Output<T>, StartError> {
        self.start_with(move || producer.clone())
    }

    /// Starts the stage as [`start`](Self::start) does, with a closure that makes a producer at the start and after each
    /// crash.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn start_with<P: Producer<T>>(
        mut self,
        make: impl Fn() -> P + Send + Sync + 'static,
    ) -> Result<Output<T>, StartError> {
        let (supervisor, output, drain) = (self.supervisor(), self.output()?, self.pipeline.drain_signal());
        self.pipeline.spawn(self.name, run(supervisor, output.clone(), make, drain));
        Ok(Output::new(output))
    }
}

/// The task of a producer.
async fn run<T: Send, P: Producer<T>>(
    supervisor: Supervisor,
    output: Arc<SharedOutput<T>>,
    make: impl Fn() -> P + Send + Sync,
    drain: DrainSignal,
) -> Result<(), StageFailed> {
    let produce = || async {
        let mut producer = make();
        loop {
            let items = tokio::select! {
                biased;
                () = drain.received() => break,
                items = next_items(&mut producer, &output) => items?,
            };
            if items.is_empty() {
                break;
            }
            let dropped = output.emit(items);
            if !dropped.is_empty() {
                producer.dropped(dropped);
            }
        }
        Ok(())
    };
    let result = supervisor.run(produce, || {}).await;
    output.close();
    result
}

async fn next_items<T: Send, P: Producer<T>>(
    producer: &mut P,
    output: &SharedOutput<T>,
) -> Result<Vec<T>, HandlerError> {
    let demand = output.demand().await;
    producer.handle_demand(demand).await
}
