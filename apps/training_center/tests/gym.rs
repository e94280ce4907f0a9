//! The tasks of sessions: what was confirmed is stored, whoever is killed and however many nodes write.

mod support;

use support::node::Node;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::{Duration, timeout};
use training_center::gym::GymError;
use training_center::session::{Command, MAX_PEOPLE, Phase};
use training_center::store::{SessionId, Store};

/// The URL of a database in a directory.
fn url(directory: &TempDir) -> String {
    format!("sqlite://{}", directory.path().join("gym.db").display())
}

fn complete(name: &str, exercise: &str) -> Command {
    Command::Complete(name.to_owned(), exercise.to_owned())
}

#[tokio::test]
async fn what_was_confirmed_is_there_for_the_next_node_of_the_database() {
    let directory = tempfile::tempdir().unwrap();
    let id = {
        let node = Node::of(Store::open(&url(&directory)).await.unwrap());
        let id = node.running().await;
        node.call(id, Command::Enter("Blue".to_owned())).await.unwrap();
        node.call(id, complete("Blue", "Squats")).await.unwrap();
        // The node is dropped, and writes nothing at its end.
        id
    };
    let node = Node::of(Store::open(&url(&directory)).await.unwrap());
    assert_eq!(node.done(id, "Blue").await, ["Squats"]);
    assert_eq!(node.call(id, Command::Look).await.unwrap().session.phase, Phase::Running);
}

#[tokio::test]
async fn a_killed_task_loses_nothing_that_was_confirmed_and_answers_the_calls_that_wait() {
    let node = Node::open().await;
    let id = node.running().await;
    let mut calls = JoinSet::new();
    for number in 0..60 {
        let gym = node.test.state().clone();
        calls.spawn(async move {
            let name = format!("Person {number}");
            gym.call(id, Command::Enter(name.clone())).await?;
            gym.call(id, complete(&name, "Plank")).await
        });
    }
    let mut confirmed = 0;
    while let Some(call) = calls.join_next().await {
        call.unwrap().unwrap();
        confirmed += 1;
        if confirmed % 10 == 0 {
            node.supervisor.kill(&format!("session {id}"));
        }
    }
    let stored = node.call(id, Command::Look).await.unwrap();
    assert_eq!(stored.session.people.values().filter(|done| done.contains("Plank")).count(), 60);
    assert!(node.supervisor.restarts(&format!("session {id}")).unwrap() > 0, "no kill had an effect");
}

#[tokio::test]
async fn two_nodes_of_one_database_see_and_keep_each_others_changes() {
    let directory = tempfile::tempdir().unwrap();
    let nodes = [
        Node::of(Store::open(&url(&directory)).await.unwrap()),
        Node::of(Store::open(&url(&directory)).await.unwrap()),
    ];
    let id = nodes[0].running().await;
    let mut calls = JoinSet::new();
    for number in 0..40 {
        let gym = nodes[number % 2].test.state().clone();
        calls.spawn(async move { gym.call(id, Command::Enter(format!("Person {number}"))).await });
    }
    while let Some(call) = calls.join_next().await {
        call.unwrap().unwrap();
    }
    for node in &nodes {
        assert_eq!(node.call(id, Command::Look).await.unwrap().session.people.len(), 40);
    }
    nodes[1].call(id, Command::End).await.unwrap();
    let refused = nodes[0].call(id, Command::Start).await.unwrap_err();
    assert_eq!(refused.to_string(), "the session has ended");
}

#[tokio::test]
async fn a_session_that_does_not_exist_is_an_error_that_names_it_and_leaves_no_task() {
    let node = Node::open().await;
    for id in [SessionId(9), SessionId(-1), SessionId(i64::MAX)] {
        let error = node.call(id, Command::Look).await.unwrap_err();
        assert!(matches!(error, GymError::NoSuchSession(unknown) if unknown == id));
        assert_eq!(error.to_string(), format!("there is no session {id}"));
    }
    no_tasks(&node).await;
}

#[tokio::test]
async fn the_task_of_an_ended_session_returns_and_the_session_can_still_be_seen() {
    let node = Node::open().await;
    let id = node.waiting().await;
    node.call(id, Command::End).await.unwrap();
    for _ in 0..20 {
        assert_eq!(node.call(id, Command::Look).await.unwrap().session.phase, Phase::Ended);
    }
    no_tasks(&node).await;
}

/// Returns once no session has a task.
async fn no_tasks(node: &Node) {
    let gone = async {
        while !node.supervisor.names().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(20), gone).await.unwrap_or_else(|_| panic!("{:?} run on", node.supervisor.names()));
}

#[tokio::test]
async fn sessions_have_ids_of_their_own_and_the_newest_are_listed_first() {
    let node = Node::open().await;
    let ids = [node.waiting().await, node.running().await, node.waiting().await];
    assert_eq!(ids, [SessionId(1), SessionId(2), SessionId(3)]);
    let listed: Vec<SessionId> = node.store.latest().await.unwrap().iter().map(|stored| stored.id).collect();
    assert_eq!(listed, [SessionId(3), SessionId(2), SessionId(1)]);
}

#[tokio::test]
async fn a_full_session_refuses_one_more_person_in_words() {
    let node = Node::open().await;
    let id = node.waiting().await;
    for number in 0..MAX_PEOPLE {
        node.call(id, Command::Enter(number.to_string())).await.unwrap();
    }
    let refused = node.call(id, Command::Enter("One more".to_owned())).await.unwrap_err();
    assert_eq!(refused.to_string(), "the session is full: it has 100 people");
}
