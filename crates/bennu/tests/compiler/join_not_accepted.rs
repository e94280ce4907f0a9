//! A `join` that returns the channel as in `Ok(..)`, out of habit.
use bennu::prelude::*;

struct Room;

impl<S: Socket> Channel<S> for Room {
    async fn join(_topic: &str, _params: Payload, _ctx: &mut Context<S, Self>) -> Joined<Self> {
        Ok(Room)
    }
}

fn main() {}
