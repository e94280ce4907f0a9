//! The adapter against a NATS server with TLS.

#![cfg(feature = "tls")]

use bennu_pubsub::{NodeName, PubSub};
use bennu_pubsub_cluster::conformance::node::eventually;
use bennu_pubsub_cluster::conformance::process::Program;
use bennu_pubsub_cluster::conformance::tls_law::{SecureServer, TlsServer};
use bennu_pubsub_nats::{Nats, TlsConfig};
use std::path::Path;

struct NatsServer;

bennu_pubsub_cluster::tls_suite!(NatsServer);

impl Program for NatsServer {
    const NAME: &'static str = "nats-server";
}

impl TlsServer for NatsServer {
    fn arguments(port: u16, certificate: &Path, key: &Path) -> Vec<String> {
        let (certificate, key) = (certificate.display(), key.display());
        let arguments = format!("-a 127.0.0.1 -p {port} --tls --tlscert {certificate} --tlskey {key}");
        arguments.split(' ').map(str::to_owned).collect()
    }

    fn join(port: u16, tls: Option<TlsConfig>, name: &str) -> PubSub {
        let nats = Nats::new(&format!("tls://localhost:{port}")).expect("the URL is valid");
        let nats = tls.into_iter().fold(nats, Nats::tls);
        PubSub::new(nats.join(NodeName::new(name)))
    }
}

#[tokio::test]
async fn a_connection_uses_tls_when_the_server_requires_it() {
    let Some(server) = SecureServer::<NatsServer>::start() else { return };
    let nats = Nats::new(&format!("nats://localhost:{}", server.port())).unwrap().tls(server.trusted());
    let nats = |name| PubSub::new(nats.clone().join(NodeName::new(name)));
    let (a, _b) = (nats("a"), nats("b"));
    eventually("both nodes have found each other", || a.nodes().len() == 2).await;
}
