//! src/room.rs: the channel of a room.

use bennu::prelude::*;
use serde::{Deserialize, Serialize};

pub struct RoomChannel {
    name: String,
    said: u64,
}

#[derive(Deserialize)]
struct Joining {
    name: String,
}

#[derive(Serialize)]
struct Said<'a> {
    from: &'a str,
    text: &'a str,
}

#[derive(Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
enum SayError {
    NothingSaid,
    TooLong { most: usize },
}

impl<S: Socket> Channel<S> for RoomChannel {
    async fn join(_topic: &str, params: Payload, ctx: &mut Context<S, Self>) -> Joined<Self> {
        let room: String = ctx.topic_part("name")?;
        if !["lobby", "garden"].contains(&room.as_str()) {
            return refuse(json!({ "reason": "no such room" }));
        }
        let Joining { name } = params.parse()?;
        let reply = json!({ "you": name });
        accept_with(RoomChannel { name, said: 0 }, reply)
    }

    async fn joined(&mut self, ctx: &mut Context<S, Self>) -> Flow {
        ctx.broadcast_from("entered", json!({ "name": self.name }))?;
        noreply()
    }

    async fn handle_in(&mut self, event: &str, payload: Payload, ctx: &mut Context<S, Self>) -> Handled {
        match event {
            "say" => {
                let text: String = payload.parse()?;
                check(&text).or_reply()?;
                self.said += 1;
                ctx.broadcast("said", &Said { from: &self.name, text: &text })?;
                reply_ok(json!({ "said": self.said }))
            }
            "typing" => {
                ctx.broadcast_from("typing", json!({ "name": self.name }))?;
                noreply()
            }
            _ => unhandled(event),
        }
    }
}

fn check(text: &str) -> Result<(), SayError> {
    match text.trim().len() {
        0 => Err(SayError::NothingSaid),
        1..=500 => Ok(()),
        _ => Err(SayError::TooLong { most: 500 }),
    }
}
