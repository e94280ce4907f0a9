//! The supervised tasks of an application: each has a name, and runs again after it panicked or was killed, and unless
//! it is transient also after it returned.
//!
//! The application starts its tasks through a [`Supervisor`], and stops them with [`Supervisor::stop`] after its server
//! has drained. Its command `kill` and its tests end a run with [`Supervisor::kill`]. A name has at most one run at a
//! time: the next begins only after the one before was dropped, so a run may own a file or a connection alone.

use parking_lot::Mutex;
use std::any::Any;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinError};
use tokio::time::Instant;

/// The pause before the second restart in a row. The first has none, and each later pause is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The longest pause before a restart.
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// The length of a run after which the task counts as recovered: its next restart has no pause.
const RECOVERED_AFTER: Duration = Duration::from_secs(10);

/// Runs named tasks, and runs each again when it ends. Clones share the tasks.
///
/// Dropping the last clone aborts the tasks without waiting for them; [`Supervisor::stop`] waits.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use app_service::supervisor::Supervisor;
/// use tokio::sync::mpsc;
///
/// let (sender, mut runs) = mpsc::unbounded_channel();
/// let supervisor = Supervisor::new();
/// supervisor.start("clock", move || {
///     let sender = sender.clone();
///     async move {
///         sender.send("started").unwrap();
///         std::future::pending().await
///     }
/// });
/// assert_eq!(runs.recv().await, Some("started"));
/// assert!(supervisor.kill("clock"));
/// assert_eq!(runs.recv().await, Some("started"));
/// assert_eq!(supervisor.restarts("clock"), Some(1));
/// supervisor.stop().await;
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Supervisor {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    tasks: Mutex<BTreeMap<Arc<str>, Arc<Task>>>,
    /// Whether the tasks must end. Each supervising task holds a receiver until its last run was dropped.
    stopped: watch::Sender<bool>,
}

/// The state of one name, shared by its supervising task and the supervisor.
#[derive(Debug, Default)]
struct Task {
    /// The present run, or the one that ended last.
    run: Mutex<Option<AbortHandle>>,
    restarts: AtomicU64,
}

/// Whether a run that returns is followed by another one.
#[derive(Debug)]
enum Restart {
    /// It is.
    Permanent,
    /// It is not, and its name leaves the tasks.
    Transient(Weak<Shared>),
}

impl Supervisor {
    /// Creates a supervisor without tasks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs the futures that `make` returns, one after the other, until the supervisor is stopped.
    ///
    /// When a run ends, panics or is killed, a warning with the cause is logged and the next run begins: at once after
    /// the first time, then after 50 ms, and after twice the pause each time, up to 1 s. A run of 10 s or more begins
    /// this series anew. After [`Supervisor::stop`] nothing is started.
    ///
    /// # Panics
    /// When a task of this name exists, and outside of a tokio runtime.
    pub fn start<F, R>(&self, name: impl Into<Arc<str>>, make: F)
    where
        F: FnMut() -> R + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        self.spawn(name.into(), Restart::Permanent, make);
    }

    /// Runs the futures that `make` returns as [`start`](Self::start) does, until one of them returns: that run was the
    /// last one, and its name is free again. Only a panic or a kill is followed by another run.
    ///
    /// # Panics
    /// When a task of this name exists, and outside of a tokio runtime.
    pub fn start_transient<F, R>(&self, name: impl Into<Arc<str>>, make: F)
    where
        F: FnMut() -> R + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        self.spawn(name.into(), Restart::Transient(Arc::downgrade(&self.shared)), make);
    }

    fn spawn<F, R>(&self, name: Arc<str>, restart: Restart, make: F)
    where
        F: FnMut() -> R + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let task = Arc::new(Task::default());
        let is_new = match self.shared.tasks.lock().entry(Arc::clone(&name)) {
            Entry::Occupied(_) => false,
            Entry::Vacant(vacant) => {
                vacant.insert(Arc::clone(&task));
                true
            }
        };
        assert!(is_new, "a task named {name:?} exists; the names of one supervisor must differ");
        tokio::spawn(supervise(name, task, restart, make, self.shared.stopped.subscribe()));
    }

    /// Aborts the present run of a task at its next `await`; the next run follows as after a panic.
    ///
    /// Returns `false` when no run was aborted: the name is unknown, or the task waits for its next run.
    pub fn kill(&self, name: &str) -> bool {
        let run = self.task(name).and_then(|task| task.run.lock().clone());
        run.filter(|run| !run.is_finished()).inspect(AbortHandle::abort).is_some()
    }

    /// Kills a task for a command `kill`. Returns the text to print, or the text of the error with the names of all tasks.
    ///
    /// # Errors
    /// As [`kill`](Self::kill) returns `false`.
    pub fn kill_by_command(&self, name: &str) -> Result<String, String> {
        match self.task(name) {
            Some(_) if self.kill(name) => Ok(format!("killed {name}")),
            Some(_) => Err(format!("the task {name:?} has no run at the moment: it is started again within a second")),
            None => Err(format!("there is no task {name:?}: there are {}", self.names().join(", "))),
        }
    }

    /// Returns the names of all tasks, sorted.
    pub fn names(&self) -> Vec<String> {
        self.shared.tasks.lock().keys().map(|name| (**name).to_owned()).collect()
    }

    /// Returns the number of runs of a task after its first one; `None` for an unknown name.
    pub fn restarts(&self, name: &str) -> Option<u64> {
        self.task(name).map(|task| task.restarts.load(Ordering::Acquire))
    }

    /// Aborts all tasks for good, and waits until their runs were dropped.
    ///
    /// A run that blocks its thread is waited for. Dropping the future stops the wait; the tasks end all the same.
    /// Several calls may wait at the same time. It must not be called by a supervised task, which would wait for itself.
    pub async fn stop(&self) {
        self.shared.stopped.send_replace(true);
        self.shared.stopped.closed().await;
    }

    fn task(&self, name: &str) -> Option<Arc<Task>> {
        self.shared.tasks.lock().get(name).cloned()
    }
}

/// Runs a task again and again until `stopped` has the value `true` or lost its sender.
async fn supervise<F, R>(name: Arc<str>, task: Arc<Task>, restart: Restart, make: F, mut stopped: watch::Receiver<bool>)
where
    F: FnMut() -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    // `make` goes into each run and comes back by this lock, so that its panic is one of the run.
    let make = Arc::new(Mutex::new(make));
    run_until_the_end(&name, &task, &restart, &make, &mut stopped).await;
    // The name is free before the values that `make` owns are dropped: their drop may start the task again.
    if let Restart::Transient(shared) = restart
        && let Some(shared) = shared.upgrade()
    {
        shared.tasks.lock().remove(&name);
    }
}

async fn run_until_the_end<F, R>(
    name: &str,
    task: &Task,
    restart: &Restart,
    make: &Arc<Mutex<F>>,
    stopped: &mut watch::Receiver<bool>,
) where
    F: FnMut() -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let mut pause = Duration::ZERO;
    loop {
        if *stopped.borrow() {
            return;
        }
        let make = Arc::clone(make);
        let started_at = Instant::now();
        let mut run = {
            // The lock is held, so that the new run can be killed from its first moment on.
            let mut slot = task.run.lock();
            let run = tokio::spawn(async move {
                let future = (make.lock())();
                future.await;
            });
            *slot = Some(run.abort_handle());
            run
        };
        let ended = tokio::select! {
            ended = &mut run => ended,
            () = is_stopped(stopped) => {
                run.abort();
                let _ = run.await;
                return;
            }
        };
        if ended.is_ok() && matches!(restart, Restart::Transient(_)) {
            return;
        }
        if started_at.elapsed() >= RECOVERED_AFTER {
            pause = Duration::ZERO;
        }
        tracing::warn!(task = name, cause = cause(ended), again_in = ?pause, "a task ended and is started again");
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = is_stopped(stopped) => return,
        }
        pause = (pause * 2).clamp(FIRST_PAUSE, MAX_PAUSE);
        task.restarts.fetch_add(1, Ordering::AcqRel);
    }
}

/// Returns when the tasks must end: the supervisor was stopped, or its last clone was dropped.
async fn is_stopped(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Returns the cause of a run's end, for the log.
fn cause(ended: Result<(), JoinError>) -> String {
    match ended.map_err(JoinError::try_into_panic) {
        Ok(()) => "it returned".to_owned(),
        Err(Ok(panic)) => format!("it panicked: {}", panic_text(&*panic)),
        Err(Err(_)) => "it was killed".to_owned(),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("with a value that is not text")
}

#[cfg(test)]
mod tests;
