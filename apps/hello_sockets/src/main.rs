//! `hello_sockets`: see [`hello_sockets::command`] for what it can be told to do.

use clap::Parser;
use hello_sockets::command::{self, CommandLine};
use std::process::ExitCode;

/// Channels are many small objects that come and go together: this allocator gives their memory back.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

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
