//! Refused clients: refusals by `connect`, origins, malformed handshakes, and protocol versions.

use crate::support::channel::Open;
use crate::support::client::{Client, KEY, MASK, handshake};
use crate::support::until;
use crate::support::watch::Log;
use crate::{PATH, serve};
use axum::http::StatusCode;
use bennu::CheckOrigin;
use bennu::prelude::*;
use bennu::protocol::Serializer;
use bennu_websocket::{Opcode, encode};

/// A socket that refuses a client as its parameter `how` requests.
struct RefusingSocket;

impl Socket for RefusingSocket {
    type State = ();

    async fn connect(request: Connect) -> Result<Self, Refusal> {
        match request.params.get("how") {
            Some("plainly") => Err(Refusal::plain()),
            Some("panic") => panic!("panics on request"),
            Some("banned") => Err(Refusal::stop("you are banned until Friday")),
            Some(reason) => Err(Refusal::because(reason.to_owned())),
            None => Ok(RefusingSocket),
        }
    }

    fn channels(_: &mut ChannelRouter<Self>) {}
}

#[tokio::test]
async fn an_error_handler_responds_to_refusals_with_a_reason_and_to_no_others() {
    let mount = bennu::socket::<RefusingSocket>("/socket").error_handler(|refusal| match refusal.reason() {
        Some("busy") => (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "5")], "come back later".to_owned()),
        other => (StatusCode::PAYMENT_REQUIRED, [("retry-after", "0")], format!("refused: {other:?}")),
    });
    let (server, _endpoint) = serve(mount).await;
    let busy = Client::refused(server.addr, &format!("{PATH}&how=busy"), "").await;
    assert_eq!((busy.status, busy.header("retry-after"), &*busy.body), (429, Some("5"), "come back later"));
    let other = Client::refused(server.addr, &format!("{PATH}&how=unpaid"), "").await;
    assert_eq!((other.status, &*other.body), (402, "refused: Some(\"unpaid\")"));
    assert_eq!(Client::refused(server.addr, &format!("{PATH}&how=plainly"), "").await.status, 403);
    assert_eq!(Client::refused(server.addr, &format!("{PATH}&how=panic"), "").await.status, 500);
    Client::connect(server.addr, PATH).await;
}

#[tokio::test]
async fn without_an_error_handler_every_refusal_is_a_403_with_an_empty_body() {
    let (server, _endpoint) = serve(bennu::socket::<RefusingSocket>("/socket")).await;
    for how in ["plainly", "busy"] {
        let response = Client::refused(server.addr, &format!("{PATH}&how={how}"), "").await;
        assert_eq!((response.status, &*response.body), (403, ""), "{how}");
    }
}

#[tokio::test]
async fn a_finally_refused_client_is_connected_and_closed_with_1000_and_the_reason() {
    let mount = bennu::socket::<RefusingSocket>("/socket").longpoll(true).error_handler(|_| StatusCode::IM_A_TEAPOT);
    let (server, endpoint) = serve(mount).await;
    let (mut client, response) = Client::connect_with(server.addr, &format!("{PATH}&how=banned"), "").await;
    assert_eq!(response.status, 101);
    assert_eq!(client.close_frame().await, (Some(1000), "you are banned until Friday".to_owned()));
    client.answer_close(1000).await;
    until("the connection is over", || endpoint.connection_count() == 0).await;
    let polled = Client::refused(server.addr, "/socket/longpoll?vsn=2.0.0&how=banned", "").await;
    assert_eq!((polled.status, &*polled.body), (200, r#"{"status":403}"#), "the only refusal of long polling");
}

#[tokio::test]
async fn the_messages_of_a_finally_refused_client_are_not_processed() {
    let (server, _endpoint) = serve(bennu::socket::<RefusingSocket>("/socket")).await;
    let mut client = Client::tcp(server.addr).await;
    let mut bytes = handshake(&format!("{PATH}&how=banned"), "").into_bytes();
    let join = json!(["1", "1", "room:1", "phx_join", {}]).to_string();
    bytes.extend(encode::masked_frame(Opcode::Text, join.as_bytes(), MASK));
    client.send_raw(bytes).await;
    assert_eq!(client.response().await.status, 101);
    assert_eq!(client.close_frame().await.0, Some(1000), "and no reply before it");
}

#[tokio::test]
async fn origins_are_checked_by_the_option_of_the_mount() {
    let list = CheckOrigin::list(["https://app.test", "//*.wild.test", "http://port.test:8080"]).unwrap();
    let function = CheckOrigin::function(|origin| origin.host().is_some_and(|host| host.ends_with(".fn.test")));
    let cases: [(CheckOrigin, &[&str], &[&str]); 4] = [
        (
            true.into(),
            &["http://127.0.0.1", "https://127.0.0.1:9"],
            &["http://evil.test", "null", "http://127.0.0.1.evil"],
        ),
        (false.into(), &["http://evil.test", "null", "file://", "nonsense ~"], &[]),
        (
            list,
            &["https://app.test", "http://a.wild.test:1", "http://port.test:8080"],
            &["http://app.test", "http://127.0.0.1", "https://app.test.evil", "http://port.test", "null"],
        ),
        (function, &["http://a.fn.test"], &["http://fn.test", "http://127.0.0.1", "null"]),
    ];
    for (check, good, bad) in cases {
        let name = format!("{check:?}");
        let (log, _guard) = Log::watch(tracing::Level::WARN);
        let (server, _endpoint) = serve(bennu::socket::<Open>("/socket").check_origin(check)).await;
        Client::connect(server.addr, PATH).await;
        for origin in good {
            Client::connect_with(server.addr, PATH, &format!("Origin: {origin}\r\n")).await;
        }
        for origin in bad {
            let response = Client::refused(server.addr, PATH, &format!("Origin: {origin}\r\n")).await;
            assert_eq!(response.status, 403, "{name}: {origin}");
            let remedy = format!(".check_origin(CheckOrigin::list([{origin:?}])?)");
            assert!(log.has(&["check_origin does not allow", &remedy]), "{name}: {:?}", log.lines());
        }
    }
}

#[tokio::test]
async fn a_request_that_is_not_a_websocket_handshake_is_refused_with_the_missing_header() {
    let (server, _endpoint) = serve(bennu::socket::<Open>("/socket")).await;
    let request = |headers: &str| format!("GET {PATH} HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
    let rest = format!("Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n");
    for (headers, expected) in [
        (String::new(), "'connection' header must contain 'upgrade', got []"),
        ("Connection: close\r\n".to_owned(), "'connection' header must contain 'upgrade', got [\"close\"]"),
        (format!("Connection: upgrade\r\n{rest}"), "'upgrade' header must contain 'websocket', got []"),
        (
            "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 8\r\n".to_owned(),
            "'sec-websocket-version' header must equal '13', got [\"8\"]",
        ),
        (
            "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n".to_owned(),
            "'sec-websocket-key' header is absent",
        ),
    ] {
        let mut client = Client::tcp(server.addr).await;
        client.send_raw(request(&headers)).await;
        let response = client.response().await;
        assert_eq!((response.status, &*response.body), (400, expected));
    }
    let mut client = Client::tcp(server.addr).await;
    client.send_raw(handshake(PATH, "").replacen("GET", "POST", 1)).await;
    assert_eq!(client.response().await.status, 400);
}

#[tokio::test]
async fn a_query_that_is_not_utf8_is_a_bad_request_with_the_parameter() {
    let (server, _endpoint) = serve(bennu::socket::<Open>("/socket")).await;
    let response = Client::refused(server.addr, "/socket/websocket?vsn=2.0.0&name=%FF", "").await;
    assert_eq!(response.status, 400);
    assert!(response.body.contains("\"%FF\"") && response.body.contains("UTF-8"), "{}", response.body);
}

#[tokio::test]
async fn a_mount_with_only_v2_refuses_v1_and_logs_the_reason() {
    let (log, _guard) = Log::watch(tracing::Level::WARN);
    let (server, _endpoint) = serve(bennu::socket::<Open>("/socket").serializers([Serializer::V2])).await;
    for vsn in ["", "?vsn=1.0.0", "?vsn=3.0.0", "?vsn=nonsense"] {
        assert_eq!(Client::refused(server.addr, &format!("/socket/websocket{vsn}"), "").await.status, 403, "{vsn}");
    }
    assert!(log.has(&["vsn 1.0.0 is not supported", "~> 2.0.0"]), "{:?}", log.lines());
    assert!(log.has(&["vsn \"nonsense\" is not a version"]), "{:?}", log.lines());
    Client::connect(server.addr, PATH).await.joined("room:1").await;
}
