//! Takes rows to their receiver, each over a connection of its own: the line `ID BODY`, answered by the line `ok` when the
//! receiver has it.

use crate::outbox::Row;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A receiver that says nothing for so long has not taken the row, as far as we know.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy)]
pub(crate) struct Courier {
    receiver: SocketAddr,
}

impl Courier {
    pub(crate) fn new(receiver: SocketAddr) -> Self {
        Courier { receiver }
    }

    /// Returns when the receiver has the row.
    pub(crate) async fn deliver(self, row: &Row) -> io::Result<()> {
        timeout(PATIENCE, self.hand_over(row)).await?
    }

    async fn hand_over(self, row: &Row) -> io::Result<()> {
        let mut stream = TcpStream::connect(self.receiver).await?;
        stream.write_all(format!("{} {}\n", row.id, row.body).as_bytes()).await?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).await?;
        match answer.as_str() {
            "ok\n" => Ok(()),
            _ => Err(io::Error::other(format!("the receiver answered {answer:?}"))),
        }
    }
}
