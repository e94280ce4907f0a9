//! The clients: Rust clients in this process, and official JavaScript clients in a Node process.
//!
//! Each joins its room, follows the room's presence, and reports to the monitor; the official clients do so by lines on
//! the standard output of `swarm.mjs`.

use crate::monitor::Monitor;
use crate::{Error, Plan, ROOM_SIZE};
use bennu_client::presence::{ChannelPresence, Entry, Listener};
use bennu_client::{ChannelEvent, Client, ClientChannel, ConnectionState, States, Transport};
use serde::Deserialize;
use serde_json::json;
use std::collections::HashMap;
use std::convert::Infallible;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Instant;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::task::JoinSet;

/// Starts the Rust clients. They end when the returned set is dropped.
pub(crate) fn start_rust(plan: &Plan, url: &str, monitor: &Arc<Monitor>) -> Result<JoinSet<()>, Error> {
    let mut tasks = JoinSet::new();
    let all = plan.websocket + plan.long_poll;
    for number in 0..all {
        // Spreads the long-poll clients over the rooms.
        let long_polls = (number + 1) * plan.long_poll / all > number * plan.long_poll / all;
        let transport = if long_polls { Transport::LongPoll } else { Transport::WebSocket };
        let client = Client::builder(url).transport(transport).start()?;
        let name = format!("u{number}");
        let channel = client.channel(Monitor::room(number)).params(json!({ "user": name })).open()?;
        tasks.spawn(run_client(number, client, channel, monitor.clone()));
    }
    Ok(tasks)
}

async fn run_client(number: usize, client: Client, mut channel: ClientChannel, monitor: Arc<Monitor>) {
    let listener = AbsenceListener { since: HashMap::new(), monitor: monitor.clone() };
    let mut presence = ChannelPresence::with_listener(listener);
    let mut states = client.states();
    let mut connected_at = Instant::now();
    loop {
        tokio::select! {
            // Reads a new connection before the join that follows it.
            biased;
            () = connected(&mut states) => connected_at = Instant::now(),
            event = channel.next_event() => match event {
                Some(ChannelEvent::Joined(_)) => monitor.joined(number, connected_at.elapsed()),
                Some(ChannelEvent::Interrupted(_) | ChannelEvent::Refused(_)) => monitor.interrupted(number),
                Some(ChannelEvent::Message(message)) if message.event == "marker" => {
                    let marker: Marker = message.parse().expect("markers come from this program");
                    monitor.marked(number, marker.n);
                }
                Some(ChannelEvent::Message(message)) => {
                    if presence.handle(&message) {
                        monitor.sees(number, presence.keys().count());
                    }
                }
                Some(ChannelEvent::Lagged(_)) => {}
                Some(_) | None => return,
            },
        }
    }
}

async fn connected(states: &mut States) {
    while !matches!(states.next().await, ConnectionState::Connected { .. }) {}
}

#[derive(Deserialize)]
struct Marker {
    n: u64,
}

/// Measures the absences of a room's presences, as one client sees them.
struct AbsenceListener {
    since: HashMap<String, Instant>,
    monitor: Arc<Monitor>,
}

impl Listener for AbsenceListener {
    fn joined(&mut self, key: &str, _: Option<&Entry>, _: &Entry) {
        if let Some(since) = self.since.remove(key) {
            self.monitor.absence(since.elapsed());
        }
    }

    fn left(&mut self, key: &str, current: &Entry, _: &Entry) {
        if current.metas.is_empty() {
            self.since.insert(key.to_owned(), Instant::now());
        }
    }
}

/// Runs the official clients until the future is dropped.
///
/// # Errors
/// When their process does not start, or ends.
pub(crate) async fn run_official(plan: &Plan, url: &str, monitor: &Monitor) -> Result<Infallible, Error> {
    if plan.official == 0 {
        return std::future::pending().await;
    }
    let first = plan.websocket + plan.long_poll;
    let mut command = Command::new("node");
    command.current_dir(&plan.clients).arg("swarm.mjs").arg(url);
    command.args([first, plan.official, ROOM_SIZE].map(|number| number.to_string()));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| format!("could not start node: {error}"))?;
    let mut lines = BufReader::new(child.stdout.take().expect("the output is piped")).lines();
    while let Some(line) = lines.next_line().await? {
        monitor.record_line(&line)?;
    }
    let status = child.wait().await?;
    Err(format!("the official clients ended with {status}; `npm ci` in {} installs them", plan.clients.display())
        .into())
}
