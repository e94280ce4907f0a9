//! A whole server against two independent implementations of WebSocket, tokio-tungstenite and yawc.

mod support;

use bennu::prelude::*;
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use std::collections::VecDeque;
use support::channel::{Open, app};
use support::client::{binary_push, binary_reply};
use support::{Server, endpoint, soon};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame as TungsteniteFrame};
use tokio_tungstenite::tungstenite::{Message, protocol::frame::coding::CloseCode};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use yawc::Frame;

const SIZES: [usize; 14] = [0, 1, 2, 100, 125, 126, 127, 1000, 65_000, 65_535, 65_536, 65_537, 300_000, 1 << 20];

type Tungstenite = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Starts a server whose second mount compresses.
async fn server() -> (Server, Endpoint) {
    let endpoint = endpoint();
    let compressed = bennu::socket::<Open>("/compressed").compress(true).router(&endpoint).unwrap();
    (Server::start(&endpoint, app(&endpoint).merge(compressed)).await, endpoint)
}

fn url(server: &Server, path: &str, vsn: &str) -> String {
    format!("ws://{}{path}/websocket?vsn={vsn}", server.addr)
}

async fn tungstenite(server: &Server) -> Tungstenite {
    soon("connecting", connect_async(url(server, "/socket", "2.0.0"))).await.expect("a handshake").0
}

async fn yawc_at(server: &Server, path: &str, options: yawc::Options) -> yawc::TcpWebSocket {
    let url = url(server, path, "2.0.0").parse().unwrap();
    soon("connecting", yawc::WebSocket::connect(url).with_options(options)).await.expect("a handshake")
}

/// Returns text of medium compressibility with characters of every length in UTF-8.
fn text(len: usize) -> String {
    let mut seed = len as u32 ^ 0x9E37_79B9;
    let mut text = String::with_capacity(len);
    while text.len() + 4 <= len {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text.push(['a', 'b', 'c', ' ', 'é', '€', '😀', 'z'][(seed >> 28) as usize % 8]);
    }
    text.extend(std::iter::repeat_n('x', len - text.len()));
    text
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn echo(reference: usize, text: &str) -> String {
    json!(["1", reference.to_string(), "room:1", "echo", { "text": text }]).to_string()
}

fn echoed(reference: usize, text: &str) -> serde_json::Value {
    json!(["1", reference.to_string(), "room:1", "phx_reply", { "status": "ok", "response": { "text": text } }])
}

fn join() -> String {
    json!(["1", "1", "room:1", "phx_join", {}]).to_string()
}

fn parsed(text: impl AsRef<[u8]>) -> serde_json::Value {
    serde_json::from_slice(text.as_ref()).expect("JSON")
}

async fn next(client: &mut Tungstenite) -> Message {
    soon("a message", client.next()).await.expect("not the end").expect("no error")
}

async fn joined_tungstenite(server: &Server) -> Tungstenite {
    let mut client = tungstenite(server).await;
    client.send(Message::text(join())).await.unwrap();
    assert_eq!(parsed(next(&mut client).await.into_data())[4]["status"], "ok");
    client
}

async fn joined_yawc(server: &Server, path: &str, options: yawc::Options) -> yawc::TcpWebSocket {
    // The default limit of yawc is 1 MiB, and the largest echo is a little longer.
    let mut client = yawc_at(server, path, options.with_limits(4 << 20, 8 << 20)).await;
    client.send(Frame::text(join())).await.unwrap();
    assert_eq!(parsed(next_yawc(&mut client).await.payload())[4]["status"], "ok");
    client
}

async fn next_yawc(client: &mut yawc::TcpWebSocket) -> Frame {
    soon("a frame", client.next_frame()).await.expect("no error")
}

#[tokio::test]
async fn tungstenite_s_text_and_binary_messages_of_every_size_are_echoed() {
    let (server, _endpoint) = server().await;
    let mut client = joined_tungstenite(&server).await;
    for size in SIZES {
        let text = text(size);
        client.send(Message::text(echo(size, &text))).await.unwrap();
        let answer = next(&mut client).await;
        assert!(answer.is_text());
        assert_eq!(parsed(answer.into_data()), echoed(size, &text), "text of {size} bytes");

        let data = bytes(size);
        client.send(Message::binary(binary_push("1", "2", "room:1", "echo", &data))).await.unwrap();
        let answer = next(&mut client).await;
        assert!(answer.is_binary());
        assert_eq!(binary_reply(&answer.into_data()), ("ok", &data[..]), "{size} bytes of binary data");
    }
}

#[tokio::test]
async fn yawc_s_text_and_binary_messages_of_every_size_are_echoed() {
    let (server, _endpoint) = server().await;
    let mut client = joined_yawc(&server, "/socket", yawc::Options::default().with_utf8()).await;
    for size in SIZES {
        let text = text(size);
        client.send(Frame::text(echo(size, &text))).await.unwrap();
        let answer = next_yawc(&mut client).await;
        assert_eq!(answer.opcode(), yawc::OpCode::Text);
        assert_eq!(parsed(answer.payload()), echoed(size, &text), "text of {size} bytes");

        let data = bytes(size);
        client.send(Frame::binary(binary_push("1", "2", "room:1", "echo", &data))).await.unwrap();
        let answer = next_yawc(&mut client).await;
        assert_eq!(answer.opcode(), yawc::OpCode::Binary);
        assert_eq!(binary_reply(answer.payload()), ("ok", &data[..]), "{size} bytes of binary data");
    }
}

#[tokio::test]
async fn messages_that_tungstenite_sends_in_fragments_arrive_whole_with_pings_between_them() {
    let (server, _endpoint) = server().await;
    let mut client = joined_tungstenite(&server).await;
    // 7 bytes cut characters apart; 70,000 fragments of one message come in many reads.
    for (size, part) in [(1000, 7), (70_000, 1), (200_000, 65_536)] {
        let text = text(size);
        let message = echo(size, &text);
        let chunks: Vec<&[u8]> = message.as_bytes().chunks(part).collect();
        for (n, chunk) in chunks.iter().enumerate() {
            let opcode = if n == 0 { Data::Text } else { Data::Continue };
            let frame = TungsteniteFrame::message(chunk.to_vec(), OpCode::Data(opcode), n == chunks.len() - 1);
            client.feed(Message::Frame(frame)).await.unwrap();
            if n == chunks.len() / 2 {
                client.feed(Message::Ping(Bytes::from_static(b"between"))).await.unwrap();
            }
        }
        client.flush().await.unwrap();
        assert_eq!(next(&mut client).await, Message::Pong(Bytes::from_static(b"between")));
        assert_eq!(parsed(next(&mut client).await.into_data()), echoed(size, &text), "{size} bytes by {part}");
    }
}

#[tokio::test]
async fn messages_that_yawc_sends_in_fragments_arrive_whole() {
    let (server, _endpoint) = server().await;
    for options in [yawc::Options::default(), yawc::Options::default().with_balanced_compression()] {
        let path = if options.compression.is_some() { "/compressed" } else { "/socket" };
        let mut client = joined_yawc(&server, path, options.with_max_fragment_size(1000)).await;
        for size in [999, 1000, 1001, 100_000] {
            let text = text(size);
            client.send(Frame::text(echo(size, &text))).await.unwrap();
            assert_eq!(parsed(next_yawc(&mut client).await.payload()), echoed(size, &text), "{size} bytes at {path}");
        }
    }
}

#[tokio::test]
async fn pings_of_every_length_are_answered_with_their_payload() {
    let (server, _endpoint) = server().await;
    let mut client = tungstenite(&server).await;
    for len in [0, 1, 64, 125] {
        let payload = Bytes::from(bytes(len));
        client.send(Message::Ping(payload.clone())).await.unwrap();
        assert_eq!(next(&mut client).await, Message::Pong(payload));
    }
    let mut client = yawc_at(&server, "/socket", yawc::Options::default()).await;
    for len in [0, 1, 64, 125] {
        client.send(Frame::ping(bytes(len))).await.unwrap();
        let pong = next_yawc(&mut client).await;
        assert_eq!((pong.opcode(), &pong.payload()[..]), (yawc::OpCode::Pong, &bytes(len)[..]));
    }
}

#[tokio::test]
async fn an_unsolicited_pong_is_not_a_message_and_harms_nothing() {
    let (server, _endpoint) = server().await;
    let mut client = joined_tungstenite(&server).await;
    client.send(Message::Pong(Bytes::from_static(b"unasked"))).await.unwrap();
    client.send(Message::text(echo(2, "still here"))).await.unwrap();
    assert_eq!(parsed(next(&mut client).await.into_data()), echoed(2, "still here"));
}

#[tokio::test]
async fn the_client_s_close_code_comes_back_and_then_the_end_of_the_stream() {
    let (server, endpoint) = server().await;
    for code in [1000, 1001, 1008, 1011, 3000, 3999, 4000, 4999] {
        let mut client = joined_tungstenite(&server).await;
        let close = CloseFrame { code: CloseCode::from(code), reason: "because".into() };
        client.close(Some(close)).await.unwrap();
        let Message::Close(Some(answer)) = next(&mut client).await else { panic!("no close frame for {code}") };
        // The server echoes the code; the reason would be its own, and it has none.
        assert_eq!((u16::from(answer.code), answer.reason.as_str()), (code, ""));
        assert!(soon("the end", client.next()).await.is_none(), "nothing follows a close");
    }
    let mut client = joined_tungstenite(&server).await;
    client.close(None).await.unwrap();
    assert_eq!(next(&mut client).await, Message::Close(None));
    support::until("every connection has ended", || endpoint.connection_count() + endpoint.channel_count() == 0).await;
}

#[tokio::test]
async fn yawc_closes_with_a_code_and_gets_it_back() {
    let (server, _endpoint) = server().await;
    let mut client = joined_yawc(&server, "/socket", yawc::Options::default()).await;
    client.send(Frame::close(yawc::close::CloseCode::Away, b"bye")).await.unwrap();
    let answer = next_yawc(&mut client).await;
    assert_eq!(answer.close_code(), Some(yawc::close::CloseCode::Away));
}

#[tokio::test]
async fn both_clients_read_the_close_code_and_reason_of_the_server() {
    let endpoint = endpoint();
    let impatient = bennu::socket::<Open>("/socket").timeout(std::time::Duration::from_millis(200));
    let server = Server::start(&endpoint, impatient.router(&endpoint).unwrap()).await;
    let mut client = tungstenite(&server).await;
    let Message::Close(Some(close)) = next(&mut client).await else { panic!("no close frame") };
    assert_eq!((u16::from(close.code), close.reason.as_str()), (3008, "nothing received for 0.2 s"));
    let mut client = yawc_at(&server, "/socket", yawc::Options::default()).await;
    let close = next_yawc(&mut client).await;
    assert_eq!(close.close_code().map(u16::from), Some(3008));
    assert_eq!(close.close_reason().unwrap(), Some("nothing received for 0.2 s"));
}

/// Every compression that yawc can negotiate, with many messages in a row, so that a context which is (or is not) taken
/// over has an effect.
#[tokio::test]
async fn yawc_s_compressed_messages_are_echoed_many_in_a_row() {
    let (server, _endpoint) = server().await;
    let deflate = || yawc::Options::default().with_balanced_compression();
    let ways = [
        ("the default of yawc", deflate()),
        ("client without context", deflate().client_no_context_takeover()),
        ("server without context", deflate().server_no_context_takeover()),
        ("neither with context", deflate().client_no_context_takeover().server_no_context_takeover()),
        ("server window 9", deflate().with_server_max_window_bits(9)),
        ("server window 12", deflate().with_server_max_window_bits(12)),
        ("client window 9", deflate().with_client_max_window_bits(9)),
        ("best", yawc::Options::default().with_high_compression()),
        ("fast", yawc::Options::default().with_low_latency_compression()),
    ];
    for (way, options) in ways {
        let mut client = joined_yawc(&server, "/compressed", options).await;
        for n in 0..200 {
            // Sizes above and below the windows.
            let text = text((n * 7919) % 40_000);
            client.send(Frame::text(echo(n, &text))).await.unwrap();
            let answer = next_yawc(&mut client).await;
            assert_eq!(parsed(answer.payload()), echoed(n, &text), "{way}, message {n}");
        }
        let data = bytes(1 << 20);
        client.send(Frame::binary(binary_push("1", "2", "room:1", "echo", &data))).await.unwrap();
        assert_eq!(binary_reply(next_yawc(&mut client).await.payload()), ("ok", &data[..]), "{way}");
    }
}

#[tokio::test]
async fn a_compressed_message_is_smaller_on_the_wire() {
    let (server, endpoint) = server().await;
    let offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
    let path = "/compressed/websocket?vsn=2.0.0";
    let (mut client, response) = support::client::Client::connect_with(server.addr, path, offer).await;
    let answer = response.header("sec-websocket-extensions").expect("an agreement");
    assert!(answer.starts_with("permessage-deflate"), "{answer}");
    client.send(json!(["1", "1", "room:1", "phx_join", {}])).await;
    client.frame().await;
    endpoint.broadcast("room:1", "said", json!({ "text": "again and ".repeat(1000) })).unwrap();
    let frame = client.frame().await;
    assert!(frame.rsv1 && frame.payload.len() < 500, "{frame:?}");
}

/// One broadcast, encoded once for each kind of client, arrives with the same content at all of them, and in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broadcast_arrives_with_the_same_content_at_clients_of_all_kinds() {
    let (server, endpoint) = server().await;
    let deflate = || yawc::Options::default().with_balanced_compression();
    let mut v2_plain = VecDeque::new();
    let mut v2_yawc = Vec::new();
    let mut v1_plain = Vec::new();
    for n in 0..4 {
        v2_plain.push_back(joined_tungstenite(&server).await);
        v2_yawc.push(joined_yawc(&server, "/socket", yawc::Options::default()).await);
        let options = if n % 2 == 0 { deflate() } else { deflate().with_server_max_window_bits(10) };
        v2_yawc.push(joined_yawc(&server, "/compressed", options).await);
        let (mut client, _) = soon("connecting", connect_async(url(&server, "/socket", "1.0.0"))).await.unwrap();
        let join = json!({ "topic": "room:1", "event": "phx_join", "payload": {}, "ref": "1" });
        client.send(Message::text(join.to_string())).await.unwrap();
        assert_eq!(parsed(next(&mut client).await.into_data())["payload"]["status"], "ok");
        v1_plain.push(client);
    }
    let messages: Vec<serde_json::Value> =
        (0..50).map(|n| json!({ "n": n, "text": text(n * n * 40), "nested": [{ "é": null }, 1e3, -0.5] })).collect();
    for message in &messages {
        endpoint.broadcast("room:1", "said", message.clone()).unwrap();
    }
    for message in &messages {
        let v2 = json!([null, null, "room:1", "said", message]);
        for client in &mut v2_plain {
            assert_eq!(parsed(next(client).await.into_data()), v2);
        }
        for client in &mut v2_yawc {
            assert_eq!(parsed(next_yawc(client).await.payload()), v2);
        }
        let v1 = json!({ "topic": "room:1", "event": "said", "payload": message, "ref": null });
        for client in &mut v1_plain {
            let mut answer = parsed(next(client).await.into_data());
            answer.as_object_mut().unwrap().remove("join_ref");
            assert_eq!(answer, v1);
        }
    }
}

#[tokio::test]
async fn a_binary_broadcast_arrives_at_every_v2_client_and_is_skipped_for_v1_clients() {
    let (server, endpoint) = server().await;
    let mut plain = joined_tungstenite(&server).await;
    let mut deflated = joined_yawc(&server, "/compressed", yawc::Options::default().with_balanced_compression()).await;
    let mut old = support::client::Client::connect(server.addr, "/socket/websocket?vsn=1.0.0").await;
    old.send(json!({ "topic": "room:1", "event": "phx_join", "payload": {}, "ref": "1" })).await;
    assert_eq!(old.receive().await["payload"]["status"], "ok");
    let data = bytes(100_000);
    endpoint.broadcast("room:1", "said", data.clone()).unwrap();
    endpoint.broadcast("room:1", "said", json!({ "next": true })).unwrap();
    let expected: Vec<u8> = [&[2, 6, 4][..], b"room:1said", &data].concat();
    assert_eq!(next(&mut plain).await.into_data(), expected);
    assert_eq!(next_yawc(&mut deflated).await.payload(), &expected);
    assert_eq!(old.receive().await["payload"], json!({ "next": true }), "the binary broadcast was skipped");
}
