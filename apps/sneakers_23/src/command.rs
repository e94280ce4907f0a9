//! The command line: `serve`, and the owner's commands to the running server.
//!
//! `main` calls [`run`]. All commands but `serve`, `seed` and `hash-password` are requests over the control socket.

use crate::control::{APP, Request};
use crate::database::{self, OpenError, seed};
use crate::serve::{self, ServeError};
use app_service::control::{self, RequestError};
use app_service::password::{PasswordError, read_and_hash_password};
use app_service::{DEFAULT_PORT, serve as service};
use clap::{Parser, Subcommand};

/// The database of a store without `DATABASE_URL`.
const DEFAULT_DATABASE: &str = "sqlite://sneakers_23.db";

/// Serves the store, or sends a command to the running server.
#[derive(Debug, Parser)]
#[command(name = "sneakers_23", after_help = ENVIRONMENT)]
pub struct CommandLine {
    /// The server's port on this machine
    #[arg(long, env = "PORT", default_value_t = DEFAULT_PORT, global = true)]
    port: u16,
    /// The database: sqlite://FILE or postgres://USER@HOST/NAME
    #[arg(long, env = "DATABASE_URL", default_value = DEFAULT_DATABASE, global = true, hide_env_values = true)]
    database_url: String,
    #[command(subcommand)]
    command: Option<Command>,
}

const ENVIRONMENT: &str = "\
Environment of the server; all variables are optional:
  HOST                 the address to listen on [default: 127.0.0.1, this machine only]
  NODE, CLUSTER        this node's name, and the broker of the nodes: redis://localhost:6379, nats://localhost:4222,
                       or without a broker zenoh://localhost:7447 with ?connect=HOST:PORT of another node
  ADMIN_PASSWORD_HASH  the hash of the owner's password, from the command hash-password [default: a random password,
                       which is printed]
  SECRET_KEY_BASE      the secret of sessions and tokens [default: a random one, which the database keeps]
  ASSETS               the directory of the pages' files
  RUST_LOG             the filter of the log on standard error [default: info]";

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves the store (the default command)
    Serve,
    #[command(flatten)]
    Server(Request),
    /// Fills the database with products and a new stock: seed --reset
    Seed {
        /// Deletes all orders
        #[arg(long, required = true)]
        reset: bool,
    },
    /// Reads a password from standard input and prints its hash
    HashPassword,
}

/// The error of a command, in one line.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct CommandError(Failure);

#[derive(Debug, thiserror::Error)]
#[error(transparent)]
enum Failure {
    Serve(#[from] ServeError),
    Service(#[from] service::ServeError),
    Request(#[from] RequestError),
    Database(#[from] OpenError),
    Password(#[from] PasswordError),
    #[error("could not store the new stock: {0}")]
    Seed(#[from] sqlx::Error),
}

impl<E: Into<Failure>> From<E> for CommandError {
    fn from(error: E) -> Self {
        CommandError(error.into())
    }
}

/// Runs the command. `serve` returns after a stop signal and the drain.
///
/// # Errors
/// [`CommandError`] when the server cannot start, is not running, or rejects the command.
pub async fn run(CommandLine { port, database_url, command }: CommandLine) -> Result<(), CommandError> {
    match command.unwrap_or(Command::Serve) {
        Command::Serve => serve::serve(port, &database_url).await?,
        Command::Server(request) => println!("{}", control::send(APP, port, &request).await?),
        Command::Seed { .. } => {
            seed::reset(&database::open(&database_url).await?).await?;
            println!("ok");
        }
        Command::HashPassword => println!("{}", read_and_hash_password()?),
    }
    Ok(())
}
