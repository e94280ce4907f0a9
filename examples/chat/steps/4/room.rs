//! src/room.rs: the channel of a room, with all callbacks.

use crate::UserSocket;
use bennu::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::time::Duration;

const QUIET_AFTER: Duration = Duration::from_secs(30);
const MAX_MUTED: usize = 100;

pub struct RoomChannel {
    muted: HashSet<String>,
    quiet: Timer,
}

#[derive(Serialize, Deserialize)]
struct Said {
    from: String,
    text: String,
}

/// Sent by the timer.
struct Quiet;

/// Sent through PubSub to all rooms.
#[derive(Clone, Serialize, Deserialize)]
pub struct Announcement {
    pub text: String,
}

impl Message for Announcement {
    const KIND: &'static str = "chat.announcement";
}

impl Channel<UserSocket> for RoomChannel {
    const INTERCEPT: &'static [&'static str] = &["said"];

    async fn join(_topic: &str, _params: Payload, ctx: &mut Context<UserSocket, Self>) -> Joined<Self> {
        ctx.subscribe::<Announcement>("announcements");
        let channel = RoomChannel { muted: HashSet::new(), quiet: ctx.send_after(QUIET_AFTER, Quiet) };
        accept_with(channel, json!({ "you": ctx.socket.name }))
    }

    async fn joined(&mut self, ctx: &mut Context<UserSocket, Self>) -> Flow {
        ctx.broadcast_from("entered", json!({ "name": ctx.socket.name }))?;
        noreply()
    }

    async fn handle_in(&mut self, event: &str, payload: Payload, ctx: &mut Context<UserSocket, Self>) -> Handled {
        match event {
            "say" => {
                ctx.cancel(self.quiet);
                self.quiet = ctx.send_after(QUIET_AFTER, Quiet);
                ctx.broadcast("said", &Said { from: ctx.socket.name.clone(), text: payload.parse()? })?;
                reply_ok(json!({}))
            }
            "mute" if self.muted.len() >= MAX_MUTED => refuse(json!({ "reason": "too many muted" })),
            "mute" => {
                self.muted.insert(payload.parse()?);
                reply_ok(&self.muted)
            }
            _ => unhandled(event),
        }
    }

    async fn handle_out(&mut self, event: &str, payload: Payload, ctx: &mut Context<UserSocket, Self>) -> Flow {
        let said: Said = payload.parse()?;
        if !self.muted.contains(&said.from) {
            ctx.push(event, &said)?;
        }
        noreply()
    }

    async fn terminate(&mut self, _reason: Terminate, ctx: &mut Context<UserSocket, Self>) {
        let _ = ctx.broadcast_from("left", json!({ "name": ctx.socket.name }));
    }
}

impl HandleInfo<UserSocket, Quiet> for RoomChannel {
    async fn handle_info(&mut self, _: Quiet, ctx: &mut Context<UserSocket, Self>) -> Flow {
        self.quiet = ctx.send_after(QUIET_AFTER, Quiet);
        ctx.push("quiet", json!({ "seconds": QUIET_AFTER.as_secs() }))?;
        noreply()
    }
}

impl HandleInfo<UserSocket, Announcement> for RoomChannel {
    async fn handle_info(&mut self, announcement: Announcement, ctx: &mut Context<UserSocket, Self>) -> Flow {
        ctx.push("announcement", &announcement)?;
        noreply()
    }
}
