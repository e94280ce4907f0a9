//! The control socket between the command line of an application and its running server: one request and one response
//! over a Unix socket that only its owner may open.
//!
//! This file owns the protocol, which is a JSON value a line with a limit on the line. The server of an application
//! holds a [`ControlSocket`], which `serve` runs beside the connections; its command line calls [`send`]. The requests
//! are a type of the application; the response is the text to print, or the text of an error.
//!
//! Only processes of the same user and of root are served, and only they are trusted: the socket is in a private
//! directory (`path`), and each side checks the user of the other.

mod client;
mod path;
mod server;

pub use client::{RequestError, send};
pub use server::{ControlError, ControlSocket};

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

/// The text to print, or the text of the error.
pub type Response = Result<String, String>;

/// The most bytes of a request or a response, far above any typed command.
const MAX_LINE_BYTES: u64 = 1 << 20;

async fn write_line<T: Serialize + ?Sized>(stream: &mut UnixStream, value: &T) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    if line.len() as u64 > MAX_LINE_BYTES {
        return Err(too_long());
    }
    stream.write_all(&line).await
}

/// Reads the value of the next line, which is the last one. Returns `UnexpectedEof` when the peer has closed the
/// connection.
async fn read_line<T: DeserializeOwned>(stream: &mut UnixStream) -> io::Result<T> {
    let mut line = Vec::new();
    BufReader::new(stream.take(MAX_LINE_BYTES)).read_until(b'\n', &mut line).await?;
    match line.last() {
        Some(b'\n') => Ok(serde_json::from_slice(&line)?),
        _ if line.len() as u64 == MAX_LINE_BYTES => Err(too_long()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("a line has more than {MAX_LINE_BYTES} bytes"))
}

/// Returns whether the peer's process belongs to this user or to root.
fn is_trusted(stream: &UnixStream) -> io::Result<bool> {
    let peer = stream.peer_cred()?.uid();
    Ok(peer == rustix::process::geteuid().as_raw() || peer == 0)
}
