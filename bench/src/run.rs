//! The conductor: `bennu-bench run`, what people start.
//!
//! Owns the order of things: for each scenario and round it starts the raw loop, measures it, ends it, and does
//! the same with the server under test and every peer, so that whatever else the machine does falls on all of
//! them alike. [`server`] owns the child processes, [`figure`] what is measured and which targets there are,
//! [`report`] the table.

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
/// The clients of the scenario of that name, beside this program.
const CLIENTS: &str = "bennu-bench-clients";
/// A server closes clients that are silent for 60 s, and fan-out's clients are silent: warm-up and two phases
/// must stay well below that.
const MAX_SECONDS: f64 = 20.0;
/// Memory hardly varies, and takes long.
const MAX_MEMORY_ROUNDS: usize = 3;

/// What the command line asks for.
struct Plan {
    scenarios: Vec<Scenario>,
    /// The raw loop first, then the server under test, then the peers.
    servers: Vec<ServerCommand>,
    rounds: usize,
    seconds: f64,
    rest_us: u64,
    /// Whether the load generator gets the last core and the servers the others.
    pinned: bool,
    quick: bool,
}

/// The figures of one server in one scenario: a value per round under each name.
type Figures = HashMap<String, Vec<f64>>;

/// The body of the subcommand.
///
/// # Errors
///
/// The command line is wrong, the raw loop does not run, or another server did not answer as it should; the
/// others' table is printed all the same. A target that is not met is no error.
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
        let rest_us = arguments.option("--rest-us")?.unwrap_or(0);
        arguments.finish()?;
        if rounds == 0 || !(0.0..=MAX_SECONDS).contains(&seconds) {
            return Err(io::Error::other("--rounds from 1 on, --seconds from 0 to 20"));
        }
        Ok(Self { scenarios, servers, rounds, seconds, rest_us, pinned, quick })
    }

    fn clients(&self, scenario: Scenario) -> usize {
        scenario.clients() / if self.quick { 10 } else { 1 }
    }

    /// Plays all rounds. A server that fails is left out from then on and named in `failures`.
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

    /// Starts the server, has the load generator measure it, and ends both.
    fn measure_once(&self, scenario: Scenario, server: &ServerCommand) -> io::Result<Vec<(String, f64)>> {
        let (server_cores, load_cores) = match self.pinned {
            true => (Cores::AllButLast, Cores::Last),
            false => (Cores::Any, Cores::Any),
        };
        let server = RunningServer::start(server, server_cores)?;
        let output = self
            .load(scenario, load_cores)?
            .args(["--port", &server.port.to_string()])
            .args(["--server-pid", &server.id().to_string()])
            .args(["--clients", &self.clients(scenario).to_string()])
            .args(["--seconds", &self.seconds.to_string()])
            .args(["--rest-us", &self.rest_us.to_string()])
            .stdin(Stdio::null())
            .output()?;
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr);
            return Err(io::Error::other(words.trim().to_owned()));
        }
        parse_figures(&String::from_utf8_lossy(&output.stdout))
    }

    /// The client side: this program, or the one that the Rust client is built into.
    fn load(&self, scenario: Scenario, cores: Cores) -> io::Result<Command> {
        let this = std::env::current_exe()?;
        if scenario != Scenario::Clients {
            let mut command = process::guarded(cores, &this.to_string_lossy())?;
            command.args(["load", scenario.name()]);
            return Ok(command);
        }
        let clients = this.with_file_name(CLIENTS);
        if !clients.is_file() {
            let path = clients.display();
            return Err(io::Error::other(format!("{path} is not there: cargo build --release -p {CLIENTS}")));
        }
        process::guarded(cores, &clients.to_string_lossy())
    }
}

/// Reads the load generator's `name value` lines.
fn parse_figures(lines: &str) -> io::Result<Vec<(String, f64)>> {
    let figure = |line: &str| {
        let (name, value) = line.split_once(' ')?;
        Some((name.to_owned(), value.parse().ok()?))
    };
    let bad = |line| io::Error::other(format!("the load generator says {line:?}"));
    lines.lines().map(|line| figure(line).ok_or_else(|| bad(line))).collect()
}

/// Lets this process and its children open as many files as the system's hard limit allows.
fn raise_open_files() -> io::Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    let most = Scenario::ALL.map(Scenario::clients).into_iter().max().unwrap_or_default() as u64;
    if maximum.or(current).is_some_and(|limit| limit < most + 100) {
        eprintln!("bennu-bench: {maximum:?} open files are too few for {most} clients: see ulimit -Hn");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_line_by_line_and_anything_else_is_an_error() {
        let figures = parse_figures("a 1.5\nb -2\n").unwrap();
        assert_eq!(figures, [("a".to_owned(), 1.5), ("b".to_owned(), -2.0)]);
        assert!(parse_figures("a 1.5\nlistening\n").is_err());
    }
}
