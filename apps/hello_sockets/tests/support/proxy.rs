//! A real nginx between the page and the server, which forwards no WebSocket: see `clients/proxy.conf`.

use tempfile::TempDir;
use test_program::free_port;
use test_program::server::{Server, start_nginx};

const CONFIGURATION: &str = include_str!("../../../../clients/proxy.conf");

/// A running nginx. Dropping it ends the process.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    _nginx: Server,
    _directory: TempDir,
}

impl Proxy {
    /// Starts nginx in front of a server's port; `Err` contains the missing program.
    pub(crate) async fn start(server: u16) -> Result<Self, String> {
        if !Server::is_installed("nginx") {
            return Err("could not find nginx in the PATH".to_owned());
        }
        let directory = tempfile::Builder::new().prefix("bennu-nginx-").tempdir().unwrap();
        let port = free_port();
        let configuration = CONFIGURATION
            .replace("@DIR@", directory.path().to_str().expect("a path in UTF-8"))
            .replace("@PORT@", &port.to_string())
            .replace("@SERVER@", &server.to_string());
        let nginx = start_nginx(directory.path(), &configuration, port).await.unwrap();
        Ok(Proxy { port, _nginx: nginx, _directory: directory })
    }
}
