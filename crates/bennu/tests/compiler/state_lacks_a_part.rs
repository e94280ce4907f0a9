//! A channel of a library, on a socket whose state lacks the part that it needs.
use bennu::prelude::*;

struct Db;

struct Audit;

impl<S: Socket<State: AsRef<Db>>> Channel<S> for Audit {
    async fn join(_topic: &str, _params: Payload, _ctx: &mut Context<S, Self>) -> Joined<Self> {
        accept(Audit)
    }
}

struct App;

struct UserSocket;

impl Socket for UserSocket {
    type State = App;

    async fn connect(_request: Connect<App>) -> Result<Self, Refusal> {
        Ok(UserSocket)
    }

    fn channels(router: &mut ChannelRouter<Self>) {
        router.channel::<Audit>("audit");
    }
}

fn main() {}
