//! A server with a dashboard and a socket, which the tests of the page share.

use bennu::prelude::*;
use bennu::token::Secret;
use bennu::{Drained, Endpoint};
use bennu_dashboard::{Access, Dashboard};
use std::io;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

struct Room;

impl<S: Socket> Channel<S> for Room {
    async fn join(_topic: &str, _params: Payload, _ctx: &mut Context<S, Self>) -> Joined<Self> {
        accept(Room)
    }

    async fn handle_in(&mut self, event: &str, _payload: Payload, _ctx: &mut Context<S, Self>) -> Handled {
        if event == "say" { reply_ok(json!({})) } else { unhandled(event) }
    }
}

struct UserSocket;

impl Socket for UserSocket {
    type State = ();

    async fn connect(_request: Connect) -> Result<Self, Refusal> {
        Ok(UserSocket)
    }

    fn channels(router: &mut ChannelRouter<Self>) {
        router.channel::<Room>("room:*");
    }
}

/// A running server. A successor can have its port.
pub(crate) struct Server {
    pub(crate) port: u16,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<io::Result<Drained>>,
}

impl Server {
    pub(crate) fn start(port: u16, secret: &str, dashboard: &Dashboard) -> Self {
        let endpoint = Endpoint::new(Secret::new(secret.repeat(64)).unwrap());
        let app = bennu::socket::<UserSocket>("/socket").router(&endpoint).unwrap();
        let app = app.merge(dashboard.router("/dashboard", &endpoint, Access::token("sesame")).unwrap());
        let listener = bennu::bind(([127, 0, 0, 1], port)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = bennu::serve(listener, app, &endpoint).with_graceful_shutdown(async { _ = stopped.await });
        Server { port, stop, serving: tokio::spawn(serve.into_future()) }
    }

    pub(crate) fn page(&self) -> String {
        format!("http://localhost:{}/dashboard?token=sesame", self.port)
    }

    pub(crate) async fn stop(self) -> u16 {
        self.stop.send(()).unwrap();
        self.serving.await.unwrap().unwrap();
        self.port
    }
}
