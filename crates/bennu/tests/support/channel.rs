//! The socket and the channels that most tests use.

use bennu::prelude::*;
use std::time::Duration;

/// A socket that accepts every client.
pub struct Open;

impl Socket for Open {
    type State = ();

    async fn connect(_request: Connect) -> Result<Self, Refusal> {
        Ok(Open)
    }

    fn channels(router: &mut ChannelRouter<Self>) {
        router
            .channel::<Room>("room:*")
            .channel::<SlowJoin>("slow:*")
            .channel::<Parser>("parser")
            .channel::<Loaded>("loaded")
            .channel::<Denied>("denied");
    }
}

/// A channel that echoes, broadcasts, pushes, waits and panics on request.
pub struct Room;

impl<S: Socket> Channel<S> for Room {
    async fn join(_topic: &str, _params: Payload, _ctx: &mut Context<S, Self>) -> Joined<Self> {
        accept(Room)
    }

    async fn handle_in(&mut self, event: &str, payload: Payload, ctx: &mut Context<S, Self>) -> Handled {
        match event {
            "echo" => reply_ok(payload),
            "say" => {
                ctx.broadcast("said", payload)?;
                noreply()
            }
            "push" => {
                ctx.push("pushed", payload)?;
                reply_ok(Payload::empty())
            }
            "quiet" => noreply(),
            // Processes no further message for a while.
            "dawdle" => {
                tokio::time::sleep(Duration::from_millis(payload.get("ms")?.unwrap_or(1000))).await;
                reply_ok(Payload::empty())
            }
            "panic" => panic!("panics on request"),
            _ => unhandled(event),
        }
    }
}

/// A channel whose join takes the milliseconds in its topic.
pub struct SlowJoin;

impl<S: Socket> Channel<S> for SlowJoin {
    async fn join(topic: &str, _params: Payload, _ctx: &mut Context<S, Self>) -> Joined<Self> {
        let ms = topic.trim_start_matches("slow:").parse()?;
        tokio::time::sleep(Duration::from_millis(ms)).await;
        accept(SlowJoin)
    }

    async fn handle_in(&mut self, _event: &str, payload: Payload, _ctx: &mut Context<S, Self>) -> Handled {
        reply_ok(payload)
    }
}

/// A channel that parses every payload.
pub struct Parser;

impl<S: Socket> Channel<S> for Parser {
    async fn join(_topic: &str, _params: Payload, _ctx: &mut Context<S, Self>) -> Joined<Self> {
        accept(Parser)
    }

    async fn handle_in(&mut self, _event: &str, payload: Payload, _ctx: &mut Context<S, Self>) -> Handled {
        let parsed: serde_json::Value = payload.parse()?;
        reply_ok(json!({ "is_array": parsed.is_array() }))
    }
}

/// A channel that on request sends itself more messages than one poll of its task processes.
pub struct Loaded;

impl<S: Socket> Channel<S> for Loaded {
    async fn join(_topic: &str, _params: Payload, _ctx: &mut Context<S, Self>) -> Joined<Self> {
        accept(Loaded)
    }

    async fn handle_in(&mut self, event: &str, payload: Payload, ctx: &mut Context<S, Self>) -> Handled {
        if event == "load" {
            for n in 0..1000 {
                ctx.send_self(n);
            }
        }
        reply_ok(payload)
    }
}

impl<S: Socket> HandleInfo<S, u32> for Loaded {
    async fn handle_info(&mut self, _n: u32, _ctx: &mut Context<S, Self>) -> Flow {
        noreply()
    }
}

/// A channel that refuses every join.
pub struct Denied;

impl<S: Socket> Channel<S> for Denied {
    async fn join(_topic: &str, _params: Payload, _ctx: &mut Context<S, Self>) -> Joined<Self> {
        refuse(json!({ "reason": "denied" }))
    }
}

/// The application that most tests serve.
pub fn app(endpoint: &Endpoint) -> axum::Router {
    bennu::socket::<Open>("/socket").router(endpoint).expect("a valid mount")
}
