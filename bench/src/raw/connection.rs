//! One client of the raw loop: its socket and the bytes that wait in either direction.
//!
//! Both buffers are empty, and own no memory, as long as frames come whole and the client reads.

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;

use super::membership::Membership;

/// A client of the raw loop.
pub(super) struct Connection {
    /// Non-blocking, without Nagle's delay.
    pub(super) socket: OwnedFd,
    slot: u32,
    /// Whether the handshake is done.
    pub(super) upgraded: bool,
    /// The beginning of a frame whose end has not come yet.
    pub(super) partial: Vec<u8>,
    /// What the socket would not take, until it is writable again.
    unsent: Vec<u8>,
    /// Where this client stands in which topics.
    pub(super) joined: Vec<Membership>,
}

impl Connection {
    /// A client that has said nothing yet.
    pub(super) fn new(socket: OwnedFd, slot: u32) -> Self {
        Self { socket, slot, upgraded: false, partial: Vec::new(), unsent: Vec::new(), joined: Vec::new() }
    }

    /// One write; what the socket does not take waits for it to become writable.
    ///
    /// A write that fails for good is left alone: epoll reports the same socket, and reading it tells why.
    #[inline]
    pub(super) fn send(&mut self, epoll: &OwnedFd, bytes: &[u8]) {
        if !self.unsent.is_empty() {
            self.unsent.extend_from_slice(bytes);
            return;
        }
        let written = match rustix::io::write(&self.socket, bytes) {
            Ok(written) => written,
            Err(Errno::AGAIN | Errno::INTR) => 0,
            Err(_) => return,
        };
        if written < bytes.len() {
            self.unsent.extend_from_slice(&bytes[written..]);
            self.watch(epoll, EventFlags::IN | EventFlags::OUT | EventFlags::ET);
        }
    }

    /// Writes what waits, now that the socket is writable.
    pub(super) fn flush(&mut self, epoll: &OwnedFd) {
        let mut written = 0;
        while written < self.unsent.len() {
            match rustix::io::write(&self.socket, &self.unsent[written..]) {
                Ok(taken) => written += taken,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(_) => written = self.unsent.len(),
            }
        }
        self.unsent.drain(..written);
        if self.unsent.is_empty() {
            self.unsent = Vec::new();
            self.watch(epoll, EventFlags::IN | EventFlags::ET);
        }
    }

    fn watch(&self, epoll: &OwnedFd, flags: EventFlags) {
        let data = EventData::new_u64(self.slot.into());
        epoll::modify(epoll, &self.socket, data, flags).expect("a socket that is open stays registered");
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn what_a_full_socket_does_not_take_follows_in_order_when_it_is_writable() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        epoll::add(&epoll, &ours, EventData::new_u64(0), EventFlags::IN | EventFlags::ET).unwrap();
        let mut connection = Connection::new(ours.into(), 0);
        let mut sent = Vec::new();
        for message in 0..20_000_u32 {
            let bytes = [message.to_be_bytes(); 16];
            connection.send(&epoll, bytes.as_flattened());
            sent.extend_from_slice(bytes.as_flattened());
        }
        assert!(!connection.unsent.is_empty(), "the socket was never full");

        let (mut received, mut scratch) = (Vec::new(), vec![0; 50_000]);
        while received.len() < sent.len() {
            let read = theirs.read(&mut scratch).unwrap();
            received.extend_from_slice(&scratch[..read]);
            connection.flush(&epoll);
        }
        assert!(received == sent);
        assert!(connection.unsent.is_empty());
    }
}
