//! The sockets as a user of `wscat` sees them: every dialogue of the book's chapters 2 to 6. Tests of two servers are
//! in `cluster`, of shell commands in `command_line` and `statsd`, of the pages in `browser`. The channels' edge cases
//! are tested without a network, in the files named after the channels.
//!
//! Phoenix has changed in two ways since the book: `phx_error` has a reason, and a push has the channel's join ref.

mod support;

use bennu::token::Token;
use hello_sockets::pipeline::{self, Push};
use serde_json::json;
use std::time::{Duration, SystemTime};
use support::client::Client;
use support::server::Server;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

async fn user_socket() -> (Server, Client) {
    let server = Server::start().await;
    let client = Client::connect(server.address, "/socket").await;
    (server, client)
}

#[tokio::test]
async fn a_websocket_begins_with_an_upgraded_request() {
    let server = Server::start().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let request = format!(
        "GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\nhost: {}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        server.address
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut lines = BufReader::new(stream).lines();
    let mut headers = Vec::new();
    while let Some(line) = lines.next_line().await.unwrap().filter(|line| !line.is_empty()) {
        headers.push(line.to_ascii_lowercase());
    }
    assert_eq!(headers[0], "http/1.1 101 switching protocols");
    // The accept key of RFC 6455's example.
    for header in ["upgrade: websocket", "connection: upgrade", "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="] {
        assert!(headers.iter().any(|line| line == header), "{header} is not among {headers:?}");
    }
}

#[tokio::test]
async fn a_topic_without_a_channel_is_refused_each_time_and_the_connection_stays_open() {
    let (_server, mut client) = user_socket().await;
    client
        .dialogue(
            r#"
            > ["1","1","topic:subtopic","phx_join",{}]
            < [null,"1","topic:subtopic","phx_reply",{"response":{"reason":"unmatched topic"},"status":"error"}]
            > ["2","2","topic:subtopic","phx_join",{}]
            < [null,"2","topic:subtopic","phx_reply",{"response":{"reason":"unmatched topic"},"status":"error"}]
            > [null,"3","phoenix","heartbeat",{}]
            < [null,"3","phoenix","phx_reply",{"response":{},"status":"ok"}]
            "#,
        )
        .await;
}

#[tokio::test]
async fn the_reply_to_a_ping_is_pong() {
    let (_server, mut client) = user_socket().await;
    client
        .dialogue(
            r#"
            > ["1","1","ping","phx_join",{}]
            < ["1","1","ping","phx_reply",{"response":{},"status":"ok"}]
            > ["1","2","ping","ping",{}]
            < ["1","2","ping","phx_reply",{"response":{"ping":"pong"},"status":"ok"}]
            "#,
        )
        .await;
}

#[tokio::test]
async fn an_unknown_event_crashes_only_its_channel() {
    let (_server, mut client) = user_socket().await;
    client
        .dialogue(
            r#"
            > ["1","1","ping","phx_join",{}]
            < ["1","1","ping","phx_reply",{"response":{},"status":"ok"}]
            > ["9","9","ping:other","phx_join",{}]
            < ["9","9","ping:other","phx_reply",{"response":{},"status":"ok"}]
            > ["1","2","ping","ping2",{}]
            < ["1","1","ping","phx_error",{"reason":"channel_crash"}]
            > ["1","2","ping","ping",{}]
            < [null,"2","ping","phx_reply",{"response":{"reason":"unmatched topic"},"status":"error"}]
            > ["9","10","ping:other","ping",{}]
            < ["9","10","ping:other","phx_reply",{"response":{"ping":"pong"},"status":"ok"}]
            > ["1","1","ping","phx_join",{}]
            < ["1","1","ping","phx_reply",{"response":{},"status":"ok"}]
            > ["1","2","ping","ping",{}]
            < ["1","2","ping","phx_reply",{"response":{"ping":"pong"},"status":"ok"}]
            "#,
        )
        .await;
}

#[tokio::test]
async fn an_invalid_message_closes_the_connection() {
    let (_server, mut client) = user_socket().await;
    client.send("crash").await;
    assert_eq!(client.closed().await, 1011);
}

#[tokio::test]
async fn any_topic_below_ping_has_the_channel() {
    let (_server, mut client) = user_socket().await;
    client
        .dialogue(
            r#"
            > ["1","1","ping:wild","phx_join",{}]
            < ["1","1","ping:wild","phx_reply",{"response":{},"status":"ok"}]
            > ["1","1","ping:wild","ping",{}]
            < ["1","1","ping:wild","phx_reply",{"response":{"ping":"pong"},"status":"ok"}]
            > ["2","2","pin","phx_join",{}]
            < [null,"2","pin","phx_reply",{"response":{"reason":"unmatched topic"},"status":"error"}]
            "#,
        )
        .await;
}

#[tokio::test]
async fn a_wild_topic_is_joined_when_its_second_number_is_twice_the_first() {
    let (_server, mut client) = user_socket().await;
    client
        .dialogue(
            r#"
            > ["1","1","wild:1:2","phx_join",{}]
            < ["1","1","wild:1:2","phx_reply",{"response":{},"status":"ok"}]
            > ["1","2","wild:1:2","ping",{}]
            < ["1","2","wild:1:2","phx_reply",{"response":{"ping":"pong"},"status":"ok"}]
            > ["3","3","wild:1:3","phx_join",{}]
            < ["3","3","wild:1:3","phx_reply",{"response":{},"status":"error"}]
            > ["4","4","wild:20:40","phx_join",{}]
            < ["4","4","wild:20:40","phx_reply",{"response":{},"status":"ok"}]
            > ["5","5","wild:2:4:6","phx_join",{}]
            < ["5","5","wild:2:4:6","phx_reply",{"response":{},"status":"error"}]
            > ["9","9","wild:one:two","phx_join",{}]
            < ["9","9","wild:one:two","phx_reply",{"response":{"reason":"join crashed"},"status":"error"}]
            "#,
        )
        .await;
}

#[tokio::test]
async fn the_phrase_of_the_reply_is_that_of_the_payload_or_of_the_event() {
    let (_server, mut client) = user_socket().await;
    client
        .dialogue(
            r#"
            > ["1","1","ping","phx_join",{}]
            < ["1","1","ping","phx_reply",{"response":{},"status":"ok"}]
            > ["1","2","ping","ping",{"ack_phrase":"hooray!"}]
            < ["1","2","ping","phx_reply",{"response":{"ping":"hooray!"},"status":"ok"}]
            > ["1","2","ping","ping",{}]
            < ["1","2","ping","phx_reply",{"response":{"ping":"pong"},"status":"ok"}]
            > ["1","3","ping","ping",{"ack_phrase":[1,{"a":2}]}]
            < ["1","3","ping","phx_reply",{"response":{"ping":[1,{"a":2}]},"status":"ok"}]
            > ["1","2","ping","ping:hooray!",{}]
            < ["1","2","ping","phx_reply",{"response":{"ping":"hooray!"},"status":"ok"}]
            "#,
        )
        .await;
}

#[tokio::test]
async fn pong_has_no_reply_and_pang_stops_the_channel() {
    let (_server, mut client) = user_socket().await;
    client
        .dialogue(
            r#"
            > ["1","1","ping","phx_join",{}]
            < ["1","1","ping","phx_reply",{"response":{},"status":"ok"}]
            > ["1","2","ping","pong",{}]
            > ["1","2","ping","pang",{}]
            < ["1","2","ping","phx_reply",{"response":{"msg":"shutting down"},"status":"ok"}]
            < ["1","1","ping","phx_close",{}]
            "#,
        )
        .await;
}

#[tokio::test]
async fn param_ping_replies_with_its_payload_or_with_the_requested_error() {
    let (_server, mut client) = user_socket().await;
    client
        .dialogue(
            r#"
            > ["1","1","ping","phx_join",{}]
            < ["1","1","ping","phx_reply",{"response":{},"status":"ok"}]
            > ["1","2","ping","param_ping",{"error":true}]
            < ["1","2","ping","phx_reply",{"response":{"reason":"You asked for this!"},"status":"error"}]
            > ["1","3","ping","param_ping",{"error":false,"arr":[1,2]}]
            < ["1","3","ping","phx_reply",{"response":{"error":false,"arr":[1,2]},"status":"ok"}]
            > ["1","4","ping","param_ping",{"error":"true"}]
            < ["1","4","ping","phx_reply",{"response":{"error":"true"},"status":"ok"}]
            "#,
        )
        .await;
}

#[tokio::test]
async fn a_broadcast_reaches_the_clients_on_its_topic_and_request_ping_adds_the_node() {
    let (server, mut client) = user_socket().await;
    client
        .dialogue(
            r#"
            > ["1","1","ping","phx_join",{}]
            < ["1","1","ping","phx_reply",{"response":{},"status":"ok"}]
            "#,
        )
        .await;
    server.endpoint.broadcast("other", "x", json!({})).unwrap();
    server.endpoint.broadcast("ping", "test", json!({ "data": "test" })).unwrap();
    client.dialogue(r#"< [null,null,"ping","test",{"data":"test"}]"#).await;
    server.endpoint.broadcast("ping", "request_ping", json!({ "a": 1 })).unwrap();
    client.dialogue(r#"< ["1",null,"ping","send_ping",{"a":1,"from_node":"nonode@nohost"}]"#).await;
}

#[tokio::test]
async fn a_broadcast_reaches_every_client_and_a_reply_only_its_requester() {
    let (server, mut one) = user_socket().await;
    let mut other = Client::connect(server.address, "/socket").await;
    for client in [&mut one, &mut other] {
        client
            .dialogue(
                r#"
                > ["1","1","ping","phx_join",{}]
                < ["1","1","ping","phx_reply",{"response":{},"status":"ok"}]
                "#,
            )
            .await;
    }
    one.dialogue(
        r#"
        > ["1","2","ping","ping",{}]
        < ["1","2","ping","phx_reply",{"response":{"ping":"pong"},"status":"ok"}]
        "#,
    )
    .await;
    server.endpoint.broadcast("ping", "request_ping", json!({})).unwrap();
    for client in [&mut one, &mut other] {
        client.dialogue(r#"< ["1",null,"ping","send_ping",{"from_node":"nonode@nohost"}]"#).await;
    }
}

#[tokio::test]
async fn the_measured_socket_accepts_one_topic_and_refuses_another() {
    let server = Server::start().await;
    let mut client = Client::connect(server.address, "/stats_socket").await;
    client
        .dialogue(
            r#"
            > ["1","1","invalid","phx_join",{}]
            < ["1","1","invalid","phx_reply",{"response":{"reason":"always fails"},"status":"error"}]
            > ["2","2","valid","phx_join",{}]
            < ["2","2","valid","phx_reply",{"response":{},"status":"ok"}]
            > ["2","3","valid","ping",{}]
            < ["2","3","valid","phx_reply",{"response":{"ping":"pong"},"status":"ok"}]
            > ["2","4","valid","parallel_slow_ping",{}]
            > ["2","5","valid","parallel_slow_ping",{}]
            > ["2","6","valid","ping",{}]
            < ["2","6","valid","phx_reply",{"response":{"ping":"pong"},"status":"ok"}]
            < ["2","_","valid","phx_reply",{"response":{"ping":"pong"},"status":"ok"}]
            < ["2","_","valid","phx_reply",{"response":{"ping":"pong"},"status":"ok"}]
            "#,
        )
        .await;
}

#[tokio::test]
async fn a_push_to_a_user_is_a_broadcast_and_a_timed_one_a_push_of_the_channel() {
    let server = Server::start().await;
    let (_pipeline, producer) = pipeline::start(&server.endpoint).unwrap();
    let mut client = Client::connect(server.address, &format!("/auth_socket?token={}", server.token(1))).await;
    client
        .dialogue(
            r#"
            > ["1","1","user:1","phx_join",{}]
            < ["1","1","user:1","phx_reply",{"response":{},"status":"ok"}]
            "#,
        )
        .await;
    producer.push(Push::new(1, json!({ "n": 1 }))).await.unwrap();
    client.dialogue(r#"< [null,null,"user:1","push",{"n":1}]"#).await;
    producer.push_timed(Push::new(1, json!({ "n": 2 }))).await.unwrap();
    client.dialogue(r#"< ["1",null,"user:1","push_timed",{"n":2}]"#).await;
}

#[tokio::test]
async fn the_authenticated_socket_requires_a_valid_token() {
    let server = Server::start().await;
    let old = Token::new(server.endpoint.secret(), "salt identifier")
        .sign_at(&1, SystemTime::now() - Duration::from_secs(86_401))
        .unwrap();
    let other_salt = server.endpoint.sign("another salt", &1).unwrap();
    for params in ["".to_owned(), "token=x".to_owned(), format!("token={old}"), format!("token={other_salt}")] {
        let refused = Client::try_connect(server.address, &format!("/auth_socket?{params}")).await;
        assert_eq!(refused.err(), Some(403), "{params}");
    }
    let mut client = Client::connect(server.address, &format!("/auth_socket?token={}", server.token(1))).await;
    client
        .dialogue(
            r#"
            > ["1","1","ping","phx_join",{}]
            < ["1","1","ping","phx_reply",{"response":{},"status":"ok"}]
            > ["1","2","ping","ping",{}]
            < ["1","2","ping","phx_reply",{"response":{"ping":"pong"},"status":"ok"}]
            > ["1","1","user:2","phx_join",{}]
            < ["1","1","user:2","phx_reply",{"response":{"reason":"unauthorized"},"status":"error"}]
            > ["1","1","user:1","phx_join",{}]
            < ["1","1","user:1","phx_reply",{"response":{},"status":"ok"}]
            "#,
        )
        .await;
}
