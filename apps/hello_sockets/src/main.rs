//! The program `hello_sockets`; see [`hello_sockets::command`] for its commands.

use clap::Parser;
use hello_sockets::command::{self, CommandLine};
use std::process::ExitCode;

/// Channels allocate and free many small objects together; this allocator returns their memory to the operating system.
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
