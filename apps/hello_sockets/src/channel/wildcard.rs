//! `wild:A:B`, which is joined only when B is twice A: a topic that carries data.

use bennu::prelude::*;

pub(crate) struct WildcardChannel;

impl<S: Socket> Channel<S> for WildcardChannel {
    /// What is no integer crashes the join, as `?` on any error does.
    async fn join(topic: &str, _params: Payload, _ctx: &mut Context<S, Self>) -> Joined<Self> {
        let numbers: Result<Vec<i64>, _> = topic.split(':').skip(1).map(str::parse).collect();
        match numbers?[..] {
            [a, b] if a.checked_mul(2) == Some(b) => accept(WildcardChannel),
            _ => refuse(json!({})),
        }
    }

    async fn handle_in(&mut self, event: &str, _payload: Payload, _ctx: &mut Context<S, Self>) -> Handled {
        match event {
            "ping" => reply_ok(json!({ "ping": "pong" })),
            _ => unhandled(event),
        }
    }
}
