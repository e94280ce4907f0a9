//! The load generator: `bennu-bench load SCENARIO`, which the coordinator starts after a server.
//!
//! It is a process of its own, so that its CPU time and memory are not counted as the server's. It prints one line per
//! figure, `name value`, which [`crate::run`] parses. [`probe`] first checks the server's protocol; [`swarm`] owns the
//! clients and their epoll instance; each scenario has a file.

mod client;
mod echo;
mod fanout;
mod join;
mod memory;
mod probe;
mod swarm;

use std::io;
use std::time::{Duration, Instant};

use crate::argument::Arguments;
use crate::process::Process;

/// The parameters of a scenario.
pub(crate) struct Load {
    /// The server's port on 127.0.0.1.
    pub(crate) port: u16,
    /// The server's process, for its CPU time and memory.
    pub(crate) server: Process,
    /// The number of clients.
    pub(crate) clients: usize,
    /// The duration of each measured phase.
    pub(crate) phase: Duration,
    /// The pause of the load generator before each poll of its sockets.
    pub(crate) pause: Duration,
}

/// Runs the subcommand.
///
/// # Errors
///
/// The command line is wrong, or the server's messages differ from those that the benchmark expects.
pub(crate) fn main(mut arguments: Arguments) -> io::Result<()> {
    let scenario = arguments.word().unwrap_or_default();
    let load = Load {
        port: arguments.required("--port")?,
        server: Process { id: arguments.required("--server-pid")? },
        clients: arguments.required("--clients")?,
        phase: Duration::from_secs_f64(arguments.required("--seconds")?),
        pause: Duration::from_micros(arguments.required("--rest-us")?),
    };
    arguments.finish()?;
    match scenario.as_str() {
        "fanout" => fanout::measure(&load),
        "echo" => echo::measure(&load),
        "join" => join::measure(&load),
        "memory" => memory::measure(&load),
        _ => Err(io::Error::other(format!("{scenario:?} is not a scenario"))),
    }
}

/// Prints a figure for the coordinator.
fn figure(name: &str, value: f64) {
    println!("{name} {value}");
}

/// Measures the server's CPU time and the wall time between two moments at which the server is idle.
struct Meter {
    server: Process,
    cpu: Duration,
    wall: Instant,
}

impl Meter {
    fn start(server: Process) -> io::Result<Self> {
        Ok(Self { server, cpu: server.cpu_when_idle()?, wall: Instant::now() })
    }

    /// Returns the CPU and wall time since the start. The wall time ends before the wait for the idle server.
    fn stop(&self) -> io::Result<(Duration, Duration)> {
        let wall = self.wall.elapsed();
        Ok((self.server.cpu_when_idle()?.saturating_sub(self.cpu), wall))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{frame, raw};

    /// Twenty clients, phases of 30 ms, and this process as the server.
    fn load() -> Load {
        Load {
            port: raw::serve_in_background(),
            server: Process { id: std::process::id() },
            clients: 20,
            phase: Duration::from_millis(30),
            pause: Duration::ZERO,
        }
    }

    #[test]
    fn the_raw_loop_answers_the_probe_with_the_frames_of_phoenix() {
        let lengths = probe::lengths(load().port).unwrap();
        let reply = r#"["1","1","bench:a","phx_reply",{"response":{},"status":"ok"}]"#.len() as u64;
        let close = r#"["1","1","bench:a","phx_close",{}]"#.len() as u64;
        assert_eq!(lengths.join, reply);
        assert_eq!(lengths.echo, reply - 2 + 100);
        assert_eq!(lengths.broadcast, r#"[null,null,"bench:a","msg",]"#.len() as u64 + 100);
        assert_eq!(lengths.leave, [reply, close]);
    }

    #[test]
    fn the_fanout_echo_and_join_scenarios_complete_against_the_raw_loop() {
        fanout::measure(&load()).unwrap();
        echo::measure(&load()).unwrap();
        join::measure(&load()).unwrap();
    }

    #[test]
    fn clients_that_leave_and_disconnect_are_replied_to_and_closed() {
        let load = load();
        let lengths = probe::lengths(load.port).unwrap();
        let mut swarm = swarm::Swarm::new(&load).unwrap();
        swarm.connect(load.clients).unwrap();
        for topic in crate::message::TOPICS {
            let frame = |text: String| frame::encode_client(frame::TEXT, text.as_bytes());
            let (join, leave) = (crate::message::join(topic), crate::message::leave(topic));
            swarm.request_all(0, &frame(join), 1, &[lengths.join]).unwrap();
            swarm.request_all(0, &frame(leave), 2, &lengths.leave).unwrap();
        }
        let start = Instant::now();
        swarm.disconnect().unwrap();
        assert!(start.elapsed() < Duration::from_secs(5), "the raw loop did not close the connections");
        assert!(swarm.clients.is_empty());
    }
}
