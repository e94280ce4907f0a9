//! How a pipeline tells its producers and sources to make no more.

use futures::FutureExt;
use futures::future::BoxFuture;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
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

    /// As [`told`](Self::told), for who asks again and again.
    pub(crate) fn telling(&self) -> Telling {
        let stop = self.clone();
        Telling { told: self.0.clone(), wait: async move { stop.told().await }.boxed(), waits: None }
    }
}

/// Waits until it is told. Once it waits, another look costs a flag.
pub(crate) struct Telling {
    told: watch::Receiver<bool>,
    wait: BoxFuture<'static, ()>,
    /// Whom `wait` wakes.
    waits: Option<Waker>,
}

impl Future for Telling {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let untold = matches!(self.told.has_changed(), Ok(false));
        if untold && self.waits.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            return Poll::Pending;
        }
        self.waits = Some(cx.waker().clone());
        self.wait.poll_unpin(cx)
    }
}
