//! Headers of the application, over both transports.

use bennu::prelude::*;
use bennu_client::{Client, ConnectError, Transport};
use std::future::IntoFuture;
use std::net::SocketAddr;

struct CookieSocket;

impl Socket for CookieSocket {
    type State = ();

    async fn connect(request: Connect) -> Result<Self, Refusal> {
        match request.info.headers.get("cookie").is_some_and(|cookie| cookie == "key=value") {
            true => Ok(CookieSocket),
            false => Err(Refusal::because("no cookie")),
        }
    }

    fn channels(router: &mut ChannelRouter<Self>) {
        router.channel::<EchoChannel>("echo");
    }
}

struct EchoChannel;

impl Channel<CookieSocket> for EchoChannel {
    async fn join(_topic: &str, _params: Payload, _ctx: &mut Context<CookieSocket, Self>) -> Joined<Self> {
        accept(EchoChannel)
    }

    async fn handle_in(&mut self, _: &str, payload: Payload, _: &mut Context<CookieSocket, Self>) -> Handled {
        reply_ok(payload)
    }
}

async fn serve() -> SocketAddr {
    let endpoint = Endpoint::new(Secret::new("a secret of this test's server").unwrap());
    let router = bennu::socket::<CookieSocket>("/socket").longpoll(true).router(&endpoint).unwrap();
    let listener = bennu::bind(([127, 0, 0, 1], 0)).unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(bennu::serve(listener, axum::Router::new().merge(router), &endpoint).into_future());
    address
}

#[tokio::test]
async fn a_header_reaches_the_server_over_both_transports() {
    let url = format!("ws://{}/socket", serve().await);
    for transport in [Transport::WebSocket, Transport::LongPoll] {
        let client = Client::builder(&url).transport(transport).header("cookie", "key=value").connect().await.unwrap();
        let channel = client.join("echo", json!({})).await.unwrap();
        let reply = channel.push("say", json!({ "n": 1 })).await.unwrap();
        assert_eq!(reply.parse::<serde_json::Value>().unwrap(), json!({ "n": 1 }));
        let without = Client::builder(&url).transport(transport).connect().await;
        assert!(matches!(without, Err(ConnectError::Refused { .. })), "{transport:?}");
    }
}

#[tokio::test]
async fn a_header_that_cannot_be_sent_is_named_before_any_attempt() {
    for (name, value, reason) in [
        ("Host", "example.org", "the client itself writes this header"),
        ("Sec-WebSocket-Key", "x", "the client itself writes this header"),
        ("my header", "x", "it is not the name of a header"),
        ("cookie", "line\nbreak", "its value may contain visible ASCII only"),
    ] {
        let started = Client::builder("ws://127.0.0.1:1/socket").header(name, value).start();
        let Err(error) = started else { panic!("the header {name:?} cannot be sent") };
        assert_eq!(error.to_string(), format!("could not send the header {name:?}: {reason}"));
    }
}
