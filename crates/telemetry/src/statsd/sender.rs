//! The bounded queue of lines for the StatsD server, and the thread that sends them.
//!
//! The recorders push and never wait; a line that finds the queue full is lost and counted. Each line of the
//! application is a datagram of its own, so that a packet capture shows each measurement at once; the aggregates share
//! datagrams. Dropping the [`Sender`] sends all queued lines and ends the thread.

use cadence::MetricSink;
use std::io::{self, Write};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// The most queued lines: about 1 MB, and as many as the thread sends in one second at most.
const QUEUE_LINES: usize = 10_000;

enum Item {
    Line(String),
    End,
}

/// The queue's producer side. Clones share the queue.
#[derive(Clone)]
pub(super) struct Queue {
    items: SyncSender<Item>,
    lost: Arc<AtomicU64>,
}

impl Queue {
    /// Queues a line; drops and counts it when the queue is full or the sender has ended.
    pub(super) fn push(&self, line: String) {
        if self.items.try_send(Item::Line(line)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Each emitted line is a datagram.
impl MetricSink for Queue {
    fn emit(&self, line: &str) -> io::Result<usize> {
        self.push(line.to_owned());
        Ok(line.len())
    }
}

/// Each write is a datagram.
impl Write for Queue {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.push(String::from_utf8_lossy(lines).into_owned());
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Owns the thread and the queue; see the module.
pub(crate) struct Sender {
    queue: Queue,
    thread: Option<JoinHandle<()>>,
}

impl Sender {
    /// Opens a socket and starts the thread that sends to `server`.
    pub(crate) fn start(server: SocketAddr) -> io::Result<Self> {
        let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any)?;
        socket.connect(server)?;
        let (items, queued) = sync_channel(QUEUE_LINES);
        let queue = Queue { items, lost: Arc::default() };
        let lost = queue.lost.clone();
        let thread = std::thread::Builder::new().name("statsd-sender".to_owned());
        let thread = thread.spawn(move || send(&socket, &queued, &lost))?;
        Ok(Sender { queue, thread: Some(thread) })
    }

    pub(super) fn queue(&self) -> Queue {
        self.queue.clone()
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let _ = self.queue.items.send(Item::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn send(socket: &UdpSocket, queued: &Receiver<Item>, lost: &AtomicU64) {
    let mut warned = false;
    while let Ok(Item::Line(line)) = queued.recv() {
        // The error for a port without a listener is returned by the send after the failed one.
        if let Err(error) = socket.send(line.as_bytes())
            && !std::mem::replace(&mut warned, true)
        {
            let server = socket.peer_addr().map_or_else(|_| "?".to_owned(), |server| server.to_string());
            tracing::warn!(server, %error, "could not send to the StatsD server; lines are lost until it listens");
        }
        let lost = lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            metrics::counter!("bennu.telemetry.lines_lost").increment(lost);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queued_lines_are_sent_before_the_sender_ends() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = Sender::start(server.local_addr().unwrap()).unwrap();
        let queue = sender.queue();
        for n in 0..100 {
            queue.push(format!("n:{n}|c"));
        }
        drop(sender);
        queue.push("too:1|c".to_owned());
        let mut buffer = [0; 64];
        for n in 0..100 {
            let len = server.recv(&mut buffer).unwrap();
            assert_eq!(std::str::from_utf8(&buffer[..len]).unwrap(), format!("n:{n}|c"));
        }
        server.set_nonblocking(true).unwrap();
        assert!(server.recv(&mut buffer).is_err(), "no line is sent after the end");
    }

    #[test]
    fn a_full_queue_loses_the_newest_and_counts_it() {
        let (items, queued) = sync_channel(2);
        let queue = Queue { items, lost: Arc::default() };
        for n in 0..5 {
            queue.push(n.to_string());
        }
        assert_eq!(queue.lost.load(Ordering::Relaxed), 3);
        let waiting = queued.try_iter().map(|item| match item {
            Item::Line(line) => line,
            Item::End => "end".to_owned(),
        });
        assert_eq!(waiting.collect::<Vec<_>>(), ["0", "1"]);
    }
}
