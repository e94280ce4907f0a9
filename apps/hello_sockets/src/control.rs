//! How the command line reaches the running server: one question and one answer over a Unix socket that only its
//! owner may open.
//!
//! This file has what both sides share: the words, a JSON value a line, and the bound on a line. `server` answers, run
//! by `serve`; `client` asks, for `command`; `place` is where they meet.

mod client;
mod place;
mod server;

pub(crate) use client::{AskError, ask};
pub(crate) use server::{ControlError, ControlSocket};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

/// Longest question or answer, in bytes: far more than anybody types.
const MAX_LINE_BYTES: u64 = 1 << 20;

/// What the server can be asked for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    /// Broadcasts an event. The payload is JSON text, so that it arrives as it was typed.
    Broadcast { topic: String, event: String, payload: String },
    /// Broadcasts each number, `times` times, on `dupe`.
    Dupe { numbers: Vec<i64>, times: u32 },
    /// Sends to a user through the pipeline, once, or several times with a number in the data. The data is JSON text.
    Push { user_id: u64, data: String, times: Option<u32>, work_ms: u64, timed: bool },
    /// Counts something, with tags as `key:value`.
    Increment { name: String, tags: Vec<String> },
    /// Lists the other nodes of the cluster.
    Nodes,
    /// Signs a token for a user.
    Sign { user_id: u64 },
    /// Closes the connections of one socket id.
    Disconnect { socket_id: String },
}

/// What it answers: the text to print, or why it could not.
pub(crate) type Answer = Result<String, String>;

async fn write_line<T: Serialize>(stream: &mut UnixStream, value: &T) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    stream.write_all(&line).await
}

/// The next line's value; nothing of use comes after it. `UnexpectedEof` when the peer has gone.
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

/// Whether the process at the other end is this user's, or root's.
fn is_trusted(stream: &UnixStream) -> io::Result<bool> {
    let peer = stream.peer_cred()?.uid();
    Ok(peer == rustix::process::geteuid().as_raw() || peer == 0)
}
