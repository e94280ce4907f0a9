//! `bennu-bench`: how much CPU and memory a Phoenix Channels server spends, beside a raw epoll loop.
//!
//! One binary plays every role, each in a process of its own so that their CPU time is told apart:
//! [`run`] is the conductor that people start, [`raw`] is the yardstick, [`load`] is the client side.
//! This file only picks the role. Nothing here depends on the rest of Bennu: the server under test is
//! driven over its socket like any other.

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
      the yardstick: a single-threaded epoll loop that speaks just enough of the protocol

bench/README.md says what each figure means.";

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
