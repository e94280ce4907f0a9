//! All clients of the load generator on one epoll.
//!
//! Owns connecting them, reading what comes with as little CPU as can be (edge-triggered, one read per
//! wake-up, headers only), and asking each client the same thing. What a scenario does with the arrivals is its
//! own.

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

/// Clients that connect, join or leave at the same time.
const PIPELINED: usize = 50;
/// A server that sends nothing for so long, while something is outstanding, has failed.
const PATIENCE: Duration = Duration::from_secs(10);
const EVENTS_A_TURN: usize = 1024;
const READ_SIZE: usize = 64 * 1024;

/// Text frames that one client got in one turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    /// Which client.
    pub(super) client: usize,
    /// How many.
    pub(super) texts: u32,
}

/// The clients.
pub(super) struct Swarm {
    /// By index, in order of connecting.
    pub(super) clients: Vec<Client>,
    /// What the last turn brought.
    pub(super) arrivals: Vec<Arrival>,
    /// Payload lengths of the text frames that are due; any other is an error.
    pub(super) expected: Vec<u64>,
    port: u16,
    rest: Duration,
    epoll: OwnedFd,
    events: Vec<Event>,
    scratch: Vec<u8>,
    /// How many clients the last turn saw finish their upgrade.
    upgraded: usize,
}

impl Swarm {
    /// No clients yet.
    pub(super) fn new(load: &Load) -> io::Result<Self> {
        Ok(Self {
            clients: Vec::new(),
            arrivals: Vec::new(),
            expected: Vec::new(),
            port: load.port,
            rest: load.rest,
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            events: Vec::with_capacity(EVENTS_A_TURN),
            scratch: vec![0; READ_SIZE],
            upgraded: 0,
        })
    }

    /// Connects and upgrades `count` more clients, 50 at a time.
    ///
    /// # Errors
    ///
    /// The server refuses one, or stays silent.
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
            self.turn()?;
            pending -= self.upgraded;
        }
        Ok(())
    }

    /// Has every client from `from` on send `frame` and waits until each has got `answers` text frames of the
    /// given lengths, 50 clients at a time.
    ///
    /// # Errors
    ///
    /// Something else comes, or nothing.
    pub(super) fn ask_all(&mut self, from: usize, frame: &[u8], answers: u64, lengths: &[u64]) -> io::Result<()> {
        self.expect(lengths);
        let (mut next, mut pending) = (from, 0);
        while next < self.clients.len() || pending > 0 {
            while next < self.clients.len() && pending < PIPELINED {
                self.clients[next].send(frame)?;
                next += 1;
                pending += 1;
            }
            self.turn()?;
            for Arrival { client, texts } in self.arrivals.iter().copied() {
                let received = &mut self.clients[client].received;
                *received += u64::from(texts);
                if *received == answers {
                    pending -= 1;
                }
            }
        }
        Ok(())
    }

    /// Begins a phase in which text frames of these lengths are due, and counts from zero.
    pub(super) fn expect(&mut self, lengths: &[u64]) {
        self.expected = lengths.to_vec();
        self.clients.iter_mut().for_each(|client| client.received = 0);
    }

    /// Waits for anything to come and reads all of it into [`arrivals`](Self::arrivals).
    ///
    /// # Errors
    ///
    /// Nothing comes for ten seconds, a client is closed, or an unexpected frame comes.
    pub(super) fn turn(&mut self) -> io::Result<()> {
        self.arrivals.clear();
        self.events.clear();
        self.upgraded = 0;
        // Before the wait, not in it: what comes meanwhile is collected without a wake-up per write, which
        // on the server's side of the loopback would be charged to the server, now more and now less.
        if !self.rest.is_zero() {
            std::thread::sleep(self.rest);
        }
        let timeout = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
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
                    Ok(0) => return Err(io::Error::other("the server hangs up on a client")),
                    Ok(read) => {
                        texts += state.take(&self.scratch[..read], &self.expected)?;
                        // A short read empties the socket: more will be a new edge.
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

    /// Says goodbye for every client, waits until the server has closed each connection, and forgets them.
    ///
    /// The server closes first, as RFC 6455 section 7.1.1 asks; one that does not is not waited for longer
    /// than ten seconds in all.
    ///
    /// # Errors
    ///
    /// A close frame cannot be sent.
    pub(super) fn disconnect(&mut self) -> io::Result<()> {
        let goodbye = frame::encode_client(CLOSE, &1000_u16.to_be_bytes());
        let deadline = Instant::now() + PATIENCE;
        let clients = std::mem::take(&mut self.clients);
        for chunk in clients.chunks(PIPELINED) {
            for client in chunk {
                client.send(&goodbye)?;
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
