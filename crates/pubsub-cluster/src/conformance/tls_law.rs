//! What must hold of an adapter on a broker that speaks TLS, with a certificate made for the test; [`crate::tls_suite!`]
//! makes tests of it.

use super::log::Log;
use super::node::{Note, eventually, next};
use super::process::{Process, Program, free_port};
use crate::TlsConfig;
use bennu_pubsub::PubSub;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::CertificateDer;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A kind of server that speaks TLS, and the adapter for it.
pub trait TlsServer: Program {
    /// Its arguments, so that it listens on a port of 127.0.0.1 for TLS only and keeps nothing.
    fn arguments(port: u16, certificate: &Path, key: &Path) -> Vec<String>;

    /// A node of the adapter, at `localhost`; without a configuration it trusts whom the system trusts.
    fn join(port: u16, tls: Option<TlsConfig>, name: &str) -> PubSub;
}

/// A server with a certificate for `localhost` that nobody knows.
pub struct SecureServer<S> {
    process: Process<S>,
    certificate: CertificateDer<'static>,
    directory: PathBuf,
}

impl<S: TlsServer> SecureServer<S> {
    /// Starts one. `None`, and a line that says so, when the program is not installed.
    ///
    /// # Panics
    /// When the program is there and does not listen, or there is no room for its files.
    pub fn start() -> Option<Self> {
        let made = generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate can be made");
        let CertifiedKey { cert, signing_key } = made;
        let port = free_port();
        let directory = std::env::temp_dir().join(format!("bennu-{}-tls-{}-{port}", S::NAME, std::process::id()));
        std::fs::create_dir_all(&directory).expect("room for temporary files");
        let file = |name: &str, text: String| {
            let path = directory.join(name);
            std::fs::write(&path, text).expect("room for temporary files");
            path
        };
        let (certificate, key) = (file("cert.pem", cert.pem()), file("key.pem", signing_key.serialize_pem()));
        let process = Process::start_with(port, S::arguments(port, &certificate, &key))?;
        Some(SecureServer { process, certificate: cert.der().clone(), directory })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.process.port()
    }

    /// A node that trusts this server's certificate and no other.
    pub fn join(&self, name: &str) -> PubSub {
        S::join(self.port(), Some(self.trusted()), name)
    }

    /// Trust in this server's certificate and in no other.
    ///
    /// # Panics
    /// Never: the certificate is a good one.
    pub fn trusted(&self) -> TlsConfig {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.certificate.clone()).expect("a good certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        Arc::new(config.expect("ring has them").with_root_certificates(roots).with_no_client_auth())
    }
}

impl<S> Drop for SecureServer<S> {
    fn drop(&mut self) {
        // What is left in the directory for temporary files harms nobody.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// And nodes know each other, and hear who leaves.
pub async fn messages_travel_over_tls_in_order<S: TlsServer>() {
    let Some(server) = SecureServer::<S>::start() else { return };
    let (a, b) = (server.join("a"), server.join("b"));
    let mut notes = b.subscribe::<Note>("t");
    eventually("they know each other", || a.nodes().len() == 2 && b.nodes().len() == 2).await;
    for n in 0..500 {
        a.broadcast("t", Note { n, text: "x".repeat(500) }).expect("it is small");
    }
    for n in 0..500 {
        assert_eq!(next(&mut notes).await, n);
    }
    b.leave().await;
    eventually("b has left", || a.nodes().len() == 1).await;
}

/// By who trusts whom the system trusts.
pub async fn a_certificate_that_is_not_trusted_is_reported<S: TlsServer>() {
    let Some(server) = SecureServer::<S>::start() else { return };
    let log = Log::capture();
    let _node = S::join(server.port(), None, "a");
    eventually("it is reported", || log.lines(&["ERROR", "invalid peer certificate"]).len() == 1).await;
}
