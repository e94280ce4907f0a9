//! All subscriptions of one stage: waits for whichever has items.

use crate::exchange::Share;
use crate::outlet::Inlet;
use crate::telemetry::InputMeters;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

pub(crate) struct Inlets<T> {
    inlets: Vec<Arc<Inlet<T>>>,
    /// Where to look first, so that none starves.
    first: AtomicUsize,
    pub(crate) meters: Arc<InputMeters>,
}

impl<T> Inlets<T> {
    pub(crate) fn new(inlets: Vec<Inlet<T>>, meters: Arc<InputMeters>) -> Self {
        Inlets { inlets: inlets.into_iter().map(Arc::new).collect(), first: AtomicUsize::new(0), meters }
    }

    /// The next batch, of `limit` items at most, and where it came from; `None` when all have ended.
    pub(crate) async fn batch(&self, limit: usize) -> Option<(&Inlet<T>, Vec<T>)> {
        let (inlet, batch) = poll_fn(|cx| self.poll(cx, |inlet, cx| inlet.poll_batch(cx, limit))).await?;
        Some((inlet, batch))
    }

    /// The next share, and where it came from; `None` when all have ended.
    pub(crate) async fn share(&self, size: impl Fn() -> Share) -> Option<(&Arc<Inlet<T>>, VecDeque<T>)> {
        poll_fn(|cx| self.poll(cx, |inlet, cx| inlet.poll_share(cx, size()))).await
    }

    /// Whether some of them have something to take.
    pub(crate) fn have_more(&self) -> bool {
        self.inlets.iter().any(|inlet| inlet.has_more())
    }

    fn poll<R>(
        &self,
        cx: &mut Context<'_>,
        poll: impl Fn(&Inlet<T>, &mut Context<'_>) -> Poll<Option<R>>,
    ) -> Poll<Option<(&Arc<Inlet<T>>, R)>> {
        let (count, first) = (self.inlets.len(), self.first.load(Ordering::Relaxed));
        let mut ended = 0;
        for offset in 0..count {
            let inlet = &self.inlets[(first + offset) % count];
            match poll(inlet, cx) {
                Poll::Ready(Some(taken)) => {
                    self.first.store((first + offset + 1) % count, Ordering::Relaxed);
                    return Poll::Ready(Some((inlet, taken)));
                }
                Poll::Ready(None) => ended += 1,
                Poll::Pending => {}
            }
        }
        if ended == count { Poll::Ready(None) } else { Poll::Pending }
    }

    /// Gives up what was in hand at a crash: that is lost, and counted.
    pub(crate) fn abandon(&self) {
        let lost: usize = self.inlets.iter().map(|inlet| inlet.abandon()).sum();
        self.meters.lost.increment(lost as u64);
    }
}
