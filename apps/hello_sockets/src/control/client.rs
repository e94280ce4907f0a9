//! The command line's end of the control socket.

use super::{Answer, Request, is_trusted, place, read_line, write_line};
use std::io;
use std::path::PathBuf;
use tokio::net::UnixStream;

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// There is no server to ask.
    #[error("no server answers on port {port}: start it with {}", crate::port::start(*port))]
    NotRunning { port: u16 },
    /// Somebody else listens where the server would.
    #[error("the process that listens at {} is another user's", .0.display())]
    NotTrusted(PathBuf),
    /// The server went away in between.
    #[error("the server went away before it answered")]
    Gone,
    /// The socket failed.
    #[error("the server cannot be asked at {}: {error}", path.display())]
    Socket { path: PathBuf, error: io::Error },
    /// The server says why not.
    #[error("{0}")]
    Refused(String),
}

/// Asks the server on `port`; gives its answer.
///
/// # Errors
/// [`AskError`]
pub(crate) async fn ask(port: u16, request: &Request) -> Result<String, AskError> {
    for path in place::candidates(port) {
        match UnixStream::connect(&path).await {
            Ok(stream) => return converse(stream, path, request).await,
            // No socket, or one that its server left behind.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {}
            Err(error) => return Err(AskError::Socket { path, error }),
        }
    }
    Err(AskError::NotRunning { port })
}

async fn converse(mut stream: UnixStream, path: PathBuf, request: &Request) -> Result<String, AskError> {
    match is_trusted(&stream) {
        Ok(true) => {}
        Ok(false) => return Err(AskError::NotTrusted(path)),
        Err(error) => return Err(AskError::Socket { path, error }),
    }
    let asked = async {
        write_line(&mut stream, request).await?;
        read_line::<Answer>(&mut stream).await
    };
    match asked.await {
        Ok(answer) => answer.map_err(AskError::Refused),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(AskError::Gone),
        Err(error) => Err(AskError::Socket { path, error }),
    }
}
