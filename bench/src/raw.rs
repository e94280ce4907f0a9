//! The baseline: `bennu-bench raw-server PORT`, a single-threaded epoll loop over plain sockets.
//!
//! It is the simplest fast server: it reads all available bytes, handles one message after the other, and calls `write`
//! once per message and client. It has no actors, queues, isolation, limits or validation. A broadcast is encoded once
//! and written to each member in turn; messages that arrive meanwhile wait. The raw loop therefore shows the kernel's
//! cost, and the ratio of a real server shows its own cost, or the writes that it saves. [`connection`] owns a client's
//! socket, [`topic`] the memberships.

mod connection;
mod topic;

use std::io;
use std::net::{Ipv4Addr, TcpListener};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with, listen, sockopt};

use crate::argument::Arguments;
use crate::frame::{self, CLOSE, PING, PONG, TEXT};
use crate::handshake;
use crate::message::Message;
use connection::Connection;
use topic::Topics;

/// The event data of the listening socket; that of a client is its slot number.
const LISTENER: u64 = u64::MAX;
const MAX_EVENTS: usize = 1024;
const READ_SIZE: usize = 64 * 1024;
const BACKLOG: i32 = 4096;

/// Runs the subcommand; returns only with an error.
///
/// # Errors
///
/// The port is not a number or is not free, or epoll fails.
pub(crate) fn main(mut arguments: Arguments) -> io::Result<()> {
    let port = arguments.word().and_then(|word| word.parse().ok());
    let port: u16 = port.ok_or_else(|| io::Error::other("raw-server needs a PORT"))?;
    arguments.finish()?;
    let mut server = Server::bind(port)?;
    println!("raw loop on 127.0.0.1:{port}");
    loop {
        server.poll()?;
    }
}

struct Server {
    epoll: OwnedFd,
    listener: TcpListener,
    events: Vec<Event>,
    /// Clients by slot; a slot is reused after its client has disconnected.
    connections: Vec<Option<Connection>>,
    free: Vec<u32>,
    topics: Topics,
    /// The buffer of every read; a connection has a buffer of its own only while a frame is incomplete.
    scratch: Vec<u8>,
    /// The buffer of the frame to be written.
    outgoing: Vec<u8>,
}

impl Server {
    fn bind(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        listen(&listener, BACKLOG)?; // a second call, for a longer backlog than std's
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        Ok(Self {
            epoll,
            listener,
            events: Vec::with_capacity(MAX_EVENTS),
            connections: Vec::new(),
            free: Vec::new(),
            topics: Topics::default(),
            scratch: vec![0; READ_SIZE],
            outgoing: Vec::new(),
        })
    }

    fn poll(&mut self) -> io::Result<()> {
        self.events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), None) {
            Err(Errno::INTR) => return Ok(()),
            result => result?,
        };
        for at in 0..self.events.len() {
            let Event { flags, data } = self.events[at];
            if data.u64() == LISTENER {
                self.accept()?;
                continue;
            }
            let slot = data.u64() as u32;
            if flags.contains(EventFlags::OUT) {
                self.with(slot, Connection::flush);
            }
            if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
                self.read(slot);
            }
        }
        Ok(())
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let socket = match accept_with(&self.listener, flags) {
                Ok(socket) => socket,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::CONNABORTED | Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            sockopt::set_tcp_nodelay(&socket, true)?;
            let slot = self.free.pop().unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() as u32 - 1
            });
            let data = EventData::new_u64(slot.into());
            epoll::add(&self.epoll, &socket, data, EventFlags::IN | EventFlags::ET)?;
            self.connections[slot as usize] = Some(Connection::new(socket, slot));
        }
    }

    /// Reads until the socket is empty, as edge-triggered epoll requires, and handles the frames.
    fn read(&mut self, slot: u32) {
        let mut scratch = std::mem::take(&mut self.scratch);
        while let Some(connection) = &mut self.connections[slot as usize] {
            let read = match rustix::io::read(&connection.socket, scratch.as_mut_slice()) {
                Ok(0) => {
                    self.close(slot);
                    break;
                }
                Ok(read) => read,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => break,
                Err(_) => {
                    self.close(slot);
                    break;
                }
            };
            if connection.partial.is_empty() {
                let consumed = self.consume(slot, &mut scratch[..read]);
                if let Some(connection) = &mut self.connections[slot as usize] {
                    connection.partial.extend_from_slice(&scratch[consumed..read]);
                }
            } else {
                let mut bytes = std::mem::take(&mut connection.partial);
                bytes.extend_from_slice(&scratch[..read]);
                let consumed = self.consume(slot, &mut bytes);
                bytes.drain(..consumed);
                if let (Some(connection), false) = (&mut self.connections[slot as usize], bytes.is_empty()) {
                    connection.partial = bytes;
                }
            }
            if read < scratch.len() {
                break;
            }
        }
        self.scratch = scratch;
    }

    /// Handles every complete frame in `bytes` and returns their size.
    fn consume(&mut self, slot: u32, bytes: &mut [u8]) -> usize {
        let mut at = 0;
        if let Some(connection) = &mut self.connections[slot as usize]
            && !connection.upgraded
        {
            let Some(size) = handshake::head_size(bytes) else {
                return 0;
            };
            let Some(response) = handshake::response(&bytes[..size]) else {
                self.close(slot);
                return bytes.len();
            };
            connection.upgraded = true;
            connection.send(&self.epoll, &response);
            at = size;
        }
        while let Some(found) = frame::decode(&mut bytes[at..]) {
            let payload = &bytes[at..][found.payload.clone()];
            match found.opcode {
                TEXT => self.message(slot, payload),
                PING => self.send(slot, PONG, &[payload]),
                CLOSE => {
                    self.send(slot, CLOSE, &[payload]);
                    self.close(slot);
                    return bytes.len();
                }
                _ => {}
            }
            at += found.payload.end;
        }
        at
    }

    fn message(&mut self, slot: u32, text: &[u8]) {
        let Some(message) = Message::parse(text) else {
            return self.close(slot);
        };
        match message.event {
            b"broadcast" => self.broadcast(&message),
            b"echo" => self.reply(slot, &message, message.payload),
            b"phx_join" => {
                if let Some(connection) = &mut self.connections[slot as usize] {
                    self.topics.join(message.topic, slot, &mut connection.joined);
                }
                self.reply(slot, &message, b"{}");
            }
            b"phx_leave" => {
                self.topics.leave(message.topic, slot, &mut self.connections);
                self.reply(slot, &message, b"{}");
                let Message { join_ref, topic, .. } = message;
                let close: &[u8] = br#","phx_close",{}]"#;
                self.send(slot, TEXT, &[b"[", join_ref, b",", join_ref, b",", topic, close]);
            }
            _ => self.reply(slot, &message, b"{}"), // a heartbeat
        }
    }

    /// Encodes the broadcast once and writes it once per member.
    fn broadcast(&mut self, message: &Message<'_>) {
        self.outgoing.clear();
        let Message { topic, payload, .. } = message;
        let parts = [b"[null,null,".as_slice(), topic, br#","msg","#, payload, b"]"];
        frame::encode_server(&mut self.outgoing, TEXT, &parts);
        for &slot in self.topics.members(message.topic) {
            if let Some(connection) = &mut self.connections[slot as usize] {
                connection.send(&self.epoll, &self.outgoing);
            }
        }
    }

    fn reply(&mut self, slot: u32, message: &Message<'_>, response: &[u8]) {
        let Message { join_ref, reference, topic, .. } = message;
        let middle: &[u8] = br#","phx_reply",{"response":"#;
        let parts = [b"[", *join_ref, b",", reference, b",", topic, middle, response, br#","status":"ok"}]"#];
        self.send(slot, TEXT, &parts);
    }

    fn send(&mut self, slot: u32, opcode: u8, parts: &[&[u8]]) {
        self.outgoing.clear();
        frame::encode_server(&mut self.outgoing, opcode, parts);
        if let Some(connection) = &mut self.connections[slot as usize] {
            connection.send(&self.epoll, &self.outgoing);
        }
    }

    fn with(&mut self, slot: u32, act: impl FnOnce(&mut Connection, &OwnedFd)) {
        if let Some(connection) = &mut self.connections[slot as usize] {
            act(connection, &self.epoll);
        }
    }

    /// Removes the client. The drop of its socket closes it and removes it from epoll.
    fn close(&mut self, slot: u32) {
        self.topics.leave_all(slot, &mut self.connections);
        if self.connections[slot as usize].take().is_some() {
            self.free.push(slot);
        }
    }
}

/// Runs the raw loop on a free port for tests and returns the port. The thread ends with the process.
#[cfg(test)]
pub(crate) fn serve_in_background() -> u16 {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut server = Server::bind(0).expect("a port is free");
        let address = server.listener.local_addr().expect("it is bound");
        sender.send(address.port()).expect("the test waits for it");
        while server.poll().is_ok() {}
    });
    receiver.recv().expect("the raw loop has started")
}
