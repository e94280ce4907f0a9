//! Sends rows to the receiver, each over a connection of its own. The row is the line `ID BODY`; the receiver acknowledges it
//! with the line `ok`. The pipeline's workers call it.

use crate::outbox::Row;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long the sender waits for an acknowledgement. After that the row counts as not delivered.
const ACK_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy)]
pub(crate) struct Sender {
    receiver: SocketAddr,
}

impl Sender {
    pub(crate) fn new(receiver: SocketAddr) -> Self {
        Sender { receiver }
    }

    /// Sends a row, and returns when the receiver has acknowledged it.
    ///
    /// # Errors
    ///
    /// When the connection fails, after 30 s without an acknowledgement, and when the answer is not `ok`.
    pub(crate) async fn deliver(self, row: &Row) -> io::Result<()> {
        timeout(ACK_TIMEOUT, self.send(row)).await?
    }

    async fn send(self, row: &Row) -> io::Result<()> {
        let mut stream = TcpStream::connect(self.receiver).await?;
        stream.write_all(format!("{} {}\n", row.id, row.body).as_bytes()).await?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).await?;
        match answer.as_str() {
            "ok\n" => Ok(()),
            _ => Err(io::Error::other(format!("the answer {answer:?} is not an acknowledgement: expected \"ok\""))),
        }
    }
}
