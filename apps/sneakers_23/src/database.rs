//! The tables of the store, and its first stock.
//!
//! The connection to the database is that of every application, see [`app_service::database`]. `inventory` and `checkout`
//! have the statements of their own.

pub mod seed;

pub use app_service::database::{Database, OpenError, Tx};
pub use app_service::now_ms;

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// Opens the store's database at a URL: `sqlite://FILE` or `postgres://…`. Creates the tables, and stores the stock of
/// the seed in an empty database.
///
/// # Errors
/// [`OpenError`]
pub async fn open(url: &str) -> Result<Database, OpenError> {
    let tables = include_str!("../migrations/0001_store.sql").into_sql_str();
    let migration = Migration::new(1, "store".into(), MigrationType::Simple, tables, false);
    let database = Database::open(url, &Migrator::with_migrations(vec![migration])).await?;
    seed::seed_if_empty(&database).await.map_err(OpenError::Connect)?;
    Ok(database)
}

/// Locks the rows of all items, in one order, until the transaction ends. Every writer of an answer to a purchase holds
/// this lock, so that two nodes never decide about one purchase or one pair at the same time.
///
/// # Errors
/// [`sqlx::Error`]
pub async fn lock_items(database: &Database, tx: &mut Tx) -> sqlx::Result<()> {
    database.lock(tx, "SELECT id FROM items ORDER BY id FOR UPDATE").await
}
