//! The gym: a supervised task for each session that is in use. It is the only writer of its session on this node.
//!
//! Channels and pages call [`Gym::call`]. A task reads the newest version of its session, applies the command, stores the
//! change, and only then confirms it. So a crash of the task, or of the process, loses no confirmed change. The
//! waiting calls outlive a run of the task.

use crate::session::{Command, Phase, Refused};
use crate::store::{SessionId, Store, Stored};
use app_service::password::Password;
use app_service::supervisor::Supervisor;
use bennu::Endpoint;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot};
use tokio::time::timeout;

/// The time limit of a call. A database that is down answers no sooner.
const CALL_TIMEOUT: Duration = Duration::from_secs(8);

/// The time without a call after which a task returns. The next call starts it again.
const IDLE_TIMEOUT: Duration = Duration::from_secs(600);

/// The calls that wait for one task. Further callers wait for their place.
const QUEUE: usize = 64;

/// One node of the Training Center. Clones share it.
#[derive(Clone)]
pub struct Gym {
    /// The endpoint of the socket.
    pub endpoint: Endpoint,
    /// The stored sessions.
    pub store: Store,
    /// The trainer's password.
    pub trainer: Password,
    /// The address that phones open, without a path; `None` for the one that the trainer has opened.
    pub public_url: Option<String>,
    supervisor: Supervisor,
    tasks: Arc<Mutex<HashMap<SessionId, mpsc::Sender<Call>>>>,
}

struct Call {
    command: Command,
    answer: oneshot::Sender<Result<Arc<Stored>, GymError>>,
}

/// A call that failed. Its text is for the user.
#[derive(Debug, thiserror::Error)]
pub enum GymError {
    /// There is no session with this id.
    #[error("there is no session {0}")]
    NoSuchSession(SessionId),
    /// The session rejects the command.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The database does not answer.
    #[error("the database does not answer: try again in a moment")]
    Database(#[from] sqlx::Error),
    /// There was no answer within eight seconds.
    #[error("the session does not answer: try again in a moment")]
    Timeout,
}

impl Gym {
    /// Creates a node. Its tasks run in `supervisor`, under names as `session 7`.
    pub fn new(endpoint: Endpoint, store: Store, trainer: Password, supervisor: Supervisor) -> Self {
        Gym { endpoint, store, trainer, public_url: None, supervisor, tasks: Arc::default() }
    }

    /// Executes a command, and returns the session after it. A change is stored when the call returns.
    ///
    /// # Errors
    /// [`GymError`]
    pub async fn call(&self, id: SessionId, command: Command) -> Result<Arc<Stored>, GymError> {
        let answered = timeout(CALL_TIMEOUT, async {
            loop {
                let (answer, answered) = oneshot::channel();
                let call = Call { command: command.clone(), answer };
                // A run that is killed drops its call, which is sent again: a command may be applied twice.
                if self.task(id).send(call).await.is_ok()
                    && let Ok(result) = answered.await
                {
                    return result;
                }
            }
        });
        answered.await.unwrap_or(Err(GymError::Timeout))
    }

    /// Returns the queue of a session's task, which is started if it does not run.
    fn task(&self, id: SessionId) -> mpsc::Sender<Call> {
        let mut tasks = self.tasks.lock();
        tasks.retain(|_, task| !task.is_closed());
        let task = tasks.entry(id).or_insert_with(|| {
            let (sender, calls) = mpsc::channel(QUEUE);
            let (store, calls) = (self.store.clone(), Arc::new(AsyncMutex::new(calls)));
            self.supervisor.start_transient(format!("session {id}"), move || run(store.clone(), id, calls.clone()));
            sender
        });
        task.clone()
    }
}

/// One run of a session's task. It returns when the session is over, or was not used for ten minutes.
async fn run(store: Store, id: SessionId, calls: Arc<AsyncMutex<mpsc::Receiver<Call>>>) {
    let mut calls = calls.lock().await;
    let mut known = None;
    while let Ok(Some(Call { command, answer })) = timeout(IDLE_TIMEOUT, calls.recv()).await {
        let result = execute(&store, id, &mut known, command).await;
        let is_over = match &result {
            Ok(stored) => stored.session.phase == Phase::Ended,
            Err(error) => matches!(error, GymError::NoSuchSession(_)),
        };
        // A caller that has given up wants no answer.
        let _ = answer.send(result);
        if is_over {
            return;
        }
    }
}

/// Applies a command to the newest version of the session, and stores the change.
async fn execute(
    store: &Store,
    id: SessionId,
    known: &mut Option<Arc<Stored>>,
    command: Command,
) -> Result<Arc<Stored>, GymError> {
    loop {
        match store.newer(id, known.as_ref().map_or(-1, |known| known.version)).await {
            Ok(Some(newer)) => *known = Some(Arc::new(newer)),
            Ok(None) => {}
            // Without the database, the last version can still be shown.
            Err(error) if known.is_none() => return Err(error.into()),
            Err(_) => {}
        }
        let before = known.clone().ok_or(GymError::NoSuchSession(id))?;
        let mut session = before.session.clone();
        session.apply(command.clone())?;
        if session == before.session {
            return Ok(before);
        }
        if store.save(&before, &session).await? {
            let after = Arc::new(Stored { id, version: before.version + 1, session });
            *known = Some(after.clone());
            return Ok(after);
        }
    }
}

/// Returns the topic of a session.
pub fn topic(id: SessionId) -> String {
    format!("training_session:{id}")
}
