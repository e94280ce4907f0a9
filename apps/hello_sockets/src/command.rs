//! The command line: `serve`, and what can be asked of the server that runs.

use crate::control::{self, AskError, Request};
use crate::port::DEFAULT_PORT;
use crate::serve::{self, ServeError};
use clap::{Args, Parser, Subcommand};

/// Channels to talk to: serves the page and its sockets, or reaches the server that does.
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
Environment of the server, none of which is needed:
  NODE             this node's name in a cluster [default: nonode@nohost]
  CLUSTER          where the nodes of a cluster meet: redis://localhost:6379, nats://localhost:4222, or without a broker
                   zenoh://localhost:7447, where this node listens, with ?connect=HOST:PORT of another
  DOWN_AFTER       seconds after which a node that is silent is given up, and its users with it [default: 30]
  STATSD           where measurements are sent as StatsD lines, as localhost:8125 [default: they are printed]
  SECRET_KEY_BASE  what tokens are signed with; without it, they end with the server
  ASSETS           directory of what the page loads
  RUST_LOG         what is logged to standard error [default: info]";

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves the page and its sockets (what happens without a command)
    Serve,
    /// Broadcasts an event to all who have joined a topic: broadcast ping request_ping '{}'
    Broadcast {
        topic: String,
        event: String,
        /// A JSON object
        payload: String,
    },
    /// Broadcasts numbers on the topic dupe, again and again: dupe 1,2,3 100
    #[command(allow_negative_numbers = true)]
    Dupe {
        #[arg(value_delimiter = ',', required = true)]
        numbers: Vec<i64>,
        times: u32,
    },
    /// Sends to a user through the pipeline: push 1 '{"n": 1}', or push 1 --times 50 --work-ms 1000
    Push(PushArguments),
    /// As push, with the time until delivery measured: push_timed 1 --times 500
    #[command(name = "push_timed")]
    PushTimed(PushArguments),
    /// Counts something, as StatsD lines show it: increment test name:1 success:true
    Increment {
        name: String,
        /// key:value
        tags: Vec<String>,
    },
    /// Prints the other nodes of the cluster
    Nodes,
    /// Prints a token for a user, good for one day
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
    /// Sends it so many times, each with its number from 1 on as "n"
    #[arg(long)]
    times: Option<u32>,
    /// How long a worker is busy with each, in milliseconds
    #[arg(long, default_value_t = 0)]
    work_ms: u64,
}

impl PushArguments {
    fn request(self, timed: bool) -> Request {
        let PushArguments { user_id, data, times, work_ms } = self;
        Request::Push { user_id, data, times, work_ms, timed }
    }
}

/// What went wrong, in one line.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct CommandError(Failure);

#[derive(Debug, thiserror::Error)]
#[error(transparent)]
enum Failure {
    Serve(#[from] ServeError),
    Ask(#[from] AskError),
}

impl<E: Into<Failure>> From<E> for CommandError {
    fn from(error: E) -> Self {
        CommandError(error.into())
    }
}

/// Does what the command line says. `serve` returns once it was asked to stop and has drained.
///
/// # Errors
/// [`CommandError`]: the server cannot start, is not there, or refuses.
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
    println!("{}", control::ask(port, &request).await?);
    Ok(())
}
