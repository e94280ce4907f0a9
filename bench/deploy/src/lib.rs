//! A deploy as users live through it: three nodes behind nginx, thousands of clients in rooms with presence, and one node
//! after the other is told to end and started again.
//!
//! ```text
//! crowd (Rust clients) ─┐                ┌─ node a ─┐
//!                       ├─► nginx ───────┼─ node b ─┼─ Redis
//! swarm (phoenix.js)   ─┘                └─ node c ─┘
//! ```
//!
//! [`play`] is the whole of it. The benchmark prints its [`Outcome`]; a test of the conformance server plays it with fewer
//! clients and sees that everybody comes back. Everything runs on the loopback and is ended by its process id.

mod board;
mod crowd;
mod outcome;
mod process;
mod site;
mod swarm;

pub use outcome::{Outcome, Restart, Spread};

use board::Board;
use site::Site;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// What goes wrong here ends the run: a program that is not there, a port that is taken.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// Clients that share a room, and see each other's presence.
pub const ROOM: usize = 50;

/// How long everybody may take to be back after a node was told to end.
const PATIENCE: Duration = Duration::from_secs(120);

/// Who takes part.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The program of a node, as `PROGRAM PORT` with `NODE` and `CLUSTER` in its environment.
    pub server: PathBuf,
    /// The folder with `swarm.mjs` and what npm installed for it.
    pub clients: PathBuf,
    /// Rust clients over WebSocket.
    pub websocket: usize,
    /// Rust clients that long poll, through whatever node nginx chooses.
    pub long_poll: usize,
    /// Clients of the official `phoenix` package, in one Node process.
    pub official: usize,
}

/// Plays the deploy.
///
/// # Errors
/// When a program does not start, or somebody has not come back within two minutes.
pub async fn play(plan: &Plan) -> Result<Outcome, Error> {
    process::raise_open_files();
    let mut site = Site::start(plan).await?;
    let board = Arc::new(Board::new(plan.websocket + plan.long_poll + plan.official));
    let url = site.url();
    let _crowd = crowd::start(plan, &url, &board)?;
    tokio::select! {
        restarts = restart_all(&mut site, &board) => Ok(board.outcome(restarts?)),
        ended = swarm::run(plan, &url, &board) => ended.map(|never| match never {}),
    }
}

async fn restart_all(site: &mut Site, board: &Board) -> Result<Vec<Restart>, Error> {
    board.all_back(PATIENCE).await.map_err(|missing| format!("at the start: {missing}"))?;
    board.start_measuring();
    let mut restarts = Vec::new();
    for node in 0..site::NODES.len() {
        let told = Instant::now();
        site.end(node).await?;
        let ended = told.elapsed();
        site.run(node).await?;
        let all_back = async {
            board.all_back(PATIENCE).await?;
            // Presence may be whole because nobody has noticed yet: what is broadcast now reaches all.
            site.reach_all(board).await
        };
        timeout(PATIENCE, all_back).await?.map_err(|missing| format!("after {}: {missing}", site::NODES[node]))?;
        restarts.push(Restart { node: site::NODES[node].to_owned(), ended, back: told.elapsed() });
    }
    Ok(restarts)
}
