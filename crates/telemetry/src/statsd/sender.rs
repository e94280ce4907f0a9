//! The way of lines to the StatsD server: a bounded queue, and the one thread that sends what is in it.
//!
//! The recorders queue and never wait; what finds the queue full is lost and counted. An application's line is one datagram, so
//! that whoever looks at the wire sees each measurement by itself and at once; the sums come many in one. Dropping the [`Sender`] sends what waits and
//! ends the thread.

use cadence::MetricSink;
use std::io::{self, Write};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Lines that may wait: about 1 MB, and a second of what one thread sends at most.
const QUEUE_LINES: usize = 10_000;

enum Item {
    Line(String),
    End,
}

/// Where lines are queued. Cloning shares it.
#[derive(Clone)]
pub(super) struct Queue {
    items: SyncSender<Item>,
    lost: Arc<AtomicU64>,
}

impl Queue {
    /// Queues a line, or loses it when there is no room. After the sender's end it goes nowhere.
    pub(super) fn push(&self, line: String) {
        if self.items.try_send(Item::Line(line)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A line is a datagram.
impl MetricSink for Queue {
    fn emit(&self, line: &str) -> io::Result<usize> {
        self.push(line.to_owned());
        Ok(line.len())
    }
}

/// What is written at once is a datagram.
impl Write for Queue {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.push(String::from_utf8_lossy(lines).into_owned());
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Owns the thread; see the module.
pub(crate) struct Sender {
    queue: Queue,
    thread: Option<JoinHandle<()>>,
}

impl Sender {
    /// Starts the thread that sends to `server`.
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
        // A socket that nobody listens at says so with the send after.
        if let Err(error) = socket.send(line.as_bytes())
            && !std::mem::replace(&mut warned, true)
        {
            let server = socket.peer_addr().map_or_else(|_| "?".to_owned(), |server| server.to_string());
            tracing::warn!(server, %error, "no StatsD server takes our lines; they are lost until one does");
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
    fn what_waits_is_sent_before_the_sender_ends() {
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
        assert!(server.recv(&mut buffer).is_err(), "nothing comes after the end");
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
