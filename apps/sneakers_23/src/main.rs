//! The program `sneakers_23`; see [`sneakers_23::command`] for its commands.

use clap::Parser;
use sneakers_23::command::{self, CommandLine};
use std::process::ExitCode;

/// Channels allocate and free many small objects together; this allocator returns their memory to the operating system.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[tokio::main]
async fn main() -> ExitCode {
    // The steps of the variable FAILPOINTS, at which a test kills this process.
    #[cfg(feature = "failpoints")]
    let _failpoints = fail::FailScenario::setup();
    match command::run(CommandLine::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sneakers_23: {error}");
            ExitCode::FAILURE
        }
    }
}
