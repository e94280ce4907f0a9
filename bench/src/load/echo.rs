//! Push and reply: every client asks, gets its answer, and asks again.
//!
//! Each client keeps as many questions under way as the window allows; the answers that one read brings are
//! followed by as many new questions in one write. Figures: replies per second of server CPU, and per second
//! of wall time.

use std::io;
use std::time::{Duration, Instant};

use super::swarm::{Arrival, Swarm};
use super::{Load, Meter, figure, probe};
use crate::frame::{self, TEXT};
use crate::message::{self, TOPICS};

/// Questions under way per client, and the names of the figures.
const WINDOWS: [(usize, &str, &str); 2] =
    [(1, "echo_1_per_cpu_second", "echo_1_per_second"), (8, "echo_8_per_cpu_second", "echo_8_per_second")];

/// Runs the scenario: connect and join all, then for each window a warm-up and the measured phase.
///
/// # Errors
///
/// The server fails in any way.
pub(super) fn measure(load: &Load) -> io::Result<()> {
    let lengths = probe::lengths(load.port)?;
    let mut swarm = Swarm::new(load)?;
    swarm.connect(load.clients)?;
    let join = frame::encode_client(TEXT, message::join(TOPICS[0]).as_bytes());
    swarm.ask_all(0, &join, 1, &[lengths.join])?;
    swarm.expect(&[lengths.echo]);
    for (window, per_cpu, per_wall) in WINDOWS {
        ask(&mut swarm, window, load.phase / 3)?;
        let meter = Meter::start(load.server)?;
        let replies = ask(&mut swarm, window, load.phase)? as f64;
        let (cpu, wall) = meter.stop()?;
        figure(per_cpu, replies / cpu.as_secs_f64());
        figure(per_wall, replies / wall.as_secs_f64());
    }
    Ok(())
}

/// Asks for `time`, waits for the last answer, and says how many there were.
fn ask(swarm: &mut Swarm, window: usize, time: Duration) -> io::Result<u64> {
    let frame = frame::encode_client(TEXT, message::echo(TOPICS[0]).as_bytes());
    let frames = frame.repeat(window);
    let deadline = Instant::now() + time;
    for client in &swarm.clients {
        client.send(&frames)?;
    }
    let mut outstanding = swarm.clients.len() * window;
    let mut replies = 0;
    while outstanding > 0 {
        swarm.turn()?;
        let more = Instant::now() < deadline;
        for Arrival { client, texts } in swarm.arrivals.iter().copied() {
            let texts = texts as usize;
            if texts > window {
                return Err(io::Error::other("the server replies more than it was asked"));
            }
            replies += texts as u64;
            if more {
                swarm.clients[client].send(&frames[..texts * frame.len()])?;
            } else {
                outstanding -= texts;
            }
        }
    }
    Ok(replies)
}
