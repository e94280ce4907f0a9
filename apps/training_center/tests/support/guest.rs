//! A guest without scripts: the pages and forms of the Training Center over HTTP, and the socket of its pages.

use bennu_client::{Client, ClientBuilder};
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use test_program::visitor::{Reply, Visitor};

/// A visitor of a node.
pub(crate) struct Guest(Visitor);

impl Deref for Guest {
    type Target = Visitor;

    fn deref(&self) -> &Visitor {
        &self.0
    }
}

impl DerefMut for Guest {
    fn deref_mut(&mut self) -> &mut Visitor {
        &mut self.0
    }
}

impl Guest {
    /// Returns a guest who has not signed in.
    pub(crate) fn of(node: SocketAddr) -> Self {
        Guest(Visitor::new(node))
    }

    /// Returns the participant of this name.
    pub(crate) async fn participant(node: SocketAddr, name: &str) -> Self {
        let mut guest = Guest::of(node);
        assert_eq!(guest.post("/sign_in", &[("name", name)]).await.status, 303);
        guest
    }

    /// Returns the trainer.
    pub(crate) async fn trainer(node: SocketAddr, password: &str) -> Self {
        let mut guest = Guest::of(node);
        assert_eq!(guest.post("/trainer/sign_in", &[("password", password)]).await.status, 303);
        guest
    }

    /// Sends a form with the CSRF token of the guest's session.
    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Reply {
        // A sign-in changes the token, and this page shows it.
        self.get("/trainer").await;
        self.0.post(path, fields).await.unwrap()
    }

    /// Returns a client with the tokens of the page at a path.
    pub(crate) async fn client(&mut self, path: &str) -> ClientBuilder {
        let token = self.get(path).await.meta("user-token").expect("the guest has signed in");
        self.client_with(&token)
    }

    /// Returns a client with this token and the guest's own session.
    pub(crate) fn client_with(&self, token: &str) -> ClientBuilder {
        Client::builder(format!("ws://{}/socket", self.node))
            .param("token", token)
            .param("_csrf_token", self.csrf_token.clone())
            .header("cookie", self.cookie())
    }
}
