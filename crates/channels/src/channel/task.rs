//! A channel's own tasks: work that runs beside the channel's messages and ends with the channel.
//!
//! The channel's context owns them, and [`Context::spawn`](crate::Context::spawn) starts them. The actor takes no mail
//! while the limit is reached, and treats the end of a task like the end of `handle_info`. Invariants: no task outlives
//! its channel, except one that never waits and so cannot be cancelled; a failed task ends this channel and nothing
//! else.

use crate::outcome::Flow;
use std::task::{Context, Poll, ready};
use tokio::task::{JoinError, JoinSet};
use tracing::Instrument;

/// The running tasks. A channel without tasks has no room for them either.
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

    /// Returns the result of a task that has ended; `Err` is a panic. Pending while all run, and when there are none.
    pub(crate) fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<Result<Flow, JoinError>> {
        match ready!(self.0.poll_join_next(cx)) {
            Some(ended) => Poll::Ready(ended),
            None => Poll::Pending,
        }
    }

    /// Cancels all tasks, and returns when they have ended, with the panic of one that panicked meanwhile.
    pub(crate) async fn shutdown(&mut self) -> Option<JoinError> {
        self.0.abort_all();
        let mut panicked = None;
        while let Some(ended) = self.0.join_next().await {
            panicked = ended.err().filter(JoinError::is_panic).or(panicked);
        }
        panicked
    }
}
