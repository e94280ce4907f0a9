//! A receiver that prints its rows, to show the outbox at work. It recognises a repeated row by its id. With delivery at least
//! once, every receiver has to do that.

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// How long the receiver waits for a sender's row.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Receives rows one after the other until the process ends.
pub(crate) async fn run(address: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    let mut seen = HashSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        match timeout(READ_TIMEOUT, receive(stream)).await? {
            Ok(row) => {
                let again = if seen.insert(row.clone()) { "" } else { "  (again)" };
                println!("{row}{again}");
            }
            Err(error) => eprintln!("could not receive a row: {error}"),
        }
    }
}

async fn receive(stream: TcpStream) -> io::Result<String> {
    let mut stream = BufReader::new(stream);
    let mut row = String::new();
    stream.read_line(&mut row).await?;
    stream.write_all(b"ok\n").await?;
    Ok(row.trim_end().to_owned())
}
