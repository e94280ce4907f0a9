//! One client of the load generator: a socket, and how far its stream has been read.
//!
//! Sending is a single write that must succeed: the scenarios keep so little in flight that a socket which
//! takes no more means a server that has stopped reading, and that is an error, not a queue.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};

use rustix::fd::OwnedFd;
use rustix::io::{Errno, ioctl_fionbio};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with, sockopt};

use crate::frame::{CLOSE, Counter, PING, TEXT};
use crate::handshake;

/// Clients that share a source address; the kernel has about 28,000 ports for each.
const CLIENTS_AN_ADDRESS: usize = 4_000;

/// A client and its counters.
pub(super) struct Client {
    /// Non-blocking once connected.
    pub(super) socket: OwnedFd,
    /// Whether the server has agreed to the upgrade.
    pub(super) upgraded: bool,
    /// Text frames that a scenario has counted for this client in its present phase.
    pub(super) received: u64,
    /// The server's HTTP head, as long as it is incomplete.
    head: Vec<u8>,
    counter: Counter,
}

impl Client {
    /// Connects the `index`th client and asks for the upgrade; does not wait for the answer.
    ///
    /// Every process takes source addresses of its own, so that ports which a former run left in TIME_WAIT do
    /// not stand in the way.
    pub(super) fn connect(index: usize, port: u16, request: &[u8]) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        sockopt::set_socket_reuseaddr(&socket, true)?;
        let host = (index / CLIENTS_AN_ADDRESS + 1) as u8;
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

    /// Writes `bytes` at once.
    ///
    /// # Errors
    ///
    /// The socket does not take them all.
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

    /// Takes what a read brought, and says how many text frames began in it.
    ///
    /// # Errors
    ///
    /// The server refused the upgrade, closed, or sent a frame whose payload is of none of the `expected`
    /// lengths.
    #[inline]
    pub(super) fn take(&mut self, bytes: &[u8], expected: &[u64]) -> io::Result<u32> {
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
        let (mut texts, mut odd) = (0, None);
        self.counter.feed(bytes, |opcode, length| match opcode {
            TEXT if expected.contains(&length) => texts += 1,
            PING => {}
            _ => odd = Some((opcode, length)),
        });
        match odd {
            None => Ok(texts),
            Some((CLOSE, _)) => Err(io::Error::other("the server closes a client")),
            Some((opcode, length)) => {
                Err(io::Error::other(format!("the server sends an unexpected frame: opcode {opcode}, {length} bytes")))
            }
        }
    }
}
