//! `training_session:{id}`: one page at one session. A participant sees the own status, the trainer the grid of all.
//!
//! Every broadcast of the topic reaches every channel, and [`GymChannel::handle_out`] decides by the role of
//! its user. Pages broadcast the start and the end; this channel broadcasts arrivals and done exercises.

use crate::gym::topic;
use crate::session::Command;
use crate::socket::UserSocket;
use crate::store::SessionId;
use crate::user::User;
use crate::view::{Grid, Status};
use app_service::now_ms;
use askama::Template;
use bennu::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// The shortest time between two grids of a trainer, however fast the gym works.
const REDRAW_AFTER: Duration = Duration::from_millis(50);

/// The time after which a session that did not answer is asked again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The place of a user at a session.
pub struct GymChannel {
    id: SessionId,
    /// Whether a [`Redraw`] is on its way.
    will_redraw: bool,
}

/// The payload of `complete_exercise` and of `undo_exercise`.
#[derive(Deserialize)]
struct Exercise {
    name: String,
}

/// The payload of `status_updated`: the person whose status it is; without one, it concerns everybody.
#[derive(Deserialize)]
struct Updated {
    name: Option<String>,
}

struct Redraw;

impl Channel<UserSocket> for GymChannel {
    const INTERCEPT: &'static [&'static str] =
        &["training_session_started", "training_session_ended", "status_updated", "presence_diff"];

    async fn join(_topic: &str, _params: Payload, ctx: &mut Context<UserSocket, Self>) -> Joined<Self> {
        let id = ctx.topic_part("id").ok().filter(|id| topic(*id) == ctx.topic());
        let id = id.ok_or(json!({ "reason": "there is no such session" })).or_reply()?;
        let command = match user(ctx) {
            User::Trainer => Command::Look,
            User::Participant(name) => Command::Enter(name.clone()),
        };
        ctx.state().call(id, command).await.map_err(reason).or_reply()?;
        accept(GymChannel { id, will_redraw: false })
    }

    async fn joined(&mut self, ctx: &mut Context<UserSocket, Self>) -> Flow {
        match user(ctx) {
            User::Trainer => ctx.push("presence_state", ctx.presence_list().await)?,
            User::Participant(name) => {
                ctx.track(name, &json!({ "online_at": now_ms() }))?;
                ctx.broadcast_from("status_updated", json!({ "name": name }))?;
            }
        }
        self.push_status(ctx).await
    }

    async fn handle_in(&mut self, event: &str, payload: Payload, ctx: &mut Context<UserSocket, Self>) -> Handled {
        let command: fn(String, String) -> Command = match event {
            "complete_exercise" => Command::Complete,
            "undo_exercise" => Command::Undo,
            _ => return unhandled(event),
        };
        let Exercise { name: exercise } = payload.parse().map_err(reason).or_reply()?;
        let User::Participant(name) = user(ctx) else {
            return reply_error(json!({ "reason": "only participants do exercises" }));
        };
        ctx.state().call(self.id, command(name.clone(), exercise)).await.map_err(reason).or_reply()?;
        ctx.broadcast("status_updated", json!({ "name": name }))?;
        reply_ok(json!({}))
    }

    async fn handle_out(&mut self, event: &str, payload: Payload, ctx: &mut Context<UserSocket, Self>) -> Flow {
        match (event, user(ctx)) {
            ("presence_diff", User::Trainer) => ctx.push(event, payload)?,
            ("presence_diff", User::Participant(_)) => {}
            (_, User::Trainer) => self.redraw(REDRAW_AFTER, ctx),
            ("status_updated", User::Participant(own)) => {
                let Updated { name } = payload.parse()?;
                if name.is_none_or(|name| name == *own) {
                    self.push_status(ctx).await?;
                }
            }
            (_, User::Participant(_)) => {
                ctx.push(event, payload)?;
                self.push_status(ctx).await?;
            }
        }
        noreply()
    }
}

impl HandleInfo<UserSocket, Redraw> for GymChannel {
    async fn handle_info(&mut self, _: Redraw, ctx: &mut Context<UserSocket, Self>) -> Flow {
        self.will_redraw = false;
        self.push_status(ctx).await
    }
}

impl GymChannel {
    /// Pushes the grid to a trainer, and the own status to a participant. A session that does not answer is tried again.
    async fn push_status(&mut self, ctx: &Context<UserSocket, Self>) -> Flow {
        let Ok(stored) = ctx.state().call(self.id, Command::Look).await else {
            self.redraw(RETRY_AFTER, ctx);
            return noreply();
        };
        let (event, html) = match user(ctx) {
            User::Trainer => ("status_updated", Grid::new(&stored, ctx.endpoint()).render()?),
            User::Participant(name) => ("participant_status", Status::new(&stored.session, name).render()?),
        };
        ctx.push(event, json!({ "html": html }))?;
        noreply()
    }

    /// Pushes the status once for all changes until then.
    fn redraw(&mut self, after: Duration, ctx: &Context<UserSocket, Self>) {
        if !std::mem::replace(&mut self.will_redraw, true) {
            ctx.send_after(after, Redraw);
        }
    }
}

fn user(ctx: &Context<UserSocket, GymChannel>) -> &User {
    &ctx.socket.signed_in.user
}

/// Returns the payload of an error reply, in words.
fn reason(error: impl std::error::Error) -> Value {
    json!({ "reason": error.to_string() })
}
