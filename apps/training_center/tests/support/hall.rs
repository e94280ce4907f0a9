//! A Training Center in this process: browsers have its pages, and many people take part without a browser.

use app_service::password::Password;
use app_service::supervisor::Supervisor;
use app_service::web::SignedIn;
use bennu::Endpoint;
use bennu::pubsub::PubSub;
use bennu::token::Secret;
use bennu_testkit::prelude::*;
use std::future::IntoFuture;
use std::net::SocketAddr;
use std::path::Path;
use test_browser::{Browser, Page};
use tokio::task::JoinHandle;
use training_center::gym::{Gym, topic};
use training_center::session::TrainingSession;
use training_center::socket::UserSocket;
use training_center::store::{SessionId, Store};
use training_center::user::User;

/// A server on a free port. Dropping it ends the server.
pub(crate) struct Hall {
    pub(crate) gym: Gym,
    test: ChannelTest<Gym>,
    port: u16,
    password: String,
    serving: JoinHandle<()>,
}

impl Hall {
    /// Starts a server whose database is in memory.
    pub(crate) async fn open() -> Self {
        let secret = Secret::new("a secret that only the tests of the pages have").unwrap();
        let endpoint = Endpoint::builder(secret).pubsub(PubSub::local()).build();
        let (trainer, password) = Password::random().unwrap();
        let store = Store::open("sqlite::memory:").await.unwrap();
        let gym = Gym::new(endpoint.clone(), store, trainer, Supervisor::new());
        let test = ChannelTest::with_endpoint(endpoint.clone()).with_state(gym.clone());
        tokio::time::resume();
        let router = training_center::app(&gym, &Path::new(env!("CARGO_MANIFEST_DIR")).join("assets")).unwrap();
        let listener = bennu::bind(([127, 0, 0, 1], 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = bennu::serve(listener, router, &endpoint).into_future();
        let serving = tokio::spawn(async move { drop(server.await) });
        Hall { gym, test, port, password, serving }
    }

    /// Returns the address on which the server listens.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Returns the address of a path for a browser.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.port)
    }

    /// Stores a session.
    pub(crate) async fn create(&self, session: &TrainingSession) -> SessionId {
        self.gym.store.create(session).await.unwrap()
    }

    /// Signs the trainer in, and returns the trainer's first page.
    pub(crate) async fn trainer(&self, browser: &Browser) -> Page {
        let page = browser.open(&self.url("/trainer")).await;
        page.fill("#password", &self.password).await;
        page.click("form[action='/trainer/sign_in'] button").await;
        page.shows("#new").await;
        page
    }

    /// Joins a session as a participant who is online until the channel is dropped.
    pub(crate) async fn join(&self, id: SessionId, name: &str) -> TestChannel<UserSocket> {
        let user = User::participant(name).unwrap();
        let signed_in: SignedIn<User> =
            serde_json::from_value(json!({ "user": user, "id": name, "until_ms": u64::MAX })).unwrap();
        let socket = self.test.socket(UserSocket { signed_in });
        socket.subscribe_and_join(&topic(id), json!({})).await.unwrap()
    }
}

impl Drop for Hall {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
