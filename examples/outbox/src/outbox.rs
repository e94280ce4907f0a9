//! The table `outbox` in SQLite, and the source over it.
//!
//! A row stays in the table until it is acknowledged, so a new process finds all rows that its predecessor had in delivery. The
//! rows that this process has in delivery are kept in memory. The pipeline's source stage calls the source.

use bennu_pipeline::{HandlerError, Source};
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The pause before a row that could not be delivered is fetched again.
const RETRY_DELAY: Duration = Duration::from_secs(1);

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL)";

const FETCH: &str = "SELECT id, body FROM outbox \
     WHERE id NOT IN (SELECT value FROM json_each(?)) ORDER BY id LIMIT ?";

const DELETE: &str = "DELETE FROM outbox WHERE id IN (SELECT value FROM json_each(?))";

/// The outbox of a database. A clone has the rows in delivery of its original at that time.
#[derive(Debug, Clone)]
pub(crate) struct Outbox {
    pool: SqlitePool,
    /// Rows that must not be fetched: in delivery, or paused until a time.
    taken: HashMap<i64, Option<Instant>>,
}

/// A row to deliver.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) id: i64,
    pub(crate) body: String,
}

impl Outbox {
    pub(crate) async fn open(database: &str) -> Result<Self, sqlx::Error> {
        let options = SqliteConnectOptions::new().filename(database).create_if_missing(true);
        let pool = SqlitePool::connect_with(options.journal_mode(SqliteJournalMode::Wal)).await?;
        sqlx::query(SCHEMA).execute(&pool).await?;
        Ok(Outbox { pool, taken: HashMap::new() })
    }

    /// Writes rows in one transaction. An application makes the change that a row announces in the same transaction.
    pub(crate) async fn insert(&self, rows: u32) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        for row in 1..=rows {
            let insert = sqlx::query("INSERT INTO outbox (body) VALUES (?)").bind(format!("news {row}"));
            insert.execute(&mut *transaction).await?;
        }
        transaction.commit().await
    }

    /// Returns how many rows are not acknowledged.
    pub(crate) async fn count(&self) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar("SELECT count(*) FROM outbox").fetch_one(&self.pool).await
    }
}

impl Source for Outbox {
    type Item = Row;
    type Id = i64;

    async fn fetch(&mut self, demand: usize) -> Result<Vec<(i64, Row)>, HandlerError> {
        let now = Instant::now();
        self.taken.retain(|_, paused| paused.is_none_or(|until| until > now));
        let taken = json(self.taken.keys());
        let rows = sqlx::query_as(FETCH).bind(taken).bind(i64::try_from(demand)?).fetch_all(&self.pool).await?;
        let rows: Vec<_> = rows.into_iter().map(|(id, body)| (id, Row { id, body })).collect();
        self.taken.extend(rows.iter().map(|(id, _)| (*id, None)));
        Ok(rows)
    }

    async fn ack(&mut self, ids: &[i64]) -> Result<(), HandlerError> {
        sqlx::query(DELETE).bind(json(ids)).execute(&self.pool).await?;
        self.taken.retain(|id, _| !ids.contains(id));
        Ok(())
    }

    async fn release(&mut self, ids: &[i64]) -> Result<(), HandlerError> {
        self.taken.extend(ids.iter().map(|id| (*id, Some(Instant::now() + RETRY_DELAY))));
        Ok(())
    }
}

/// Formats ids as a JSON array: a list of any length in one parameter.
fn json<'a>(ids: impl IntoIterator<Item = &'a i64>) -> String {
    format!("{:?}", ids.into_iter().collect::<Vec<_>>())
}
