//! The options of a mount that apply after a client has been accepted: subprotocols, limits, and the timeout.

use crate::support::channel::{Open, app};
use crate::support::client::Client;
use crate::support::{Server, endpoint, soon, until};
use crate::{PATH, serve};
use bennu::prelude::*;
use std::time::Duration;

#[tokio::test]
async fn the_mounts_preferred_subprotocol_is_selected_and_unsupported_ones_are_refused() {
    let (server, _endpoint) = serve(bennu::socket::<Open>("/socket").subprotocols(["first", "second"])).await;
    for (offered, selected) in [("second, first", "first"), ("other,second", "second")] {
        let header = format!("Sec-WebSocket-Protocol: {offered}\r\n");
        let (_client, response) = Client::connect_with(server.addr, PATH, &header).await;
        assert_eq!(response.header("sec-websocket-protocol"), Some(selected), "{offered}");
    }
    let (_client, response) = Client::connect_with(server.addr, PATH, "").await;
    assert_eq!(response.header("sec-websocket-protocol"), None, "the client offered none");
    assert_eq!(Client::refused(server.addr, PATH, "Sec-WebSocket-Protocol: other\r\n").await.status, 403);
}

#[tokio::test]
async fn the_limits_of_a_mount_do_not_apply_to_other_mounts() {
    let endpoint = endpoint();
    let small = bennu::socket::<Open>("/small").max_channels(2).max_frame_size(1000);
    let router = app(&endpoint).merge(small.router(&endpoint).unwrap());
    let server = Server::start(&endpoint, router).await;
    let mut client = Client::connect(server.addr, "/small/websocket?vsn=2.0.0").await;
    client.joined("room:1").await;
    client.joined("room:2").await;
    let reply = client.join("room:3").await;
    assert_eq!(reply, json!({ "status": "error", "response": { "reason": "too many channels joined" } }));
    client.send(json!(["1", "9", "room:1", "phx_leave", {}])).await;
    assert_eq!(client.receive().await[1], "9");
    assert_eq!(client.receive().await[3], "phx_close");
    client.joined("room:3").await;
    client.send_text(&"x".repeat(993)).await;
    assert_eq!(client.close_frame().await.0, Some(1009));
    let mut other = Client::connect(server.addr, PATH).await;
    for n in 0..3 {
        other.joined(&format!("room:{n}")).await;
    }
}

#[tokio::test]
async fn a_silent_client_is_closed_with_3008_and_the_duration() {
    let (server, endpoint) = serve(bennu::socket::<Open>("/socket").timeout(Duration::from_millis(300))).await;
    let mut client = Client::connect(server.addr, PATH).await;
    client.joined("room:1").await;
    assert_eq!(client.close_frame().await, (Some(3008), "nothing received for 0.3 s".to_owned()));
    client.answer_close(3008).await;
    until("its channel has ended", || endpoint.channel_count() == 0).await;
    soon("serving continues", Client::connect(server.addr, PATH)).await;
}
