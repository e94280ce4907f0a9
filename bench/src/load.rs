//! The client side: `bennu-bench load SCENARIO`, started by the conductor beside a server that runs.
//!
//! A process of its own, so that its CPU time and its memory are not the server's. It prints one line per
//! figure, `name value`, for [`crate::run`] to read. [`probe`] proves first that the server speaks; [`swarm`]
//! owns the clients and their epoll; each scenario has a file.

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

/// What a scenario is told.
pub(crate) struct Load {
    /// The server's port on 127.0.0.1.
    pub(crate) port: u16,
    /// The server's process, for its CPU time and memory.
    pub(crate) server: Process,
    /// How many clients.
    pub(crate) clients: usize,
    /// How long each measured phase lasts.
    pub(crate) phase: Duration,
    /// How long the load generator rests between two looks at its sockets.
    pub(crate) rest: Duration,
}

/// The body of the subcommand.
///
/// # Errors
///
/// The command line is wrong, or the server answers otherwise than the benchmark expects.
pub(crate) fn main(mut arguments: Arguments) -> io::Result<()> {
    let scenario = arguments.word().unwrap_or_default();
    let load = Load {
        port: arguments.required("--port")?,
        server: Process { id: arguments.required("--server-pid")? },
        clients: arguments.required("--clients")?,
        phase: Duration::from_secs_f64(arguments.required("--seconds")?),
        rest: Duration::from_micros(arguments.required("--rest-us")?),
    };
    arguments.finish()?;
    match scenario.as_str() {
        "fanout" => fanout::measure(&load),
        "echo" => echo::measure(&load),
        "join" => join::measure(&load),
        "memory" => memory::measure(&load),
        _ => Err(io::Error::other(format!("there is no scenario {scenario:?}"))),
    }
}

/// Hands a figure to the conductor.
fn figure(name: &str, value: f64) {
    println!("{name} {value}");
}

/// Work that was done between two readings of the server's clocks, both taken at rest.
struct Meter {
    server: Process,
    cpu: Duration,
    wall: Instant,
}

impl Meter {
    fn start(server: Process) -> io::Result<Self> {
        Ok(Self { server, cpu: server.cpu_at_rest()?, wall: Instant::now() })
    }

    /// CPU and wall time since the start. The wall time ends before the wait for rest.
    fn stop(&self) -> io::Result<(Duration, Duration)> {
        let wall = self.wall.elapsed();
        Ok((self.server.cpu_at_rest()?.saturating_sub(self.cpu), wall))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{frame, raw};

    /// Twenty clients, an instant each phase, and this very process as the server.
    fn load() -> Load {
        Load {
            port: raw::serve_in_background(),
            server: Process { id: std::process::id() },
            clients: 20,
            phase: Duration::from_millis(30),
            rest: Duration::ZERO,
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
    fn fan_out_and_echo_and_join_run_to_their_end_against_the_raw_loop() {
        fanout::measure(&load()).unwrap();
        echo::measure(&load()).unwrap();
        join::measure(&load()).unwrap();
    }

    #[test]
    fn clients_that_leave_and_disconnect_are_answered_and_closed() {
        let load = load();
        let lengths = probe::lengths(load.port).unwrap();
        let mut swarm = swarm::Swarm::new(&load).unwrap();
        swarm.connect(load.clients).unwrap();
        for topic in crate::message::TOPICS {
            let frame = |text: String| frame::encode_client(frame::TEXT, text.as_bytes());
            let (join, leave) = (crate::message::join(topic), crate::message::leave(topic));
            swarm.ask_all(0, &frame(join), 1, &[lengths.join]).unwrap();
            swarm.ask_all(0, &frame(leave), 2, &lengths.leave).unwrap();
        }
        let start = Instant::now();
        swarm.disconnect().unwrap();
        assert!(start.elapsed() < Duration::from_secs(5), "the raw loop did not close");
        assert!(swarm.clients.is_empty());
    }
}
