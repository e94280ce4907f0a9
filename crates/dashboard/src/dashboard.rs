//! The dashboard: what it keeps, and where it is mounted.

use crate::access::Access;
use crate::channel::{DashboardSocket, Shared};
use crate::page;
use crate::recorder::{DashboardRecorder, Instruments};
use crate::ticker::Ticker;
use axum::Router;
use bennu::{Endpoint, MountError};
use std::sync::Arc;

/// See the crate.
#[derive(Debug)]
pub struct Dashboard {
    recorder: DashboardRecorder,
}

/// Why there is no dashboard.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum DashboardError {
    /// The path cannot be one.
    #[error(transparent)]
    Mount(#[from] MountError),
    /// The topic is made of random bytes.
    #[error("no random topic can be made: {0}")]
    Random(#[from] getrandom::Error),
}

impl Dashboard {
    /// A dashboard that knows nothing until its recorder is fed.
    pub fn new() -> Self {
        Dashboard { recorder: DashboardRecorder(Arc::new(Instruments::new())) }
    }

    /// What feeds it. It costs an atomic addition for each count, and for each duration a search in 41 bounds besides.
    pub fn recorder(&self) -> DashboardRecorder {
        self.recorder.clone()
    }

    /// The page at `path`, as `/dashboard`, with its files and its socket below it.
    ///
    /// # Errors
    /// [`DashboardError`]: a path that cannot be one or is taken, or no random bytes.
    pub fn router<S>(&self, path: &str, endpoint: &Endpoint, access: Access) -> Result<Router<S>, DashboardError>
    where
        S: Clone + Send + Sync + 'static,
    {
        let topic = format!("bennu:dashboard:{:016x}{:016x}", getrandom::u64()?, getrandom::u64()?);
        let ticker = Arc::new(Ticker::new(self.recorder.0.clone(), topic));
        let shared = Arc::new(Shared { access, ticker });
        let socket =
            bennu::socket::<DashboardSocket>(format!("{path}/socket")).with_state(shared.clone()).longpoll(true);
        let socket = socket.router(endpoint)?;
        Ok(page::routes(path, shared).merge(socket))
    }
}

/// As [`Display`](std::fmt::Display): `main` prints the error that it returns with `Debug`.
impl std::fmt::Debug for DashboardError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl Default for Dashboard {
    fn default() -> Self {
        Dashboard::new()
    }
}
