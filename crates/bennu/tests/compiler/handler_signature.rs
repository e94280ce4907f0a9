//! A handler with a parameter of another type.
use bennu::prelude::*;

struct Room;

impl<S: Socket> Channel<S> for Room {
    async fn join(_topic: &str, _params: Payload, _ctx: &mut Context<S, Self>) -> Joined<Self> {
        accept(Room)
    }

    async fn handle_in(&mut self, _event: String, _payload: Payload, _ctx: &mut Context<S, Self>) -> Handled {
        noreply()
    }
}

fn main() {}
