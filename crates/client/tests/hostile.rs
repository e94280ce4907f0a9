//! Servers that violate the protocol: the client returns a precise error, keeps its limits and retries.

use bennu_client::{Client, ConnectError, ConnectionError, ConnectionState, Transport};
use bennu_websocket::{Decoder, DecoderLimits, Incoming, Opcode, encode, handshake};
use serde_json::json;
use std::future::Future;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const SOON: Duration = Duration::from_secs(20);

/// Starts a server that handles each connection with `handle`; returns its URL.
async fn serve<F: Future<Output = ()> + Send + 'static>(handle: impl Fn(TcpStream) -> F + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/socket", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(handle(stream));
        }
    });
    url
}

/// Reads a request and returns its head.
async fn request(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if !matches!(stream.read_buf(&mut head).await, Ok(1..)) {
            break;
        }
    }
    String::from_utf8(head).unwrap()
}

async fn upgrade(stream: &mut TcpStream, more: &str) {
    let head = request(stream).await;
    let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: ")).expect("a key");
    let accept = handshake::accept_key(key.as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-accept: {accept}\r\n{more}\r\n"
    );
    stream.write_all(answer.as_bytes()).await.unwrap();
}

/// Waits until the client has lost its first connection; returns how it ended.
async fn outage(client: &Client) -> ConnectionError {
    let mut states = client.states();
    let cause = async {
        loop {
            let state = states.next().await;
            // The client may have left the waiting state already.
            if let Some(error) = client.last_error() {
                return (*error).clone();
            } else if let ConnectionState::Waiting { cause, .. } = state {
                return (*cause).clone();
            }
        }
    };
    tokio::time::timeout(SOON, cause).await.expect("an outage")
}

async fn fails(url: &str, transport: Transport) -> ConnectError {
    let attempt = Client::builder(url).transport(transport).connect();
    tokio::time::timeout(SOON, attempt).await.expect("a result").expect_err("the server is not a socket")
}

#[tokio::test]
async fn responses_that_are_not_a_handshake_have_distinct_errors() {
    let answers = [
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", ""),
        (
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
            "Sec-WebSocket-Accept",
        ),
        ("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n", "another protocol"),
        ("SSH-2.0-OpenSSH_9.2\r\n", ""),
        ("", ""),
    ];
    for (answer, expected) in answers {
        let url = serve(move |mut stream| async move {
            request(&mut stream).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        })
        .await;
        let error = fails(&url, Transport::WebSocket).await;
        assert!(matches!(error, ConnectError::Handshake(_) | ConnectError::Io { .. }), "{answer:?}: {error}");
        assert!(error.to_string().contains(expected), "{answer:?}: {error}");
        let error = fails(&url, Transport::LongPoll).await;
        assert!(matches!(error, ConnectError::Handshake(_) | ConnectError::Io { .. }), "{answer:?}: {error}");
    }
    for more in ["sec-websocket-protocol: chat\r\n", "sec-websocket-extensions: permessage-deflate\r\n"] {
        let url = serve(move |mut stream| async move { upgrade(&mut stream, more).await }).await;
        let error = fails(&url, Transport::WebSocket).await;
        assert!(error.to_string().contains("offered"), "{error}");
    }
}

#[tokio::test]
async fn the_first_kilobyte_of_an_endless_refusal_is_kept() {
    let url = serve(|mut stream| async move {
        request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 418 I'm a teapot\r\n\r\n").await.unwrap();
        while stream.write_all(&[b'x'; 10_000]).await.is_ok() {}
    })
    .await;
    match fails(&url, Transport::WebSocket).await {
        ConnectError::Refused { status: 418, body } => assert_eq!(body, "x".repeat(1024)),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_refusal_that_stalls_is_returned_with_the_received_part() {
    let url = serve(|mut stream| async move {
        request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 100\r\n\r\nnot you").await.unwrap();
        request(&mut stream).await;
    })
    .await;
    match fails(&url, Transport::WebSocket).await {
        ConnectError::Refused { status: 403, body } => assert_eq!(body, "not you"),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_connection_whose_server_masks_frames_is_closed_with_1002_and_opened_again() {
    let (sender, mut codes) = tokio::sync::mpsc::unbounded_channel();
    let url = serve(move |mut stream| {
        let sender = sender.clone();
        async move {
            upgrade(&mut stream, "").await;
            stream.write_all(&encode::masked_frame(Opcode::Text, b"hello", [1, 2, 3, 4])).await.unwrap();
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            let event = Decoder::new(DecoderLimits::default(), None)
                .decode(&mut answer)
                .map(|(event, _)| event.map(Incoming::into_owned));
            let _ = sender.send(event);
        }
    })
    .await;
    let client = Client::connect(url).await.unwrap();
    assert!(matches!(outage(&client).await, ConnectionError::Protocol(reason) if reason.contains("masked")));
    for _ in 0..2 {
        let close = tokio::time::timeout(SOON, codes.recv()).await.unwrap().unwrap();
        assert!(matches!(close, Ok(Some(Incoming::Close(frame))) if frame.code.is_some_and(|code| code.0 == 1002)));
    }
}

#[tokio::test]
async fn the_last_of_ten_thousand_pings_is_always_answered() {
    let (sender, mut answered) = tokio::sync::mpsc::unbounded_channel();
    let url = serve(move |mut stream| {
        let sender = sender.clone();
        async move {
            upgrade(&mut stream, "").await;
            for n in 0u32..10_000 {
                stream.write_all(&encode::frame(Opcode::Ping, &n.to_be_bytes())).await.unwrap();
            }
            let (mut decoder, mut pongs) = (Decoder::new(DecoderLimits::default(), None), 0);
            let mut buffer = vec![0; 65_536];
            loop {
                let count = stream.read(&mut buffer).await.unwrap();
                let mut input = &mut buffer[..count];
                while let (Some(event), rest) = decoder.decode(input).unwrap() {
                    pongs += 1;
                    if event == Incoming::Pong(9_999u32.to_be_bytes().to_vec().into()) {
                        let _ = sender.send(pongs);
                    }
                    input = rest;
                }
            }
        }
    })
    .await;
    let _client = Client::connect(url).await.unwrap();
    let pongs = tokio::time::timeout(SOON, answered.recv()).await.unwrap().unwrap();
    assert!(pongs <= 10_000);
}

#[tokio::test]
async fn random_bytes_after_the_handshake_never_panic() {
    let mut state = 7u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    for _ in 0..50 {
        let mut noise: Vec<u8> = (0..2000).map(|_| random()).collect();
        // The first two bytes are mostly those of a valid frame.
        noise[0] = [0x81, 0x82, 0x88, 0x89, 0x01][usize::from(noise[0] % 5)];
        noise[1] &= 0x7F;
        let url = serve(move |mut stream| {
            let noise = noise.clone();
            async move {
                upgrade(&mut stream, "").await;
                let _ = stream.write_all(&noise).await;
            }
        })
        .await;
        let client = Client::connect(url).await.unwrap();
        let room = client.channel("room").open().unwrap();
        outage(&client).await;
        assert!(!room.is_joined());
    }
}

#[tokio::test]
async fn a_server_that_closes_at_once_gets_attempts_by_the_schedule_and_not_every_ten_milliseconds() {
    let (sender, mut attempts) = tokio::sync::mpsc::unbounded_channel();
    let url = serve(move |mut stream| {
        let sender = sender.clone();
        async move {
            upgrade(&mut stream, "").await;
            let _ = sender.send(());
        }
    })
    .await;
    let _client = Client::connect(url).await.unwrap();
    tokio::time::sleep(Duration::from_millis(700)).await;
    let mut count = 0;
    while attempts.try_recv().is_ok() {
        count += 1;
    }
    // Attempts follow after 10, 60, 160, 310, 510 and 760 ms. Jitter halves each delay at most.
    assert!((2..=9).contains(&count), "{count} attempts");
}

#[test]
fn a_client_whose_runtime_ends_is_closed() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = runtime.block_on(async {
        let url = serve(|mut stream| async move {
            upgrade(&mut stream, "").await;
            request(&mut stream).await;
        });
        Client::connect(url.await).await.unwrap()
    });
    drop(runtime);
    assert!(matches!(client.state(), ConnectionState::Closed));
    assert!(futures::executor::block_on(client.join("room", json!({}))).is_err());
}
