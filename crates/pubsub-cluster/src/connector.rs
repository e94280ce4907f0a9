//! Where an engine is connected to, and how that is secured. What engines open their connections with.

#[cfg(feature = "tls")]
use crate::TlsConfig;
use crate::{Address, OpenError, Stream};
use bennu_pubsub::ConnectError;

/// The addresses of one engine, and whom they trust.
#[derive(Clone)]
pub struct Connector {
    addresses: Vec<Address>,
    #[cfg(feature = "tls")]
    tls: std::sync::OnceLock<TlsConfig>,
}

impl Connector {
    /// Connects to one of these; the first of a list is tried first.
    ///
    /// # Errors
    /// [`ConnectError::Address`] when there is none, or one wants TLS and this program is built without it.
    pub fn new(adapter: &'static str, addresses: Vec<Address>) -> Result<Connector, ConnectError> {
        let wrong =
            |address: String, reason: &str| ConnectError::Address { adapter, address, reason: reason.to_owned() };
        if addresses.is_empty() {
            return Err(wrong(String::new(), "there is no address"));
        }
        if let (false, Some(secure)) = (cfg!(feature = "tls"), addresses.iter().find(|address| address.secure)) {
            return Err(wrong(secure.to_string(), "TLS needs the feature `tls`, which this program is built without"));
        }
        Ok(Connector {
            addresses,
            #[cfg(feature = "tls")]
            tls: std::sync::OnceLock::new(),
        })
    }

    /// Secures connections this way, instead of by the certificates that the system trusts.
    #[cfg(feature = "tls")]
    pub fn set_tls(&mut self, config: TlsConfig) {
        self.tls = config.into();
    }

    /// The address of an attempt: each in turn.
    pub fn address(&self, attempt: usize) -> &Address {
        &self.addresses[attempt % self.addresses.len()]
    }

    /// Makes a connection to an address a TLS one.
    ///
    /// # Errors
    /// [`OpenError`] when the server's certificate is not trusted, or this program is built without TLS.
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
            // Rustls reports as such that the peer is not to be trusted.
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => Err(OpenError::Refused(error.to_string())),
            secured => Ok(secured?),
        }
    }

    /// Makes a connection to an address a TLS one.
    ///
    /// # Errors
    /// Always: this program is built without TLS.
    #[cfg(not(feature = "tls"))]
    pub async fn secure(&self, _stream: Stream, address: &Address) -> Result<Stream, OpenError> {
        Err(OpenError::Refused(format!("{address} wants TLS, which needs the feature `tls`")))
    }
}

/// Trusts the certificates that the system trusts.
#[cfg(feature = "tls")]
fn system_roots() -> std::io::Result<TlsConfig> {
    use std::io::Error;
    let mut roots = rustls::RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(Error::other(format!("the system has no certificates that it trusts: {:?}", found.errors)));
    }
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(std::sync::Arc::new(config.map_err(Error::other)?.with_root_certificates(roots).with_no_client_auth()))
}
