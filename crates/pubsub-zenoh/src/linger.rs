//! Disables `SO_LINGER` on the sockets of Zenoh's connections.
//!
//! Zenoh sets it to 10 s. Closing a socket whose peer reads nothing then blocks the closing thread for as long, and
//! Zenoh has one thread that sends for all connections. So when a node is lost while messages are on their way to it,
//! the other nodes receive nothing, not even keep-alives, and consider this node lost too. Without the option the
//! kernel continues to send the remaining bytes of a closed socket.
//!
//! Zenoh does not expose its sockets, so this module searches the descriptors of the process by both addresses of a
//! connection. Another thread may close a descriptor meanwhile, and its number may be reused for another socket. That
//! socket then loses an option that is off by default.

use nix::sys::socket::sockopt::Linger;
use nix::sys::socket::{AddressFamily, SockaddrLike, SockaddrStorage, getpeername, getsockname, setsockopt};
use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV6};
use std::os::fd::RawFd;
use std::{fs, io};

/// The local and the remote address of a connection.
pub(crate) type SocketPair = (SocketAddr, SocketAddr);

/// Disables the option on the sockets of these connections, and returns the number of sockets that were found.
pub(crate) fn disable(connections: &HashSet<SocketPair>) -> io::Result<usize> {
    let mut found = 0;
    // Linux and macOS both have this directory.
    for entry in fs::read_dir("/dev/fd")? {
        let Some(descriptor) = entry?.file_name().to_str().and_then(|name| name.parse::<RawFd>().ok()) else {
            continue;
        };
        if ends(descriptor).is_some_and(|ends| connections.contains(&ends)) {
            setsockopt(descriptor, Linger, &nix::libc::linger { l_onoff: 0, l_linger: 0 })?;
            found += 1;
        }
    }
    Ok(found)
}

/// Returns `None` for a descriptor that is not a connected socket.
fn ends(descriptor: RawFd) -> Option<SocketPair> {
    Some((address(getsockname(descriptor).ok()?)?, address(getpeername(descriptor).ok()?)?))
}

fn address(storage: SockaddrStorage) -> Option<SocketAddr> {
    match storage.family()? {
        AddressFamily::Inet => {
            let address = storage.as_sockaddr_in()?;
            Some((Ipv4Addr::from(address.ip()), address.port()).into())
        }
        _ => storage.as_sockaddr_in6().map(|address| SocketAddrV6::from(*address).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::getsockopt;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    #[test]
    fn the_option_is_disabled_on_the_given_connections_only() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connect = || {
            let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            setsockopt(stream.as_raw_fd(), Linger, &nix::libc::linger { l_onoff: 1, l_linger: 10 }).unwrap();
            stream
        };
        let (one, other) = (connect(), connect());
        let lingers = |stream: &TcpStream| getsockopt(stream.as_raw_fd(), Linger).unwrap().l_onoff != 0;
        let ends = (one.local_addr().unwrap(), one.peer_addr().unwrap());
        assert_eq!(disable(&HashSet::from([ends])).unwrap(), 1);
        assert_eq!([lingers(&one), lingers(&other)], [false, true]);
        assert_eq!(disable(&HashSet::new()).unwrap(), 0);
    }
}
