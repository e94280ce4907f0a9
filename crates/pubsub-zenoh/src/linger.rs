//! Takes `SO_LINGER` off the sockets of zenoh's connections.
//!
//! zenoh sets it to 10 s. Closing a socket whose peer takes nothing then blocks the thread that does it for as long, and
//! zenoh has one that sends for all connections: with a node that is lost while messages are on their way to it, all others
//! would be sent nothing, not even the signs of life without which they take this node for lost as well. Without the option
//! the kernel goes on sending what is left behind a socket that is closed.
//!
//! zenoh does not hand out its sockets, so they are looked for among the process's own, by both addresses of a connection.
//! A descriptor may be closed meanwhile, and its number be given to another socket: that one loses what no socket has
//! unless it asks for it.

use nix::sys::socket::sockopt::Linger;
use nix::sys::socket::{AddressFamily, SockaddrLike, SockaddrStorage, getpeername, getsockname, setsockopt};
use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV6};
use std::os::fd::RawFd;
use std::{fs, io};

/// The two addresses of a connection, this side's first.
pub(crate) type Ends = (SocketAddr, SocketAddr);

/// Takes the option off the sockets of these connections, and says how many were found.
pub(crate) fn take_off(connections: &HashSet<Ends>) -> io::Result<usize> {
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

/// `None` for what is no connected socket.
fn ends(descriptor: RawFd) -> Option<Ends> {
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
    fn the_option_is_taken_off_the_connections_that_are_named_and_no_other() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connect = || {
            let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            setsockopt(stream.as_raw_fd(), Linger, &nix::libc::linger { l_onoff: 1, l_linger: 10 }).unwrap();
            stream
        };
        let (one, other) = (connect(), connect());
        let lingers = |stream: &TcpStream| getsockopt(stream.as_raw_fd(), Linger).unwrap().l_onoff != 0;
        let ends = (one.local_addr().unwrap(), one.peer_addr().unwrap());
        assert_eq!(take_off(&HashSet::from([ends])).unwrap(), 1);
        assert_eq!([lingers(&one), lingers(&other)], [false, true]);
        assert_eq!(take_off(&HashSet::new()).unwrap(), 0);
    }
}
