//! What must hold of an adapter on a broker, whose server is stopped, killed, and spoken to by strangers. Each law is a
//! function whose name says it; [`crate::suite!`] makes them tests.

use super::Server;
use super::log::Log;
use super::node::{
    AT_ONCE, Collected, DISCONNECTED, DROPPED, FULL, Node, Note, eventually, joined, left, next, next_event,
};
use super::process::Process;
use crate::{Channel, QUEUE_BYTES};
use bennu_pubsub::{ConnectError, Envelope, Header, SILENCE};
use std::time::{Duration, Instant};

async fn several_attempts_fail(log: &Log, node: &str) {
    eventually("several attempts fail", || log.lines(&["DEBUG", "still out of reach", node]).len() >= 3).await;
}

/// Killed with SIGKILL and started again on its port.
pub async fn a_killed_server_is_reported_once_and_everything_is_restored_when_it_is_back<S: Server>() {
    let Some(mut server) = Process::<S>::start(None) else { return };
    let log = Log::capture();
    let (a, b) = Node::pair(&server).await;
    let mut events = a.node_events();
    let mut near = a.subscribe::<Note>("before");
    let mut before = b.subscribe::<Note>("before");
    a.reaches("before", &mut before).await;
    while near.try_recv().is_some() {}

    server.kill();
    assert_eq!(next_event(&mut events).await, left("b"));
    assert_eq!(a.nodes(), [a.node().clone()]);
    let began = Instant::now();
    for n in 0..1000 {
        a.broadcast("before", Note::new(n)).expect("an engine out of reach is no error of the publisher's");
        assert_eq!(near.try_recv().expect("it is here at once").expect("nothing is lost").n, n);
    }
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    assert_eq!(a.counter(DROPPED, DISCONNECTED), 1000);
    assert!(!a.is_connected());
    let mut during = b.subscribe::<Note>("during");
    several_attempts_fail(&log, "node=a").await;

    assert!(server.run());
    assert_eq!(next_event(&mut events).await, joined("b"));
    a.reaches("during", &mut during).await;
    a.reaches("before", &mut before).await;
    a.broadcast("before", Note::new(7)).expect("it is small");
    assert_eq!(next(&mut before).await, 7);
    for node in [&a, &b] {
        assert!(node.is_connected());
        assert_eq!(node.counter("bennu.pubsub.reconnects", &[]), 1);
        let name = format!("node={}", node.node());
        assert_eq!(log.lines(&["ERROR", &name]).len(), 1, "{:#?}", log.lines(&[]));
        assert_eq!(log.lines(&["INFO", "the engine is back", &name]).len(), 1, "{:#?}", log.lines(&[]));
    }
}

/// Stopped with SIGSTOP: its connections stay up, and nothing moves.
pub async fn messages_past_the_bound_are_dropped_while_the_server_stands_still_and_the_rest_arrive_in_order<
    S: Server,
>() {
    let Some(server) = Process::<S>::start(None) else { return };
    let bound = 256 << 10;
    let a = Node::join_with::<S>(server.port(), None, "bennu", "a", bound);
    let b = Node::join(&server, "b");
    a.knows(2).await;
    let collected = Collected::sink();
    let _attachment = b.attach("t", collected.clone());
    a.reaches("t", &mut b.subscribe("t")).await;
    let probes = collected.numbers().len();

    server.stop();
    let text = "x".repeat(1000);
    let (mut n, mut slowest) = (0, Duration::ZERO);
    while a.counter(DROPPED, FULL) < 1000 {
        // Some of them fit into the sockets' buffers, which the kernel grows to some megabytes.
        for _ in 0..100 {
            n += 1;
            let began = Instant::now();
            a.broadcast("t", Note { n, text: text.clone() }).expect("a full queue is no error of the publisher's");
            slowest = slowest.max(began.elapsed());
        }
        assert!(n < 100_000, "nothing is ever dropped");
    }
    assert!(slowest < AT_ONCE, "a publisher waited for {slowest:?}");
    let dropped = a.counter(DROPPED, FULL);
    let in_buffers = (n - dropped) * 1000;
    assert!(in_buffers > bound as u64 / 2, "the queue was not used: {in_buffers} bytes");
    server.go_on();

    const MARKER: u64 = u64::MAX;
    eventually("a message behind all others arrives", || {
        a.broadcast("t", Note::new(MARKER)).expect("a full queue is no error of the publisher's");
        collected.last() == Some(MARKER)
    })
    .await;
    let numbers: Vec<_> = collected.numbers().into_iter().skip(probes).filter(|number| *number < MARKER).collect();
    assert!(numbers.is_sorted_by(|one, other| one < other), "out of order, or twice");
    let reconnects = |node: &Node| node.counter("bennu.pubsub.reconnects", &[]);
    assert_eq!((reconnects(&a), reconnects(&b), a.counter(DROPPED, DISCONNECTED)), (0, 0, 0));
    assert_eq!(numbers.len() as u64, n - dropped, "{dropped} of {n} were dropped");
}

/// Stopped for longer than its silence is borne: its connections are up and worth nothing.
pub async fn a_server_that_falls_silent_is_given_up_and_found_again<S: Server>() {
    let Some(server) = Process::<S>::start(None) else { return };
    let log = Log::capture();
    let (a, b) = Node::pair(&server).await;
    let mut notes = b.subscribe::<Note>("t");
    a.reaches("t", &mut notes).await;
    server.stop();
    eventually("both have given it up", || !a.is_connected() && !b.is_connected()).await;
    assert_eq!(log.lines(&["ERROR", "no word from it within 10s"]).len(), 2, "{:#?}", log.lines(&[]));
    server.go_on();
    a.knows(2).await;
    a.reaches("t", &mut notes).await;
    assert_eq!(log.lines(&["ERROR"]).len(), 2, "{:#?}", log.lines(&[]));
}

/// What a foreign client puts on the cluster's channels, and what a next version of this program would.
pub async fn garbage_is_counted_and_dropped_and_a_later_version_is_read<S: Server>() {
    let Some(server) = Process::<S>::start(None) else { return };
    let (a, b) = Node::pair(&server).await;
    let mut notes = a.subscribe::<Note>("t");
    b.reaches("t", &mut notes).await;
    let garbage = || a.counter("bennu.pubsub.garbage", &[]);

    let header = |from: &str, kind: &str| {
        let fields = [(0xF0, "of a later version"), (1, from), (2, "t"), (3, kind)];
        let field = |(tag, text): &(u8, &str)| [&[*tag, 0, text.len() as u8], text.as_bytes()].concat();
        let fields: Vec<u8> = fields.iter().flat_map(field).collect();
        [&[1, 0, fields.len() as u8], &fields[..]].concat()
    };
    let later = [header("x", "bennu.conformance.note"), br#"{"n":7,"colour":"red"}"#.to_vec()].concat();
    let there = [header("x", "bennu.node.here"), br#"{"incarnation":1,"zone":"b"}"#.to_vec()].concat();
    let nowhere = [header("x", "bennu.node.here"), b"{}".to_vec()].concat();
    let of_no_version = b"\x02what this is, version 1 cannot know";
    let frames: [(Channel<'_>, &[u8]); 8] = [
        (Channel::Topic("t"), b""),
        (Channel::Topic("t"), b"hello?"),
        (Channel::Topic("t"), of_no_version),
        (Channel::Node("a"), b"\x01\xFF\xFF"),
        (Channel::Control, &[0xFF; 300]),
        (Channel::Control, &nowhere),
        (Channel::Control, &there),
        (Channel::Topic("t"), &later),
    ];
    let _strangers: Vec<_> = frames.map(|(channel, payload)| server.stranger(&S::stranger(channel, payload))).into();

    assert_eq!(next(&mut notes).await, 7);
    eventually("all six are counted", || garbage() == 6).await;
    a.knows(3).await;
    let header = Header { from: "x", to: None, topic: "t", kind: "bennu.conformance.note" };
    let unreadable = Envelope { header, json: b"" };
    let unreadable = unreadable.encode().expect("it is small");
    let _stranger = server.stranger(&S::stranger(Channel::Topic("t"), &unreadable));
    b.reaches("t", &mut notes).await;
    assert!(a.is_connected() && a.counter("bennu.pubsub.reconnects", &[]) == 0);
}

/// Its connection ends, and nobody says goodbye.
pub async fn a_node_that_falls_silent_has_left<S: Server>() {
    let Some(server) = Process::<S>::start(None) else { return };
    let (a, b) = Node::pair(&server).await;
    let mut events = a.node_events();
    let began = Instant::now();
    drop(b);
    assert_eq!(next_event(&mut events).await, left("b"));
    assert!(began.elapsed() > SILENCE / 2, "{:?}", began.elapsed());
    assert_eq!(a.nodes(), [a.node().clone()]);
}

/// The right one lets it in.
pub async fn a_wrong_password_is_reported_once_and_tried_again<S: Server>() {
    let Some(server) = Process::<S>::start(Some(("app", "s3cret"))) else { return };
    let log = Log::capture();
    let join = |credentials, name| Node::join_with::<S>(server.port(), credentials, "bennu", name, QUEUE_BYTES);
    let (a, b) = (join(Some("app:s3cret"), "a"), join(Some("app:s3cret"), "b"));
    a.knows(2).await;
    b.knows(2).await;
    let mut notes = b.subscribe::<Note>("t");
    a.reaches("t", &mut notes).await;
    assert_eq!(a.counter("bennu.pubsub.refused", &[]), 0);

    let (wrong, nobody) = (join(Some("app:wr0ng"), "wrong"), join(None, "nobody"));
    for node in [&wrong, &nobody] {
        let name = format!("node={}", node.node());
        eventually("it is reported", || !log.lines(&["ERROR", &name]).is_empty()).await;
        several_attempts_fail(&log, &name).await;
        let errors = log.lines(&["ERROR", &name]);
        assert_eq!(errors.len(), 1, "{errors:#?}");
        assert!(!node.is_connected() && node.nodes().len() == 1);
    }
    let line = &log.lines(&["ERROR", "node=wrong"])[0];
    assert!(line.contains(S::WRONG_PASSWORD) && !line.contains("wr0ng"), "{line}");
    assert_eq!(a.nodes().len(), 2);
}

/// A server that is not there yet is no error of the application's.
pub async fn a_node_that_starts_before_its_server_joins_when_it_can<S: Server>() {
    let mut server = Process::<S>::prepare();
    let log = Log::capture();
    let (a, b) = (Node::join(&server, "a"), Node::join(&server, "b"));
    let mut notes = b.subscribe::<Note>("t");
    a.broadcast("t", Note::new(1)).expect("an engine out of reach is no error of the publisher's");
    eventually("it is reported", || !log.lines(&["ERROR", "node=a"]).is_empty()).await;
    assert_eq!(a.counter(DROPPED, DISCONNECTED), 1);
    if !server.run() {
        return;
    }
    a.knows(2).await;
    a.reaches("t", &mut notes).await;
    assert_eq!(log.lines(&["ERROR"]).len(), 2, "{:#?}", log.lines(&[]));
    assert_eq!(a.counter("bennu.pubsub.reconnects", &[]), 0);
}

/// Their server is where nodes meet.
pub async fn nodes_at_a_server_do_not_connect_to_each_other<S: Server>() {
    let Some(server) = Process::<S>::start(None) else { return };
    let node = Node::join(&server, "a");
    let error = node.connect("b@host").expect_err("nodes meet at their server");
    assert!(matches!(error, ConnectError::Unsupported { .. }) && error.to_string().contains("server"), "{error}");
}
