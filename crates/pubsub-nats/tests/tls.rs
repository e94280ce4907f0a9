//! The adapter against a server that speaks TLS, with a certificate made for the test.

#![cfg(feature = "tls")]

use bennu_pubsub::{NodeName, PubSub};
use bennu_pubsub_broker::conformance::log::Log;
use bennu_pubsub_broker::conformance::node::{Note, eventually, next};
use bennu_pubsub_broker::conformance::process::{Process, Program, free_port};
use bennu_pubsub_nats::{Nats, TlsConfig};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::CertificateDer;
use std::path::PathBuf;
use std::sync::Arc;

/// The server with a certificate for `localhost` that nobody knows.
struct SecureServer {
    port: u16,
    certificate: CertificateDer<'static>,
    directory: PathBuf,
    _process: Process<NatsServer>,
}

struct NatsServer;

impl Program for NatsServer {
    const NAME: &'static str = "nats-server";
}

impl SecureServer {
    fn start() -> Option<SecureServer> {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let port = free_port();
        let directory = std::env::temp_dir().join(format!("bennu-nats-tls-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let file = |name: &str, text: String| {
            let path = directory.join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let (certificate, key) = (cert.der().clone(), file("key.pem", signing_key.serialize_pem()));
        let cert = file("cert.pem", cert.pem());
        let arguments = format!("-a 127.0.0.1 -p {port} --tls --tlscert {cert} --tlskey {key}");
        let arguments = arguments.split(' ').map(str::to_owned).collect();
        let process = Process::start_with(port, arguments)?;
        Some(SecureServer { port, certificate, directory, _process: process })
    }

    fn url(&self) -> String {
        format!("tls://localhost:{}", self.port)
    }

    /// Trusts this server's certificate and no other.
    fn trusted(&self) -> TlsConfig {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        Arc::new(config.unwrap().with_root_certificates(roots).with_no_client_auth())
    }
}

impl Drop for SecureServer {
    fn drop(&mut self) {
        // What is left in the directory for temporary files harms nobody.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_travel_over_tls_in_order() {
    let Some(server) = SecureServer::start() else { return };
    let join = |name| {
        let nats = Nats::new(&server.url()).unwrap().tls(server.trusted());
        PubSub::new(nats.join(NodeName::new(name)))
    };
    let (a, b) = (join("a"), join("b"));
    let mut notes = b.subscribe::<Note>("t");
    eventually("they know each other", || a.nodes().len() == 2 && b.nodes().len() == 2).await;
    for n in 0..500 {
        a.broadcast("t", Note { n, text: "x".repeat(500) }).unwrap();
    }
    for n in 0..500 {
        assert_eq!(next(&mut notes).await, n);
    }
    b.leave().await;
    eventually("b has left", || a.nodes().len() == 1).await;
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_reported() {
    let Some(server) = SecureServer::start() else { return };
    let log = Log::capture();
    let _node = PubSub::new(Nats::new(&server.url()).unwrap().join(NodeName::new("a")));
    eventually("it is reported", || log.lines(&["ERROR", "invalid peer certificate"]).len() == 1).await;
}

#[tokio::test]
async fn a_server_that_requires_tls_gets_it_without_being_asked() {
    let Some(server) = SecureServer::start() else { return };
    let nats = Nats::new(&format!("nats://localhost:{}", server.port)).unwrap().tls(server.trusted());
    let nats = |name| PubSub::new(nats.clone().join(NodeName::new(name)));
    let (a, _b) = (nats("a"), nats("b"));
    eventually("they know each other", || a.nodes().len() == 2).await;
}
