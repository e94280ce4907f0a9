//! The Rust client against this server as a process of its own: everything that the official client is tested for in
//! `clients/`, over both transports, and a network that is slow and loses packets.

mod connection;
mod conversation;
mod fallback;
mod network;
mod proxy;
mod recovery;
mod server;

use bennu_client::{Builder, Channel, Client, ConnectionState, Event, Lost, Transport};
use serde_json::Value;
use server::Server;
use std::future::Future;
use std::time::Duration;

/// After this, what is waited for is not going to come: debug builds on a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// Waits for what should happen soon.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.unwrap_or_else(|_| panic!("{what} did not happen within {SOON:?}"))
}

/// Makes a test for each transport of one scenario.
macro_rules! over_both {
    ($($scenario:ident)*) => {
        mod over_websocket {
            $(#[tokio::test] async fn $scenario() { super::$scenario(bennu_client::Transport::WebSocket).await; })*
        }
        mod over_long_poll {
            $(#[tokio::test] async fn $scenario() { super::$scenario(bennu_client::Transport::LongPoll).await; })*
        }
    };
}
use over_both;

fn builder(server: &Server, mount: &str, transport: Transport) -> Builder {
    Client::builder(format!("ws://127.0.0.1:{}/{mount}", server.port)).transport(transport)
}

async fn connect(server: &Server, transport: Transport) -> Client {
    soon("the connection", builder(server, "socket", transport).connect()).await.expect("the server lets everybody in")
}

async fn join(client: &Client, topic: &str) -> Channel {
    soon("the join", client.join(topic, Value::from(serde_json::Map::new()))).await.expect("anybody may join")
}

/// The response of an ok reply.
async fn ask(channel: &Channel, event: &str, payload: Value) -> Value {
    soon(event, channel.push(event, payload)).await.expect("a reply").parse().expect("ok, and JSON")
}

async fn next_event(channel: &mut Channel) -> Event {
    soon("an event", channel.next_event()).await.expect("the channel goes on")
}

/// Waits for the connection of this number.
async fn connection(client: &Client, number: u64) {
    let mut states = client.states();
    let reached =
        async { while !matches!(states.next().await, ConnectionState::Connected { count, .. } if count >= number) {} };
    soon(&format!("connection {number}"), reached).await;
}

/// Waits until there is no connection, and says why.
async fn outage(client: &Client) -> Lost {
    let mut states = client.states();
    let cause = async {
        loop {
            let state = states.next().await;
            // The state may have passed already.
            if let Some(lost) = client.last_lost() {
                return (*lost).clone();
            } else if let ConnectionState::Waiting { cause, .. } = state {
                return (*cause).clone();
            }
        }
    };
    soon("the outage", cause).await
}
