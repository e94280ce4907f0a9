//! Push and reply: every client pushes, receives the reply, and pushes again.
//!
//! Each client keeps as many pushes in flight as the window allows: after each read it sends as many new pushes in one
//! write as the read had replies. Figures: replies per second of server CPU, and per second of wall time.

use std::io;
use std::time::{Duration, Instant};

use super::swarm::{Arrival, Swarm};
use super::{Load, Meter, figure, probe};
use crate::frame::{self, TEXT};
use crate::message::{self, TOPICS};

/// Pushes in flight per client, and the names of the figures.
const WINDOWS: [(usize, &str, &str); 2] =
    [(1, "echo_1_per_cpu_second", "echo_1_per_second"), (8, "echo_8_per_cpu_second", "echo_8_per_second")];

/// Runs the scenario: all clients connect and join; then each window has a warm-up and a measured phase.
///
/// # Errors
///
/// The server fails.
pub(super) fn measure(load: &Load) -> io::Result<()> {
    let lengths = probe::lengths(load.port)?;
    let mut swarm = Swarm::new(load)?;
    swarm.connect(load.clients)?;
    let join = frame::encode_client(TEXT, message::join(TOPICS[0]).as_bytes());
    swarm.request_all(0, &join, 1, &[lengths.join])?;
    swarm.expect(&[lengths.echo]);
    for (window, per_cpu, per_wall) in WINDOWS {
        push(&mut swarm, window, load.phase / 3)?;
        let meter = Meter::start(load.server)?;
        let replies = push(&mut swarm, window, load.phase)? as f64;
        let (cpu, wall) = meter.stop()?;
        figure(per_cpu, replies / cpu.as_secs_f64());
        figure(per_wall, replies / wall.as_secs_f64());
    }
    Ok(())
}

/// Pushes for `time`, waits for the last reply, and returns the number of replies.
fn push(swarm: &mut Swarm, window: usize, time: Duration) -> io::Result<u64> {
    let frame = frame::encode_client(TEXT, message::echo(TOPICS[0]).as_bytes());
    let frames = frame.repeat(window);
    let deadline = Instant::now() + time;
    for client in &swarm.clients {
        client.send(&frames)?;
    }
    let mut outstanding = swarm.clients.len() * window;
    let mut replies = 0;
    while outstanding > 0 {
        swarm.poll()?;
        let more = Instant::now() < deadline;
        for Arrival { client, texts } in swarm.arrivals.iter().copied() {
            let texts = texts as usize;
            if texts > window {
                return Err(io::Error::other("the server sent more replies than it received pushes"));
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
