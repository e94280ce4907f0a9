//! A channel's own tasks: work that runs beside its messages, and ends with it.
//!
//! Owned by the channel's context, started by [`Context::spawn`](crate::Context::spawn), looked after by its actor: that
//! takes no message while the limit is reached, and treats how a task ends as it treats how `handle_info` ends. Invariants:
//! no task outlives its channel, but one that never waits, which cannot be cancelled; what one of them does wrong ends this channel and nothing else.

use crate::outcome::Flow;
use std::task::{Context, Poll, ready};
use tokio::task::{JoinError, JoinSet};
use tracing::Instrument;

/// Running tasks. A channel that has none has no room for them either.
pub(crate) struct Tasks(JoinSet<Flow>);

impl Tasks {
    pub(crate) fn new() -> Self {
        Tasks(JoinSet::new())
    }

    pub(crate) fn spawn(&mut self, task: impl Future<Output = Flow> + Send + 'static) {
        self.0.spawn(task.in_current_span());
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// One that has ended, and how; `Err` is a panic. Pending while all run, and when there is none.
    pub(crate) fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<Result<Flow, JoinError>> {
        match ready!(self.0.poll_join_next(cx)) {
            Some(ended) => Poll::Ready(ended),
            None => Poll::Pending,
        }
    }

    /// Cancels them all, and returns when none runs any more; says if one panicked over it.
    pub(crate) async fn shutdown(&mut self) -> Option<JoinError> {
        self.0.abort_all();
        let mut panicked = None;
        while let Some(ended) = self.0.join_next().await {
            panicked = ended.err().filter(JoinError::is_panic).or(panicked);
        }
        panicked
    }
}
