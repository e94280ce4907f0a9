//! All clients of the load generator on one epoll instance.
//!
//! The swarm connects the clients, reads their sockets with as little CPU as possible (edge-triggered, one read per
//! wake-up, headers only), and sends the same request from each client. The scenarios process the arrivals.

use std::io;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;

use super::Load;
use super::client::Client;
use crate::frame::{self, CLOSE};
use crate::handshake;

/// The number of clients that connect, join or leave at the same time.
const PIPELINED: usize = 50;
/// A server that sends nothing for this long while a message is outstanding has failed.
const TIMEOUT: Duration = Duration::from_secs(10);
const MAX_EVENTS: usize = 1024;
const READ_SIZE: usize = 64 * 1024;

/// The text frames that one client received in one poll.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    /// The client's index.
    pub(super) client: usize,
    /// The number of frames.
    pub(super) texts: u32,
}

/// The clients and their epoll instance.
pub(super) struct Swarm {
    /// The clients in the order of connecting.
    pub(super) clients: Vec<Client>,
    /// The arrivals of the last poll.
    pub(super) arrivals: Vec<Arrival>,
    /// Payload lengths of the expected text frames; any other is an error.
    pub(super) expected: Vec<u64>,
    port: u16,
    pause: Duration,
    epoll: OwnedFd,
    events: Vec<Event>,
    scratch: Vec<u8>,
    /// The number of clients whose upgrade the last poll completed.
    upgraded: usize,
}

impl Swarm {
    /// Creates a swarm without clients.
    pub(super) fn new(load: &Load) -> io::Result<Self> {
        Ok(Self {
            clients: Vec::new(),
            arrivals: Vec::new(),
            expected: Vec::new(),
            port: load.port,
            pause: load.pause,
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            events: Vec::with_capacity(MAX_EVENTS),
            scratch: vec![0; READ_SIZE],
            upgraded: 0,
        })
    }

    /// Connects and upgrades `count` more clients, 50 at a time.
    ///
    /// # Errors
    ///
    /// The server refuses a client, or sends nothing for ten seconds.
    pub(super) fn connect(&mut self, count: usize) -> io::Result<()> {
        let request = handshake::request(self.port);
        let (end, mut pending) = (self.clients.len() + count, 0);
        while self.clients.len() < end || pending > 0 {
            while self.clients.len() < end && pending < PIPELINED {
                let index = self.clients.len();
                let client = Client::connect(index, self.port, &request)?;
                let data = EventData::new_u64(index as u64);
                epoll::add(&self.epoll, &client.socket, data, EventFlags::IN | EventFlags::ET)?;
                self.clients.push(client);
                pending += 1;
            }
            self.poll()?;
            pending -= self.upgraded;
        }
        Ok(())
    }

    /// Sends `frame` from every client with an index from `from` on and waits until each has received `replies` text
    /// frames of the given lengths; 50 clients at a time.
    ///
    /// # Errors
    ///
    /// An unexpected frame arrives, or no frame for ten seconds.
    pub(super) fn request_all(&mut self, from: usize, frame: &[u8], replies: u64, lengths: &[u64]) -> io::Result<()> {
        self.expect(lengths);
        let (mut next, mut pending) = (from, 0);
        while next < self.clients.len() || pending > 0 {
            while next < self.clients.len() && pending < PIPELINED {
                self.clients[next].send(frame)?;
                next += 1;
                pending += 1;
            }
            self.poll()?;
            for Arrival { client, texts } in self.arrivals.iter().copied() {
                let received = &mut self.clients[client].received;
                *received += u64::from(texts);
                if *received == replies {
                    pending -= 1;
                }
            }
        }
        Ok(())
    }

    /// Begins a phase with text frames of these lengths, and resets the counts.
    pub(super) fn expect(&mut self, lengths: &[u64]) {
        self.expected = lengths.to_vec();
        self.clients.iter_mut().for_each(|client| client.received = 0);
    }

    /// Waits for readable sockets, reads them until they are empty, and sets [`arrivals`](Self::arrivals).
    ///
    /// # Errors
    ///
    /// No byte arrives for ten seconds, a client is closed, or an unexpected frame arrives.
    pub(super) fn poll(&mut self) -> io::Result<()> {
        self.arrivals.clear();
        self.events.clear();
        self.upgraded = 0;
        // The pause is before the wait, so that bytes arrive meanwhile without a wake-up per write. On the loopback the
        // kernel charges such a wake-up to the server, in amounts that vary.
        if !self.pause.is_zero() {
            std::thread::sleep(self.pause);
        }
        let timeout = Timespec { tv_sec: TIMEOUT.as_secs() as i64, tv_nsec: 0 };
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&timeout)) {
            Ok(0) => return Err(io::Error::other("the server has sent nothing for 10 s")),
            Err(Errno::INTR) => return Ok(()),
            result => result?,
        };
        for event in &self.events {
            let client = event.data.u64() as usize;
            let state = &mut self.clients[client];
            let (mut texts, was_upgraded) = (0, state.upgraded);
            loop {
                match rustix::io::read(&state.socket, self.scratch.as_mut_slice()) {
                    Ok(0) => return Err(io::Error::other("the server closed a client's connection")),
                    Ok(read) => {
                        texts += state.receive(&self.scratch[..read], &self.expected)?;
                        // A short read has emptied the socket; more bytes will cause a new edge.
                        if read < self.scratch.len() {
                            break;
                        }
                    }
                    Err(Errno::INTR) => {}
                    Err(Errno::AGAIN) => break,
                    Err(error) => return Err(error.into()),
                }
            }
            self.upgraded += usize::from(state.upgraded && !was_upgraded);
            if texts > 0 {
                self.arrivals.push(Arrival { client, texts });
            }
        }
        Ok(())
    }

    /// Sends a close frame from every client, waits until the server has closed each connection, and drops the clients.
    ///
    /// The server closes first, as RFC 6455 section 7.1.1 requires. The wait for all servers' closes is limited to ten
    /// seconds in all.
    ///
    /// # Errors
    ///
    /// A close frame could not be sent.
    pub(super) fn disconnect(&mut self) -> io::Result<()> {
        let close = frame::encode_client(CLOSE, &1000_u16.to_be_bytes());
        let deadline = Instant::now() + TIMEOUT;
        let clients = std::mem::take(&mut self.clients);
        for chunk in clients.chunks(PIPELINED) {
            for client in chunk {
                client.send(&close)?;
            }
            for client in chunk {
                while Instant::now() < deadline {
                    match rustix::io::read(&client.socket, self.scratch.as_mut_slice()) {
                        Ok(0) => break,
                        Err(Errno::AGAIN) => std::thread::sleep(Duration::from_micros(50)),
                        Ok(_) | Err(Errno::INTR) => {}
                        Err(_) => break,
                    }
                }
            }
        }
        Ok(())
    }
}
