//! `dupe`: numbers are held back for one second, and each goes out once, in the order in which it first came.

use bennu::BroadcastError;
use bennu::prelude::*;
use indexmap::IndexSet;
use serde::Deserialize;
use serde_json::Number;
use std::time::Duration;

const HOLD_BACK: Duration = Duration::from_secs(1);

/// The numbers of the present second, each once.
#[derive(Debug, Default)]
pub struct DedupeChannel {
    numbers: IndexSet<Number>,
}

#[derive(Deserialize)]
struct Numbered {
    number: Number,
}

struct SendNumbers;

impl DedupeChannel {
    /// What is held back now, in the order in which it will go out.
    pub fn numbers(&self) -> impl Iterator<Item = &Number> {
        self.numbers.iter()
    }

    /// Broadcasts each number, `times` times, to all who have joined `dupe`. Lets the channels run between the rounds.
    ///
    /// # Errors
    /// When other nodes are out of reach.
    pub(crate) async fn broadcast(endpoint: &Endpoint, numbers: &[i64], times: u32) -> Result<(), BroadcastError> {
        for _ in 0..times {
            for number in numbers {
                endpoint.broadcast("dupe", "number", json!({ "number": number }))?;
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

impl<S: Socket> Channel<S> for DedupeChannel {
    const INTERCEPT: &'static [&'static str] = &["number"];

    async fn join(_topic: &str, _params: Payload, _ctx: &mut Context<S, Self>) -> Joined<Self> {
        accept(DedupeChannel::default())
    }

    async fn handle_out(&mut self, _event: &str, payload: Payload, ctx: &mut Context<S, Self>) -> Flow {
        let Numbered { number } = payload.parse()?;
        if self.numbers.is_empty() {
            ctx.send_after(HOLD_BACK, SendNumbers);
        }
        self.numbers.insert(number);
        noreply()
    }
}

impl<S: Socket> HandleInfo<S, SendNumbers> for DedupeChannel {
    async fn handle_info(&mut self, _: SendNumbers, ctx: &mut Context<S, Self>) -> Flow {
        for number in self.numbers.drain(..) {
            ctx.push("number", json!({ "value": number }))?;
        }
        noreply()
    }
}
