//! The databases: a new one for each measurement, with both products released and more pairs than anyone buys.

use crate::Error;
use bennu_pubsub::PubSub;
use sneakers_23::database::Database;
use sneakers_23::inventory::Inventory;
use sqlx::query;
use std::path::Path;
use tempfile::TempDir;
use test_postgres::Postgres;

/// A kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Engine::Sqlite => "SQLite, WAL, synchronous=FULL",
            Engine::Postgres => "PostgreSQL, fsync",
        }
    }

    /// Returns the transactions that write at the same time: all connections of the store's pool, but SQLite has one
    /// writer.
    pub(crate) fn writers(self) -> usize {
        match self {
            Engine::Sqlite => 1,
            Engine::Postgres => 5,
        }
    }

    /// Prepares the servers and directories of the databases.
    pub(crate) async fn start(self, directory: &Path) -> Result<Server, Error> {
        match self {
            Engine::Sqlite => Ok(Server::Directory(tempfile::tempdir_in(directory)?)),
            Engine::Postgres => Ok(Server::Postgres(Box::new(Postgres::builder().directory(directory).start().await?))),
        }
    }
}

/// The place of an engine's databases.
pub(crate) enum Server {
    Directory(TempDir),
    Postgres(Box<Postgres>),
}

/// A new database and its inventory.
pub(crate) struct Stocked {
    pub(crate) engine: Engine,
    pub(crate) database: Database,
    pub(crate) inventory: Inventory,
    // The files of SQLite.
    _directory: Option<TempDir>,
}

impl Stocked {
    pub(crate) async fn create(server: &Server) -> Result<Stocked, Error> {
        let (engine, url, directory) = match server {
            Server::Directory(parent) => {
                let directory = tempfile::tempdir_in(parent)?;
                let url = format!("sqlite://{}", directory.path().join("store.db").display());
                (Engine::Sqlite, url, Some(directory))
            }
            Server::Postgres(postgres) => (Engine::Postgres, postgres.create_database().await, None),
        };
        let database = sneakers_23::database::open(&url).await?;
        let pool = database.pool();
        query("UPDATE items SET stocked = 1000000000, available = 1000000000").execute(&*pool).await?;
        query("UPDATE products SET released = 1").execute(&*pool).await?;
        let inventory = Inventory::load(database.clone(), PubSub::local()).await?;
        Ok(Stocked { engine, database, inventory, _directory: directory })
    }
}
