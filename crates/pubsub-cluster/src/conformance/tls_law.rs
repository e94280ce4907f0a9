//! The laws of an adapter at a broker with TLS. The certificate is generated for the test. [`crate::tls_suite!`] makes
//! tests of the laws.

use super::log::CapturedLog;
use super::node::{Note, eventually, next};
use super::process::{Process, Program, free_port};
use crate::TlsConfig;
use bennu_pubsub::PubSub;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::CertificateDer;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A kind of server with TLS, and the adapter for it.
pub trait TlsServer: Program {
    /// Returns the arguments with which it listens on a port of 127.0.0.1 for TLS only and stores nothing.
    fn arguments(port: u16, certificate: &Path, key: &Path) -> Vec<String>;

    /// Starts a node of the adapter, at `localhost`. Without a configuration it trusts the certificates of the system.
    fn join(port: u16, tls: Option<TlsConfig>, name: &str) -> PubSub;
}

/// A server with a self-signed certificate for `localhost`.
pub struct SecureServer<S> {
    process: Process<S>,
    certificate: CertificateDer<'static>,
    directory: PathBuf,
}

impl<S: TlsServer> SecureServer<S> {
    /// Starts a server. `None`, with a line on standard error, when the program is not installed.
    ///
    /// # Panics
    /// When the program is installed and does not listen, or its files cannot be written.
    pub fn start() -> Option<Self> {
        let made = generate_simple_self_signed(["localhost".to_owned()]).expect("the certificate can be generated");
        let CertifiedKey { cert, signing_key } = made;
        let port = free_port();
        let directory = std::env::temp_dir().join(format!("bennu-{}-tls-{}-{port}", S::NAME, std::process::id()));
        std::fs::create_dir_all(&directory).expect("temporary files can be written");
        let file = |name: &str, text: String| {
            let path = directory.join(name);
            std::fs::write(&path, text).expect("temporary files can be written");
            path
        };
        let (certificate, key) = (file("cert.pem", cert.pem()), file("key.pem", signing_key.serialize_pem()));
        let process = Process::start_with(port, S::arguments(port, &certificate, &key))?;
        Some(SecureServer { process, certificate: cert.der().clone(), directory })
    }

    /// Returns the port on which it listens.
    pub fn port(&self) -> u16 {
        self.process.port()
    }

    /// Starts a node that trusts this server's certificate only.
    pub fn join(&self, name: &str) -> PubSub {
        S::join(self.port(), Some(self.trusted()), name)
    }

    /// Returns a configuration that trusts this server's certificate only.
    ///
    /// # Panics
    /// Never: the certificate is valid.
    pub fn trusted(&self) -> TlsConfig {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.certificate.clone()).expect("the certificate is valid");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        Arc::new(
            config.expect("ring supports the default versions").with_root_certificates(roots).with_no_client_auth(),
        )
    }
}

impl<S> Drop for SecureServer<S> {
    fn drop(&mut self) {
        // A directory that cannot be removed stays among the temporary files.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// The nodes find each other, and a leave is reported.
pub async fn messages_travel_over_tls_in_order<S: TlsServer>() {
    let Some(server) = SecureServer::<S>::start() else { return };
    let (a, b) = (server.join("a"), server.join("b"));
    let mut notes = b.subscribe::<Note>("t");
    eventually("both nodes have found each other", || a.nodes().len() == 2 && b.nodes().len() == 2).await;
    for n in 0..500 {
        a.broadcast("t", Note { n, text: "x".repeat(500) }).expect("the message is below the limit");
    }
    for n in 0..500 {
        assert_eq!(next(&mut notes).await, n);
    }
    b.leave().await;
    eventually("b has left", || a.nodes().len() == 1).await;
}

/// The node trusts the certificates of the system only.
pub async fn an_untrusted_certificate_is_reported<S: TlsServer>() {
    let Some(server) = SecureServer::<S>::start() else { return };
    let log = CapturedLog::capture();
    let _node = S::join(server.port(), None, "a");
    eventually("it is reported", || log.lines(&["ERROR", "invalid peer certificate"]).len() == 1).await;
}
