//! What the handles of a client and its driver share: the session, behind a lock.
//!
//! The lock is held for as long as it takes to move a message from one queue to another, never across an `await`. Wakers
//! are called after it is released.

use crate::session::Session;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Instant;

pub(crate) struct Shared {
    session: Mutex<Session>,
}

impl Shared {
    pub(crate) fn new(session: Session) -> Arc<Self> {
        Arc::new(Shared { session: Mutex::new(session) })
    }

    /// The time, which tests may have stopped.
    pub(crate) fn now() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    /// For the driver: what it does needs not wake it.
    pub(crate) fn drive<R>(&self, work: impl FnOnce(&mut Session) -> R) -> R {
        let mut session = self.session.lock();
        let result = work(&mut session);
        let wakes = session.take_wakes();
        drop(session);
        wakes.into_iter().for_each(std::task::Waker::wake);
        result
    }

    /// For handles that only look.
    pub(crate) fn look<R>(&self, work: impl FnOnce(&mut Session) -> R) -> R {
        work(&mut self.session.lock())
    }

    /// For handles that give the driver something to do.
    pub(crate) fn act<R>(&self, work: impl FnOnce(&mut Session) -> R) -> R {
        let (result, driver) = self.drive(|session| (work(session), session.driver().cloned()));
        driver.into_iter().for_each(std::task::Waker::wake);
        result
    }
}

/// The user's hold on a client: when the last one goes, the client disconnects.
pub(crate) struct Hold {
    pub(crate) shared: Arc<Shared>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.shared.act(|session| session.disconnect(Shared::now()));
    }
}
