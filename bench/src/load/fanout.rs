//! Fan-out: one client publishes, and every client on the topic receives the message.
//!
//! A message is complete when the last client has received it; as many messages as the window allows are in flight.
//! Figures: deliveries per second of server CPU, per second of wall time, and per second of the load generator's own
//! CPU, as a baseline for other clients.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use super::swarm::Swarm;
use super::{Load, Meter, figure, probe};
use crate::frame::{self, TEXT};
use crate::message::{self, TOPICS};
use crate::process::Process;

/// Messages in flight, and the names of the figures.
const WINDOWS: [(usize, &str, &str); 2] =
    [(1, "fanout_1_per_cpu_second", "fanout_1_per_second"), (16, "fanout_16_per_cpu_second", "fanout_16_per_second")];

/// The load generator's own rate, measured with the larger window.
const RECEIVED: &str = "fanout_16_received_per_cpu_second";

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
    swarm.expect(&[lengths.broadcast]);
    for (window, per_cpu, per_wall) in WINDOWS {
        publish(&mut swarm, window, load.phase / 3)?;
        let meter = Meter::start(load.server)?;
        let own = Process { id: std::process::id() };
        let own_cpu = own.cpu()?;
        let deliveries = publish(&mut swarm, window, load.phase)? as f64;
        let own_cpu = own.cpu()?.saturating_sub(own_cpu);
        let (cpu, wall) = meter.stop()?;
        figure(per_cpu, deliveries / cpu.as_secs_f64());
        figure(per_wall, deliveries / wall.as_secs_f64());
        if window > 1 {
            figure(RECEIVED, deliveries / own_cpu.as_secs_f64());
        }
    }
    Ok(())
}

/// Publishes for `time`, waits for the last delivery, and returns the number of deliveries.
fn publish(swarm: &mut Swarm, window: usize, time: Duration) -> io::Result<u64> {
    let frame = frame::encode_client(TEXT, message::broadcast(TOPICS[0]).as_bytes());
    let frames = frame.repeat(window);
    let clients = swarm.clients.len();
    swarm.clients.iter_mut().for_each(|client| client.received = 0);

    let deadline = Instant::now() + time;
    let mut delivered = 0;
    // The number of clients that have received each message in flight, the oldest first; and the oldest one's number.
    let mut reached: VecDeque<usize> = std::iter::repeat_n(0, window).collect();
    let mut oldest = 0;
    swarm.clients[0].send(&frames)?;
    while !reached.is_empty() {
        swarm.poll()?;
        for arrival in &swarm.arrivals {
            let received = &mut swarm.clients[arrival.client].received;
            let first = (*received - oldest) as usize;
            *received += u64::from(arrival.texts);
            delivered += u64::from(arrival.texts);
            for message in first..first + arrival.texts as usize {
                let count = reached.get_mut(message);
                *count.ok_or_else(|| io::Error::other("a client received a message twice"))? += 1;
            }
        }
        let done = reached.iter().take_while(|&&count| count == clients).count();
        reached.drain(..done);
        oldest += done as u64;
        if done > 0 && Instant::now() < deadline {
            reached.resize(reached.len() + done, 0);
            swarm.clients[0].send(&frames[..done * frame.len()])?;
        }
    }
    Ok(delivered)
}
