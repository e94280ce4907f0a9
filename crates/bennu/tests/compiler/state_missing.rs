//! A mount without the state that its socket names.
use bennu::prelude::*;

struct App;

struct UserSocket;

impl Socket for UserSocket {
    type State = App;

    async fn connect(_request: Connect<App>) -> Result<Self, Refusal> {
        Ok(UserSocket)
    }

    fn channels(_: &mut ChannelRouter<Self>) {}
}

fn app(endpoint: &Endpoint) -> Result<axum::Router, bennu::error::MountError> {
    bennu::socket::<UserSocket>("/socket").router(endpoint)
}

fn main() {}
