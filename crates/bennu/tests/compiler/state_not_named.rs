//! A socket that does not name its state.
use bennu::prelude::*;

struct UserSocket;

impl Socket for UserSocket {
    async fn connect(_request: Connect) -> Result<Self, Refusal> {
        Ok(UserSocket)
    }

    fn channels(_: &mut ChannelRouter<Self>) {}
}

fn main() {}
