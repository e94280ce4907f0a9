//! The listener of a server: a TCP socket with a backlog for clients that all reconnect at once.
//!
//! An application calls [`bind`] and passes the listener to [`crate::serve`].

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpSocket};

/// Connections that the kernel queues until the server accepts them. The usual 128 fill up within a second when all
/// clients reconnect after a restart; the others would retry after 1, 3 and 7 s.
const BACKLOG: u32 = 4096;

/// Listens on an address, with a backlog of 4,096 connections. Port 0 selects a free port.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let listener = bennu::bind(([127, 0, 0, 1], 0))?;
/// println!("listening on {}", listener.local_addr()?);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`BindError`] with the address. The most frequent cause is a port that is in use.
///
/// # Panics
/// Panics outside a Tokio runtime.
pub fn bind(address: impl Into<SocketAddr>) -> Result<TcpListener, BindError> {
    let address = address.into();
    listen(address).map_err(|error| BindError { address, error })
}

/// The error of [`bind`]: the address, and the system's error.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let listener = bennu::bind(([127, 0, 0, 1], 0))?;
/// let error = bennu::bind(listener.local_addr()?).unwrap_err();
/// assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
/// assert_eq!(error.address(), listener.local_addr()?);
/// # Ok(())
/// # }
/// ```
pub struct BindError {
    address: SocketAddr,
    error: io::Error,
}

impl BindError {
    /// Returns the address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the kind of the system's error, such as [`io::ErrorKind::AddrInUse`].
    pub fn kind(&self) -> io::ErrorKind {
        self.error.kind()
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restarted server must not wait until the kernel has removed its old connections.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BindError { address, error } = self;
        write!(f, "could not listen on {address}: ")?;
        match error.kind() {
            io::ErrorKind::AddrInUse => {
                f.write_str("the port is in use; stop the program that uses it, or choose another port")
            }
            io::ErrorKind::PermissionDenied => f.write_str("permission denied; ports below 1024 are reserved for root"),
            io::ErrorKind::AddrNotAvailable => f.write_str("this machine does not have that address"),
            _ => write!(f, "{error}"),
        }
    }
}

/// Formats the error as [`Display`](fmt::Display) does, because `main` prints its error with `Debug`.
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
