//! How a pipeline tells its producers and sources to make no more.

use tokio::sync::watch;

/// Told to all stages that make items.
#[derive(Clone)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    pub(crate) fn new() -> (watch::Sender<bool>, Self) {
        let (tell, told) = watch::channel(false);
        (tell, Stop(told))
    }

    /// Waits until it is told; a pipeline that is gone tells it too.
    pub(crate) async fn told(&self) {
        let _gone = self.0.clone().wait_for(|told| *told).await.is_err();
    }
}
