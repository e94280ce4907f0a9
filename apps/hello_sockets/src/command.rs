//! The command line: `serve`, and the commands to a running server.
//!
//! `main` calls [`run`]. Every command but `serve` is a request over the control socket.

use crate::APP;
use crate::control::Request;
use crate::serve::{self, StartError};
use app_service::DEFAULT_PORT;
use app_service::control::{self, RequestError};
use clap::{Args, Parser, Subcommand};

/// Serves the page and its sockets, or sends a command to the running server.
#[derive(Debug, Parser)]
#[command(name = "hello_sockets", after_help = ENVIRONMENT)]
pub struct CommandLine {
    /// The server's port on this machine
    #[arg(long, env = "PORT", default_value_t = DEFAULT_PORT, global = true)]
    port: u16,
    #[command(subcommand)]
    command: Option<Command>,
}

const ENVIRONMENT: &str = "\
Environment of the server; all variables are optional:
  NODE             this node's name in a cluster [default: nonode@nohost]
  CLUSTER          the broker of the nodes: redis://localhost:6379 or nats://localhost:4222; or without a broker
                   zenoh://localhost:7447, on which this node listens, with ?connect=HOST:PORT of another node
  DOWN_AFTER       seconds of silence after which a node is down and its users are removed [default: 30]
  STATSD           the StatsD server of the measurements, as localhost:8125 [default: they are printed]
  SECRET_KEY_BASE  the secret of the tokens; without it, they are valid until the server ends
  ASSETS           the directory of the page's files
  RUST_LOG         the filter of the log on standard error [default: info]";

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves the page and its sockets (the default command)
    Serve,
    /// Broadcasts an event to all clients on a topic: broadcast ping request_ping '{}'
    Broadcast {
        topic: String,
        event: String,
        /// A JSON object
        payload: String,
    },
    /// Broadcasts numbers on the topic dupe repeatedly: dupe 1,2,3 100
    #[command(allow_negative_numbers = true)]
    Dupe {
        #[arg(value_delimiter = ',', required = true)]
        numbers: Vec<i64>,
        times: u32,
    },
    /// Sends data to a user through the pipeline: push 1 '{"n": 1}', or push 1 --times 50 --work-ms 1000
    Push(PushArguments),
    /// Like push, and measures the time until delivery: push_timed 1 --times 500
    #[command(name = "push_timed")]
    PushTimed(PushArguments),
    /// Increments a counter, which StatsD lines show: increment test name:1 success:true
    Increment {
        name: String,
        /// key:value
        tags: Vec<String>,
    },
    /// Prints the other nodes of the cluster
    Nodes,
    /// Prints a token for a user, valid for one day
    Sign { user_id: u64 },
    /// Closes the connections of a socket id: disconnect auth_socket:1
    Disconnect { socket_id: String },
}

#[derive(Debug, Args)]
struct PushArguments {
    user_id: u64,
    /// A JSON object
    #[arg(default_value = "{}")]
    data: String,
    /// Sends the data this many times, each with its number from 1 on as "n"
    #[arg(long)]
    times: Option<u32>,
    /// The time that a worker needs for each, in milliseconds
    #[arg(long, default_value_t = 0)]
    work_ms: u64,
}

impl PushArguments {
    fn request(self, timed: bool) -> Request {
        let PushArguments { user_id, data, times, work_ms } = self;
        Request::Push { user_id, data, times, work_ms, timed }
    }
}

/// The error of a command, in one line.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct CommandError(Failure);

#[derive(Debug, thiserror::Error)]
#[error(transparent)]
enum Failure {
    Start(#[from] StartError),
    Request(#[from] RequestError),
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
pub async fn run(CommandLine { port, command }: CommandLine) -> Result<(), CommandError> {
    let request = match command {
        None | Some(Command::Serve) => return Ok(serve::serve(port).await?),
        Some(Command::Broadcast { topic, event, payload }) => Request::Broadcast { topic, event, payload },
        Some(Command::Dupe { numbers, times }) => Request::Dupe { numbers, times },
        Some(Command::Push(push)) => push.request(false),
        Some(Command::PushTimed(push)) => push.request(true),
        Some(Command::Increment { name, tags }) => Request::Increment { name, tags },
        Some(Command::Nodes) => Request::Nodes,
        Some(Command::Sign { user_id }) => Request::Sign { user_id },
        Some(Command::Disconnect { socket_id }) => Request::Disconnect { socket_id },
    };
    println!("{}", control::send(APP, port, &request).await?);
    Ok(())
}
