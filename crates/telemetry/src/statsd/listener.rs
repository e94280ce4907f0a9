//! A StatsD server for development and tests, which returns or prints each received line.
//!
//! A thread of its own receives, so that lines do not fill the kernel's small buffer while a test is busy, and arrive
//! while the test's time is paused. The thread ends when the [`StatsdListener`] is dropped.

use super::Line;
use crate::address::{AddressError, resolve};
use std::io::{self, Write};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc;

/// The most lines that wait for [`StatsdListener::recv`].
const QUEUE_LINES: usize = 10_000;

/// The thread checks for its end at this interval, in case the waking datagram is lost.
const END_CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// Receives StatsD lines over UDP, in the order in which they arrive.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use bennu_telemetry::StatsdListener;
///
/// let mut listener = StatsdListener::bind("127.0.0.1:0")?;
/// let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
/// socket.send_to(b"socket_connect:1|c|#status:success,socket:StatsSocket", listener.address())?;
/// let line = listener.recv().await;
/// assert_eq!(line.to_string(), "socket_connect 1|c|#status:success,socket:StatsSocket");
/// assert_eq!(line.tag("status"), Some("success"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct StatsdListener {
    lines: mpsc::Receiver<Line>,
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    ending: AtomicBool,
    lost: AtomicU64,
}

impl StatsdListener {
    /// Listens at an address such as `127.0.0.1:8126`; port 0 selects a free port, see [`StatsdListener::address`].
    ///
    /// The queue holds 10,000 lines; further ones are lost and counted by [`StatsdListener::lost`].
    ///
    /// # Errors
    /// [`AddressError`] when `address` is not an address, or is in use.
    pub fn bind(address: &str) -> Result<Self, AddressError> {
        let at = resolve(address)?;
        let listen = || -> io::Result<_> {
            let socket = UdpSocket::bind(at)?;
            socket.set_read_timeout(Some(END_CHECK_INTERVAL))?;
            let address = socket.local_addr()?;
            let (queue, lines) = mpsc::channel(QUEUE_LINES);
            let shared = Arc::<Shared>::default();
            let with_thread = shared.clone();
            let thread = std::thread::Builder::new().name("statsd-listener".to_owned());
            let thread = thread.spawn(move || receive(&socket, &queue, &with_thread))?;
            Ok(StatsdListener { lines, address, shared, thread: Some(thread) })
        };
        listen().map_err(|error| AddressError::Unusable { address: address.to_owned(), error })
    }

    /// Returns the local address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the next line. Cancel safe: a line leaves the queue only when it is returned. Never returns after the
    /// socket has failed.
    pub async fn recv(&mut self) -> Line {
        match self.lines.recv().await {
            Some(line) => line,
            None => std::future::pending().await,
        }
    }

    /// Returns the next line if one is queued.
    pub fn try_recv(&mut self) -> Option<Line> {
        self.lines.try_recv().ok()
    }

    /// Returns the number of lines that arrived while the queue held 10,000.
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }

    /// Prints the application's lines to standard output, such as `StatsD metric: socket_connect 1|c|#status:success`.
    ///
    /// The future never ends; spawn it as a task and abort the task at the end of the program. The aggregates,
    /// `bennu.*` and `process_*`, arrive every second and are not printed, since they would hide the application's
    /// lines.
    ///
    /// ```no_run
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// use bennu_telemetry::StatsdListener;
    ///
    /// let printing = tokio::spawn(StatsdListener::bind("127.0.0.1:8126")?.print());
    /// // … serve …
    /// printing.abort();
    /// # Ok(())
    /// # }
    /// ```
    pub async fn print(mut self) {
        loop {
            let line = self.recv().await;
            if line.is_aggregated() {
                continue;
            }
            // Standard output may be a closed pipe, which does not end the listener.
            let _ = writeln!(io::stdout(), "StatsD metric: {line}");
        }
    }
}

impl Drop for StatsdListener {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::Relaxed);
        let any = if self.address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let _ = UdpSocket::bind(any).and_then(|socket| socket.send_to(b"", self.address));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn receive(socket: &UdpSocket, queue: &mpsc::Sender<Line>, shared: &Shared) {
    // The size of the largest datagram.
    let mut buffer = vec![0; 65_536];
    loop {
        let received = socket.recv(&mut buffer);
        if shared.ending.load(Ordering::Relaxed) {
            return;
        }
        match received {
            Ok(len) => {
                let text = String::from_utf8_lossy(&buffer[..len]);
                for line in text.lines().filter(|line| !line.is_empty()) {
                    if queue.try_send(Line::new(line)).is_err() {
                        shared.lost.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                tracing::error!(%error, "the StatsD listener could not receive and stops");
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_arrive_in_order_and_a_datagram_may_contain_several() {
        let mut listener = StatsdListener::bind("127.0.0.1:0").unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        for datagram in ["a:1|c\nb:2|c\n", "", "c:3|c"] {
            socket.send_to(datagram.as_bytes(), listener.address()).unwrap();
        }
        for expected in ["a 1|c", "b 2|c", "c 3|c"] {
            assert_eq!(listener.recv().await.to_string(), expected);
        }
        assert_eq!((listener.try_recv(), listener.lost()), (None, 0));
    }

    #[tokio::test]
    async fn bytes_that_are_not_utf_8_are_received_with_replacement_characters() {
        let mut listener = StatsdListener::bind("127.0.0.1:0").unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(&[0xff, b':', 0xfe], listener.address()).unwrap();
        assert_eq!(listener.recv().await.name(), "\u{fffd}");
    }

    #[test]
    fn a_dropped_listener_releases_its_port() {
        let listener = StatsdListener::bind("127.0.0.1:0").unwrap();
        let address = listener.address().to_string();
        let error = StatsdListener::bind(&address).err().expect("the port is taken").to_string();
        assert!(error.contains(&address), "{error}");
        drop(listener);
        StatsdListener::bind(&address).unwrap();
    }
}
