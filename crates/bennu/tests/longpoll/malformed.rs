//! Malformed requests: messages, bodies and tokens that are refused.

use super::*;

fn refused(response: &Response) -> (u16, u64, String) {
    let body = response.json();
    (response.http.as_u16(), body["status"].as_u64().unwrap(), body["reason"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_response_names_the_malformed_message_and_the_messages_before_it_are_processed() {
    let mut client = Poller::open(&mount(&endpoint(), true), "/socket").await;
    client.join("room:1").await;
    let echo = r#"["1","2","room:1","echo",1]"#;
    for (body, reason) in [
        (format!("{echo}\n[not json"), "message 2: the text is not a V2 message: expected ident at line 1 column 3"),
        (format!("{echo}\n%%%"), "line 2 is neither a JSON message nor base64: Invalid symbol 37, offset 0."),
        (
            format!("{echo}\nAQAAAAA="),
            "message 2: a binary frame of kind 1 is not accepted; a client sends kind 0 (push), \
             a server kind 0 (push), 1 (reply) or 2 (broadcast)",
        ),
    ] {
        let response = client.post("application/x-ndjson", body).await;
        assert_eq!(refused(&response), (200, 400, reason.to_owned()));
        assert_eq!(client.messages().await.len(), 1, "the valid message before it");
    }
    let response = client.post("application/json", "").await;
    assert_eq!((response.json()["status"].as_u64(), response.http), (Some(400), StatusCode::OK));
}

#[tokio::test(start_paused = true)]
async fn a_body_over_the_limit_is_refused_with_and_without_a_content_length() {
    let app = mount(&endpoint(), LongPoll::default().max_body_bytes(100));
    let mut client = Poller::open(&app, "/socket").await;
    client.join("room:1").await;
    let message = |bytes: usize| format!(r#"["1","2","room:1","echo","{}"]"#, "x".repeat(bytes - 28));
    let streamed = Body::from_stream(futures::stream::iter([Ok::<_, Infallible>(Bytes::from(message(101)))]));
    for body in [Body::from(message(101)), streamed] {
        let response = client.post("application/json", body).await;
        assert_eq!(response.http, StatusCode::BAD_REQUEST);
        assert_eq!(response.text, "the body is longer than the limit of 100 bytes");
    }
    let response = client.post("application/json", message(100)).await;
    assert_eq!(response.json(), json!({ "status": 200 }), "{}", message(100).len());
}

#[tokio::test(start_paused = true)]
async fn a_slow_or_broken_body_fails_only_its_own_request() {
    let client = Poller::open(&mount(&endpoint(), true), "/socket").await;
    let (more, body) = tokio::sync::mpsc::unbounded_channel::<Bytes>();
    let trickle = tokio::spawn(async move {
        while more.send(Bytes::from_static(b" ")).is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
    });
    let started = Instant::now();
    let response = client.post("application/json", slow_body(body)).await;
    let expected = (StatusCode::BAD_REQUEST, "the body did not arrive within 60s");
    assert_eq!((response.http, response.text.as_str()), expected);
    assert_eq!(started.elapsed(), Duration::from_secs(60));
    trickle.await.unwrap();
    let broken = Body::from_stream(futures::stream::iter([Err::<Bytes, _>(std::io::Error::other("reset"))]));
    let response = client.post("application/json", broken).await;
    assert_eq!(response.text, "could not read the body: reset");
    let response = client.post("application/json", vec![b'"', 0xff]).await;
    assert_eq!(response.text, "the body is not UTF-8");
    client.send([json!([null, "1", "phoenix", "heartbeat", {}])]).await;
}

#[tokio::test(start_paused = true)]
async fn foreign_expired_and_malformed_tokens_are_not_sessions() {
    let endpoint = endpoint();
    let app = mount(&endpoint, LongPoll::default().crypto_max_age(Duration::ZERO));
    let expired = Poller::open(&app, "/socket").await;
    let other = Endpoint::new(Secret::new("another secret of at least twenty bytes").unwrap());
    let foreign = Poller::open(&mount(&other, true), "/socket").await;
    for token in [expired.token.as_str(), foreign.token.as_str(), "", "x", &"x".repeat(60_000)] {
        let uri = format!("/socket/longpoll?vsn=2.0.0&token={token}");
        let posted = respond(&app, request(Method::POST, &uri, "[]")).await;
        assert_eq!(posted.json(), json!({ "status": 410 }), "{token}");
        let polled = respond(&app, request(Method::GET, &uri, "")).await.polled();
        assert_eq!(polled.status, 410, "a new session: {token}");
    }
}
