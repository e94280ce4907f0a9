//! src/room.rs: the channel of a room, with its history in a database.

use crate::{App, UserSocket};
use bennu::prelude::*;
use serde::Serialize;

pub const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS said (id INTEGER PRIMARY KEY, room TEXT NOT NULL, name TEXT NOT NULL, text TEXT NOT NULL)";

pub struct RoomChannel {
    room: String,
    name: String,
}

#[derive(Serialize, sqlx::FromRow)]
struct Said {
    id: i64,
    name: String,
    text: String,
}

impl Channel<UserSocket> for RoomChannel {
    async fn join(_topic: &str, params: Payload, ctx: &mut Context<UserSocket, Self>) -> Joined<Self> {
        let room: String = ctx.topic_part("name")?;
        let name = params.get("name")?.ok_or(json!({ "reason": "a name is missing" })).or_reply()?;
        let history = history(ctx.state(), &room).await?;
        accept_with(RoomChannel { room, name }, &history)
    }

    async fn handle_in(&mut self, event: &str, payload: Payload, ctx: &mut Context<UserSocket, Self>) -> Handled {
        match event {
            "say" => {
                let said = store(ctx.state(), &self.room, &self.name, &payload.parse::<String>()?).await?;
                ctx.broadcast("said", &said)?;
                reply_ok(json!({}))
            }
            _ => unhandled(event),
        }
    }
}

async fn history(app: &App, room: &str) -> sqlx::Result<Vec<Said>> {
    let latest = "SELECT id, name, text FROM said WHERE room = ? ORDER BY id DESC LIMIT 50";
    sqlx::query_as(latest).bind(room).fetch_all(&app.db).await
}

async fn store(app: &App, room: &str, name: &str, text: &str) -> sqlx::Result<Said> {
    let insert = "INSERT INTO said (room, name, text) VALUES (?, ?, ?) RETURNING id, name, text";
    sqlx::query_as(insert).bind(room).bind(name).bind(text).fetch_one(&app.db).await
}
