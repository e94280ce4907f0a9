//! A `joined` that replies, though there is nothing to reply to.
use bennu::prelude::*;

struct Room;

impl<S: Socket> Channel<S> for Room {
    async fn join(_topic: &str, _params: Payload, _ctx: &mut Context<S, Self>) -> Joined<Self> {
        accept(Room)
    }

    async fn joined(&mut self, _ctx: &mut Context<S, Self>) -> Flow {
        reply_ok(json!({}))
    }
}

fn main() {}
