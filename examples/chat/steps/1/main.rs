//! src/main.rs: a socket with one channel, and the server.

use bennu::prelude::*;

struct RoomChannel;

impl<S: Socket> Channel<S> for RoomChannel {
    async fn join(_topic: &str, _params: Payload, _ctx: &mut Context<S, Self>) -> Joined<Self> {
        accept(RoomChannel)
    }

    async fn handle_in(&mut self, event: &str, _payload: Payload, _ctx: &mut Context<S, Self>) -> Handled {
        match event {
            "ping" => reply_ok(json!({ "ping": "pong" })),
            _ => unhandled(event),
        }
    }
}

struct UserSocket;

impl Socket for UserSocket {
    type State = ();

    async fn connect(_request: Connect) -> Result<Self, Refusal> {
        Ok(UserSocket)
    }

    fn channels(router: &mut ChannelRouter<Self>) {
        router.channel::<RoomChannel>("room:*");
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().init();
    let endpoint = Endpoint::new(Secret::from_env("SECRET_KEY_BASE")?);
    let app = axum::Router::new().merge(bennu::socket::<UserSocket>("/socket").router(&endpoint)?);
    let listener = bennu::bind(([127, 0, 0, 1], 4000))?;
    bennu::serve(listener, app, &endpoint).with_graceful_shutdown(bennu::shutdown_signal()).await?;
    Ok(())
}
