//! The session behind a lock, shared by the user's handles, the driver and the transports.
//!
//! Each call locks the session for the time of moving a message from one queue to another, never across an `await`.
//! Wakers are called after the lock is released.

use crate::session::Session;
use parking_lot::Mutex;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

pub(crate) struct Shared {
    session: Mutex<Session>,
}

impl Shared {
    pub(crate) fn new(session: Session) -> Arc<Self> {
        Arc::new(Shared { session: Mutex::new(session) })
    }

    /// Returns the time of tokio's clock, which tests may pause.
    pub(crate) fn now() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    /// Runs `work` and wakes no task: for calls that only read the session or take from its queues.
    pub(crate) fn access<R>(&self, work: impl FnOnce(&mut Session) -> R) -> R {
        work(&mut self.session.lock())
    }

    /// Runs `work` and wakes the tasks whose event, reply or state is ready. The driver and its transports use it: they
    /// need not wake themselves.
    pub(crate) fn update<R>(&self, work: impl FnOnce(&mut Session) -> R) -> R {
        let mut session = self.session.lock();
        let result = work(&mut session);
        let wakes = session.take_wakes();
        drop(session);
        wakes.into_iter().for_each(Waker::wake);
        result
    }

    /// Runs `work` as [`Shared::update`] and wakes the driver too: for commands of the user's handles, which give the
    /// driver something to send.
    pub(crate) fn command<R>(&self, work: impl FnOnce(&mut Session) -> R) -> R {
        let (result, driver) = self.update(|session| (work(session), session.driver().cloned()));
        driver.into_iter().for_each(Waker::wake);
        result
    }
}

/// The part that all handles of a client share. When the last handle is dropped, the client disconnects.
pub(crate) struct Handle {
    pub(crate) shared: Arc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.command(|session| session.disconnect(Shared::now()));
    }
}
