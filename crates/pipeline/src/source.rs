//! What a stage over something that has to be asked needs: a table, a queue of a broker, a directory.

use crate::crash::Crash;

/// Something that keeps items until they are acknowledged.
///
/// The stage's output is [`Delivery<Self>`](crate::Delivery): each item with its way back.
///
/// An error of any of the three is no crash: it is logged and counted, and the call is made again after the poll
/// interval. A panic is one: a new source starts from what the stage was started with, and may bring again what the old
/// one had brought.
pub trait Source: Send + 'static {
    /// What it brings.
    type Item: Send + 'static;
    /// What it knows an item by.
    type Id: Send + Sync + 'static;

    /// Brings items: at most as many as `demand`. None at all says that there is nothing now; it is asked again after the
    /// poll interval.
    ///
    /// What it has brought it must not bring again until it is released. Its own memory is enough for that, since a new
    /// process has nothing in flight. It should be cancellation safe: a drain drops the future while it waits.
    fn fetch(&mut self, demand: usize) -> impl Future<Output = Result<Vec<(Self::Id, Self::Item)>, Crash>> + Send;

    /// Forgets items that have been worked at. Called with what has come together since the last call. When it fails, it
    /// is called with the same again, so it must bear that.
    fn ack(&mut self, ids: &[Self::Id]) -> impl Future<Output = Result<(), Crash>> + Send;

    /// Told of items that were given up without being acknowledged. It should bring them again, after a while: one that
    /// always fails would otherwise be tried without a rest.
    ///
    /// Does nothing by default, which is right for sources whose items come back by themselves.
    fn release(&mut self, ids: &[Self::Id]) -> impl Future<Output = Result<(), Crash>> + Send {
        let _forgotten = ids;
        async { Ok(()) }
    }
}
