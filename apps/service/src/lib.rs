//! The part of every application around Bennu that runs it: its start and stop, its cluster and secret from the
//! environment, commands from a terminal to the running server, its database, tasks that are started again, and the
//! signing in, forms and problems of its pages.
//!
//! `hello_sockets`, `sneakers_23` and `training_center` use this crate. It contains nothing of them, except the name of
//! the application that `bin/run` starts by default. An application calls [`serve::Service::listen`] first, so that a
//! port in use is the first error. Then it starts its own parts, with [`secret`], [`cluster`] and [`supervisor`]. It
//! calls [`serve::Service::run`] last, which returns after the stop signal and the drain. Each command of its command
//! line is a [`control::send`]. The text of each error is one line, with the variable or the command to change.
//! [`web`] is the shared half of the pages.

pub mod cluster;
pub mod control;
#[cfg(feature = "database")]
pub mod database;
pub mod password;
pub mod secret;
pub mod serve;
pub mod supervisor;
pub mod web;

use std::time::{SystemTime, UNIX_EPOCH};

/// Returns the milliseconds since 1970.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The port of a server unless another is chosen, as in the book.
pub const DEFAULT_PORT: u16 = 4000;

/// The application that `bin/run` starts when none is named.
pub const DEFAULT_APP: &str = "sneakers_23";

/// Returns the shell command that starts an application on a port, for error messages: `bin/run`, or as
/// `PORT=4001 bin/run hello_sockets`.
pub fn start_command(app: &str, port: u16) -> String {
    let port = if port == DEFAULT_PORT { String::new() } else { format!("PORT={port} ") };
    let app = if app == DEFAULT_APP { String::new() } else { format!(" {app}") };
    format!("{port}bin/run{app}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_command_names_only_what_is_not_the_default() {
        assert_eq!(start_command("sneakers_23", 4000), "bin/run");
        assert_eq!(start_command("sneakers_23", 4001), "PORT=4001 bin/run");
        assert_eq!(start_command("hello_sockets", 4000), "bin/run hello_sockets");
        assert_eq!(start_command("hello_sockets", 4001), "PORT=4001 bin/run hello_sockets");
    }
}
