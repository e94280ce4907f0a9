//! One client of the load generator: a socket and the state of its stream.
//!
//! A message is sent with a single write, which must succeed. The scenarios keep so little in flight that a full socket
//! means a server that has stopped reading; that is an error, and nothing is queued.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};

use rustix::fd::OwnedFd;
use rustix::io::{Errno, ioctl_fionbio};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with, sockopt};

use crate::frame::{CLOSE, Counter, PING, TEXT};
use crate::handshake;

/// The number of clients with one source address; the kernel has about 28,000 ports for each.
const CLIENTS_PER_ADDRESS: usize = 4_000;

/// A client and its counters.
pub(super) struct Client {
    /// Non-blocking once connected.
    pub(super) socket: OwnedFd,
    /// Whether the server has accepted the upgrade.
    pub(super) upgraded: bool,
    /// Text frames that a scenario has counted for this client in the current phase.
    pub(super) received: u64,
    /// The server's HTTP head while it is incomplete.
    head: Vec<u8>,
    counter: Counter,
}

impl Client {
    /// Connects the `index`th client and sends the upgrade request; does not wait for the response.
    ///
    /// Every process has source addresses of its own, so that it does not meet ports that an earlier run left in
    /// TIME_WAIT.
    pub(super) fn connect(index: usize, port: u16, request: &[u8]) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        sockopt::set_socket_reuseaddr(&socket, true)?;
        let host = (index / CLIENTS_PER_ADDRESS + 1) as u8;
        let network = std::process::id();
        let source = Ipv4Addr::new(127, 1 + (network % 250) as u8, (network / 250 % 250) as u8, host);
        bind(&socket, &SocketAddrV4::new(source, 0))?;
        connect(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
        sockopt::set_tcp_nodelay(&socket, true)?;
        ioctl_fionbio(&socket, true)?;
        let client = Self { socket, upgraded: false, received: 0, head: Vec::new(), counter: Counter::default() };
        client.send(request)?;
        Ok(client)
    }

    /// Writes `bytes` with one call.
    ///
    /// # Errors
    ///
    /// The socket has no room for all of them.
    #[inline]
    pub(super) fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let written = loop {
            match rustix::io::write(&self.socket, bytes) {
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break 0,
                result => break result?,
            }
        };
        if written < bytes.len() {
            return Err(io::Error::other("the server has stopped reading"));
        }
        Ok(())
    }

    /// Processes the bytes of one read and returns the number of text frames that began in them.
    ///
    /// # Errors
    ///
    /// The server refused the upgrade, closed the connection, or sent a frame whose payload has none of the `expected`
    /// lengths.
    #[inline]
    pub(super) fn receive(&mut self, bytes: &[u8], expected: &[u64]) -> io::Result<u32> {
        let whole;
        let mut bytes = bytes;
        if !self.upgraded {
            self.head.extend_from_slice(bytes);
            let Some(size) = handshake::head_size(&self.head) else {
                return Ok(0);
            };
            whole = std::mem::take(&mut self.head);
            handshake::check_response(&whole[..size])?;
            self.upgraded = true;
            bytes = &whole[size..];
        }
        let (mut texts, mut unexpected) = (0, None);
        self.counter.feed(bytes, |opcode, length| match opcode {
            TEXT if expected.contains(&length) => texts += 1,
            PING => {}
            _ => unexpected = Some((opcode, length)),
        });
        match unexpected {
            None => Ok(texts),
            Some((CLOSE, _)) => Err(io::Error::other("the server closed a client's connection")),
            Some((opcode, length)) => {
                Err(io::Error::other(format!("the server sent an unexpected frame: opcode {opcode}, {length} bytes")))
            }
        }
    }
}
