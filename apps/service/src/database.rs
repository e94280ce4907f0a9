//! The database of an application: SQLite in one file, or PostgreSQL, behind the same statements.
//!
//! [`Database`] owns the pool of connections, and creates and migrates the tables at the first start. The two kinds of
//! database differ in how a writer begins and how it locks rows; everything else is one code path through sqlx's `Any`,
//! whose types are few: integers of 64 bits, floating-point numbers, texts and bytes.

use arc_swap::ArcSwap;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{Any, AnyConnection, AnyPool, Executor, Transaction, query, query_scalar};
use std::io;
use std::ops::{Deref, DerefMut};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};
use tokio::sync::{Mutex, OwnedMutexGuard, watch};
use tokio::time::timeout;

/// The time limit for a connection of the pool. A page or a command fails after it while the database is down.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// The time limit of [`Database::run`], so that a database that falls silent stops no task.
const RUN_TIMEOUT: Duration = Duration::from_secs(5);

/// The connections of a node. A writer uses one at a time.
const MAX_CONNECTIONS: u32 = 5;

/// The settings of every SQLite connection: a write is durable when it is confirmed, and readers do not block writers.
const SQLITE_SETTINGS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
    PRAGMA busy_timeout = 2000";

/// The settings of every PostgreSQL connection: a node that freezes or vanishes within a transaction loses its locks
/// after three seconds, while the other nodes wait for them a little longer than that.
const POSTGRES_SETTINGS: &str = "SET idle_in_transaction_session_timeout = '3s'; SET lock_timeout = '4s'";

/// A transaction that writes, of either database; from [`Database::begin`]. Dropping it rolls it back.
pub struct Tx {
    transaction: Transaction<'static, Any>,
    /// The turn of a writer to SQLite, which ends after the transaction.
    _turn: Option<OwnedMutexGuard<()>>,
}

impl Tx {
    /// Commits the transaction.
    ///
    /// # Errors
    /// [`sqlx::Error`]: it was not committed, or its outcome is not known.
    pub async fn commit(self) -> sqlx::Result<()> {
        self.transaction.commit().await
    }

    /// Rolls the transaction back, and returns when that is done. Dropping it does so some time later.
    ///
    /// # Errors
    /// [`sqlx::Error`]: the connection is closed, which rolls it back too.
    pub async fn rollback(self) -> sqlx::Result<()> {
        self.transaction.rollback().await
    }
}

impl Deref for Tx {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        &self.transaction
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.transaction
    }
}

/// The database of an application. Clones share it.
#[derive(Clone)]
pub struct Database(Arc<Shared>);

struct Shared {
    options: AnyConnectOptions,
    dialect: Dialect,
    max_connections: u32,
    pool: ArcSwap<AnyPool>,
    /// The turns of this process's writers to SQLite, in the order of their requests. SQLite itself lets a waiting
    /// writer sleep and try again, so that one that never pauses keeps the others out until they fail.
    turns: Arc<Mutex<()>>,
    /// Whether the task that keeps the pool open has run before.
    is_kept_open: AtomicBool,
    down_since: watch::Sender<Option<SystemTime>>,
}

/// The differences between the databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    /// The statement that begins a transaction which writes. SQLite takes its lock for writers at once, so that the
    /// transaction cannot fail half-way for another writer.
    fn begin(self) -> &'static str {
        match self {
            Dialect::Sqlite => "BEGIN IMMEDIATE",
            Dialect::Postgres => "BEGIN",
        }
    }

    fn settings(self) -> &'static str {
        match self {
            Dialect::Sqlite => SQLITE_SETTINGS,
            Dialect::Postgres => POSTGRES_SETTINGS,
        }
    }
}

/// A database that could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The URL names neither database.
    #[error("DATABASE_URL is not a database: {0:?} begins neither with sqlite:// nor with postgres://")]
    Scheme(String),
    /// The database does not answer, or rejects the connection.
    #[error("could not open the database: {0}")]
    Connect(#[source] sqlx::Error),
    /// The tables could not be created or migrated.
    #[error("could not migrate the database: {0}")]
    Migrate(#[from] MigrateError),
}

impl Database {
    /// Opens the database at a URL: `sqlite://FILE` or `postgres://…`. Creates the file, and brings the tables up to
    /// date. Several nodes may do this at the same time.
    ///
    /// # Errors
    /// [`OpenError`]
    pub async fn open(url: &str, migrations: &Migrator) -> Result<Self, OpenError> {
        let dialect = match url.split_once(':') {
            Some(("sqlite", _)) => Dialect::Sqlite,
            Some(("postgres" | "postgresql", _)) => Dialect::Postgres,
            _ => return Err(OpenError::Scheme(url.to_owned())),
        };
        sqlx::any::install_default_drivers();
        let in_memory = url.contains(":memory:");
        let url = match dialect {
            Dialect::Sqlite if !url.contains('?') => format!("{url}?mode=rwc"),
            _ => url.to_owned(),
        };
        let options = AnyConnectOptions::from_str(&url).map_err(OpenError::Connect)?;
        let max_connections = if in_memory { 1 } else { MAX_CONNECTIONS };
        let pool = pool_options(dialect, max_connections).connect_with(options.clone()).await;
        let pool = pool.map_err(OpenError::Connect)?;
        if migrations.run(&pool).await.is_err() {
            // Another process has created the tables meanwhile: SQLite has no lock for that.
            migrations.run(&pool).await?;
        }
        let (down_since, _) = watch::channel(None);
        Ok(Database(Arc::new(Shared {
            options,
            dialect,
            max_connections,
            pool: ArcSwap::from_pointee(pool),
            turns: Arc::default(),
            is_kept_open: AtomicBool::new(false),
            down_since,
        })))
    }

    /// Returns the pool for statements that only read.
    pub fn pool(&self) -> Arc<AnyPool> {
        self.0.pool.load_full()
    }

    /// Begins a transaction that writes. Writers to SQLite take turns, in the order of their calls.
    ///
    /// Cancel safe: a caller that is dropped leaves no connection within a transaction. sqlx rolls back a transaction
    /// only once it has the answer to its `BEGIN`, so a task of its own waits for that answer.
    ///
    /// # Errors
    /// [`sqlx::Error`] when the database does not answer within two seconds, or rejects the statement.
    pub async fn begin(&self) -> sqlx::Result<Tx> {
        let turn = match self.0.dialect {
            Dialect::Sqlite => {
                let turn = timeout(ACQUIRE_TIMEOUT, self.0.turns.clone().lock_owned()).await;
                Some(turn.map_err(|_| sqlx::Error::PoolTimedOut)?)
            }
            Dialect::Postgres => None,
        };
        let (pool, statement) = (self.pool(), self.0.dialect.begin());
        let begun = tokio::spawn(async move {
            let transaction = pool.begin_with(statement).await?;
            Ok(Tx { transaction, _turn: turn })
        });
        begun.await.map_err(|_| sqlx::Error::WorkerCrashed)?
    }

    /// Locks rows by a statement until the transaction ends, as `SELECT … FOR UPDATE` does. In SQLite the transaction
    /// itself is the lock of all rows, and the statement is not executed.
    ///
    /// # Errors
    /// [`sqlx::Error`]
    pub async fn lock(&self, tx: &mut Tx, statement: &'static str) -> sqlx::Result<()> {
        if self.0.dialect == Dialect::Postgres {
            query(statement).fetch_all(&mut **tx).await?;
        }
        Ok(())
    }

    /// Returns the value of a setting that all nodes share, in the table `settings (name, value)` of the application. The
    /// first node that reads it stores `default`.
    ///
    /// # Errors
    /// [`sqlx::Error`]
    pub async fn setting(&self, name: &str, default: &str) -> sqlx::Result<String> {
        let pool = self.pool();
        let insert = "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
        query(insert).bind(name).bind(default).execute(&*pool).await?;
        query_scalar("SELECT value FROM settings WHERE name = $1").bind(name).fetch_one(&*pool).await
    }

    /// Keeps the pool open. Never returns: as a supervised task, its end is the end of the pool, and its next run opens
    /// another and closes the present one. A database in memory keeps its only connection.
    pub async fn keep_open(self) {
        let was_killed = self.0.is_kept_open.swap(true, Ordering::Relaxed);
        if was_killed && self.0.max_connections > 1 {
            self.replace_pool().close().await;
        }
        std::future::pending().await
    }

    /// Runs statements within five seconds, and notes whether the database answered.
    ///
    /// A connection whose peer has vanished stays silent, and would keep its place in the pool. So the pool is replaced
    /// after the limit. A transaction may have been committed all the same.
    ///
    /// # Errors
    /// [`sqlx::Error`] of the statements; an [`io::ErrorKind::TimedOut`] after the limit.
    pub async fn run<T>(&self, statements: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
        let pool = self.pool();
        let result = timeout(RUN_TIMEOUT, statements).await.unwrap_or_else(|_| {
            if self.0.max_connections > 1 && Arc::ptr_eq(&pool, &self.pool()) {
                // The silent connections are not waited for: the old pool ends with them.
                drop(self.replace_pool().close());
            }
            let text = format!("no answer within {} s", RUN_TIMEOUT.as_secs());
            Err(sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, text)))
        });
        self.note(&result);
        result
    }

    /// Opens a new pool in place of the present one, and returns that.
    fn replace_pool(&self) -> Arc<AnyPool> {
        let pool = pool_options(self.0.dialect, self.0.max_connections).connect_lazy_with(self.0.options.clone());
        self.0.pool.swap(Arc::new(pool))
    }

    /// Notes whether the database answered. The first failure is logged, and the return.
    fn note<T>(&self, result: &sqlx::Result<T>) {
        match result {
            Ok(_) => {
                let was_down = self.0.down_since.send_replace(None);
                if was_down.is_some() {
                    tracing::info!("the database answers again");
                }
            }
            Err(error) => {
                let is_new = self.0.down_since.send_if_modified(|down_since| {
                    let is_new = down_since.is_none();
                    down_since.get_or_insert_with(SystemTime::now);
                    is_new
                });
                if is_new {
                    tracing::error!(%error, "the database does not answer: what was read before is still shown");
                }
            }
        }
    }

    /// Returns the time of the first failure since the last answer; `None` while the database answers.
    pub fn down_since(&self) -> Option<SystemTime> {
        *self.0.down_since.borrow()
    }
}

fn pool_options(dialect: Dialect, max_connections: u32) -> AnyPoolOptions {
    let options = AnyPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // A database in memory ends with its last connection. A caller that is dropped while its connection is tested
        // would close that too.
        .test_before_acquire(max_connections > 1)
        .idle_timeout(None)
        .max_lifetime(None);
    options.after_connect(move |connection, _| {
        Box::pin(async move {
            connection.execute(dialect.settings()).await?;
            Ok(())
        })
    })
}
