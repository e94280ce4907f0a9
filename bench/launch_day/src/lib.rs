//! The store on the day of a release, at any size.
//!
//! ```text
//! shoppers: pages by HTTP,     ┌─ node a ─┬─ broker
//! three channels each ─► nginx ┤          │
//!                              └─ node b ─┴─ PostgreSQL        or one node on SQLite
//! ```
//!
//! [`LaunchDay::run`] starts all programs and plays the day: the shoppers open the page and join; the two products are released by
//! the store's command; the buyers among them pay at once, for more pairs than there are. With [`LaunchDay::kill`], a node
//! and the database are killed in the middle and started again. At the end, every answer that a shopper got is compared
//! with the rows of the database, and the page of every shopper with the stock. The benchmark prints the [`DayReport`]; a
//! test of the store runs a small day and requires a report without faults.

mod browser;
mod ledger;
mod report;
mod sale;
mod servers;
mod shopper;

pub use bennu_bench_deploy::Distribution;
pub use report::{DayReport, Sale};

use servers::Servers;
use shopper::Shoppers;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Ends the run: for example, a program is missing or a port is taken.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// The time limit for each step of the day, for a busy machine.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A day: its programs and numbers.
#[derive(Debug, Clone)]
pub struct LaunchDay {
    /// The program of the store.
    pub store: PathBuf,
    /// The nodes of the store.
    pub nodes: Nodes,
    /// The parent of the directory for the database and the logs.
    pub directory: PathBuf,
    /// The shoppers, with a connection and three channels each.
    pub shoppers: usize,
    /// The number of shoppers that buy one or two pairs each.
    pub buyers: usize,
    /// The pairs of each of the 26 sizes.
    pub pairs: i64,
    /// Whether a node and the database are killed in the middle of the sale.
    pub kill: bool,
}

/// The nodes of the store and their database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nodes {
    /// One node on SQLite.
    One,
    /// Two nodes on PostgreSQL, which meet at this broker.
    Two(Broker),
}

/// The way in which two nodes meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broker {
    /// A Redis server.
    Redis,
    /// Each other, by Zenoh.
    Zenoh,
}

impl LaunchDay {
    /// Starts the servers and plays the day.
    ///
    /// # Errors
    /// When a program is not installed or does not start, or a step takes longer than two minutes. The error contains
    /// the end of the nodes' logs.
    pub async fn run(&self) -> Result<DayReport, Error> {
        test_program::server::raise_open_files();
        let mut servers = Servers::start(self).await?;
        let played = self.play(&mut servers).await;
        played.map_err(|error| format!("{error}\n{}", servers.logs()).into())
    }

    async fn play(&self, servers: &mut Servers) -> Result<DayReport, Error> {
        let start = Instant::now();
        let mut shoppers = Shoppers::arrive(servers.port(), self.shoppers).await?;
        let arrived = start.elapsed();
        let mut releases = Vec::new();
        for product in [1, 2] {
            let commanded = Instant::now();
            servers.command(&["release", &product.to_string()]).await?;
            let confirmed = commanded.elapsed();
            let seen = shoppers.released(product).await?;
            let seen = seen.into_iter().map(|at| at.saturating_duration_since(commanded)).collect();
            releases.push((confirmed, Distribution::of(seen)));
        }
        let purchases = sale::run(self, servers, shoppers.take_buyers(self.buyers)).await?;
        let ledger = ledger::read(servers.database_url()).await?;
        let mut faults = ledger.compare(self.pairs, &purchases);
        let (current, stale) = shoppers.compare(&ledger.levels()).await;
        faults.extend(stale);
        Ok(DayReport { shoppers: self.shoppers, arrived, releases, sale: Sale::of(&purchases), current, faults })
    }
}
