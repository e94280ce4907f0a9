//! The program `training_center`; see [`training_center::command`] for its commands.

use clap::Parser;
use std::process::ExitCode;
use training_center::command::{self, CommandLine};

/// Channels allocate and free many small objects together; this allocator returns their memory to the operating system.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[tokio::main]
async fn main() -> ExitCode {
    match command::run(CommandLine::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("training_center: {error:#}");
            ExitCode::FAILURE
        }
    }
}
