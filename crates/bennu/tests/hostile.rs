//! Hostile and broken clients: each test reaches a limit of the server, and checks the log line, the metric or the
//! close code that reports it.
//!
//! Tests that measure memory or file descriptors start the server in a separate process.

mod support;

use bennu::prelude::*;
use bennu_websocket::{Opcode, deflate, encode};
use metrics_util::debugging::DebuggingRecorder;
use serde_json::Value;
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use support::channel::{Open, Room, app};
use support::child::{MIB, ServerProcess, Stats, serve_in_child};
use support::client::{CLOSE, Client, MASK, PONG, handshake};
use support::watch::{Log, Metrics};
use support::{Server, endpoint, soon, until, until_within};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;

const PATH: &str = "/socket/websocket?vsn=2.0.0";

/// How long the server waits for the client's part of the closing handshake.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

#[test]
fn a_server_for_these_tests_runs_in_a_process_of_its_own() {
    serve_in_child();
}

fn server_process() -> ServerProcess {
    ServerProcess::start("a_server_for_these_tests_runs_in_a_process_of_its_own")
}

/// Starts a server process and serves a first client, so that one-time allocations are done; returns its memory too.
async fn warm_server_process() -> (ServerProcess, u64) {
    let mut server = server_process();
    let mut first = Client::connect(server.addr, PATH).await;
    first.joined("room:warm").await;
    first.send(json!(["1", "2", "room:warm", "echo", { "text": "x".repeat(200_000) }])).await;
    first.receive().await;
    first.answer_close(1000).await;
    let stats = until_stats(&mut server, "the first client has gone", |stats| stats.connections == 0).await;
    (server, stats.resident)
}

async fn until_stats(server: &mut ServerProcess, condition: &str, holds: impl Fn(&Stats) -> bool) -> Stats {
    until_stats_within(Duration::from_secs(30), server, condition, holds).await
}

async fn until_stats_within(
    limit: Duration,
    server: &mut ServerProcess,
    condition: &str,
    holds: impl Fn(&Stats) -> bool,
) -> Stats {
    let deadline = Instant::now() + limit;
    loop {
        let stats = server.stats();
        if holds(&stats) {
            return stats;
        }
        assert!(Instant::now() < deadline, "{condition}: not within {limit:?}: {stats:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn text_frame(message: &Value) -> Vec<u8> {
    encode::masked_frame(Opcode::Text, message.to_string().as_bytes(), MASK)
}

/// Returns a masked frame with any first byte and any length field.
fn raw_frame(first: u8, announced: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    frame.extend_from_slice(announced);
    frame.extend_from_slice(&MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

fn short_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    raw_frame(first, &[0x80 | payload.len() as u8], payload)
}

// --- Clients that do not read ---------------------------------------------------------------------------------------

#[tokio::test]
async fn a_client_that_never_reads_is_closed_and_counted_without_an_effect_on_others() {
    let (mut server, before) = warm_server_process().await;
    let mut lazy = Client::narrow(server.addr, 4096).await;
    lazy.upgrade(PATH, "").await;
    lazy.joined("room:1").await;
    let mut good = Client::connect(server.addr, PATH).await;
    good.joined("room:1").await;
    server.stats();

    let text = "x".repeat(100_000);
    let mut slowest = Duration::ZERO;
    for n in 0..200 {
        let sent = Instant::now();
        good.send(json!(["1", "2", "room:1", "say", { "n": n, "text": text }])).await;
        let said = good.receive().await;
        assert_eq!((&said[3], &said[4]["n"]), (&json!("said"), &json!(n)), "in order and whole");
        slowest = slowest.max(sent.elapsed());
    }
    assert!(slowest < Duration::from_secs(2), "the good client waited {slowest:?}");

    let stats = until_stats(&mut server, "the lazy client is closed", |stats| stats.connections == 1).await;
    assert_eq!(stats.metric("bennu.socket.slow_clients"), 1.0);
    let grown = stats.peak.saturating_sub(before);
    assert!(grown < 16 * MIB, "4 MiB may wait in the outbox and as many bytes in the writer: {} KiB", grown >> 10);
    let log = server.log_with(&["WARN", "closing a client that does not read", "limit=4194304"]);
    assert_eq!(log.len(), 1, "{log:?}");
    // Only the bytes in the buffers of the two kernels arrive.
    assert!(lazy.ended().await < 15_000_000);
    until_stats(&mut server, "its channel has ended", |stats| stats.channels == 1).await;
}

#[tokio::test]
async fn a_flood_of_pings_by_a_client_that_never_reads_is_bounded() {
    let (mut server, before) = warm_server_process().await;
    let mut flooder = Client::narrow(server.addr, 4096).await;
    flooder.upgrade(PATH, "").await;
    // Empty pings, so that the pongs are as small as possible and as many as possible.
    let pings = short_frame(0x89, b"").repeat(10_000);
    let mut sent = 0;
    while sent < 10_000_000 && flooder.try_send_raw(&pings).await.is_ok() {
        sent += 10_000;
    }
    let stats = until_stats(&mut server, "the flooder is closed", |stats| stats.connections == 0).await;
    assert!(sent < 10_000_000, "the server read all pings");
    assert_eq!(stats.metric("bennu.socket.slow_clients"), 1.0);
    let grown = stats.peak.saturating_sub(before);
    assert!(grown < 32 * MIB, "waiting pongs cost memory by their number too: {} KiB", grown >> 10);
    Client::connect(server.addr, PATH).await.joined("room:1").await;
}

#[tokio::test]
async fn a_client_that_reads_its_pongs_may_send_any_number_of_pings() {
    let (mut server, _) = warm_server_process().await;
    let stream = TcpStream::connect(server.addr).await.unwrap();
    let mut client = Client::over(stream);
    client.upgrade(PATH, "").await;
    let (mut read, mut write) = client.stream.into_split();
    let writing = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        let pings = short_frame(0x89, b"12345678").repeat(1000);
        for _ in 0..200 {
            write.write_all(&pings).await.unwrap();
        }
        write
    });
    let mut pongs = vec![0; 200_000 * 10];
    soon("every ping is answered", read.read_exact(&mut pongs)).await.unwrap();
    assert!(pongs.chunks(10).all(|pong| pong[0] == 0x80 | PONG && &pong[2..] == b"12345678"));
    writing.await.unwrap();
    assert_eq!(server.stats().metric("bennu.socket.slow_clients"), 0.0);
}

// --- Clients that send little, or nothing ---------------------------------------------------------------------------

#[tokio::test]
async fn clients_that_send_single_bytes_cost_no_buffer_and_stay_connected_until_they_are_silent() {
    const CLIENTS: u64 = 300;
    let (mut server, _) = warm_server_process().await;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(Client::connect(server.addr, "/impatient/websocket?vsn=2.0.0").await);
    }
    let idle = until_stats(&mut server, "all are connected", |stats| stats.connections == CLIENTS).await;
    // The header claims a frame of nearly 10 MB, whose bytes arrive one by one for longer than the idle timeout.
    let frame = raw_frame(0x82, &[0xFF, 0, 0, 0, 0, 0, 0x98, 0x00, 0x00], &[7; 100]);
    let mut ticks = tokio::time::interval(Duration::from_millis(200));
    for (n, byte) in frame.iter().take(20).enumerate() {
        ticks.tick().await;
        for client in &mut clients {
            client.send_raw([*byte]).await;
        }
        if n == 16 {
            let stats = server.stats();
            assert_eq!(stats.connections, CLIENTS, "every byte resets the idle timeout");
            let each = stats.peak.saturating_sub(idle.resident) / CLIENTS;
            assert!(each < 4096, "a byte of 10 MB costs {each} bytes of memory each");
        }
    }
    for mut client in clients {
        assert_eq!(client.close_frame().await, (Some(3008), "nothing received for 2 s".to_owned()));
        client.answer_close(3008).await;
    }
    until_stats(&mut server, "all have gone", |stats| stats.connections == 0).await;
}

/// Opens connections from an address of the loopback network; each sends an incomplete request.
async fn half_open(server: SocketAddr, from: Ipv4Addr, count: usize, open: &mut VecDeque<TcpStream>, keep: usize) {
    for _ in 0..count {
        let socket = TcpSocket::new_v4().expect("a file descriptor");
        socket.bind((from, 0).into()).expect("a port");
        let stream = soon("connecting", socket.connect(server)).await.expect("the server accepts");
        // The server may already have dropped the connection.
        let _ = stream.try_write(b"GET /socket/websocket HTTP/1.1\r\nHost: x\r\n");
        open.push_back(stream);
        if open.len() > keep {
            open.pop_front();
        }
    }
}

#[tokio::test]
async fn of_twenty_thousand_half_open_handshakes_4096_are_kept_and_honest_clients_still_connect() {
    // The limit in `serve/half_open.rs`.
    const MAX_HALF_OPEN: u64 = 4096;
    let (mut server, before) = warm_server_process().await;
    let descriptors = server.stats().descriptors;
    let mut open = VecDeque::new();
    for n in 0..20u8 {
        half_open(server.addr, Ipv4Addr::new(127, 0, 1, 1 + n), 1000, &mut open, 6000).await;
        let stats = server.stats();
        let kept = stats.descriptors - descriptors;
        // Dropped connections take a moment to close.
        assert!(kept <= MAX_HALF_OPEN + 1000, "{kept} half-open handshakes are kept");
        let mut honest = Client::connect(server.addr, PATH).await;
        honest.joined("room:1").await;
        honest.answer_close(1000).await;
    }
    let stats = server.stats();
    let dropped = stats.metric("bennu.http.half_open_dropped");
    assert!(dropped > 0.0, "4096 were never exceeded: this machine took longer than the header timeout");
    let each = stats.peak.saturating_sub(before) / MAX_HALF_OPEN;
    assert!(each < 32 * 1024, "{each} bytes for each that is kept");
    let log = server.log_with(&["WARN", "too many unfinished handshakes", "limit=4096"]);
    assert_eq!(log.len(), 1, "logged once: {log:?}");
    // The others are closed after 10 s without complete headers; the test still holds its ends open.
    let gone = |stats: &Stats| stats.descriptors <= descriptors + 2;
    until_stats_within(Duration::from_secs(40), &mut server, "all are closed", gone).await;
    drop(open);
}

#[tokio::test]
async fn headers_over_their_limit_are_refused_and_end_the_connection() {
    let endpoint = endpoint();
    let server = Server::start(&endpoint, app(&endpoint)).await;
    let many = "X-Header: y\r\n".repeat(200);
    let long = format!("X-Header: {}\r\n", "y".repeat(1_000_000));
    for (case, headers) in [("200 headers", many), ("a header of 1 MB", long)] {
        let mut client = Client::tcp(server.addr).await;
        let _ = client.try_send_raw(handshake(PATH, &headers)).await;
        let response = client.response().await;
        assert_eq!(response.status, 431, "{case}");
        client.ended().await;
    }
    let mut client = Client::tcp(server.addr).await;
    client.send_raw(format!("GET {PATH}&x={} HTTP/1.1\r\nHost: x\r\n\r\n", "y".repeat(70_000))).await;
    let status = client.response().await.status;
    assert!(status == 414 || status == 431, "a URI of 70 KB gets {status}");
    // A token or cookies of a few KB are legitimate.
    let cookies = format!("Cookie: {}\r\n", "c".repeat(16_000));
    Client::connect_with(server.addr, PATH, &cookies).await.0.joined("room:1").await;
}

/// A header that never ends must not cost more memory than its limit, for any number of clients.
#[tokio::test]
async fn endless_headers_cost_no_more_than_their_limit() {
    const CLIENTS: u64 = 200;
    let (mut server, before) = warm_server_process().await;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = Client::tcp(server.addr).await;
        let _ = client.try_send_raw(format!("GET / HTTP/1.1\r\nX: {}", "y".repeat(300_000))).await;
        clients.push(client);
    }
    let each = server.stats().peak.saturating_sub(before) / CLIENTS;
    assert!(each < 100 * 1024, "{each} bytes for each");
}

// --- Joins and messages ---------------------------------------------------------------------------------------------

#[tokio::test]
async fn of_ten_thousand_joins_a_hundred_succeed_and_the_others_are_refused_with_the_reason() {
    let (mut server, before) = warm_server_process().await;
    let mut bystander = Client::connect(server.addr, PATH).await;
    bystander.joined("room:1").await;
    let mut flooder = Client::tcp(server.addr).await;
    flooder.upgrade(PATH, "").await;
    let (read, mut write) = flooder.stream.into_split();
    let writing = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        let joins = (0..10_000).map(|n| text_frame(&json!(["1", n.to_string(), format!("room:{n}"), "phx_join", {}])));
        write.write_all(&joins.collect::<Vec<_>>().concat()).await.unwrap();
        write
    });
    let mut flooder = Client::over(tokio::io::join(read, tokio::io::sink()));
    let mut slowest = Duration::ZERO;
    for n in 0..10_000 {
        let reply = flooder.receive().await;
        let (status, response) =
            if n < 100 { ("ok", json!({})) } else { ("error", json!({ "reason": "too many channels joined" })) };
        let expected =
            json!(["1", n.to_string(), format!("room:{n}"), "phx_reply", { "status": status, "response": response }]);
        assert_eq!(reply, expected);
        if n % 1000 == 0 {
            let sent = Instant::now();
            bystander.send(json!(["1", "2", "room:1", "echo", {}])).await;
            assert_eq!(bystander.receive().await[4]["status"], "ok");
            slowest = slowest.max(sent.elapsed());
        }
    }
    assert!(slowest < Duration::from_secs(2), "the bystander waited {slowest:?}");
    let stats = server.stats();
    assert_eq!(stats.channels, 101);
    let grown = stats.peak.saturating_sub(before);
    assert!(grown < 16 * MIB, "{} KiB", grown >> 10);
    drop((flooder, writing.await.unwrap()));
    until_stats(&mut server, "the flooder's channels have ended", |stats| stats.channels == 1).await;
}

#[tokio::test]
async fn a_topic_of_a_megabyte_receives_an_error_reply_with_its_length_and_the_limit() {
    let endpoint = endpoint();
    let server = Server::start(&endpoint, app(&endpoint)).await;
    let mut client = Client::connect(server.addr, PATH).await;
    let topic = format!("room:{}", "x".repeat((1 << 20) - 5));
    client.send(json!(["1", "2", topic, "phx_join", {}])).await;
    let reply = client.receive().await;
    assert_eq!((&reply[0], &reply[1], &reply[3]), (&json!("1"), &json!("2"), &json!("phx_reply")));
    let reason = json!({ "reason": "topic of 1048576 bytes, the limit is 1024" });
    assert_eq!(reply[4], json!({ "status": "error", "response": reason }));
    assert_eq!(endpoint.channel_count(), 0);
    client.joined("room:1").await;
}

#[tokio::test]
async fn json_nested_a_hundred_thousand_levels_passes_through_and_crashes_only_a_channel_that_parses_it() {
    let (log, _guard) = Log::watch(tracing::Level::ERROR);
    let endpoint = endpoint();
    let server = Server::start(&endpoint, app(&endpoint)).await;
    let mut client = Client::connect(server.addr, PATH).await;
    client.joined("room:1").await;
    client.joined("parser").await;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    client.send_text(&format!(r#"["1","2","room:1","echo",{deep}]"#)).await;
    let echoed = client.frame().await;
    assert_eq!(
        echoed.text(),
        format!(r#"["1","2","room:1","phx_reply",{{"response":{deep},"status":"ok"}}]"#),
        "unread, byte for byte"
    );
    client.send_text(&format!(r#"["1","3","parser","parse",{deep}]"#)).await;
    assert_eq!(client.receive().await, json!(["1", "1", "parser", "phx_error", { "reason": "channel_crash" }]));
    let expected = ["channel crashed", "topic=\"parser\"", "handle_in(\"parse\")", "recursion limit exceeded"];
    assert!(log.has(&expected), "{:?}", log.lines());
    // As a ref, as a topic, as an event, and instead of a message.
    client.send_text(&format!(r#"[{deep},{deep},"phoenix","heartbeat",{{}}]"#)).await;
    assert!(client.frame().await.text().contains(&deep), "any ref is echoed");
    client.send_text(&format!(r#"["1","5",{deep},{deep},{{}}]"#)).await;
    assert!(client.frame().await.text().contains("unmatched topic"));
    client.send(json!(["1", "6", "room:1", "echo", { "still": "here" }])).await;
    assert_eq!(client.receive().await[4]["response"]["still"], "here");
    client.send_text(&deep).await;
    assert_eq!(client.close_frame().await.0, Some(1011), "not a message");
}

/// Fills the mailbox of a busy channel with messages of which `message` makes one part large.
async fn a_busy_channels_mailbox_is_bounded(part: &str, message: impl Fn(&str) -> Value) {
    let (mut server, before) = warm_server_process().await;
    let mut client = Client::connect(server.addr, PATH).await;
    client.joined("room:busy").await;
    client.joined("room:other").await;
    client.send(json!(["1", "2", "room:busy", "dawdle", { "ms": 3000 }])).await;
    let heavy = "x".repeat(500_000);
    let heavy = text_frame(&message(&heavy));
    // The other channel of the same client is not affected.
    let echo = text_frame(&json!(["1", "3", "room:other", "echo", { "alive": true }]));
    let (read, write) = client.stream.into_split();
    let writing = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        let mut write = write;
        for _ in 0..50 {
            write.write_all(&heavy).await.unwrap();
        }
        write.write_all(&echo).await.unwrap();
        write
    });
    let mut client = Client::over(tokio::io::join(read, tokio::io::sink()));
    let (mut crashed, mut echoed) = (false, false);
    while !(crashed && echoed) {
        let message = client.receive().await;
        crashed |= message == json!(["1", "1", "room:busy", "phx_error", { "reason": "channel_crash" }]);
        echoed |= message[4]["response"]["alive"] == true;
    }
    let grown = server.stats().peak.saturating_sub(before);
    assert!(grown < 16 * MIB, "1 MiB may wait, {part} counted: {} KiB", grown >> 10);
    let log = server.log_with(&["ERROR", "channel crashed", "room:busy", "mailbox full", "the limit is 1048576"]);
    assert_eq!(log.len(), 1, "{log:?}");
    drop(writing.await.unwrap());
}

#[tokio::test]
async fn a_busy_channels_mailbox_is_bounded_by_the_payloads_that_wait() {
    a_busy_channels_mailbox_is_bounded("payloads", |heavy| json!(["1", "9", "room:busy", "quiet", heavy])).await;
}

#[tokio::test]
async fn a_busy_channels_mailbox_is_bounded_by_the_events_that_wait() {
    a_busy_channels_mailbox_is_bounded("events", |heavy| json!(["1", "9", "room:busy", heavy, {}])).await;
}

#[tokio::test]
async fn a_busy_channels_mailbox_is_bounded_by_the_refs_that_wait() {
    a_busy_channels_mailbox_is_bounded("refs", |heavy| json!(["1", heavy, "room:busy", "quiet", {}])).await;
}

#[tokio::test]
async fn messages_that_wait_for_a_slow_join_are_bounded_too() {
    let (mut server, before) = warm_server_process().await;
    let mut client = Client::connect(server.addr, PATH).await;
    client.send(json!(["1", "1", "slow:5000", "phx_join", {}])).await;
    let heavy = "x".repeat(500_000);
    for n in 0..40 {
        client.send(json!(["1", n.to_string(), "slow:5000", "echo", heavy])).await;
    }
    client.send(json!([null, "h", "phoenix", "heartbeat", {}])).await;
    let mut events = Vec::new();
    while !(events.contains(&json!("phx_error")) && events.contains(&json!("h"))) {
        let message = client.receive().await;
        events.push(if message[1] == "h" { json!("h") } else { message[3].clone() });
    }
    assert_eq!(events[0], "h", "the heartbeat does not wait for the join");
    let grown = server.stats().peak.saturating_sub(before);
    assert!(grown < 16 * MIB, "{} KiB", grown >> 10);
}

/// A join ref is kept as long as its channel, and copied into every reply.
#[tokio::test]
async fn join_refs_of_a_megabyte_are_not_kept_for_each_channel() {
    let (mut server, before) = warm_server_process().await;
    let mut client = Client::connect(server.addr, PATH).await;
    let heavy = "x".repeat(1 << 20);
    for n in 0..50 {
        client.send(json!([heavy, n.to_string(), format!("room:{n}"), "phx_join", {}])).await;
        client.frame().await;
    }
    let grown = server.stats().resident.saturating_sub(before);
    assert!(grown < 16 * MIB, "{} KiB are kept for one connection", grown >> 10);
}

// --- Frames that claim, compress or fragment
// ------------------------------------------------------------------------------

#[tokio::test]
async fn a_header_that_claims_an_exabyte_is_refused_at_once_and_nothing_is_allocated_for_it() {
    let (mut server, before) = warm_server_process().await;
    // Without its masking key: the length alone is refused.
    let mut client = Client::connect(server.addr, PATH).await;
    client.send_raw([0x82, 0xFF, 0x10, 0, 0, 0, 0, 0, 0, 0]).await;
    assert_eq!(client.close_frame().await.0, Some(1009));
    client.answer_close(1009).await;
    // A length just within the limit, followed by nothing.
    let mut clients = Vec::new();
    for _ in 0..100 {
        let mut client = Client::connect(server.addr, PATH).await;
        client.send_raw(raw_frame(0x82, &[0xFF, 0, 0, 0, 0, 0, 0x98, 0x96, 0x00], b"x")).await;
        clients.push(client);
    }
    let stats = until_stats(&mut server, "all are connected", |stats| stats.connections == 100).await;
    let grown = stats.peak.saturating_sub(before);
    assert!(grown < 4 * MIB, "100 claims of 10 MB cost {} KiB", grown >> 10);
    assert_eq!(stats.metric("bennu.websocket.protocol_errors"), 1.0);
}

#[tokio::test]
async fn a_compressed_bomb_is_refused_and_costs_no_more_than_the_limit() {
    let (mut server, before) = warm_server_process().await;
    let zeros = vec![0u8; 10_000_001];
    let bomb = deflate::deflated_frame(Opcode::Binary, &zeros, 15);
    let bomb = encode::masked_frame(Opcode::Binary, &bomb[4..], MASK);
    assert!(bomb.len() < 20_000, "{} bytes on the wire", bomb.len());
    for _ in 0..5 {
        let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
        let (mut client, _) = Client::connect_with(server.addr, "/compressed/websocket?vsn=2.0.0", offer).await;
        let mut bomb = bomb.clone();
        bomb[0] |= 0x40;
        client.send_raw(&bomb).await;
        assert_eq!(client.close_frame().await.0, Some(1009));
        client.answer_close(1009).await;
    }
    let stats = until_stats(&mut server, "all have gone", |stats| stats.connections == 0).await;
    assert_eq!(stats.metric("bennu.websocket.protocol_errors"), 5.0);
    let grown = stats.peak.saturating_sub(before);
    assert!(grown < 32 * MIB, "{} KiB", grown >> 10);
}

#[tokio::test]
async fn a_million_fragments_of_one_byte_are_one_message_and_cost_its_size() {
    let (mut server, before) = warm_server_process().await;
    let mut client = Client::connect(server.addr, PATH).await;
    client.joined("room:1").await;
    let message = json!(["1", "2", "room:1", "echo", { "text": "x".repeat(1_000_000) }]).to_string();
    let mut fragments = Vec::with_capacity(message.len() * 7);
    for (n, byte) in message.bytes().enumerate() {
        let first = if n == 0 { 0x01 } else { 0x00 } | if n == message.len() - 1 { 0x80 } else { 0 };
        fragments.extend(short_frame(first, &[byte]));
    }
    client.send_raw(fragments).await;
    let reply = client.receive().await;
    assert_eq!(reply[4]["response"]["text"].as_str().map(str::len), Some(1_000_000));
    let grown = server.stats().peak.saturating_sub(before);
    assert!(grown < 16 * MIB, "{} KiB", grown >> 10);
}

#[tokio::test]
async fn a_message_in_endless_fragments_ends_at_the_limit_and_empty_ones_cost_nothing() {
    let (mut server, before) = warm_server_process().await;
    let mut client = Client::connect(server.addr, PATH).await;
    client.send_raw(short_frame(0x02, b"begun")).await;
    let empty = short_frame(0x00, b"").repeat(10_000);
    for _ in 0..50 {
        client.send_raw(&empty).await;
    }
    let part = raw_frame(0x00, &[0xFF, 0, 0, 0, 0, 0, 0x0F, 0x42, 0x40], &vec![7; 1_000_000]);
    for _ in 0..10 {
        if client.try_send_raw(&part).await.is_err() {
            break;
        }
    }
    assert_eq!(client.close_frame().await.0, Some(1009));
    let grown = server.stats().peak.saturating_sub(before);
    assert!(grown < 32 * MIB, "10 MB may arrive, and the buffer grows by quarters: {} KiB", grown >> 10);
}

#[tokio::test]
async fn every_malformed_frame_is_answered_with_the_close_code_of_its_error() {
    let recorder = DebuggingRecorder::new();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let metrics = Metrics::of(&recorder);
    let (log, _guard) = Log::watch(tracing::Level::DEBUG);
    let endpoint = endpoint();
    let compressed = bennu::socket::<Open>("/compressed").compress(true).router(&endpoint).unwrap();
    let server = Server::start(&endpoint, app(&endpoint).merge(compressed)).await;

    let unmasked = b"\x81\x05Hello".to_vec();
    let long_ping = raw_frame(0x89, &[0xFE, 0, 126], &[0; 126]);
    let in_pieces = |parts: &[Vec<u8>]| parts.concat();
    let cases: Vec<(&str, Vec<u8>, u16, &str)> = vec![
        ("unmasked", unmasked, 1002, "is not masked"),
        ("RSV1 without compression", short_frame(0xC1, b"x"), 1002, "reserved bits 0b100"),
        ("RSV2", short_frame(0xA1, b"x"), 1002, "reserved bits 0b010"),
        ("RSV3", short_frame(0x91, b"x"), 1002, "reserved bits 0b001"),
        ("opcode 3", short_frame(0x83, b"x"), 1002, "opcode 0x3 is reserved"),
        ("opcode 7", short_frame(0x87, b"x"), 1002, "opcode 0x7 is reserved"),
        ("opcode B", short_frame(0x8B, b"x"), 1002, "opcode 0xb is reserved"),
        ("opcode F", short_frame(0x8F, b"x"), 1002, "opcode 0xf is reserved"),
        ("a ping in fragments", short_frame(0x09, b"x"), 1002, "is fragmented"),
        ("a close in fragments", short_frame(0x08, b""), 1002, "is fragmented"),
        ("a ping of 126 bytes", long_ping, 1002, "more than 125 bytes"),
        ("a continuation of nothing", short_frame(0x80, b"x"), 1002, "no fragmented message is open"),
        (
            "a message inside a message",
            in_pieces(&[short_frame(0x01, b"x"), short_frame(0x81, b"y")]),
            1002,
            "inside a fragmented message",
        ),
        ("5 bytes in 16 bits", raw_frame(0x81, &[0xFE, 0, 5], b"Hello"), 1002, "not its shortest form"),
        (
            "5 bytes in 64 bits",
            raw_frame(0x81, &[0xFF, 0, 0, 0, 0, 0, 0, 0, 5], b"Hello"),
            1002,
            "not its shortest form",
        ),
        ("half a close code", short_frame(0x88, b"\x03"), 1002, "is 1 byte, which is not a close code"),
        ("close code 1005", short_frame(0x88, b"\x03\xED"), 1002, "1005 is not a close code that a peer can send"),
        ("close code 999", short_frame(0x88, b"\x03\xE7"), 1002, "999 is not a close code that a peer can send"),
        ("close code 5000", short_frame(0x88, b"\x13\x88"), 1002, "5000 is not a close code that a peer can send"),
        ("a close reason that is not UTF-8", short_frame(0x88, b"\x03\xE8\xFF"), 1007, "close reason is not UTF-8"),
        ("text that is not UTF-8", short_frame(0x81, b"ab\xFF"), 1007, "not UTF-8 from its byte 2 on"),
        ("a surrogate", short_frame(0x81, b"\xED\xA0\x80"), 1007, "not UTF-8"),
        ("half a character", short_frame(0x81, b"\xE2\x82"), 1007, "not UTF-8"),
        (
            "text that is not UTF-8, before the message has ended",
            short_frame(0x01, b"ab\xC0"),
            1007,
            "not UTF-8 from its byte 2 on",
        ),
        ("2^63 bytes", vec![0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0], 1009, "is over the limit of 10000000 bytes"),
        ("11 MB", vec![0x82, 0xFF, 0, 0, 0, 0, 0, 0xA7, 0xD8, 0xC0], 1009, "is over the limit of 10000000 bytes"),
        ("an empty message", short_frame(0x81, b""), 1011, "not a V2 message"),
        ("no JSON", short_frame(0x81, b"hello"), 1011, "not a V2 message"),
        ("JSON that is not an array", short_frame(0x81, b"{}"), 1011, "not a V2 message"),
        ("an array of four", short_frame(0x81, b"[1,2,3,4]"), 1011, "not a V2 message"),
        ("binary of no bytes", short_frame(0x82, b""), 1011, "ends inside its header"),
        (
            "binary cut in its topic",
            short_frame(0x82, &[0, 1, 1, 9, 1, b'1', b'2', b'r']),
            1011,
            "ends inside its topic",
        ),
        ("binary of kind 1", short_frame(0x82, &[1, 0, 0, 0, 0]), 1011, "binary frame of kind 1"),
        (
            "a binary topic that is not UTF-8",
            short_frame(0x82, &[0, 0, 0, 1, 0, 0xFF]),
            1011,
            "topic of a binary frame is not UTF-8",
        ),
    ];
    let count = cases.len();
    for (case, bytes, code, words) in cases {
        let mut client = Client::connect(server.addr, PATH).await;
        client.joined("room:1").await;
        client.send_raw(bytes).await;
        assert_eq!(client.close_frame().await.0, Some(code), "{case}");
        client.answer_close(code).await;
        assert!(log.has(&[words]), "{case}: {words:?} is not in {:#?}", log.lines().split_off(log.lines().len() - 10));
    }
    let deflated = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    for (case, bytes, code) in [
        ("an invalid deflate stream", short_frame(0xC1, b"\xFF\xFF\xFF"), 1007),
        ("a compressed ping", short_frame(0xC9, b""), 1002),
        ("a compressed continuation", [short_frame(0x41, b"\x00"), short_frame(0xC0, b"\x00")].concat(), 1002),
    ] {
        let (mut client, _) = Client::connect_with(server.addr, "/compressed/websocket?vsn=2.0.0", deflated).await;
        client.send_raw(bytes).await;
        assert_eq!(client.close_frame().await.0, Some(code), "{case}");
        client.answer_close(code).await;
    }
    until("all have ended", || endpoint.connection_count() + endpoint.channel_count() == 0).await;
    assert_eq!(metrics.get("bennu.socket.bad_messages"), 8.0);
    assert_eq!(metrics.get("bennu.websocket.protocol_errors"), (count - 8 + 3) as f64);
}

#[tokio::test]
async fn frames_after_a_malformed_frame_are_not_processed() {
    let endpoint = endpoint();
    let server = Server::start(&endpoint, app(&endpoint)).await;
    let mut client = Client::connect(server.addr, PATH).await;
    let join = text_frame(&json!(["1", "1", "room:1", "phx_join", {}]));
    client.send_raw([short_frame(0x83, b"x"), join].concat()).await;
    let frame = client.frame().await;
    assert_eq!((frame.opcode, frame.close().0), (CLOSE, Some(1002)), "no join reply");
    assert_eq!(endpoint.channel_count(), 0);
}

// --- The end --------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_client_that_never_answers_a_close_is_disconnected_after_five_seconds() {
    let endpoint = endpoint();
    let server = Server::start(&endpoint, app(&endpoint)).await;
    // One client is closed by the drain, the other for a protocol error; both keep the stream open.
    let mut drained = Client::connect(server.addr, PATH).await;
    drained.joined("room:1").await;
    let mut broken = Client::connect(server.addr, PATH).await;
    broken.send_raw(short_frame(0x83, b"")).await;
    assert_eq!(broken.close_frame().await.0, Some(1002));
    let draining = {
        let endpoint = endpoint.clone();
        tokio::spawn(async move { bennu::Drain::default().run(&endpoint).await })
    };
    assert_eq!(drained.close_frame().await.0, Some(1012));
    let closed = Instant::now();
    until("both have ended", || endpoint.connection_count() == 0).await;
    let took = closed.elapsed();
    assert!(took < CLOSE_TIMEOUT * 2 + Duration::from_secs(2), "it took {took:?}");
    assert_eq!(drained.ended().await + broken.ended().await, 0);
    assert_eq!(draining.await.unwrap().left, 0);
    drop(server);
}

/// A disconnected user must not be able to send further messages with a client that ignores the close frame.
#[tokio::test]
async fn messages_after_the_close_of_the_server_are_not_processed() {
    struct Named;
    impl Socket for Named {
        type State = ();

        async fn connect(_: Connect) -> Result<Self, Refusal> {
            Ok(Named)
        }
        fn id(&self) -> Option<String> {
            Some("named".to_owned())
        }
        fn channels(router: &mut ChannelRouter<Self>) {
            router.channel::<Room>("room:*");
        }
    }
    let endpoint = endpoint();
    let named = bennu::socket::<Named>("/named").router(&endpoint).unwrap();
    let server = Server::start(&endpoint, app(&endpoint).merge(named)).await;
    let mut listener = Client::connect(server.addr, PATH).await;
    listener.joined("room:1").await;
    let mut banned = Client::connect(server.addr, "/named/websocket?vsn=2.0.0").await;
    banned.joined("room:1").await;
    endpoint.disconnect("named").unwrap();
    assert_eq!(banned.close_frame().await.0, Some(1001));
    let messages = [
        text_frame(&json!(["1", "2", "room:1", "say", { "from": "banned" }])),
        text_frame(&json!(["3", "3", "room:1", "phx_join", {}])),
        text_frame(&json!(["3", "4", "room:1", "say", { "from": "banned, joined anew" }])),
    ]
    .concat();
    let answer = encode::masked_frame(Opcode::Close, &1001u16.to_be_bytes(), MASK);
    let _ = banned.try_send_raw([messages, answer].concat()).await;
    // The stream ends after the server has read all of these bytes.
    banned.ended().await;
    drop(banned);
    until("the banned client has gone", || endpoint.connection_count() == 1).await;
    listener.send(json!(["1", "3", "room:1", "say", { "from": "listener" }])).await;
    assert_eq!(listener.receive().await[4]["from"], "listener");
}

#[tokio::test]
async fn a_client_that_has_closed_has_left_its_channels_although_it_keeps_the_stream_open() {
    let endpoint = endpoint();
    let server = Server::start(&endpoint, app(&endpoint)).await;
    let mut client = Client::connect(server.addr, PATH).await;
    client.joined("room:1").await;
    client.send_raw(encode::masked_frame(Opcode::Close, &1000u16.to_be_bytes(), MASK)).await;
    assert_eq!(client.close_frame().await.0, Some(1000));
    until_within(CLOSE_TIMEOUT / 2, "its channel has ended", || endpoint.channel_count() == 0).await;
    drop(client);
}

/// The timer of the closing must not wait for a pause in the client's input.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_answers_a_close_with_a_flood_is_disconnected_too() {
    let endpoint = endpoint();
    let server = Server::start(&endpoint, app(&endpoint)).await;
    let mut client = Client::connect(server.addr, PATH).await;
    client.joined("room:1").await;
    // The client floods from the beginning, so that the kernel has grown its buffers before the close. The frames are
    // small, so that the server is busier than the client.
    let flood = text_frame(&json!([null, null, "room:1", "quiet", {}])).repeat(100_000);
    let (mut read, mut write) = client.stream.into_split();
    let reading = tokio::spawn(async move { tokio::io::copy(&mut read, &mut tokio::io::sink()).await });
    let (flowing, flows) = tokio::sync::oneshot::channel();
    let flooding = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        for _ in 0..8 {
            write.write_all(&flood).await.unwrap();
        }
        let _ = flowing.send(());
        while write.write_all(&flood).await.is_ok() {}
    });
    soon("the flood", flows).await.unwrap();
    let closed = Instant::now();
    let drained = soon("the drain", bennu::Drain::default().run(&endpoint)).await;
    let took = closed.elapsed();
    assert_eq!(drained.left, 0);
    assert!(took < CLOSE_TIMEOUT + Duration::from_secs(4), "the server kept reading for {took:?}");
    let _ = (flooding.await, reading.await);
    drop(server);
}

#[tokio::test]
async fn a_thousand_connections_that_end_with_a_reset_end_their_channels_and_nothing_else() {
    let (mut server, before) = warm_server_process().await;
    let mut bystander = Client::connect(server.addr, PATH).await;
    bystander.joined("room:1").await;
    for round in 0..10 {
        let mut clients = Vec::new();
        for n in 0..100 {
            let mut client = Client::connect(server.addr, PATH).await;
            client.joined("room:1").await;
            // Some end in the middle of a frame, some with unread messages under way.
            match n % 3 {
                0 => client.send_raw(&text_frame(&json!(["1", "2", "room:1", "echo", {}]))[..7]).await,
                1 => client.send(json!(["1", "2", "room:1", "push", { "text": "x".repeat(10_000) }])).await,
                _ => {}
            }
            clients.push(client);
        }
        clients.into_iter().for_each(Client::reset);
        let gone = |stats: &Stats| stats.connections == 1 && stats.channels == 1;
        until_stats(&mut server, "the clients have gone", gone).await;
        bystander.send(json!(["1", "3", "room:1", "say", { "round": round }])).await;
        assert_eq!(bystander.receive().await[4]["round"], round);
    }
    let stats = server.stats();
    let grown = stats.resident.saturating_sub(before);
    assert!(grown < 8 * MIB, "{} KiB stayed", grown >> 10);
    assert_eq!(stats.metric("bennu.socket.connected"), 1.0);
    assert_eq!(stats.metric("bennu.channel.joined"), 1.0);
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_its_handshake_leaves_nothing_behind() {
    let (mut server, _) = warm_server_process().await;
    let descriptors = server.stats().descriptors;
    for cut in (0..handshake(PATH, "").len()).step_by(10) {
        let mut client = Client::tcp(server.addr).await;
        client.send_raw(&handshake(PATH, "")[..cut]).await;
        if cut % 20 == 0 { client.reset() } else { drop(client) }
    }
    // Further clients leave directly after the handshake.
    for _ in 0..50 {
        let mut client = Client::tcp(server.addr).await;
        client.send_raw(handshake(PATH, "")).await;
        client.reset();
    }
    let gone = |stats: &Stats| stats.connections == 0 && stats.descriptors <= descriptors + 2;
    until_stats(&mut server, "the clients have gone", gone).await;
}
