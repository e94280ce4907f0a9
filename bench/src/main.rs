//! `bennu-bench`: the CPU time and the memory of a Phoenix Channels server, compared with a raw epoll loop.
//!
//! One binary has every role, each in a process of its own so that the kernel separates their CPU times: [`run`] is the
//! coordinator, which a user starts; [`raw`] is the baseline; [`load`] is the load generator. This file selects the
//! role. The binary depends on no crate of Bennu: it drives the server under test over its socket, like any other
//! server.

mod argument;
mod frame;
mod handshake;
mod load;
mod message;
mod process;
mod raw;
mod run;

use std::process::ExitCode;

use argument::Arguments;

const USAGE: &str = "\
usage:
  bennu-bench run [fanout|echo|join|memory|clients|all] [--server PATH|raw] [--peer NAME=CMD]...
                  [--rounds N] [--seconds N] [--pin] [--rest-us N] [--quick]
      measures the server under test and every peer beside the raw loop and prints a table
  bennu-bench raw-server PORT
      the baseline: a single-threaded epoll loop with a minimal implementation of the protocol

bench/README.md describes the figures.";

fn main() -> ExitCode {
    let mut arguments = Arguments::from_env();
    let outcome = match arguments.word().as_deref() {
        Some("run") => run::main(arguments),
        Some("raw-server") => raw::main(arguments),
        Some("load") => load::main(arguments),
        Some("guarded") => process::exec_guarded(arguments.rest()),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bennu-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
