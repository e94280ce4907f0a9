//! `valid` and `invalid` on the measured socket: joins counted by how they end, and three ways to take long over an answer.
//!
//! `ping` and `slow_ping` take their time in the channel itself, so its next message waits. `parallel_slow_ping` takes it in a
//! task of the channel's own, ten of them at most; what comes then waits too, which is how a client feels that it asks for
//! much.

use bennu::prelude::*;
use bennu_telemetry::{increment, measure_async};
use std::time::Duration;
use tokio::time::sleep;

/// Something slow, as a query to another service may be.
const SLOW: Duration = Duration::from_secs(3);

pub(crate) struct StatsChannel;

impl<S: Socket> Channel<S> for StatsChannel {
    const MAX_TASKS: usize = 10;

    async fn join(topic: &str, _params: Payload, _ctx: &mut Context<S, Self>) -> Joined<Self> {
        let count = |status| increment("channel_join", 1, &[("status", status), ("channel", "StatsChannel")]);
        match topic {
            "valid" => {
                count("success");
                accept(StatsChannel)
            }
            "invalid" => {
                count("fail");
                refuse(json!({ "reason": "always fails" }))
            }
            _ => crash(format!("neither valid nor invalid: {topic:?}")),
        }
    }

    async fn handle_in(&mut self, event: &str, _payload: Payload, ctx: &mut Context<S, Self>) -> Handled {
        match event {
            "ping" => {
                let took = Duration::from_millis(u64::from(1 + getrandom::u32()? % 1000));
                measure_async("stats_channel.ping", &[], sleep(took)).await;
                reply_ok(json!({ "ping": "pong" }))
            }
            "slow_ping" => {
                sleep(SLOW).await;
                reply_ok(json!({ "ping": "pong" }))
            }
            "parallel_slow_ping" => {
                let later = ctx.reply_ref()?;
                ctx.spawn(async move {
                    sleep(SLOW).await;
                    later.ok(json!({ "ping": "pong" }))?;
                    noreply()
                });
                noreply()
            }
            _ => unhandled(event),
        }
    }
}
