//! Stages that make items when somebody asks for them.

use crate::crash::Crash;
use crate::life::{Life, StageFailed};
use crate::outlet::Outlet;
use crate::producer_consumer::Made;
use crate::stop::Stop;
use std::sync::Arc;

/// What makes items on demand.
///
/// ```
/// use bennu_pipeline::{Crash, Producer};
///
/// #[derive(Clone)]
/// struct Counter(u64);
///
/// impl Producer<u64> for Counter {
///     async fn handle_demand(&mut self, demand: usize) -> Result<Vec<u64>, Crash> {
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
    /// Makes items: at most as many as `demand`, or as few as one. It may wait until it has some.
    ///
    /// `demand` is what subscribers have asked for and not got; it is called again while some of it is left. **No items
    /// at all** says that there will never be more: what was made is delivered, then the stages behind it end. More than
    /// `demand` go into the buffer, and past its size are dropped ([`dropped`](Self::dropped)).
    ///
    /// It should be cancellation safe: a drain drops the future while it waits. An error or a panic ends this producer,
    /// and a new one starts from what the stage was started with.
    ///
    /// While it is quick, the stage that asks polls it in its own task. One that has taken 5 µs without waiting is polled in a
    /// task of its own, beside those that ask.
    fn handle_demand(&mut self, demand: usize) -> impl Future<Output = Result<Vec<T>, Crash>> + Send;

    /// Told what the buffer had no place for. Does nothing by default; it is counted and logged in any case.
    fn dropped(&mut self, items: Vec<T>) {
        drop(items);
    }
}

impl<T, F, R> Producer<T> for F
where
    F: FnMut(usize) -> R + Send + 'static,
    R: Future<Output: Made<T>> + Send,
{
    async fn handle_demand(&mut self, demand: usize) -> Result<Vec<T>, Crash> {
        let making = self(demand);
        making.await.into_made()
    }
}

/// A producer of what an iterator yields; it has ended when the iterator has.
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

/// What [`from_iter`] makes.
#[derive(Debug, Clone)]
pub struct FromIter<I> {
    items: I,
}

impl<I: Iterator<Item: Send> + Send + 'static> Producer<I::Item> for FromIter<I> {
    async fn handle_demand(&mut self, demand: usize) -> Result<Vec<I::Item>, Crash> {
        Ok(self.items.by_ref().take(demand).collect())
    }
}

/// The task of a producer.
pub(crate) async fn run<T: Send, P: Producer<T>>(
    life: Life,
    outlet: Arc<Outlet<T>>,
    make: impl Fn() -> P + Send + Sync,
    stop: Stop,
) -> Result<(), StageFailed> {
    let live = || async {
        let mut producer = make();
        let mut told = stop.telling();
        loop {
            let items = tokio::select! {
                biased;
                () = &mut told => break,
                items = make_some(&mut producer, &outlet) => items?,
            };
            if items.is_empty() {
                break;
            }
            let dropped = outlet.emit(items);
            if !dropped.is_empty() {
                producer.dropped(dropped);
            }
        }
        Ok(())
    };
    let lived = life.run(live, || {}).await;
    outlet.close();
    lived
}

async fn make_some<T: Send, P: Producer<T>>(producer: &mut P, outlet: &Outlet<T>) -> Result<Vec<T>, Crash> {
    let demand = outlet.demand().await;
    producer.handle_demand(demand).await
}
