//! The application in the test's own process, on a port of its own.

use bennu::Endpoint;
use bennu::token::Secret;
use hello_sockets::UserTracker;
use std::future::IntoFuture;
use std::net::SocketAddr;
use std::path::Path;
use tokio::net::TcpListener;

/// The running application, which is served until the test's runtime ends.
pub(crate) struct Server {
    pub(crate) endpoint: Endpoint,
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(&Path::new(env!("CARGO_MANIFEST_DIR")).join("assets")).await
    }

    pub(crate) async fn start_with(assets: &Path) -> Self {
        let endpoint = Endpoint::new(Secret::new("a secret that only the tests of this application have").unwrap());
        let app = hello_sockets::app(&endpoint, UserTracker::start(&endpoint, None), assets).unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(bennu::serve(listener, app, &endpoint).into_future());
        Server { endpoint, address }
    }

    pub(crate) fn token(&self, user_id: u64) -> String {
        self.endpoint.sign("salt identifier", &user_id).unwrap()
    }
}
