//! Addresses of StatsD servers and collectors: parsing, resolution, and the error for an address that is not usable.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

/// An address that cannot be used.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// The text is not an address, or its host name does not resolve.
    #[error("{address:?} is not an address: write it as 127.0.0.1:8126 or localhost:8126 ({error})")]
    Invalid {
        /// The text as the caller passed it.
        address: String,
        /// The resolver's error.
        error: io::Error,
    },
    /// The text is an address, and the operating system rejects it.
    #[error("could not use the address {address}: {error}")]
    Unusable {
        /// The text as the caller passed it.
        address: String,
        /// The operating system's error.
        error: io::Error,
    },
    /// The exporter rejects the address.
    #[error("could not export to {address:?}: {reason}")]
    Refused {
        /// The text as the caller passed it.
        address: String,
        /// The exporter's error.
        reason: String,
    },
}

/// As [`Display`](std::fmt::Display): `main` prints the error that it returns with `Debug`.
impl std::fmt::Debug for AddressError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// Resolves `address` and returns the first result.
pub(crate) fn resolve(address: &str) -> Result<SocketAddr, AddressError> {
    let resolved = address.to_socket_addrs().and_then(|mut addresses| {
        addresses.next().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
    });
    resolved.map_err(|error| AddressError::Invalid { address: address.to_owned(), error })
}
