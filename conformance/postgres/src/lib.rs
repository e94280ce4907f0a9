//! A PostgreSQL server of a test's own.
//!
//! [`Postgres`] owns the server's process, its port on 127.0.0.1 and its directory, in which the databases and the log
//! are. Tests and benchmarks start it. The user `postgres` exists, needs no password, and may do everything. Dropping
//! the server ends its process and removes its directory; so does the end of the test's process, even by SIGKILL.
//!
//! ```no_run
//! # async fn test() -> Result<(), String> {
//! let postgres = test_postgres::Postgres::shared().await?;
//! let url = postgres.create_database().await;
//! assert_eq!(postgres.query(&url, "SELECT 1 + 1").await?, "2");
//! # Ok(()) }
//! ```

mod process;
mod program;

use process::Process;
use program::Programs;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;
use test_program::free_port;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

/// A PostgreSQL server.
///
/// The methods that start and end it return when it accepts connections, or when all its processes have ended. They
/// panic, with the end of the server's log, when it does not; a program that is not installed is an error instead, so
/// that a test can be skipped with the cause.
pub struct Postgres {
    // Dropped before the directory.
    process: Option<Process>,
    cluster: Arc<Cluster>,
    port: u16,
    databases: AtomicUsize,
}

/// The options of a server; made by [`Postgres::builder`].
pub struct PostgresBuilder {
    parent: PathBuf,
    settings: Vec<String>,
}

/// The files of a server and the programs for them: a "database cluster", as PostgreSQL names it.
struct Cluster {
    programs: Programs,
    directory: TempDir,
    settings: Vec<String>,
}

impl Postgres {
    /// Starts a server that writes commits to the disk (`fsync` is on), in a temporary directory.
    ///
    /// # Errors
    /// The programs of PostgreSQL that are not installed.
    pub async fn start() -> Result<Postgres, String> {
        Postgres::builder().start().await
    }

    /// Returns the options of a server.
    pub fn builder() -> PostgresBuilder {
        PostgresBuilder { parent: std::env::temp_dir(), settings: Vec::new() }
    }

    /// Returns the server that all tests of this process share. The first call starts it, without `fsync`. Each test
    /// uses its own database.
    ///
    /// # Errors
    /// The programs of PostgreSQL that are not installed.
    pub async fn shared() -> Result<&'static Postgres, String> {
        static SHARED: OnceCell<Result<Postgres, String>> = OnceCell::const_new();
        SHARED.get_or_init(|| Postgres::builder().fsync(false).start()).await.as_ref().map_err(String::clone)
    }

    /// Returns the URL of the database `postgres`, which always exists.
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// Creates an empty database and returns its URL.
    ///
    /// # Panics
    /// When the server does not run.
    pub async fn create_database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let created = self.query(&self.url(), &format!("CREATE DATABASE {name}")).await;
        created.expect("the server creates the database");
        self.url_of(&name)
    }

    /// Runs SQL in the database with this URL, and returns the rows: a line each, with `|` between columns.
    ///
    /// # Errors
    /// The message of the server, or of `psql` when the server does not run.
    pub async fn query(&self, url: &str, sql: &str) -> Result<String, String> {
        let mut command = self.psql(url);
        command.args(["-c", sql]).stdin(Stdio::null());
        let output = blocking(move || command.output().expect("psql was found")).await;
        let text = |bytes| String::from_utf8_lossy(bytes).trim_end().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// Returns the command `psql` for the database with this URL. It ends with status 3 at the first error.
    pub fn psql(&self, url: &str) -> Command {
        let mut command = self.cluster.command("psql");
        command.args(["-XwAtq", "-v", "ON_ERROR_STOP=1", "-d", url]);
        command
    }

    /// Stops the server: open transactions are rolled back, connections are closed, and all data is written.
    pub async fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            blocking(move || process.stop()).await;
        }
    }

    /// Kills all processes of the server by SIGKILL.
    pub async fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            blocking(move || process.kill()).await;
        }
    }

    /// Starts the server on its port and its data after [`Postgres::stop`] or [`Postgres::kill`]. A server that runs is
    /// left alone.
    ///
    /// # Panics
    /// When the server does not start.
    pub async fn start_again(&mut self) {
        if self.process.is_none() {
            let (cluster, port) = (self.cluster.clone(), self.port);
            let started = blocking(move || cluster.start(port)).await;
            self.process = Some(started.unwrap_or_else(|log| panic!("{log}")));
        }
    }

    /// Returns the directory of the server; the log is in the file `log`.
    pub fn directory(&self) -> &Path {
        self.cluster.directory.path()
    }

    fn url_of(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }
}

impl PostgresBuilder {
    /// Sets whether a commit is on the disk before it is confirmed; true by default. Without, the server is faster, and
    /// a crash of the machine, though not of the server, loses data.
    pub fn fsync(mut self, fsync: bool) -> Self {
        if !fsync {
            self.settings.extend(["fsync=off", "full_page_writes=off"].map(str::to_owned));
        }
        self
    }

    /// Sets the parent of the server's directory; the system's temporary directory by default. When root runs the
    /// test, the user `postgres` must have access.
    pub fn directory(mut self, parent: impl Into<PathBuf>) -> Self {
        self.parent = parent.into();
        self
    }

    /// Sets a parameter of `postgresql.conf`.
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push(format!("{name}={value}"));
        self
    }

    /// Makes the directory and starts the server.
    ///
    /// # Errors
    /// The programs of PostgreSQL that are not installed.
    ///
    /// # Panics
    /// When the server does not start.
    pub async fn start(self) -> Result<Postgres, String> {
        let programs = Programs::find()?;
        Ok(blocking(move || {
            let cluster = Cluster::create(programs, &self.parent, self.settings);
            let (process, port) = cluster.start_on_free_port();
            Postgres { process: Some(process), cluster: Arc::new(cluster), port, databases: AtomicUsize::new(0) }
        })
        .await)
    }
}

impl Cluster {
    fn create(programs: Programs, parent: &Path, settings: Vec<String>) -> Self {
        let directory = tempfile::Builder::new().prefix("bennu-postgres-").tempdir_in(parent);
        let directory = directory.unwrap_or_else(|error| panic!("could not create a directory in {parent:?}: {error}"));
        if let Some((user, group)) = programs.user() {
            chown(directory.path(), Some(user), Some(group)).expect("root gives its directory away");
        }
        let cluster = Cluster { programs, directory, settings };
        let mut command = cluster.command("initdb");
        command.args(["--pgdata", "data", "--username", "postgres", "--auth", "trust", "--encoding", "UTF8"]);
        // Without --no-sync, half of the time is for the disk; a test whose machine crashes is lost anyway.
        let output =
            command.args(["--no-locale", "--no-sync", "--no-instructions"]).output().expect("initdb was found");
        assert!(output.status.success(), "could not create {cluster:?}: {}", String::from_utf8_lossy(&output.stderr));
        cluster
    }

    /// Starts the server on a port below those that the system gives to outgoing connections. Otherwise a connection
    /// could take the port while the server is stopped.
    fn start_on_free_port(&self) -> (Process, u16) {
        for port in std::iter::repeat_with(free_port).take(100) {
            match self.start(port) {
                Ok(process) => return (process, port),
                // Another program took the port meanwhile.
                Err(log) if log.contains("could not bind") => fs::remove_file(self.log()).expect("the log exists"),
                Err(log) => panic!("{log}"),
            }
        }
        panic!("none of 100 ports is free");
    }

    /// Starts the server; the error contains the end of its log.
    fn start(&self, port: u16) -> Result<Process, String> {
        let log = File::options().append(true).create(true).open(self.log()).expect("the directory is this test's own");
        let mut arguments = vec!["-D".to_owned(), "data".to_owned(), "-p".to_owned(), port.to_string()];
        // Shared memory of the type mmap is in the data directory, and a killed server leaves none of it elsewhere.
        let own =
            "listen_addresses=127.0.0.1 unix_socket_directories= max_connections=300 dynamic_shared_memory_type=mmap";
        let settings = own.split(' ').chain(self.settings.iter().map(String::as_str));
        arguments.extend(settings.flat_map(|setting| ["-c".to_owned(), setting.to_owned()]));
        let mut command = self.command("sh");
        command.arg("-c").arg(process::SCRIPT).arg("sh").arg(self.directory.path());
        command.arg(self.programs.path("postgres")).args(arguments).stderr(log);
        Process::start(&mut command, &self.pid_file()).map_err(|error| {
            let log = fs::read_to_string(self.log()).unwrap_or_default();
            let tail = log.lines().skip(log.lines().count().saturating_sub(20)).collect::<Vec<_>>().join("\n");
            format!("could not start {self:?} on port {port}: {error}\n{tail}")
        })
    }

    /// Returns a command in the server's directory as the server's user, without the settings of the test's user.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.path(program));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_else(|| OsStr::new("/usr/bin:/bin").into()));
        command.current_dir(self.directory.path());
        if let Some((user, group)) = self.programs.user() {
            command.uid(user).gid(group);
        }
        command
    }

    /// Returns the file in which the server keeps its process id, its state and its shared memory.
    fn pid_file(&self) -> PathBuf {
        self.directory.path().join("data/postmaster.pid")
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }
}

impl Drop for Cluster {
    /// Removes the segment of shared memory that a killed server leaves behind. A server that ended in any other way
    /// has removed it, and the file that names it.
    fn drop(&mut self) {
        let file = fs::read_to_string(self.pid_file()).unwrap_or_default();
        if let Some(segment) = file.lines().nth(6).and_then(|line| line.split_whitespace().nth(1)) {
            let _ = Command::new("ipcrm").args(["-m", segment]).status();
        }
    }
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "the PostgreSQL server of {} in {}",
            self.programs.folder().display(),
            self.directory.path().display()
        )
    }
}

/// Runs a function that waits for processes. A server needs no runtime of its own: several tests, each with a runtime,
/// share one.
async fn blocking<T: Send + 'static>(function: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(function).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
