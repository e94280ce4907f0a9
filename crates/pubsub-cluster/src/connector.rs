//! The addresses of a broker and the TLS configuration of its connections. Engines open their connections with it.

#[cfg(feature = "tls")]
use crate::TlsConfig;
use crate::{Address, OpenError, Stream};
use bennu_pubsub::ClusterError;

/// The addresses of one broker, and its TLS configuration.
#[derive(Clone)]
pub struct Connector {
    addresses: Vec<Address>,
    #[cfg(feature = "tls")]
    tls: std::sync::OnceLock<TlsConfig>,
}

impl Connector {
    /// Returns a connector for these addresses; the first attempt uses the first.
    ///
    /// # Errors
    /// [`ClusterError::Address`] when the list is empty, or when an address requires TLS and the feature `tls` is off.
    pub fn new(adapter: &'static str, addresses: Vec<Address>) -> Result<Connector, ClusterError> {
        let wrong =
            |address: String, reason: &str| ClusterError::Address { adapter, address, reason: reason.to_owned() };
        if addresses.is_empty() {
            return Err(wrong(String::new(), "the address is missing"));
        }
        if let (false, Some(secure)) = (cfg!(feature = "tls"), addresses.iter().find(|address| address.secure)) {
            return Err(wrong(
                secure.to_string(),
                "TLS needs the feature `tls`; build with it, or use a scheme without TLS",
            ));
        }
        Ok(Connector {
            addresses,
            #[cfg(feature = "tls")]
            tls: std::sync::OnceLock::new(),
        })
    }

    /// Sets the TLS configuration. Without it, the certificates of the system are trusted.
    #[cfg(feature = "tls")]
    pub fn set_tls(&mut self, config: TlsConfig) {
        self.tls = config.into();
    }

    /// Returns the address of an attempt: each in turn.
    pub fn address(&self, attempt: usize) -> &Address {
        &self.addresses[attempt % self.addresses.len()]
    }

    /// Upgrades a connection to TLS.
    ///
    /// # Errors
    /// [`OpenError`] when the server's certificate is not trusted, or the feature `tls` is off.
    #[cfg(feature = "tls")]
    pub async fn secure(&self, stream: Stream, address: &Address) -> Result<Stream, OpenError> {
        let config = match self.tls.get() {
            Some(config) => config,
            None => {
                let roots = system_roots()?;
                self.tls.get_or_init(|| roots)
            }
        };
        match stream.secure(&address.host, config).await {
            // Rustls reports an untrusted peer with this kind.
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => Err(OpenError::Refused(error.to_string())),
            secured => Ok(secured?),
        }
    }

    /// Upgrades a connection to TLS.
    ///
    /// # Errors
    /// Always, because the feature `tls` is off.
    #[cfg(not(feature = "tls"))]
    pub async fn secure(&self, _stream: Stream, address: &Address) -> Result<Stream, OpenError> {
        Err(OpenError::Refused(format!(
            "could not connect to {address}: its TLS needs the feature `tls`; build with it"
        )))
    }
}

/// Returns a configuration that trusts the certificates of the system.
#[cfg(feature = "tls")]
fn system_roots() -> std::io::Result<TlsConfig> {
    use std::io::Error;
    let mut roots = rustls::RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(Error::other(format!("could not load trusted certificates from the system: {:?}", found.errors)));
    }
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(std::sync::Arc::new(config.map_err(Error::other)?.with_root_certificates(roots).with_no_client_auth()))
}
