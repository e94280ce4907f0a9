//! The signals that ask a server to stop: Ctrl-C in its terminal, and SIGTERM from a service manager.

use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Hears them from when it is made; from then on they no longer end the process by themselves.
pub(crate) struct StopSignal {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignal {
    /// # Errors
    /// When the system refuses a handler.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(StopSignal { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Returns when one has come that was not waited for yet.
    pub(crate) async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
