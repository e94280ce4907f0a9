//! A node with its pages: browsers and guests have a server, and many people take part without either.

use super::guest::Guest;
use super::node::Node;
use std::future::IntoFuture;
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::Path;
use test_browser::{Browser, Page};
use tokio::task::JoinHandle;

/// A server on a free port. Dropping it ends the server.
pub(crate) struct Hall {
    node: Node,
    pub(crate) address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Deref for Hall {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.node
    }
}

impl Hall {
    /// Starts a server whose database is in memory.
    pub(crate) async fn open() -> Self {
        let node = Node::open().await;
        let router = training_center::app(&node, &Path::new(env!("CARGO_MANIFEST_DIR")).join("assets")).unwrap();
        let listener = bennu::bind(([127, 0, 0, 1], 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let server = bennu::serve(listener, router, &node.endpoint).into_future();
        let serving = tokio::spawn(async move { drop(server.await) });
        Hall { node, address, serving }
    }

    /// Returns the address of a path for a browser.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.address.port())
    }

    /// Signs the trainer in without a browser.
    pub(crate) async fn trainer(&self) -> Guest {
        Guest::trainer(self.address, &self.password).await
    }

    /// Signs the trainer in, and returns the trainer's first page.
    pub(crate) async fn trainers_page(&self, browser: &Browser) -> Page {
        super::pages::trainer(browser, &self.url("/trainer"), &self.password).await
    }
}

impl Drop for Hall {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
