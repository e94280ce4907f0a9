//! One client that runs the whole dialogue before the measurement and checks the content of every message.
//!
//! The probe checks the server's behaviour and records the length of each message; from then on the swarm compares
//! lengths only.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::frame::{self, CLOSE, TEXT};
use crate::{handshake, message};

/// Payload lengths of the server's frames, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lengths {
    /// The reply to a join.
    pub(super) join: u64,
    /// The reply to an echo.
    pub(super) echo: u64,
    /// The broadcast.
    pub(super) broadcast: u64,
    /// The reply to a leave, and the phx_close.
    pub(super) leave: [u64; 2],
}

/// Runs connect, join, echo, broadcast, leave and close on the first topic, and returns the lengths.
///
/// # Errors
///
/// A message of the server differs from Phoenix's; the error contains its text.
pub(super) fn lengths(port: u16) -> io::Result<Lengths> {
    let mut probe = Probe::connect(port)?;
    let topic = message::TOPICS[0];
    let quoted = format!("\"{topic}\"");
    let payload = message::payload();
    let reply = ["\"phx_reply\"", "\"status\":\"ok\"", &quoted];
    let ok = Lengths {
        join: probe.request(&message::join(topic), &reply)?,
        echo: probe.request(&message::echo(topic), &[reply[0], reply[1], &quoted, &payload])?,
        broadcast: probe.request(&message::broadcast(topic), &["[null,null,", "\"msg\"", &quoted, &payload])?,
        leave: [probe.request(&message::leave(topic), &reply)?, probe.expect(&["\"phx_close\"", &quoted])?],
    };
    probe.send(CLOSE, &1000_u16.to_be_bytes())?;
    Ok(ok)
}

struct Probe {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Probe {
    fn connect(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut probe = Self { stream, unread: Vec::new() };
        probe.stream.write_all(&handshake::request(port))?;
        let size = probe.read_until(|bytes| handshake::head_size(bytes))?;
        handshake::check_response(&probe.unread[..size])?;
        probe.unread.drain(..size);
        Ok(probe)
    }

    fn send(&mut self, opcode: u8, payload: &[u8]) -> io::Result<()> {
        self.stream.write_all(&frame::encode_client(opcode, payload))
    }

    fn request(&mut self, text: &str, parts: &[&str]) -> io::Result<u64> {
        self.send(TEXT, text.as_bytes())?;
        self.expect(parts)
    }

    /// Reads the next frame, which must be a text that contains all `parts`, and returns its length.
    fn expect(&mut self, parts: &[&str]) -> io::Result<u64> {
        let found = self.read_until(frame::decode)?;
        let text = String::from_utf8_lossy(&self.unread[found.payload.clone()]);
        let missing = parts.iter().find(|part| !text.contains(**part));
        if found.opcode != TEXT || missing.is_some() {
            let part = missing.unwrap_or(&"a text frame");
            return Err(io::Error::other(format!("{part} is not in the server's frame: {text}")));
        }
        self.unread.drain(..found.payload.end);
        Ok(found.payload.len() as u64)
    }

    fn read_until<T>(&mut self, found: impl Fn(&mut [u8]) -> Option<T>) -> io::Result<T> {
        let mut scratch = [0; 4096];
        loop {
            if let Some(found) = found(&mut self.unread) {
                return Ok(found);
            }
            match self.stream.read(&mut scratch)? {
                0 => return Err(io::Error::other("the server closed the probe's connection")),
                read => self.unread.extend_from_slice(&scratch[..read]),
            }
        }
    }
}
