//! Listening at an address, with room for a crowd that comes back all at once.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpSocket};

/// Connections that the kernel keeps until they are accepted. The usual 128 is a second's worth when a crowd comes back
/// after a restart: the others would try again after 1, 3 and 7 s.
const BACKLOG: u32 = 4096;

/// Listens at an address: `bennu::bind(([127, 0, 0, 1], 4000))`. Port 0 is any that is free.
///
/// # Errors
/// [`BindError`], which names the address: most often its port is in use.
///
/// # Panics
/// Outside a Tokio runtime.
pub fn bind(address: impl Into<SocketAddr>) -> Result<TcpListener, BindError> {
    let address = address.into();
    listen(address).map_err(|error| BindError { address, error })
}

/// An address that cannot be listened at.
pub struct BindError {
    address: SocketAddr,
    error: io::Error,
}

impl BindError {
    /// The address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The kind of the system's error, such as [`io::ErrorKind::AddrInUse`].
    pub fn kind(&self) -> io::ErrorKind {
        self.error.kind()
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restarted server must not wait for its old connections' last packets.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BindError { address, error } = self;
        match error.kind() {
            io::ErrorKind::AddrInUse => {
                write!(
                    f,
                    "could not listen at {address}: another program has this port; stop it, or choose another port"
                )
            }
            io::ErrorKind::PermissionDenied => {
                write!(f, "could not listen at {address}: this user may not; ports below 1024 are for root")
            }
            io::ErrorKind::AddrNotAvailable => {
                write!(f, "could not listen at {address}: this machine does not have that address")
            }
            _ => write!(f, "could not listen at {address}: {error}"),
        }
    }
}

/// As [`Display`](fmt::Display): `main` prints the error that it returns with `Debug`.
impl fmt::Debug for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for BindError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}
