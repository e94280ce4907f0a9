//! The coordinator: `bennu-bench run`.
//!
//! It owns the order of the measurements: in each round of a scenario it starts the raw loop, measures it and ends it,
//! and then does the same with the server under test and every peer, so that other load on the machine affects all of
//! them. [`server`] owns the child processes, [`figure`] the scenarios and the targets, [`report`] the table.

mod figure;
mod report;
mod server;
mod statistic;

use std::collections::HashMap;
use std::io;
use std::process::{Command, Stdio};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::argument::Arguments;
use crate::process::{self, Cores};
use figure::Scenario;
use server::{RunningServer, ServerCommand};

const DEFAULT_SERVER: &str = "target/release/conformance-server";
/// The program of the scenario `clients`, in the directory of this program.
const CLIENTS: &str = "bennu-bench-clients";
/// A server closes clients that send nothing for 60 s, as the clients of the fan-out do: a warm-up and two phases must
/// be much shorter.
const MAX_SECONDS: f64 = 20.0;
/// Memory figures hardly vary, and their rounds are long.
const MAX_MEMORY_ROUNDS: usize = 3;

/// The options of the command line.
struct Plan {
    scenarios: Vec<Scenario>,
    /// The raw loop first, then the server under test, then the peers.
    servers: Vec<ServerCommand>,
    rounds: usize,
    seconds: f64,
    pause_us: u64,
    /// Whether the load generator has the last core and the servers the others.
    pinned: bool,
    quick: bool,
}

/// The figures of one server in one scenario: a value per round under each name.
type Figures = HashMap<String, Vec<f64>>;

/// Runs the subcommand.
///
/// # Errors
///
/// The command line is wrong, the raw loop fails, or another server fails; the table of the other servers is printed
/// nevertheless. A missed target is not an error.
pub(crate) fn main(arguments: Arguments) -> io::Result<()> {
    let plan = Plan::read(arguments)?;
    raise_open_files()?;
    report::machine();
    let mut failures = Vec::new();
    for &scenario in &plan.scenarios {
        let measured = plan.measure(scenario, &mut failures)?;
        report::table(scenario, plan.clients(scenario), &plan.servers, &measured);
    }
    match failures.as_slice() {
        [] => Ok(()),
        failures => Err(io::Error::other(failures.join("\n"))),
    }
}

impl Plan {
    fn read(mut arguments: Arguments) -> io::Result<Self> {
        let scenarios = match arguments.word().as_deref() {
            None | Some("all") => Scenario::ALL.to_vec(),
            Some(name) => vec![Scenario::named(name)?],
        };
        let quick = arguments.flag("--quick");
        let pinned = arguments.flag("--pin");
        let tested: Option<String> = arguments.option("--server")?;
        let mut servers = vec![ServerCommand::raw("raw loop", false)?];
        servers.push(match tested.as_deref() {
            Some("raw") => ServerCommand::raw("raw again", true)?,
            path => ServerCommand::tested(path.unwrap_or(DEFAULT_SERVER))?,
        });
        if arguments.flag("--instruments") {
            servers.push(ServerCommand::instrumented(&servers[1]));
        }
        while let Some(peer) = arguments.option::<String>("--peer")? {
            servers.push(ServerCommand::peer(&peer)?);
        }
        let rounds = arguments.option("--rounds")?.unwrap_or(if quick { 1 } else { 5 });
        let seconds = arguments.option("--seconds")?.unwrap_or(if quick { 0.3 } else { 2.0 });
        let pause_us = arguments.option("--rest-us")?.unwrap_or(0);
        arguments.finish()?;
        if rounds == 0 || !(0.0..=MAX_SECONDS).contains(&seconds) {
            return Err(io::Error::other("--rounds must be at least 1, and --seconds from 0 to 20"));
        }
        Ok(Self { scenarios, servers, rounds, seconds, pause_us, pinned, quick })
    }

    fn clients(&self, scenario: Scenario) -> usize {
        scenario.clients() / if self.quick { 10 } else { 1 }
    }

    /// Runs all rounds. A server that fails is excluded from further rounds and added to `failures`.
    fn measure(&self, scenario: Scenario, failures: &mut Vec<String>) -> io::Result<Vec<Figures>> {
        let rounds = match scenario {
            Scenario::Memory | Scenario::Clients => self.rounds.min(MAX_MEMORY_ROUNDS),
            _ => self.rounds,
        };
        let mut measured = vec![Figures::new(); self.servers.len()];
        let mut failed = vec![false; self.servers.len()];
        for round in 1..=rounds {
            for (at, server) in self.servers.iter().enumerate() {
                if failed[at] {
                    continue;
                }
                eprintln!("{} {round}/{rounds}: {}", scenario.name(), server.name);
                match self.measure_once(scenario, server) {
                    Ok(figures) => {
                        figures.into_iter().for_each(|(name, value)| measured[at].entry(name).or_default().push(value))
                    }
                    Err(error) if at == 0 => return Err(error),
                    Err(error) => {
                        failed[at] = true;
                        measured[at].clear();
                        let failure = format!("{}: {}: {error}", server.name, scenario.name());
                        eprintln!("{failure}");
                        failures.push(failure);
                    }
                }
            }
        }
        Ok(measured)
    }

    /// Starts the server and the load generator, and ends both after the measurement.
    fn measure_once(&self, scenario: Scenario, server: &ServerCommand) -> io::Result<Vec<(String, f64)>> {
        let (server_cores, load_cores) = match self.pinned {
            true => (Cores::AllButLast, Cores::Last),
            false => (Cores::Any, Cores::Any),
        };
        let server = RunningServer::start(server, server_cores)?;
        let output = self
            .load_command(scenario, load_cores)?
            .args(["--port", &server.port.to_string()])
            .args(["--server-pid", &server.id().to_string()])
            .args(["--clients", &self.clients(scenario).to_string()])
            .args(["--seconds", &self.seconds.to_string()])
            .args(["--rest-us", &self.pause_us.to_string()])
            .stdin(Stdio::null())
            .output()?;
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr);
            return Err(io::Error::other(message.trim().to_owned()));
        }
        parse_figures(&String::from_utf8_lossy(&output.stdout))
    }

    /// Returns the command of the load generator: this program, or the one with the Rust client.
    fn load_command(&self, scenario: Scenario, cores: Cores) -> io::Result<Command> {
        let this = std::env::current_exe()?;
        if scenario != Scenario::Clients {
            let mut command = process::guarded(cores, &this.to_string_lossy())?;
            command.args(["load", scenario.name()]);
            return Ok(command);
        }
        let clients = this.with_file_name(CLIENTS);
        if !clients.is_file() {
            let path = clients.display();
            return Err(io::Error::other(format!("could not find {path}: run cargo build --release -p {CLIENTS}")));
        }
        process::guarded(cores, &clients.to_string_lossy())
    }
}

/// Parses the load generator's `name value` lines.
fn parse_figures(lines: &str) -> io::Result<Vec<(String, f64)>> {
    let figure = |line: &str| {
        let (name, value) = line.split_once(' ')?;
        Some((name.to_owned(), value.parse().ok()?))
    };
    let bad = |line| io::Error::other(format!("the load generator's line {line:?} is not a figure"));
    lines.lines().map(|line| figure(line).ok_or_else(|| bad(line))).collect()
}

/// Raises the limit of open files of this process and its children to the hard limit.
fn raise_open_files() -> io::Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    let most = Scenario::ALL.map(Scenario::clients).into_iter().max().unwrap_or_default() as u64;
    if maximum.or(current).is_some_and(|limit| limit < most + 100) {
        eprintln!("bennu-bench: the limit of {maximum:?} open files is too low for {most} clients: see ulimit -Hn");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_parsed_line_by_line_and_any_other_line_is_an_error() {
        let figures = parse_figures("a 1.5\nb -2\n").unwrap();
        assert_eq!(figures, [("a".to_owned(), 1.5), ("b".to_owned(), -2.0)]);
        assert!(parse_figures("a 1.5\nlistening\n").is_err());
    }
}
