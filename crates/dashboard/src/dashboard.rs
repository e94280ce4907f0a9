//! The dashboard: its recorder, and the router that mounts its page and its socket.

use crate::access::Access;
use crate::channel::{DashboardSocket, Shared};
use crate::page;
use crate::publisher::SnapshotPublisher;
use crate::recorder::DashboardRecorder;
use axum::Router;
use bennu::Endpoint;
use bennu::error::MountError;
use std::sync::Arc;

/// A live page of one node; see the crate.
#[derive(Debug)]
pub struct Dashboard {
    recorder: DashboardRecorder,
}

/// A dashboard that could not be mounted.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum DashboardError {
    /// The path is not valid or is taken.
    #[error(transparent)]
    Mount(#[from] MountError),
    /// The topic needs random bytes, and the operating system returned none.
    #[error("could not create the dashboard's random topic: {0}")]
    Random(#[from] getrandom::Error),
}

impl Dashboard {
    /// Creates a dashboard. It shows no measurement until its recorder is installed.
    pub fn new() -> Self {
        Dashboard { recorder: DashboardRecorder::new() }
    }

    /// Returns the recorder. Each count costs one atomic addition; each duration costs four comparisons and two atomic
    /// additions.
    pub fn recorder(&self) -> DashboardRecorder {
        self.recorder.clone()
    }

    /// Returns a router with the page at `path`, such as `/dashboard`, and with its files and its socket below it.
    ///
    /// # Errors
    /// [`DashboardError::Mount`] when the path is not valid or is taken; [`DashboardError::Random`] when the operating
    /// system returns no random bytes.
    pub fn router<S>(&self, path: &str, endpoint: &Endpoint, access: Access) -> Result<Router<S>, DashboardError>
    where
        S: Clone + Send + Sync + 'static,
    {
        let topic = format!("bennu:dashboard:{:016x}{:016x}", getrandom::u64()?, getrandom::u64()?);
        let publisher = Arc::new(SnapshotPublisher::new(self.recorder.clone(), topic));
        let shared = Arc::new(Shared { access, publisher });
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
