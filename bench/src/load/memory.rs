//! Memory: the cost of an idle joined client and of each further topic, and the share that the server frees.
//!
//! There are five topics, each shared by all clients. Steps: a hundred clients connect and disconnect, so that code and
//! pools that every server touches once are not counted as clients; all clients connect and join the first topic; each
//! joins four more; each leaves those four; each leaves the first; all disconnect. After each step the server's memory
//! is read once it has settled.

use std::io;
use std::time::Duration;

use super::swarm::Swarm;
use super::{Load, figure, probe};
use crate::frame::{self, TEXT};
use crate::message::{self, TOPICS};
use crate::process::Memory;

const WARM_UP_CLIENTS: usize = 100;
/// The longest wait for memory to settle after growth.
const GROWTH_TIMEOUT: Duration = Duration::from_secs(4);
/// The longest wait for the allocator to return memory.
const SHRINK_TIMEOUT: Duration = Duration::from_secs(8);

/// Runs the scenario.
///
/// # Errors
///
/// The server fails.
pub(super) fn measure(load: &Load) -> io::Result<()> {
    let lengths = probe::lengths(load.port)?;
    let frame = |text: String| frame::encode_client(TEXT, text.as_bytes());
    let mut swarm = Swarm::new(load)?;
    let join = |swarm: &mut Swarm, topics: &[&str]| {
        let mut topics = topics.iter();
        topics.try_for_each(|topic| swarm.request_all(0, &frame(message::join(topic)), 1, &[lengths.join]))
    };
    let leave = |swarm: &mut Swarm, topics: &[&str]| {
        let mut topics = topics.iter();
        topics.try_for_each(|topic| swarm.request_all(0, &frame(message::leave(topic)), 2, &lengths.leave))
    };

    swarm.connect(WARM_UP_CLIENTS)?;
    join(&mut swarm, &TOPICS)?;
    leave(&mut swarm, &TOPICS)?;
    swarm.disconnect()?;
    let start = load.server.memory_settled(GROWTH_TIMEOUT)?;

    swarm.connect(load.clients)?;
    join(&mut swarm, &TOPICS[..1])?;
    let one_topic = load.server.memory_settled(GROWTH_TIMEOUT)?;
    join(&mut swarm, &TOPICS[1..])?;
    let all_topics = load.server.memory_settled(GROWTH_TIMEOUT)?;
    leave(&mut swarm, &TOPICS[1..])?;
    let back_to_one = load.server.memory_settled(SHRINK_TIMEOUT)?;
    leave(&mut swarm, &TOPICS[..1])?;
    swarm.disconnect()?;
    let end = load.server.memory_settled(SHRINK_TIMEOUT)?;

    let steps = [start, one_topic, all_topics, back_to_one, end];
    report(load.clients as f64, steps);
    Ok(())
}

fn report(clients: f64, steps: [Memory; 5]) {
    let [start, one, all, back, end] = steps.map(|memory| memory.resident as f64);
    let further = (TOPICS.len() - 1) as f64;
    figure("memory_client_bytes", (one - start) / clients);
    let anonymous = steps[1].anonymous as f64 - steps[0].anonymous as f64;
    figure("memory_client_anonymous_bytes", anonymous / clients);
    figure("memory_topic_bytes", (all - one) / clients / further);
    figure("memory_back_to_one_percent", (back - one) / one * 100.0);
    figure("memory_back_to_start_percent", (end - start) / start * 100.0);
    figure("memory_held_percent", (end - start) / (all - start) * 100.0);
    figure("memory_start_kib", start / 1024.0);
    figure("memory_peak_kib", all / 1024.0);
    figure("memory_end_kib", end / 1024.0);
}
