//! `valid` and `invalid` on the measured socket: joins counted by their result, and three kinds of slow replies.
//!
//! `ping` and `slow_ping` wait in the handler, so the channel's next message waits too. `parallel_slow_ping` waits in a
//! task of the channel's own. The channel has ten tasks at most; with ten running, further messages wait, which is the
//! client's backpressure.

use bennu::prelude::*;
use bennu_telemetry::{increment, measure_async};
use std::time::Duration;
use tokio::time::sleep;

/// The duration of slow work, such as a query to another service.
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
            _ => crash(format!("the topic {topic:?} is not \"valid\" or \"invalid\"")),
        }
    }

    async fn handle_in(&mut self, event: &str, _payload: Payload, ctx: &mut Context<S, Self>) -> Handled {
        match event {
            "ping" => {
                let delay = Duration::from_millis(u64::from(1 + getrandom::u32()? % 1000));
                measure_async("stats_channel.ping", &[], sleep(delay)).await;
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
