//! A dashboard of a chat application whose rooms simulated clients visit.
//!
//!     cargo run -p bennu-dashboard --example live
//!
//! serves http://localhost:4000/dashboard until Ctrl-C; `PORT` sets another port.

use bennu::Endpoint;
use bennu::prelude::*;
use bennu::token::Secret;
use bennu_client::Client;
use bennu_dashboard::{Access, Dashboard};
use bennu_telemetry::Telemetry;
use std::error::Error;
use std::time::Duration;

/// The number of simulated clients.
const VISITORS: u64 = 60;

struct UserSocket;

impl Socket for UserSocket {
    type State = ();

    async fn connect(_request: Connect) -> Result<Self, Refusal> {
        Ok(UserSocket)
    }

    fn channels(router: &mut ChannelRouter<Self>) {
        router.channel::<RoomChannel>("room:*").channel::<SearchChannel>("search");
    }
}

/// Broadcasts each received message to the room.
struct RoomChannel;

impl<S: Socket> Channel<S> for RoomChannel {
    async fn join(topic: &str, _params: Payload, _ctx: &mut Context<S, Self>) -> Joined<Self> {
        if topic == "room:closed" { refuse(json!({ "reason": "this room is closed" })) } else { accept(RoomChannel) }
    }

    async fn handle_in(&mut self, event: &str, payload: Payload, ctx: &mut Context<S, Self>) -> Handled {
        match event {
            "say" => {
                ctx.broadcast("said", payload)?;
                noreply()
            }
            _ => unhandled(event),
        }
    }
}

/// Replies after a delay, like a channel with a database.
struct SearchChannel;

impl<S: Socket> Channel<S> for SearchChannel {
    async fn join(_topic: &str, _params: Payload, _ctx: &mut Context<S, Self>) -> Joined<Self> {
        tokio::time::sleep(Duration::from_millis(3)).await;
        accept(SearchChannel)
    }

    async fn handle_in(&mut self, event: &str, payload: Payload, _ctx: &mut Context<S, Self>) -> Handled {
        let took: u64 = payload.get("took")?.unwrap_or_default();
        tokio::time::sleep(Duration::from_millis(took)).await;
        match event {
            "find" => reply_ok(json!({ "found": took })),
            _ => unhandled(event),
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let dashboard = Dashboard::new();
    let exporters = Telemetry::new().prometheus().recorder(dashboard.recorder()).install()?;
    let endpoint = Endpoint::new(Secret::new("an example's secret, which protects nothing at all: 0123456789abcdef")?);
    let app = axum::Router::new()
        .merge(bennu::socket::<UserSocket>("/socket").router(&endpoint)?)
        .merge(exporters.metrics_router())
        // The server listens on the loopback address only, so every client that reaches it is admitted.
        .merge(dashboard.router("/dashboard", &endpoint, Access::everyone())?);
    let port = std::env::var("PORT").map_or(Ok(4000), |port| port.parse())?;
    let listener = bennu::bind(([127, 0, 0, 1], port))?;
    println!("http://localhost:{}/dashboard", listener.local_addr()?.port());
    let address = format!("ws://{}/socket", listener.local_addr()?);
    let mut visitors = tokio::task::JoinSet::new();
    for n in 0..VISITORS {
        visitors.spawn(visit(address.clone(), n));
    }
    let shutdown = async move {
        bennu::shutdown_signal().await;
        visitors.shutdown().await;
    };
    bennu::serve(listener, app, &endpoint).with_graceful_shutdown(shutdown).await?;
    Ok(())
}

/// Repeats a visit: connects, joins a room and the search, sends messages, and disconnects.
async fn visit(address: String, n: u64) {
    for visit in 0.. {
        let pace = Duration::from_millis(150 + (n * 37 + visit * 91) % 700);
        tokio::time::sleep(pace * 3).await;
        let Ok(client) = Client::connect(&*address).await else { continue };
        let room = client.join(&format!("room:{}", n % 8), json!({})).await;
        let search = client.join("search", json!({})).await;
        if n.is_multiple_of(12) {
            let _ = client.join("room:closed", json!({})).await;
        }
        let (Ok(room), Ok(search)) = (room, search) else { continue };
        for word in 0..20 + (n * 7 + visit * 13) % 40 {
            let _ = room.send("say", json!({ "words": "hello, all of you" }));
            let slow = (word * word + n * 31).is_multiple_of(97);
            let took = if slow { 180 } else { (word * 5 + n) % 12 };
            let _ = search.push("find", json!({ "took": took })).await;
            tokio::time::sleep(pace).await;
        }
        client.disconnect().await;
    }
}
