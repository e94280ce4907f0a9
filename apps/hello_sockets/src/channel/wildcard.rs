//! `wild:A:B`: a topic that contains data. The join succeeds only when B is twice A.

use bennu::prelude::*;

pub(crate) struct WildcardChannel;

impl<S: Socket> Channel<S> for WildcardChannel {
    /// A part that is not an integer crashes the join, as `?` does with every error.
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
