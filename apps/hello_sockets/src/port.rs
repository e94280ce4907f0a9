//! The server's port: which it is unless one is chosen, and what to type for another. Said by the command line, by the
//! server that cannot have it, and by the client that finds nobody there.

/// The book's.
pub(crate) const DEFAULT_PORT: u16 = 4000;

/// What to type to start a server on this port.
pub(crate) fn start(port: u16) -> String {
    match port {
        DEFAULT_PORT => "bin/run".to_owned(),
        _ => format!("PORT={port} bin/run"),
    }
}
