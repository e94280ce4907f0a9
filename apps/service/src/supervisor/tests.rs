//! The contract of the supervisor, in paused time.

use super::*;
use std::future::pending;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

/// Starts a task that reports the time of each run, then behaves as `run` does.
fn started<R>(supervisor: &Supervisor, mut run: impl FnMut() -> R + Send + 'static) -> UnboundedReceiver<Instant>
where
    R: Future<Output = ()> + Send + 'static,
{
    let (sender, receiver) = unbounded_channel();
    supervisor.start("task", move || {
        let _ = sender.send(Instant::now());
        run()
    });
    receiver
}

/// Returns the pause before each of the next `count` runs, for runs that take `run`.
async fn pauses(runs: &mut UnboundedReceiver<Instant>, run: Duration, count: usize) -> Vec<u128> {
    let mut before = runs.recv().await.unwrap();
    let mut pauses = Vec::new();
    for _ in 0..count {
        let next = runs.recv().await.unwrap();
        pauses.push((next - before - run).as_millis());
        before = next;
    }
    pauses
}

#[tokio::test(start_paused = true)]
async fn a_task_that_returns_runs_again_at_once_and_then_after_growing_pauses_of_at_most_a_second() {
    let supervisor = Supervisor::new();
    let mut runs = started(&supervisor, || async {});
    assert_eq!(pauses(&mut runs, Duration::ZERO, 8).await, [0, 50, 100, 200, 400, 800, 1000, 1000]);
    assert_eq!(supervisor.restarts("task"), Some(8));
}

#[tokio::test(start_paused = true)]
async fn a_run_of_ten_seconds_begins_the_pauses_anew() {
    let supervisor = Supervisor::new();
    let mut runs = started(&supervisor, || tokio::time::sleep(RECOVERED_AFTER));
    assert_eq!(pauses(&mut runs, RECOVERED_AFTER, 3).await, [0, 0, 0]);
    let supervisor = Supervisor::new();
    let almost = RECOVERED_AFTER - Duration::from_millis(1);
    let mut runs = started(&supervisor, move || tokio::time::sleep(almost));
    assert_eq!(pauses(&mut runs, almost, 3).await, [0, 50, 100]);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_panics_runs_again() {
    let supervisor = Supervisor::new();
    let mut runs = started(&supervisor, || async { panic!("on purpose") });
    assert_eq!(pauses(&mut runs, Duration::ZERO, 3).await, [0, 50, 100]);
}

#[tokio::test(start_paused = true)]
async fn a_function_that_panics_before_it_returns_its_future_is_called_again() {
    let supervisor = Supervisor::new();
    let mut first = true;
    let mut runs = started(&supervisor, move || {
        assert!(!std::mem::take(&mut first), "on purpose");
        pending()
    });
    assert_eq!(pauses(&mut runs, Duration::ZERO, 1).await, [0]);
    assert_eq!(supervisor.restarts("task"), Some(1));
}

/// Reports its drop, as the state of a run that is aborted.
struct Owned(UnboundedSender<&'static str>);

impl Drop for Owned {
    fn drop(&mut self) {
        let _ = self.0.send("dropped");
    }
}

/// Starts a task without end that reports the start and the drop of each run.
fn started_with_drops(supervisor: &Supervisor) -> UnboundedReceiver<&'static str> {
    let (sender, receiver) = unbounded_channel();
    supervisor.start("task", move || {
        let owned = Owned(sender.clone());
        async move {
            owned.0.send("started").unwrap();
            pending().await
        }
    });
    receiver
}

#[tokio::test(start_paused = true)]
async fn a_killed_run_is_dropped_before_the_next_begins() {
    let supervisor = Supervisor::new();
    let mut events = started_with_drops(&supervisor);
    assert_eq!(events.recv().await, Some("started"));
    for _ in 1..=3 {
        assert!(supervisor.kill("task"));
        assert_eq!(events.recv().await, Some("dropped"));
        assert_eq!(events.recv().await, Some("started"));
    }
    assert_eq!(supervisor.restarts("task"), Some(3));
}

#[tokio::test(start_paused = true)]
async fn a_transient_task_runs_again_after_a_kill_and_its_name_is_free_after_a_return() {
    let supervisor = Supervisor::new();
    let returned = Arc::new(tokio::sync::Notify::new());
    let (sender, mut runs) = unbounded_channel();
    for _ in 0..2 {
        let (returns, sender) = (Arc::clone(&returned), sender.clone());
        supervisor.start_transient("session 1", move || {
            let (returns, sender) = (Arc::clone(&returns), sender.clone());
            async move {
                sender.send(()).unwrap();
                returns.notified().await;
            }
        });
        runs.recv().await.unwrap();
        assert!(supervisor.kill("session 1"));
        runs.recv().await.unwrap();
        assert_eq!(supervisor.restarts("session 1"), Some(1));
        returned.notify_one();
        tokio::time::sleep(MAX_PAUSE).await;
        assert_eq!((supervisor.names(), runs.try_recv().is_err()), (vec![], true));
    }
}

/// Starts a task of the same name when it is dropped.
struct StartsAgain(Supervisor, UnboundedSender<&'static str>);

impl Drop for StartsAgain {
    fn drop(&mut self) {
        let started = self.1.clone();
        self.0.start_transient("session 1", move || {
            started.send("started again").unwrap();
            pending()
        });
    }
}

#[tokio::test(start_paused = true)]
async fn the_name_of_a_transient_task_is_free_before_its_values_are_dropped() {
    let supervisor = Supervisor::new();
    let (sender, mut events) = unbounded_channel();
    let owned = StartsAgain(supervisor.clone(), sender);
    supervisor.start_transient("session 1", move || {
        owned.1.send("started").unwrap();
        async {}
    });
    assert_eq!(events.recv().await, Some("started"));
    assert_eq!(events.recv().await, Some("started again"));
}

#[tokio::test(start_paused = true)]
async fn after_a_stop_a_transient_task_is_not_started_and_its_name_stays_free() {
    let supervisor = Supervisor::new();
    supervisor.start_transient("session 1", pending);
    supervisor.stop().await;
    for _ in 0..2 {
        supervisor.start_transient("session 1", || async { panic!("it was started") });
        supervisor.stop().await;
        assert!(supervisor.names().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_between_two_runs_and_an_unknown_name_cannot_be_killed() {
    let supervisor = Supervisor::new();
    let mut runs = started(&supervisor, || async {});
    runs.recv().await.unwrap();
    runs.recv().await.unwrap();
    tokio::time::sleep(FIRST_PAUSE / 2).await;
    assert!(!supervisor.kill("task"));
    assert!(!supervisor.kill("another"));
    assert_eq!((supervisor.restarts("task"), supervisor.restarts("another")), (Some(1), None));
}

#[tokio::test(start_paused = true)]
async fn a_command_kills_a_task_or_is_answered_with_the_reason() {
    let supervisor = Supervisor::new();
    supervisor.start("pending", pending);
    let mut runs = started(&supervisor, || async {});
    runs.recv().await.unwrap();
    runs.recv().await.unwrap();
    tokio::time::sleep(FIRST_PAUSE / 2).await;
    assert_eq!(supervisor.kill_by_command("pending"), Ok("killed pending".to_owned()));
    let waits = "the task \"task\" has no run at the moment: it is started again within a second";
    assert_eq!(supervisor.kill_by_command("task"), Err(waits.to_owned()));
    let unknown = "there is no task \"tusk\": there are pending, task";
    assert_eq!(supervisor.kill_by_command("tusk"), Err(unknown.to_owned()));
}

#[tokio::test(start_paused = true)]
async fn stop_waits_until_every_run_is_dropped_and_nothing_starts_after_it() {
    let supervisor = Supervisor::new();
    let mut events = started_with_drops(&supervisor);
    supervisor.start("ends", || async {});
    assert_eq!(events.recv().await, Some("started"));
    tokio::join!(supervisor.stop(), supervisor.stop());
    assert_eq!(events.try_recv(), Ok("dropped"));
    assert_eq!(events.recv().await, None);
    supervisor.start("late", || async { panic!("it was started") });
    supervisor.stop().await;
    assert_eq!(supervisor.names(), ["ends", "late", "task"]);
    assert_eq!(supervisor.restarts("late"), Some(0));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_clone_ends_the_tasks() {
    let supervisor = Supervisor::new();
    let mut events = started_with_drops(&supervisor);
    assert_eq!(events.recv().await, Some("started"));
    drop(supervisor.clone());
    drop(supervisor);
    assert_eq!(events.recv().await, Some("dropped"));
    assert_eq!(events.recv().await, None);
}

#[tokio::test]
#[should_panic(expected = "a task named \"task\" exists")]
async fn a_name_is_used_once() {
    let supervisor = Supervisor::new();
    supervisor.start("task", pending);
    supervisor.start("task", pending);
}

#[tokio::test]
async fn the_log_has_the_cause_of_an_end() {
    let cause_of = async |task: JoinHandle<()>| cause(task.await);
    assert_eq!(cause_of(tokio::spawn(async {})).await, "it returned");
    assert_eq!(cause_of(tokio::spawn(async { panic!("no more") })).await, "it panicked: no more");
    assert_eq!(cause_of(tokio::spawn(async { panic!("no {}", 2) })).await, "it panicked: no 2");
    let killed = tokio::spawn(pending());
    killed.abort();
    assert_eq!(cause_of(killed).await, "it was killed");
}
