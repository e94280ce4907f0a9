//! Every metric in docs/prometheus/alerts.yml and docs/grafana/bennu.json exists at `/metrics` of a running server. One
//! test, since a process has one recorder.

use bennu::Endpoint;
use bennu::prelude::*;
use bennu::token::Secret;
use bennu_client::Client;
use bennu_pubsub::{NodeName, PubSub};
use bennu_pubsub_redis::Redis;
use bennu_telemetry::Telemetry;
use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

struct Room;

impl<S: Socket> Channel<S> for Room {
    async fn join(_topic: &str, _params: Payload, _ctx: &mut Context<S, Self>) -> Joined<Self> {
        accept(Room)
    }

    async fn handle_in(&mut self, _event: &str, _payload: Payload, ctx: &mut Context<S, Self>) -> Handled {
        ctx.broadcast("said", json!({}))?;
        reply_ok(json!({}))
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
async fn every_metric_of_the_alerts_and_of_the_grafana_dashboard_is_exported() {
    let exporters = Telemetry::new().prometheus().install().unwrap();
    // Nothing listens on that port: the engine is measured as unreachable.
    let pubsub = PubSub::new(Redis::new("redis://127.0.0.1:1").unwrap().join(NodeName::new("a")));
    let secret = Secret::new("0123456789abcdef".repeat(4)).unwrap();
    let endpoint = Endpoint::builder(secret).pubsub(pubsub).build();
    let app = bennu::socket::<UserSocket>("/socket").router(&endpoint).unwrap().merge(exporters.metrics_router());
    let listener = bennu::bind(([127, 0, 0, 1], 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = bennu::serve(listener, app, &endpoint).with_graceful_shutdown(async { _ = stopped.await });
    let serving = tokio::spawn(serving.into_future());
    let client = Client::connect(format!("ws://{address}/socket")).await.unwrap();
    let room = client.join("room:1", json!({})).await.unwrap();
    room.push("say", json!({})).await.unwrap();

    let scraped = scrape(address).await;
    let names = |text: &str| -> BTreeSet<String> {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        words.filter(|word| word.starts_with("bennu_") || word.starts_with("process_")).map(str::to_owned).collect()
    };
    let samples = scraped.lines().filter(|line| !line.starts_with('#'));
    let there: BTreeSet<String> = samples.flat_map(|line| names(line.split(['{', ' ']).next().unwrap_or(""))).collect();
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    for (file, least) in [("prometheus/alerts.yml", 15), ("grafana/bennu.json", 25)] {
        let named = names(&fs::read_to_string(docs.join(file)).unwrap());
        let missing: Vec<_> = named.difference(&there).collect();
        assert!(missing.is_empty(), "{file} names {missing:?}, which are not in\n{scraped}");
        assert!(named.len() >= least, "{file} names {named:?} alone");
    }
    for line in [
        r#"bennu_socket_messages_in_total{socket="UserSocket"} 2"#,
        r#"bennu_channel_joins_total{channel="Room",result="ok"} 1"#,
        r#"bennu_pubsub_connected{adapter="redis"} 0"#,
        "bennu_broadcast_sent_total 1",
        "bennu_socket_slow_clients_total 0",
    ] {
        assert!(scraped.lines().any(|found| found == line), "{line}\nis not in\n{scraped}");
    }
    client.disconnect().await;
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
}

async fn scrape(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    response
}
