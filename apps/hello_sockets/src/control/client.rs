//! The client of the control socket, which the command line uses.

use super::{Request, Response, is_trusted, path, read_line, start_command, write_line};
use std::io;
use std::path::PathBuf;
use tokio::net::UnixStream;

/// A request without a successful response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    /// No server is running.
    #[error("no server answers on port {port}: start it with {}", start_command(*port))]
    NotRunning { port: u16 },
    /// A process of another user listens at the socket's path.
    #[error("the process that listens at {} belongs to another user", .0.display())]
    NotTrusted(PathBuf),
    /// The server closed the connection before its response.
    #[error("the server closed the connection before it answered")]
    Closed,
    /// The socket failed.
    #[error("could not reach the server at {}: {error}", path.display())]
    Socket { path: PathBuf, error: io::Error },
    /// The server rejected the request.
    #[error("{0}")]
    Refused(String),
}

/// Sends a request to the server on `port` and returns the response.
///
/// # Errors
/// [`RequestError`]
pub(crate) async fn send(port: u16, request: &Request) -> Result<String, RequestError> {
    for path in path::candidates(port) {
        match UnixStream::connect(&path).await {
            Ok(stream) => return exchange(stream, path, request).await,
            // There is no socket file, or one of a killed server.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {}
            Err(error) => return Err(RequestError::Socket { path, error }),
        }
    }
    Err(RequestError::NotRunning { port })
}

async fn exchange(mut stream: UnixStream, path: PathBuf, request: &Request) -> Result<String, RequestError> {
    match is_trusted(&stream) {
        Ok(true) => {}
        Ok(false) => return Err(RequestError::NotTrusted(path)),
        Err(error) => return Err(RequestError::Socket { path, error }),
    }
    let response = async {
        write_line(&mut stream, request).await?;
        read_line::<Response>(&mut stream).await
    };
    match response.await {
        Ok(response) => response.map_err(RequestError::Refused),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(RequestError::Closed),
        Err(error) => Err(RequestError::Socket { path, error }),
    }
}
