//! One client of the raw loop: its socket and the buffers of both directions.
//!
//! Both buffers are empty and own no memory while frames arrive complete and the client reads.

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;

use super::topic::Membership;

/// A client of the raw loop.
pub(super) struct Connection {
    /// Non-blocking, without Nagle's delay.
    pub(super) socket: OwnedFd,
    slot: u32,
    /// Whether the handshake is complete.
    pub(super) upgraded: bool,
    /// The first bytes of an incomplete frame.
    pub(super) partial: Vec<u8>,
    /// Bytes that wait until the socket is writable again.
    unsent: Vec<u8>,
    /// This client's memberships.
    pub(super) joined: Vec<Membership>,
}

impl Connection {
    /// Creates a client before its handshake.
    pub(super) fn new(socket: OwnedFd, slot: u32) -> Self {
        Self { socket, slot, upgraded: false, partial: Vec::new(), unsent: Vec::new(), joined: Vec::new() }
    }

    /// Writes `bytes` with one call; the rest waits until the socket is writable.
    ///
    /// A permanent error is ignored here: epoll reports the same socket, and the next read returns the error.
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

    /// Writes the waiting bytes after the socket has become writable.
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
        epoll::modify(epoll, &self.socket, data, flags).expect("an open socket is registered");
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn bytes_for_a_full_socket_are_sent_in_order_when_it_is_writable() {
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
