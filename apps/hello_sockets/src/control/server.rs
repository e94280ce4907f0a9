//! The server of the control socket, which executes the requests of the command line.
//!
//! `serve` runs it beside the connections and ends it when the drain begins. Each request is a task of its own, which
//! ends with the socket or when its client disconnects.

use super::{Request, Response, is_trusted, path, read_line, write_line};
use crate::channel::DedupeChannel;
use crate::pipeline::{Producer, Push};
use crate::socket::SALT;
use bennu::{Endpoint, Payload};
use serde_json::{Map, Value};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

/// The time limit for a client's request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// The listening socket. Dropping it removes its file.
pub(crate) struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
}

/// A control socket that could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    /// A server with the same port number is running, on another address.
    #[error("another server listens at {}", .0.display())]
    Taken(PathBuf),
    /// Neither directory can be created.
    #[error("could not create a directory for the control socket: {0}")]
    Directory(#[source] io::Error),
    /// The socket cannot be created.
    #[error("could not open the control socket at {}: {error}", path.display())]
    Bind { path: PathBuf, error: io::Error },
}

impl ControlSocket {
    /// Listens for requests to the server on `port`. A socket file without a listener is replaced.
    ///
    /// # Errors
    /// [`ControlError`]
    pub(crate) fn bind(port: u16) -> Result<Self, ControlError> {
        let path = path::prepare(port).map_err(ControlError::Directory)?;
        if std::os::unix::net::UnixStream::connect(&path).is_ok() {
            return Err(ControlError::Taken(path));
        }
        let listen = || {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let listener = UnixListener::bind(&path)?;
            // No other user could connect before this, since only the owner may enter the directory.
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
            Ok(listener)
        };
        match listen() {
            Ok(listener) => Ok(ControlSocket { listener, path }),
            Err(error) => Err(ControlError::Bind { path, error }),
        }
    }

    /// Executes requests until the future is dropped.
    pub(crate) async fn serve(self, endpoint: &Endpoint, producer: &Producer) {
        let mut commands = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => { commands.spawn(execute_for(stream, endpoint.clone(), producer.clone())); }
                    Err(error) => {
                        tracing::error!(%error, "could not accept a command, trying again in 1 s");
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                },
                Some(ended) = commands.join_next() => if let Ok(Err(error)) = ended {
                    tracing::warn!(%error, "could not complete a command");
                },
            }
        }
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn execute_for(mut stream: UnixStream, endpoint: Endpoint, producer: Producer) -> io::Result<()> {
    if !is_trusted(&stream)? {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the client belongs to another user"));
    }
    let response = match tokio::time::timeout(REQUEST_TIMEOUT, read_line(&mut stream)).await? {
        Ok(request) => tokio::select! {
            response = execute(request, &endpoint, &producer) => response,
            _ = stream.read_u8() => return Err(io::Error::other("the client closed the connection before the answer")),
        },
        Err(error) => Err(format!("the line is not a command: {error}")),
    };
    write_line(&mut stream, &response).await
}

async fn execute(request: Request, endpoint: &Endpoint, producer: &Producer) -> Response {
    tracing::debug!(?request, "command");
    match request {
        Request::Broadcast { topic, event, payload } => {
            let payload = Payload::from_json_text(&payload).map_err(text)?;
            endpoint.broadcast(&topic, &event, payload).map_err(text)?;
        }
        Request::Dupe { numbers, times } => {
            DedupeChannel::broadcast(endpoint, &numbers, times).await.map_err(text)?;
        }
        Request::Push { user_id, data, times, work_ms, timed } => {
            let data: Map<String, Value> =
                serde_json::from_str(&data).map_err(|error| format!("the data is not a JSON object: {error}"))?;
            let work = Duration::from_millis(work_ms);
            for n in 1..=times.unwrap_or(1) {
                let mut data = data.clone();
                if times.is_some() {
                    data.insert("n".to_owned(), n.into());
                }
                let push = Push { user_id, data: data.into(), work };
                if timed { producer.push_timed(push).await } else { producer.push(push).await }.map_err(text)?;
            }
        }
        Request::Increment { name, tags } => {
            let pair = |tag: String| match tag.split_once(':') {
                Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
                _ => Err(format!("{tag:?} is not a tag: write it as key:value")),
            };
            let tags: Vec<_> = tags.into_iter().map(pair).collect::<Result<_, _>>()?;
            metrics::counter!(name, &tags).increment(1);
        }
        Request::Nodes => {
            let (own, mut nodes) = (endpoint.pubsub().node(), endpoint.pubsub().nodes());
            nodes.retain(|node| node != own);
            let names: Vec<_> = nodes.iter().map(|node| node.as_str()).collect();
            return Ok(if names.is_empty() { "no other nodes".to_owned() } else { names.join("\n") });
        }
        Request::Sign { user_id } => return endpoint.sign(SALT, &user_id).map_err(text),
        Request::Disconnect { socket_id } => endpoint.disconnect(&socket_id).map_err(text)?,
    }
    Ok("ok".to_owned())
}

fn text(error: impl std::error::Error) -> String {
    error.to_string()
}
