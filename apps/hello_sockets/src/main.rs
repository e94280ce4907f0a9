//! `hello_sockets`: see [`hello_sockets::command`] for what it can be told to do.

use clap::Parser;
use hello_sockets::command::{self, CommandLine};
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    match command::run(CommandLine::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hello_sockets: {error}");
            ExitCode::FAILURE
        }
    }
}
