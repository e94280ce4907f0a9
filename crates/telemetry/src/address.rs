//! Addresses that an application gives as text, and what is wrong with them.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

/// An address that cannot be used.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// It is none.
    #[error("{address:?} is no address: write it as 127.0.0.1:8126 or localhost:8126 ({error})")]
    Invalid {
        /// What was given.
        address: String,
        /// What the resolver says.
        error: io::Error,
    },
    /// It is one, and the system refuses it.
    #[error("{address} cannot be used: {error}")]
    Unusable {
        /// What was given.
        address: String,
        /// What the system says.
        error: io::Error,
    },
    /// The exporter refuses it.
    #[error("{address:?} cannot be exported to: {why}")]
    Refused {
        /// What was given.
        address: String,
        /// What the exporter says.
        why: String,
    },
}

/// As [`Display`](std::fmt::Display): `main` prints the error that it returns with `Debug`.
impl std::fmt::Debug for AddressError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// The first address that a text stands for.
pub(crate) fn resolve(address: &str) -> Result<SocketAddr, AddressError> {
    let resolved = address.to_socket_addrs().and_then(|mut addresses| {
        addresses.next().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "it stands for no address"))
    });
    resolved.map_err(|error| AddressError::Invalid { address: address.to_owned(), error })
}
