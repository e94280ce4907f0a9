//! The table `outbox` in SQLite, and the source over it.
//!
//! A row stays in the table until it is acknowledged, so a new process finds all that its predecessor had under way. What
//! this process has under way it knows in memory.

use bennu_pipeline::{Crash, Source};
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long a row rests that could not be delivered.
const REST: Duration = Duration::from_secs(1);

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL)";

const FETCH: &str = "SELECT id, body FROM outbox \
     WHERE id NOT IN (SELECT value FROM json_each(?)) ORDER BY id LIMIT ?";

const FORGET: &str = "DELETE FROM outbox WHERE id IN (SELECT value FROM json_each(?))";

/// The outbox of a database. A clone knows what its original had under way when it was made.
#[derive(Debug, Clone)]
pub(crate) struct Outbox {
    pool: SqlitePool,
    /// Rows that are not to be fetched: under way, or resting until a time.
    taken: HashMap<i64, Option<Instant>>,
}

/// What is to be delivered.
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

    /// Writes rows in one transaction, which in an application changes what they tell of, too.
    pub(crate) async fn insert(&self, rows: u32) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        for row in 1..=rows {
            let insert = sqlx::query("INSERT INTO outbox (body) VALUES (?)").bind(format!("news {row}"));
            insert.execute(&mut *transaction).await?;
        }
        transaction.commit().await
    }

    /// Rows that are not known to be delivered.
    pub(crate) async fn count(&self) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar("SELECT count(*) FROM outbox").fetch_one(&self.pool).await
    }
}

impl Source for Outbox {
    type Item = Row;
    type Id = i64;

    async fn fetch(&mut self, demand: usize) -> Result<Vec<(i64, Row)>, Crash> {
        let now = Instant::now();
        self.taken.retain(|_, rests| rests.is_none_or(|until| until > now));
        let taken = json(self.taken.keys());
        let rows = sqlx::query_as(FETCH).bind(taken).bind(i64::try_from(demand)?).fetch_all(&self.pool).await?;
        let rows: Vec<_> = rows.into_iter().map(|(id, body)| (id, Row { id, body })).collect();
        self.taken.extend(rows.iter().map(|(id, _)| (*id, None)));
        Ok(rows)
    }

    async fn ack(&mut self, ids: &[i64]) -> Result<(), Crash> {
        sqlx::query(FORGET).bind(json(ids)).execute(&self.pool).await?;
        self.taken.retain(|id, _| !ids.contains(id));
        Ok(())
    }

    async fn release(&mut self, ids: &[i64]) -> Result<(), Crash> {
        self.taken.extend(ids.iter().map(|id| (*id, Some(Instant::now() + REST))));
        Ok(())
    }
}

/// Numbers as a JSON array: a list of any length in one parameter.
fn json<'a>(ids: impl IntoIterator<Item = &'a i64>) -> String {
    format!("{:?}", ids.into_iter().collect::<Vec<_>>())
}
