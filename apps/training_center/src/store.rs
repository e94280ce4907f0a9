//! The stored sessions, in SQLite or PostgreSQL: a row each, which has the whole session and a version.
//!
//! [`Store::save`] replaces a row only while it has the version that the writer has read. So two writers, as two nodes of
//! one database, never undo each other's change: the second one reads the row again.

use crate::session::TrainingSession;
use app_service::database::{Database, OpenError};
use derive_more::{Display, FromStr};
use serde::{Deserialize, Serialize};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{SqlSafeStr, query, query_as};

/// The id of a session, as it stands in its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Display, FromStr, Serialize, Deserialize)]
pub struct SessionId(pub i64);

/// A session as it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its id.
    pub id: SessionId,
    /// The number of its changes.
    pub version: i64,
    /// The session.
    pub session: TrainingSession,
}

/// The stored sessions. Clones share the database.
#[derive(Clone)]
pub struct Store {
    /// The database.
    pub database: Database,
}

type Row = (i64, i64, String);

impl Store {
    /// Opens the database at a URL: `sqlite://FILE` or `postgres://…`. Creates its tables.
    ///
    /// # Errors
    /// [`OpenError`]
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        let tables = include_str!("../migrations/0001_training_center.sql").into_sql_str();
        let migration = Migration::new(1, "training center".into(), MigrationType::Simple, tables, false);
        Ok(Store { database: Database::open(url, &Migrator::with_migrations(vec![migration])).await? })
    }

    /// Stores a new session, and returns its id.
    ///
    /// # Errors
    /// [`sqlx::Error`]
    pub async fn create(&self, session: &TrainingSession) -> sqlx::Result<SessionId> {
        let insert =
            "INSERT INTO training_sessions SELECT COALESCE(MAX(id), 0) + 1, 0, $1 FROM training_sessions RETURNING id";
        let pool = self.database.pool();
        let (id,) = self.database.run(query_as(insert).bind(json(session)).fetch_one(&*pool)).await?;
        Ok(SessionId(id))
    }

    /// Returns a session, unless it still has the version `known`; -1 is that of none.
    ///
    /// # Errors
    /// [`sqlx::Error`]
    pub async fn newer(&self, id: SessionId, known: i64) -> sqlx::Result<Option<Stored>> {
        let select = "SELECT id, version, state FROM training_sessions WHERE id = $1 AND version > $2";
        let pool = self.database.pool();
        let row = query_as(select).bind(id.0).bind(known).fetch_optional(&*pool);
        self.database.run(row).await?.map(stored).transpose()
    }

    /// Stores a change. Returns `false` when the session has another version than `before` by now.
    ///
    /// # Errors
    /// [`sqlx::Error`]; the change may be stored all the same.
    pub async fn save(&self, before: &Stored, after: &TrainingSession) -> sqlx::Result<bool> {
        let update = "UPDATE training_sessions SET version = version + 1, state = $1 WHERE id = $2 AND version = $3";
        let pool = self.database.pool();
        let update = query(update).bind(json(after)).bind(before.id.0).bind(before.version);
        Ok(self.database.run(update.execute(&*pool)).await?.rows_affected() == 1)
    }

    /// Returns the newest sessions, the last one first.
    ///
    /// # Errors
    /// [`sqlx::Error`]
    pub async fn latest(&self) -> sqlx::Result<Vec<Stored>> {
        let pool = self.database.pool();
        let select = "SELECT id, version, state FROM training_sessions ORDER BY id DESC LIMIT 20";
        let rows: Vec<Row> = self.database.run(query_as(select).fetch_all(&*pool)).await?;
        rows.into_iter().map(stored).collect()
    }
}

fn stored((id, version, state): Row) -> sqlx::Result<Stored> {
    let session = serde_json::from_str(&state).map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok(Stored { id: SessionId(id), version, session })
}

fn json(session: &TrainingSession) -> String {
    serde_json::to_string(session).expect("a session is a value of JSON")
}
