//! The client of the control socket, which the command line of an application uses.

use super::path::{self, Directories};
use super::{Response, is_trusted, read_line, write_line};
use crate::start_command;
use serde::Serialize;
use std::io;
use std::path::{Path, PathBuf};
use tokio::net::UnixStream;

/// A request without a successful response. Its text is one line for the terminal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// No server is running.
    #[error("no server answers on port {port}: start it with {}", start_command(app, *port))]
    NotRunning {
        /// The application.
        app: String,
        /// The port of the missing server.
        port: u16,
    },
    /// A process of another user listens at the socket's path.
    #[error("the process that listens at {} belongs to another user", .0.display())]
    NotTrusted(PathBuf),
    /// The server closed the connection before its response.
    #[error("the server closed the connection before it answered")]
    Closed,
    /// The socket failed.
    #[error("could not reach the server at {}: {error}", path.display())]
    Socket {
        /// The path of the socket, or of its directory when others may enter it.
        path: PathBuf,
        /// The error of the socket or of the file system.
        error: io::Error,
    },
    /// The server rejected the request; this is its text.
    #[error("{0}")]
    Refused(String),
}

/// Sends a request to the server of an application on `port` of this machine, and returns its response.
///
/// A request has at most 1 MiB as JSON. There is no time limit for the response: the server may work for long.
///
/// Cancellation: dropping the future closes the connection, and the server stops its work on the request.
///
/// # Errors
/// [`RequestError`]
pub async fn send<Request>(app: &str, port: u16, request: &Request) -> Result<String, RequestError>
where
    Request: Serialize + ?Sized,
{
    send_in(&Directories::of_user(), app, port, request).await
}

async fn send_in<Request>(
    directories: &Directories,
    app: &str,
    port: u16,
    request: &Request,
) -> Result<String, RequestError>
where
    Request: Serialize + ?Sized,
{
    let mut refused = None;
    for directory in &directories.0 {
        match connect(directory, app, port).await {
            Ok(Some((stream, path))) => return exchange(stream, path, request).await,
            Ok(None) => {}
            // The server has used the next directory, if it could not use this one either.
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    Err(refused.unwrap_or_else(|| RequestError::NotRunning { app: app.to_owned(), port }))
}

/// Connects to the socket in a directory; `None` when no server listens there.
async fn connect(directory: &Path, app: &str, port: u16) -> Result<Option<(UnixStream, PathBuf)>, RequestError> {
    match path::check_private(directory) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(RequestError::Socket { path: directory.to_owned(), error }),
    }
    let path = directory.join(path::file_name(app, port));
    let stream = match UnixStream::connect(&path).await {
        Ok(stream) => stream,
        // There is no socket file, or one of a killed server.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(RequestError::Socket { path, error }),
    };
    match is_trusted(&stream) {
        Ok(true) => Ok(Some((stream, path))),
        Ok(false) => Err(RequestError::NotTrusted(path)),
        Err(error) => Err(RequestError::Socket { path, error }),
    }
}

async fn exchange<Request>(mut stream: UnixStream, path: PathBuf, request: &Request) -> Result<String, RequestError>
where
    Request: Serialize + ?Sized,
{
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

#[cfg(test)]
mod tests {
    use super::super::ControlSocket;
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use tempfile::TempDir;
    use tokio::task::JoinHandle;

    /// Directories of a test's own.
    fn directories(names: &[&str]) -> (TempDir, Directories) {
        let parent = tempfile::tempdir().unwrap();
        let directories = names.iter().map(|name| parent.path().join(name)).collect();
        (parent, Directories(directories))
    }

    fn served<Answer>(
        directories: &Directories,
        handler: impl Fn(String) -> Answer + Send + Sync + 'static,
    ) -> JoinHandle<()>
    where
        Answer: Future<Output = Response> + Send + 'static,
    {
        tokio::spawn(ControlSocket::bind_in(directories, "app", 1).unwrap().serve(handler))
    }

    async fn error(directories: &Directories) -> String {
        send_in(directories, "app", 1, "request").await.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn a_request_is_answered_with_a_text_or_an_error() {
        let (_parent, directories) = directories(&["bennu"]);
        let _server = served(&directories, async |request| match request.as_str() {
            "good" => Ok("fine".to_owned()),
            other => Err(format!("{other:?} is not good")),
        });
        assert_eq!(send_in(&directories, "app", 1, "good").await.unwrap(), "fine");
        assert_eq!(error(&directories).await, "\"request\" is not good");
    }

    #[tokio::test]
    async fn the_error_without_a_server_has_the_command_that_starts_it() {
        let (_parent, directories) = directories(&["bennu", "other"]);
        assert_eq!(error(&directories).await, "no server answers on port 1: start it with PORT=1 bin/run app");
        // A server on another port, and one of another application, are not the one.
        let _others =
            [("app", 2), ("other", 1)].map(|(app, port)| ControlSocket::bind_in(&directories, app, port).unwrap());
        assert_eq!(error(&directories).await, "no server answers on port 1: start it with PORT=1 bin/run app");
    }

    #[tokio::test]
    async fn a_directory_that_others_may_enter_hides_no_server_and_is_named_when_there_is_none() {
        let (_parent, directories) = directories(&["squatted", "bennu"]);
        let squatted = &directories.0[0];
        std::fs::create_dir(squatted).unwrap();
        std::fs::set_permissions(squatted, std::fs::Permissions::from_mode(0o755)).unwrap();
        let server = served(&directories, async |_| Ok("the one in the next directory".to_owned()));
        assert_eq!(send_in(&directories, "app", 1, "request").await.unwrap(), "the one in the next directory");
        server.abort();
        let _ = server.await;
        let reason = "it is not a directory that only you may enter (mode 0700)";
        let expected = format!("could not reach the server at {}: {reason}", squatted.display());
        assert_eq!(error(&directories).await, expected);
    }

    #[tokio::test]
    async fn a_handler_that_panics_closes_its_connection_only() {
        let (_parent, directories) = directories(&["bennu"]);
        let _server = served(&directories, async |request| match request.as_str() {
            "good" => Ok("fine".to_owned()),
            _ => panic!("on purpose"),
        });
        assert_eq!(error(&directories).await, "the server closed the connection before it answered");
        assert_eq!(send_in(&directories, "app", 1, "good").await.unwrap(), "fine");
    }

    #[tokio::test]
    async fn a_request_and_a_response_past_the_limit_are_errors_with_the_limit() {
        let (_parent, directories) = directories(&["bennu"]);
        let long = "x".repeat(super::super::MAX_LINE_BYTES as usize);
        let response = long.clone();
        let _server = served(&directories, move |_| std::future::ready(Ok(response.clone())));
        let limit = "a line has more than 1048576 bytes";
        let request = send_in(&directories, "app", 1, &long).await.unwrap_err().to_string();
        assert!(request.ends_with(limit), "{request}");
        assert_eq!(error(&directories).await, format!("could not send the response: {limit}"));
    }
}
