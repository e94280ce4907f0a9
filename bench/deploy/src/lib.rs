//! A rolling restart of three nodes behind nginx, with thousands of clients in rooms with presence.
//!
//! ```text
//! Rust clients      ─┐                ┌─ node a ─┐
//!                    ├─► nginx ───────┼─ node b ─┼─ Redis
//! phoenix.js clients ┘                └─ node c ─┘
//! ```
//!
//! [`run`] starts all programs, restarts one node after another, and returns a [`Report`]. The benchmark prints the
//! report; a test of the conformance server runs it with fewer clients and requires that every client rejoins.
//! Everything runs on the loopback interface, and every program is ended by its process id.

mod clients;
mod cluster;
mod monitor;
mod report;

pub use report::{Distribution, Report, Restart};

use cluster::Cluster;
use monitor::Monitor;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// Ends the run: for example, a program is missing or a port is taken.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// The clients of a room, which see each other's presence.
pub const ROOM_SIZE: usize = 50;

/// The time limit for all clients to be back after a node got SIGTERM.
const BACK_TIMEOUT: Duration = Duration::from_secs(120);

/// The programs and clients of a run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The program of a node, run as `PROGRAM PORT` with `NODE` and `CLUSTER` in its environment.
    pub server: PathBuf,
    /// The folder with `swarm.mjs` and its installed npm packages.
    pub clients: PathBuf,
    /// Rust clients over WebSocket.
    pub websocket: usize,
    /// Rust clients over long poll, each request through any node that nginx chooses.
    pub long_poll: usize,
    /// Clients of the official `phoenix` package, in one Node process.
    pub official: usize,
}

/// Runs the rolling restart.
///
/// # Errors
/// When a program does not start, or a client is not back within two minutes.
pub async fn run(plan: &Plan) -> Result<Report, Error> {
    test_program::server::raise_open_files();
    let mut cluster = Cluster::start(plan).await?;
    let monitor = Arc::new(Monitor::new(plan.websocket + plan.long_poll + plan.official));
    let url = cluster.url();
    let _clients = clients::start_rust(plan, &url, &monitor)?;
    tokio::select! {
        restarts = restart_all(&mut cluster, &monitor) => Ok(monitor.report(restarts?)),
        ended = clients::run_official(plan, &url, &monitor) => ended.map(|never| match never {}),
    }
}

async fn restart_all(cluster: &mut Cluster, monitor: &Monitor) -> Result<Vec<Restart>, Error> {
    monitor.all_back(BACK_TIMEOUT).await.map_err(|missing| format!("at the start: {missing}"))?;
    monitor.start_measuring();
    let mut restarts = Vec::new();
    for (node, name) in cluster::NODES.into_iter().enumerate() {
        let start = Instant::now();
        cluster.terminate_node(node).await?;
        let ended = start.elapsed();
        cluster.start_node(node).await?;
        let all_back = async {
            monitor.all_back(BACK_TIMEOUT).await?;
            // Presence may look complete because no client has noticed the restart yet. A broadcast that reaches every
            // client shows that all of them are connected.
            cluster.broadcast_to_all(monitor).await
        };
        timeout(BACK_TIMEOUT, all_back).await?.map_err(|missing| format!("after {name}: {missing}"))?;
        restarts.push(Restart { node: name.to_owned(), ended, back: start.elapsed() });
    }
    Ok(restarts)
}
