//! Auctions and bans in SQLite: the state that the socket and its channels share.
//!
//! The pool has one connection, as SQLite has one writer. The task that holds it ([`Store::turn`]) writes, and broadcasts
//! before the next task writes: so broadcasts have the order of the database.

use serde::Serialize;
use sqlx::sqlite::{Sqlite, SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{Result, SqlitePool, pool::PoolConnection, query, query_as, query_scalar};
use std::time::{SystemTime, UNIX_EPOCH};

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS auctions (id INTEGER PRIMARY KEY, title TEXT NOT NULL, ends_at INTEGER NOT NULL,
        ended INTEGER NOT NULL DEFAULT FALSE, best INTEGER NOT NULL DEFAULT 0, bidder TEXT);
    CREATE TABLE IF NOT EXISTS bans (name TEXT PRIMARY KEY, reason TEXT NOT NULL)";

#[derive(Clone)]
pub(crate) struct Store(SqlitePool);

pub(crate) type Turn = PoolConnection<Sqlite>;

#[derive(Serialize, sqlx::FromRow)]
pub(crate) struct Auction {
    pub(crate) id: i64,
    title: String,
    /// In milliseconds since 1970.
    ends_at: i64,
    ended: bool,
    /// The best bid, 0 before the first.
    pub(crate) best: i64,
    pub(crate) bidder: Option<String>,
}

impl Store {
    pub(crate) async fn open(database: &str) -> Result<Self> {
        let options = SqliteConnectOptions::new().filename(database).create_if_missing(true);
        let pool = SqlitePoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
        let pool = pool.connect_with(options).await?;
        sqlx::raw_sql(SCHEMA).execute(&pool).await?;
        Ok(Store(pool))
    }

    pub(crate) async fn open_auction(&self, title: &str, ends_at: i64) -> Result<i64> {
        let insert = "INSERT INTO auctions (title, ends_at) VALUES (?, ?) RETURNING id";
        query_scalar(insert).bind(title).bind(ends_at).fetch_one(&self.0).await
    }

    pub(crate) async fn auction(&self, id: i64) -> Result<Option<Auction>> {
        query_as("SELECT * FROM auctions WHERE id = ?").bind(id).fetch_optional(&self.0).await
    }

    pub(crate) async fn ban(&self, name: &str, reason: &str) -> Result<()> {
        query("INSERT OR REPLACE INTO bans VALUES (?, ?)").bind(name).bind(reason).execute(&self.0).await.map(drop)
    }

    pub(crate) async fn ban_of(&self, name: &str) -> Result<Option<String>> {
        query_scalar("SELECT reason FROM bans WHERE name = ?").bind(name).fetch_optional(&self.0).await
    }

    pub(crate) async fn turn(&self) -> Result<Turn> {
        self.0.acquire().await
    }
}

/// Stores a bid, if it is more than the best and the auction has not ended.
pub(crate) async fn bid(turn: &mut Turn, id: i64, bidder: &str, amount: i64) -> Result<Option<Auction>> {
    let update = "UPDATE auctions SET best = ?1, bidder = ?2 WHERE id = ?3 AND NOT ended AND best < ?1 RETURNING *";
    query_as(update).bind(amount).bind(bidder).bind(id).fetch_optional(&mut **turn).await
}

/// Ends one auction, or all that are due. Returns the ended auctions.
pub(crate) async fn end(turn: &mut Turn, only: Option<i64>) -> Result<Vec<Auction>> {
    let due = "UPDATE auctions SET ended = TRUE WHERE NOT ended AND ifnull(id = ?1, ends_at <= ?2) RETURNING *";
    query_as(due).bind(only).bind(now()).fetch_all(&mut **turn).await
}

/// Milliseconds since 1970.
pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64
}
