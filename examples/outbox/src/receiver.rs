//! Takes rows, to see the outbox work. One that comes twice it recognises by its id, which is what a receiver has to do
//! when it is told everything at least once.

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// A sender that says nothing for so long is not waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Takes rows one after the other until the process ends.
pub(crate) async fn run(address: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    let mut seen = HashSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        match timeout(PATIENCE, take(stream)).await? {
            Ok(row) => {
                let again = if seen.insert(row.clone()) { "" } else { "  (again)" };
                println!("{row}{again}");
            }
            Err(error) => eprintln!("a sender went away: {error}"),
        }
    }
}

async fn take(stream: TcpStream) -> io::Result<String> {
    let mut stream = BufReader::new(stream);
    let mut row = String::new();
    stream.read_line(&mut row).await?;
    stream.write_all(b"ok\n").await?;
    Ok(row.trim_end().to_owned())
}
