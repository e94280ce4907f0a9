//! The server of the control socket, which calls the application's handler for each request of the command line.
//!
//! `serve` runs it beside the connections and ends it when the drain begins. Each request is a task of its own, which
//! ends with the socket or when its client disconnects.

use super::path::{self, Directories};
use super::{Response, is_trusted, read_line, write_line};
use serde::de::DeserializeOwned;
use std::future::Future;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

/// The time limit for a client's request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// The most requests at once; further clients wait until one has ended.
const MAX_REQUESTS: usize = 64;

/// The listening socket. Dropping it removes its file.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
}

/// A control socket that could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// A server of the application with the same port number is running, on another address.
    #[error("another server listens at {}", .0.display())]
    Taken(PathBuf),
    /// No directory can be used.
    #[error("could not create a directory for the control socket: {0}")]
    Directory(#[source] io::Error),
    /// The socket cannot be created.
    #[error("could not open the control socket at {}: {error}", path.display())]
    Bind {
        /// The path of the socket.
        path: PathBuf,
        /// The error of the file system.
        error: io::Error,
    },
}

impl ControlSocket {
    /// Listens for requests to the server of an application (the name of its package) on `port`.
    ///
    /// The socket is `APP-PORT.sock`, with mode 0600, in `$XDG_RUNTIME_DIR/bennu`. Without that variable, or when the
    /// directory is not private to this user, it is in `bennu-UID` among the temporary files, or else in `.bennu` in the
    /// home directory; each directory that cannot be used is logged. The file of a killed server is replaced.
    ///
    /// # Errors
    /// [`ControlError`]
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn bind(app: &str, port: u16) -> Result<Self, ControlError> {
        Self::bind_in(&Directories::of_user(), app, port)
    }

    pub(super) fn bind_in(directories: &Directories, app: &str, port: u16) -> Result<Self, ControlError> {
        let path = directories.prepare().map_err(ControlError::Directory)?.join(path::file_name(app, port));
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

    /// Calls `handler` for each request and sends its result to the client, until the future is dropped.
    ///
    /// Requests are handled concurrently, up to 64 at once. A client has 5 s to send its request, of at most 1 MiB; a
    /// line that is not a `Request` is answered with an error. When a client disconnects, the future of its handler is
    /// dropped; a handler that panics closes its connection.
    pub async fn serve<Request, Answer>(self, handler: impl Fn(Request) -> Answer + Send + Sync + 'static)
    where
        Request: DeserializeOwned + Send + 'static,
        Answer: Future<Output = Response> + Send + 'static,
    {
        let handler = Arc::new(handler);
        let mut requests = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept(), if requests.len() < MAX_REQUESTS => match accepted {
                    Ok((stream, _)) => { requests.spawn(answer(stream, Arc::clone(&handler))); }
                    Err(error) => {
                        tracing::error!(%error, "could not accept a command, trying again in 1 s");
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                },
                Some(ended) = requests.join_next() => match ended {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::warn!(%error, "could not complete a command"),
                    Err(error) => tracing::error!(%error, "a command panicked"),
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

async fn answer<Request, Answer>(mut stream: UnixStream, handler: Arc<impl Fn(Request) -> Answer>) -> io::Result<()>
where
    Request: DeserializeOwned,
    Answer: Future<Output = Response>,
{
    if !is_trusted(&stream)? {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the client belongs to another user"));
    }
    let response = match tokio::time::timeout(REQUEST_TIMEOUT, read_line(&mut stream)).await? {
        Ok(request) => tokio::select! {
            response = handler(request) => response,
            _ = stream.read_u8() => return Err(io::Error::other("the client closed the connection before the answer")),
        },
        Err(error) => Err(format!("the line is not a command: {error}")),
    };
    match write_line(&mut stream, &response).await {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            write_line(&mut stream, &Response::Err(format!("could not send the response: {error}"))).await
        }
        written => written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tempfile::TempDir;
    use tokio::io::AsyncWriteExt;
    use tokio::sync::Semaphore;
    use tokio::sync::mpsc;

    fn directories() -> (TempDir, Directories) {
        let parent = tempfile::tempdir().unwrap();
        let directories = Directories(vec![parent.path().join("bennu")]);
        (parent, directories)
    }

    /// Sends bytes to the socket and returns everything until its end.
    async fn exchange(path: &std::path::Path, bytes: &[u8]) -> String {
        let mut stream = UnixStream::connect(path).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        response
    }

    #[tokio::test]
    async fn the_socket_and_its_directory_are_private_and_the_file_is_removed_at_the_end() {
        let (_parent, directories) = directories();
        let socket = ControlSocket::bind_in(&directories, "app", 1).unwrap();
        let path = socket.path.clone();
        let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_second_server_is_refused_and_the_file_of_a_killed_one_is_replaced() {
        let (_parent, directories) = directories();
        let socket = ControlSocket::bind_in(&directories, "app", 1).unwrap();
        let taken = ControlSocket::bind_in(&directories, "app", 1).unwrap_err();
        assert_eq!(taken.to_string(), format!("another server listens at {}", socket.path.display()));
        let path = socket.path.clone();
        drop(socket);
        // A listener of the standard library leaves its file, as a killed process does.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        ControlSocket::bind_in(&directories, "app", 1).unwrap();
    }

    #[tokio::test]
    async fn a_line_that_is_not_a_request_is_answered_with_the_reason() {
        let (_parent, directories) = directories();
        let socket = ControlSocket::bind_in(&directories, "app", 1).unwrap();
        let path = socket.path.clone();
        let _server = tokio::spawn(socket.serve(async |request: u8| Ok(request.to_string())));
        assert_eq!(exchange(&path, b"7\n").await, "{\"Ok\":\"7\"}\n");
        for (line, expected) in [
            (b"nonsense\n".to_vec(), r#"{"Err":"the line is not a command: "#),
            (b"300\n".to_vec(), r#"{"Err":"the line is not a command: "#),
            (vec![b'x'; 1 << 20], r#"{"Err":"the line is not a command: a line has more than 1048576 bytes"}"#),
        ] {
            let response = exchange(&path, &line).await;
            assert!(response.starts_with(expected), "{response}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_sends_no_request_is_disconnected_after_five_seconds() {
        let (_parent, directories) = directories();
        let socket = ControlSocket::bind_in(&directories, "app", 1).unwrap();
        let path = socket.path.clone();
        let _server = tokio::spawn(socket.serve(async |_: u8| Ok(String::new())));
        let start = tokio::time::Instant::now();
        assert_eq!(exchange(&path, b"7").await, "");
        assert_eq!(start.elapsed().as_secs(), 5);
    }

    #[tokio::test]
    async fn a_client_that_disconnects_drops_its_handler() {
        struct Dropped(mpsc::UnboundedSender<&'static str>);
        impl Drop for Dropped {
            fn drop(&mut self) {
                let _ = self.0.send("dropped");
            }
        }
        let (_parent, directories) = directories();
        let socket = ControlSocket::bind_in(&directories, "app", 1).unwrap();
        let path = socket.path.clone();
        let (sender, mut events) = mpsc::unbounded_channel();
        let _server = tokio::spawn(socket.serve(move |_: u8| {
            let dropped = Dropped(sender.clone());
            async move {
                dropped.0.send("called").unwrap();
                std::future::pending().await
            }
        }));
        let mut client = UnixStream::connect(&path).await.unwrap();
        client.write_all(b"7\n").await.unwrap();
        assert_eq!(events.recv().await, Some("called"));
        drop(client);
        assert_eq!(events.recv().await, Some("dropped"));
    }

    #[tokio::test]
    async fn requests_past_the_limit_wait_until_another_has_ended() {
        let (_parent, directories) = directories();
        let socket = ControlSocket::bind_in(&directories, "app", 1).unwrap();
        let path = socket.path.clone();
        let (running, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let (sender, mut called) = mpsc::unbounded_channel();
        let _server = tokio::spawn(socket.serve({
            let gate = Arc::clone(&gate);
            move |_: u8| {
                let (running, gate, sender) = (Arc::clone(&running), Arc::clone(&gate), sender.clone());
                async move {
                    let now_running = running.fetch_add(1, Ordering::AcqRel) + 1;
                    sender.send(()).unwrap();
                    gate.acquire().await.unwrap().forget();
                    running.fetch_sub(1, Ordering::AcqRel);
                    Ok(now_running.to_string())
                }
            }
        }));
        let clients: Vec<_> = (0..2 * MAX_REQUESTS)
            .map(|_| {
                let path = path.clone();
                tokio::spawn(async move { exchange(&path, b"7\n").await })
            })
            .collect();
        for _ in 0..MAX_REQUESTS {
            called.recv().await.unwrap();
        }
        gate.add_permits(2 * MAX_REQUESTS);
        for response in futures::future::join_all(clients).await {
            let response: Response = serde_json::from_str(&response.unwrap()).unwrap();
            assert!(response.unwrap().parse::<usize>().unwrap() <= MAX_REQUESTS);
        }
    }
}
