//! The command line: `serve`, and the commands to the running server.

use crate::gym::Gym;
use crate::store::Store;
use app_service::password::{Password, read_and_hash_password};
use app_service::serve::{self, Service};
use app_service::supervisor::Supervisor;
use app_service::{DEFAULT_PORT, cluster, control, secret};
use bennu::Endpoint;
use clap::{Parser, Subcommand};

const APP: &str = "training_center";

/// Serves the Training Center, or sends a command to the running server.
#[derive(Debug, Parser)]
#[command(name = APP, after_help = ENVIRONMENT)]
pub struct CommandLine {
    /// The server's port
    #[arg(long, env = "PORT", default_value_t = DEFAULT_PORT, global = true)]
    port: u16,
    /// The database: sqlite://FILE or postgres://USER@HOST/NAME
    #[arg(long, env = "DATABASE_URL", default_value = "sqlite://training_center.db", hide_env_values = true)]
    database_url: String,
    /// The address that phones open, if it is another than the trainer's; it begins with http or https
    #[arg(long, env, value_parser = parse_public_url)]
    public_url: Option<String>,
    #[command(subcommand)]
    command: Option<Command>,
}

const ENVIRONMENT: &str = "\
Environment of the server; all variables are optional:
  HOST                   the address to listen on [default: 127.0.0.1, this machine only; 0.0.0.0 lets phones in]
  NODE, CLUSTER          this node's name, and the broker of the nodes, as of the other applications
  TRAINER_PASSWORD_HASH  the hash of the trainer's password, from the command hash-password [default: a random
                         password, which is printed]
  SECRET_KEY_BASE        the secret of sessions and tokens [default: a random one, which the database keeps]
  ASSETS                 the directory of the pages' files
  RUST_LOG               the filter of the log on standard error [default: info]";

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves the Training Center (the default command)
    Serve,
    /// Kills a task of the running server, which is started again: kill 'session 1'
    Kill { task: String },
    /// Reads a password from standard input and prints its hash
    HashPassword,
}

/// Runs the command. `serve` returns after a stop signal and the drain.
///
/// # Errors
/// When the server cannot start, is not running, or rejects the command.
pub async fn run(line: CommandLine) -> anyhow::Result<()> {
    match line.command {
        None | Some(Command::Serve) => serve(line).await?,
        Some(Command::Kill { task }) => println!("{}", control::send(APP, line.port, &task).await?),
        Some(Command::HashPassword) => println!("{}", read_and_hash_password()?),
    }
    Ok(())
}

async fn serve(CommandLine { port, database_url, public_url, .. }: CommandLine) -> anyhow::Result<()> {
    let service = Service::listen(APP, "Training Center", (serve::host()?, port))?;
    let store = Store::open(&database_url).await?;
    let secret = secret::from_env_or_database(&store.database).await?;
    let endpoint = Endpoint::builder(secret).pubsub(cluster::pubsub()?).build();
    let trainer = Password::from_env_or_printed("TRAINER_PASSWORD_HASH", "The trainer's password for /trainer")?;
    let supervisor = Supervisor::new();
    let database = store.database.clone();
    supervisor.start("database", move || database.clone().keep_open());
    let mut gym = Gym::new(endpoint, store, trainer, supervisor.clone());
    gym.public_url = public_url;

    let router = crate::app(&gym, &serve::assets(concat!(env!("CARGO_MANIFEST_DIR"), "/assets")))?;
    let tasks = supervisor.clone();
    let service = service.commands(move |task: String| {
        let tasks = tasks.clone();
        async move { tasks.kill_by_command(&task) }
    });
    service.run(router, &gym.endpoint).await?;
    supervisor.stop().await;
    Ok(())
}

fn parse_public_url(url: &str) -> Result<String, String> {
    match url.starts_with("http://") || url.starts_with("https://") {
        true => Ok(url.trim_end_matches('/').to_owned()),
        false => Err(format!("{url:?} is not an address: it must begin with http:// or https://")),
    }
}
