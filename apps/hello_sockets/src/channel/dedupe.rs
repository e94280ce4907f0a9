//! `dupe`: a buffer that holds numbers for one second and then pushes each once, in the order of its first arrival.

use bennu::error::BroadcastError;
use bennu::prelude::*;
use indexmap::IndexSet;
use serde::Deserialize;
use serde_json::Number;
use std::time::Duration;

const BUFFER_TIME: Duration = Duration::from_secs(1);

/// The channel with its buffer, which has each number once.
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
    /// Returns the buffered numbers in the order of their pushes.
    pub fn numbers(&self) -> impl Iterator<Item = &Number> {
        self.numbers.iter()
    }

    /// Broadcasts each number `times` times to all clients on `dupe`. Yields between the rounds, so that the channels
    /// run.
    ///
    /// # Errors
    /// When other nodes cannot be reached.
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
            ctx.send_after(BUFFER_TIME, SendNumbers);
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
