//! A message that its channel does not handle.
use bennu::prelude::*;
use std::time::Duration;

struct Room;

struct Tick;

struct Tock;

impl<S: Socket> Channel<S> for Room {
    async fn join(_topic: &str, _params: Payload, ctx: &mut Context<S, Self>) -> Joined<Self> {
        ctx.send_after(Duration::from_secs(1), Tick);
        accept(Room)
    }
}

impl<S: Socket> HandleInfo<S, Tock> for Room {
    async fn handle_info(&mut self, _: Tock, _ctx: &mut Context<S, Self>) -> Flow {
        noreply()
    }
}

fn main() {}
