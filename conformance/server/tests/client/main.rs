//! The Rust client against this server, which runs as a process of its own: the tests of the official client in
//! `clients/` over both transports, and a network that is slow and loses packets.

mod connection;
mod conversation;
mod fallback;
mod network;
mod proxy;
mod recovery;
mod server;

use bennu_client::{ChannelEvent, Client, ClientBuilder, ClientChannel, ConnectionError, ConnectionState, Transport};
use serde_json::Value;
use server::Server;
use std::future::Future;
use std::time::Duration;

/// The time limit of each wait, for debug builds on a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// Awaits `future` within the time limit.
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

fn builder(server: &Server, mount: &str, transport: Transport) -> ClientBuilder {
    Client::builder(format!("ws://127.0.0.1:{}/{mount}", server.port)).transport(transport)
}

async fn connect(server: &Server, transport: Transport) -> Client {
    soon("the connection", builder(server, "socket", transport).connect())
        .await
        .expect("the server accepts every client")
}

async fn join(client: &Client, topic: &str) -> ClientChannel {
    soon("the join", client.join(topic, Value::from(serde_json::Map::new()))).await.expect("every client may join")
}

/// Pushes and returns the response of the ok reply.
async fn request(channel: &ClientChannel, event: &str, payload: Value) -> Value {
    soon(event, channel.push(event, payload)).await.expect("a reply").parse().expect("ok, and JSON")
}

async fn next_event(channel: &mut ClientChannel) -> ChannelEvent {
    soon("an event", channel.next_event()).await.expect("the channel has not ended")
}

/// Waits until the client has connected `number` times.
async fn connection(client: &Client, number: u64) {
    let mut states = client.states();
    let reached =
        async { while !matches!(states.next().await, ConnectionState::Connected { count, .. } if count >= number) {} };
    soon(&format!("connection {number}"), reached).await;
}

/// Waits until the connection is lost and returns the cause.
async fn outage(client: &Client) -> ConnectionError {
    let mut states = client.states();
    let cause = async {
        loop {
            let state = states.next().await;
            // The client may have reconnected already.
            if let Some(lost) = client.last_error() {
                return (*lost).clone();
            } else if let ConnectionState::Waiting { cause, .. } = state {
                return (*cause).clone();
            }
        }
    };
    soon("the outage", cause).await
}
