//! The page in headless Chromium: it connects and shows live measurements.

use bennu::Endpoint;
use bennu::prelude::*;
use bennu::token::Secret;
use bennu_client::Client;
use bennu_dashboard::{Access, Dashboard};
use tokio::sync::oneshot;

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

#[tokio::test]
async fn the_page_shows_connections_channels_latencies_and_errors_live() {
    let dashboard = Dashboard::new();
    metrics::set_global_recorder(dashboard.recorder()).unwrap();
    let endpoint = Endpoint::new(Secret::new("0123456789abcdef".repeat(4)).unwrap());
    let app = bennu::socket::<UserSocket>("/socket").router(&endpoint).unwrap();
    let app = app.merge(dashboard.router("/dashboard", &endpoint, Access::token("sesame")).unwrap());
    let listener = bennu::bind(([127, 0, 0, 1], 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = bennu::serve(listener, app, &endpoint).with_graceful_shutdown(async { _ = stopped.await });
    let serving = tokio::spawn(serving.into_future());

    test_browser::with_browser("dashboard", async |browser| {
        let page = browser.open(&format!("http://localhost:{port}/dashboard?token=sesame")).await;
        page.shows("#state[data-state=open]").await;
        page.shows("[data-figure=connections][data-value='0']").await;
        page.shows("#trouble .none").await;

        let client = Client::connect(format!("ws://127.0.0.1:{port}/socket")).await.unwrap();
        let room = client.join("room:1", json!({})).await.unwrap();
        room.push("say", json!({})).await.unwrap();
        page.shows("[data-figure=connections][data-value='1']").await;
        page.shows("[data-figure=channels][data-value='1']").await;
        page.shows("#channels [data-channel=Room]").await;
        page.shows("[data-chart=handle] .line").await;

        let _ = room.push("nobody handles this", json!({})).await;
        page.shows("#channels [data-channel=Room] .bad").await;
        page.shows("#trouble li:not(.none)").await;
        assert_eq!(page.console_errors().await, [""; 0]);
    })
    .await;
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
}
