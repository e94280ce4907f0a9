//! The control socket between the command line and the running server: one request and one response over a Unix socket
//! that only its owner may open.
//!
//! This file owns the protocol, which is a JSON value a line with a limit on the line, and the default port. `serve`
//! runs the `server`; `command` uses the `client`; `path` determines the socket's file.

mod client;
mod path;
mod server;

pub(crate) use client::{RequestError, send};
pub(crate) use server::{ControlError, ControlSocket};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

/// The server's port unless one is chosen, as in the book.
pub(crate) const DEFAULT_PORT: u16 = 4000;

/// Returns the shell command that starts a server on this port, for error messages.
pub(crate) fn start_command(port: u16) -> String {
    match port {
        DEFAULT_PORT => "bin/run".to_owned(),
        _ => format!("PORT={port} bin/run"),
    }
}

/// The most bytes of a request or a response, far above any typed command.
const MAX_LINE_BYTES: u64 = 1 << 20;

/// A command to the server.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    /// Broadcasts an event. The payload is JSON text and arrives unchanged.
    Broadcast { topic: String, event: String, payload: String },
    /// Broadcasts each number `times` times on `dupe`.
    Dupe { numbers: Vec<i64>, times: u32 },
    /// Sends data to a user through the pipeline, once, or several times with a number in the data. The data is JSON
    /// text.
    Push { user_id: u64, data: String, times: Option<u32>, work_ms: u64, timed: bool },
    /// Increments a counter, with tags as `key:value`.
    Increment { name: String, tags: Vec<String> },
    /// Lists the other nodes of the cluster.
    Nodes,
    /// Signs a token for a user.
    Sign { user_id: u64 },
    /// Closes the connections of one socket id.
    Disconnect { socket_id: String },
}

/// The text to print, or the text of the error.
pub(crate) type Response = Result<String, String>;

async fn write_line<T: Serialize>(stream: &mut UnixStream, value: &T) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    stream.write_all(&line).await
}

/// Reads the value of the next line, which is the last one. Returns `UnexpectedEof` when the peer has closed the
/// connection.
async fn read_line<T: DeserializeOwned>(stream: &mut UnixStream) -> io::Result<T> {
    let mut line = Vec::new();
    BufReader::new(stream.take(MAX_LINE_BYTES)).read_until(b'\n', &mut line).await?;
    match line.last() {
        Some(b'\n') => Ok(serde_json::from_slice(&line)?),
        _ if line.len() as u64 == MAX_LINE_BYTES => {
            Err(io::Error::new(io::ErrorKind::InvalidData, format!("a line has more than {MAX_LINE_BYTES} bytes")))
        }
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Returns whether the peer's process belongs to this user or to root.
fn is_trusted(stream: &UnixStream) -> io::Result<bool> {
    let peer = stream.peer_cred()?.uid();
    Ok(peer == rustix::process::geteuid().as_raw() || peer == 0)
}
