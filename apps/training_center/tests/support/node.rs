//! A node of the Training Center on the test kit, and its users.

use app_service::password::Password;
use app_service::supervisor::Supervisor;
use app_service::web::SignedIn;
use bennu::Endpoint;
use bennu::pubsub::PubSub;
use bennu::token::Secret;
use bennu_testkit::prelude::*;
use serde_json::Value;
use std::ops::Deref;
use training_center::gym::{Gym, topic};
use training_center::session::{Command, TrainingSession};
use training_center::socket::UserSocket;
use training_center::store::{SessionId, Store};
use training_center::user::User;

/// The workout of the tests.
pub(crate) const WORKOUT: &str = "Squats\nPush-ups\nPlank";

/// A node on the test kit. Time is real, as its database is.
pub(crate) struct Node {
    pub(crate) test: ChannelTest<Gym>,
    pub(crate) supervisor: Supervisor,
    /// The trainer's password.
    pub(crate) password: String,
}

impl Deref for Node {
    type Target = Gym;

    fn deref(&self) -> &Gym {
        self.test.state()
    }
}

impl Node {
    /// Opens a node whose database is in memory.
    pub(crate) async fn open() -> Self {
        Node::of(Store::open("sqlite::memory:").await.unwrap())
    }

    /// Opens a node of a database.
    pub(crate) fn of(store: Store) -> Self {
        let secret = Secret::new("a secret that only these tests have").unwrap();
        let endpoint = Endpoint::builder(secret).pubsub(PubSub::local()).build();
        let (trainer, password) = Password::random().unwrap();
        let supervisor = Supervisor::new();
        let gym = Gym::new(endpoint.clone(), store, trainer, supervisor.clone());
        let test = ChannelTest::with_endpoint(endpoint).with_state(gym);
        tokio::time::resume();
        Node { test, supervisor, password }
    }

    /// Stores a session.
    pub(crate) async fn create(&self, session: &TrainingSession) -> SessionId {
        self.store.create(session).await.unwrap()
    }

    /// Creates a session that waits.
    pub(crate) async fn waiting(&self) -> SessionId {
        self.create(&TrainingSession::new("Tuesday, 18:00", WORKOUT).unwrap()).await
    }

    /// Creates a session that runs.
    pub(crate) async fn running(&self) -> SessionId {
        let id = self.waiting().await;
        self.call(id, Command::Start).await.unwrap();
        id
    }

    /// Joins a session as a participant.
    pub(crate) async fn participant(&self, id: SessionId, name: &str) -> TestChannel<UserSocket> {
        self.join(id, User::participant(name).unwrap()).await.unwrap()
    }

    /// Joins a session as the trainer.
    pub(crate) async fn trainer(&self, id: SessionId) -> TestChannel<UserSocket> {
        self.join(id, User::Trainer).await.unwrap()
    }

    /// Joins a session.
    ///
    /// # Errors
    /// The response of the error reply.
    pub(crate) async fn join(&self, id: SessionId, user: User) -> Result<TestChannel<UserSocket>, Value> {
        let socket = self.test.socket(UserSocket { signed_in: signed_in(user) });
        socket.subscribe_and_join(&topic(id), json!({})).await.map_err(|refused| refused.response().parse().unwrap())
    }

    /// Returns what a participant has done.
    pub(crate) async fn done(&self, id: SessionId, name: &str) -> Vec<String> {
        let stored = self.call(id, Command::Look).await.unwrap();
        stored.session.people[name].iter().cloned().collect()
    }
}

/// Returns a user with a sign-in that lasts.
pub(crate) fn signed_in(user: User) -> SignedIn<User> {
    serde_json::from_value(json!({ "user": user, "id": "a sign-in", "until_ms": i64::MAX })).unwrap()
}
