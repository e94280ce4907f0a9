//! Mounted sockets through a whole server: the paths and errors of mounts, refused clients, the information that
//! `connect` receives, the options of a mount, and sockets inside an application.

#[path = "../support/mod.rs"]
mod support;

mod application;
mod connect_info;
mod option;
mod path;
mod refusal;

use bennu::Mount;
use bennu::prelude::*;
use serde_json::Value;
use support::channel::Room;
use support::client::Client;
use support::{Server, endpoint};

const PATH: &str = "/socket/websocket?vsn=2.0.0";

/// A socket that records the information that its `connect` receives.
struct RecordingSocket {
    info: Value,
}

impl Socket for RecordingSocket {
    type State = ();

    async fn connect(request: Connect) -> Result<Self, Refusal> {
        let info = &request.info;
        Ok(RecordingSocket {
            info: json!({
                "id": request.path_param("id").ok(),
                "room": request.path_param("room").ok(),
                "name": request.params.get("name"),
                "peer": info.peer,
                "uri": info.uri.to_string(),
                "user_agent": request.user_agent(),
                "x-custom": info.headers.get("x-custom").and_then(|value| value.to_str().ok()),
                "auth_token": request.auth_token().ok(),
                "session": info.session,
            }),
        })
    }

    fn id(&self) -> Option<String> {
        Some(format!("recording:{}", self.info["id"].as_str().unwrap_or("none")))
    }

    fn channels(router: &mut ChannelRouter<Self>) {
        router.channel::<InfoChannel>("info").channel::<Room>("room:*");
    }
}

/// A channel whose join reply is the information that `connect` received.
struct InfoChannel;

impl Channel<RecordingSocket> for InfoChannel {
    async fn join(_: &str, _: Payload, ctx: &mut Context<RecordingSocket, Self>) -> Joined<Self> {
        accept_with(InfoChannel, &ctx.socket.info)
    }
}

/// Serves one mount.
async fn serve<S: Socket<State = ()>>(mount: Mount<S>) -> (Server, Endpoint) {
    let endpoint = endpoint();
    let app = mount.router(&endpoint).expect("a valid mount");
    (Server::start(&endpoint, app).await, endpoint)
}

/// Returns the information that `connect` of a [`RecordingSocket`] receives for a handshake.
async fn connect_info(server: &Server, path: &str, headers: &str) -> Value {
    let (mut client, _) = Client::connect_with(server.addr, path, headers).await;
    client.join("info").await["response"].clone()
}
