//! The Rust clients: each joins its room, and watches who comes and goes.

use crate::board::Board;
use crate::{Error, Plan};
use bennu_client::presence::{Entry, Presence, Watch};
use bennu_client::{Channel, Client, ConnectionState, Event, States, Transport};
use serde::Deserialize;
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;
use tokio::task::JoinSet;

/// Starts them; they end when what is returned is dropped.
pub(crate) fn start(plan: &Plan, url: &str, board: &Arc<Board>) -> Result<JoinSet<()>, Error> {
    let mut crowd = JoinSet::new();
    let all = plan.websocket + plan.long_poll;
    for number in 0..all {
        // Those that long poll are spread over the rooms.
        let long_polls = (number + 1) * plan.long_poll / all > number * plan.long_poll / all;
        let over = if long_polls { Transport::LongPoll } else { Transport::WebSocket };
        let client = Client::builder(url).transport(over).start()?;
        let name = format!("u{number}");
        let channel = client.channel(Board::room(number)).params(json!({ "user": name })).open()?;
        crowd.spawn(live(number, client, channel, board.clone()));
    }
    Ok(crowd)
}

async fn live(number: usize, client: Client, mut channel: Channel, board: Arc<Board>) {
    let mut presence = Presence::watched(Absences { since: HashMap::new(), board: board.clone() });
    let mut states = client.states();
    let mut asked = Instant::now();
    loop {
        tokio::select! {
            // What happened first: it is connected, then joined.
            biased;
            () = connected(&mut states) => asked = Instant::now(),
            event = channel.next_event() => match event {
                Some(Event::Joined(_)) => board.joined(number, asked.elapsed()),
                Some(Event::Interrupted(_) | Event::Refused(_)) => board.interrupted(number),
                Some(Event::Message(message)) if message.event == "marker" => {
                    let marker: Marker = message.parse().expect("it is ours");
                    board.marked(number, marker.n);
                }
                Some(Event::Message(message)) => {
                    if presence.handle(&message) {
                        board.sees(number, presence.keys().count());
                    }
                }
                Some(Event::Lagged(_)) => {}
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

/// Since when each of the room has been away, as this client sees it.
struct Absences {
    since: HashMap<String, Instant>,
    board: Arc<Board>,
}

impl Watch for Absences {
    fn joined(&mut self, key: &str, _: Option<&Entry>, _: &Entry) {
        if let Some(since) = self.since.remove(key) {
            self.board.absence(since.elapsed());
        }
    }

    fn left(&mut self, key: &str, current: &Entry, _: &Entry) {
        if current.metas.is_empty() {
            self.since.insert(key.to_owned(), Instant::now());
        }
    }
}
