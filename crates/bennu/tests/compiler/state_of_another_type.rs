//! A mount with a state of another type than its socket names.
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
    bennu::socket::<UserSocket>("/socket").with_state("app").router(endpoint)
}

fn main() {}
