//! Connect and join: the CPU cost of a new client.
//!
//! First some clients warm the server up and stay connected. Then the other clients connect, 50 at a time, each until
//! its 101 response; after that each joins the shared topic, 50 at a time. Figures: microseconds of server CPU per
//! connect (TCP accept, HTTP, upgrade) and per join.

use std::io;

use super::swarm::Swarm;
use super::{Load, Meter, figure, probe};
use crate::frame::{self, TEXT};
use crate::message::{self, TOPICS};

/// One client in this many is added for the warm-up.
const WARM_UP_DIVISOR: usize = 5;

/// Runs the scenario.
///
/// # Errors
///
/// The server fails.
pub(super) fn measure(load: &Load) -> io::Result<()> {
    let lengths = probe::lengths(load.port)?;
    let join = frame::encode_client(TEXT, message::join(TOPICS[0]).as_bytes());
    let mut swarm = Swarm::new(load)?;
    swarm.connect(load.clients / WARM_UP_DIVISOR)?;
    swarm.request_all(0, &join, 1, &[lengths.join])?;
    let first = swarm.clients.len();

    let meter = Meter::start(load.server)?;
    swarm.connect(load.clients)?;
    let (connect, _) = meter.stop()?;
    let meter = Meter::start(load.server)?;
    swarm.request_all(first, &join, 1, &[lengths.join])?;
    let (joined, _) = meter.stop()?;

    let clients = load.clients as f64;
    figure("connect_cpu_us", connect.as_secs_f64() * 1e6 / clients);
    figure("join_cpu_us", joined.as_secs_f64() * 1e6 / clients);
    Ok(())
}
