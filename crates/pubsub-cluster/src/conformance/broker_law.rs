//! The laws of an adapter at a broker, with a broker that is stopped and killed and that serves foreign clients too.
//! Each law is a function whose name states it; [`crate::suite!`] makes tests of them.

use super::Server;
use super::log::CapturedLog;
use super::node::{
    Collector, DISCONNECTED, DROPPED, FULL, Node, Note, PUBLISH_LIMIT, eventually, joined, left, next, next_event,
};
use super::process::Process;
use crate::{QUEUE_BYTES, Subject};
use bennu_pubsub::{ClusterError, Envelope, Header, NODE_TIMEOUT};
use std::time::{Duration, Instant};

async fn wait_for_failed_attempts(log: &CapturedLog, node: &str) {
    eventually("several attempts fail", || log.lines(&["DEBUG", "still out of reach", node]).len() >= 3).await;
}

/// Killed with SIGKILL and started again on its port.
pub async fn a_killed_server_is_reported_once_and_subscriptions_are_restored_when_it_is_back<S: Server>() {
    let Some(mut server) = Process::<S>::start(None) else { return };
    let log = CapturedLog::capture();
    let (a, b) = Node::pair(&server).await;
    let mut events = a.node_events();
    let mut near = a.subscribe::<Note>("before");
    let mut before = b.subscribe::<Note>("before");
    a.wait_for_subscription("before", &mut before).await;
    while near.try_recv().is_some() {}

    server.kill();
    assert_eq!(next_event(&mut events).await, left("b"));
    assert_eq!(a.nodes(), [a.node().clone()]);
    let began = Instant::now();
    for n in 0..1000 {
        a.broadcast("before", Note::new(n)).expect("an engine out of reach is no error of the publisher's");
        assert_eq!(near.try_recv().expect("the local delivery is synchronous").expect("no message is lost").n, n);
    }
    assert!(began.elapsed() < PUBLISH_LIMIT, "{:?}", began.elapsed());
    assert_eq!(a.counter(DROPPED, DISCONNECTED), 1000);
    assert!(!a.is_connected());
    let mut during = b.subscribe::<Note>("during");
    wait_for_failed_attempts(&log, "node=a").await;

    assert!(server.run());
    assert_eq!(next_event(&mut events).await, joined("b"));
    a.wait_for_subscription("during", &mut during).await;
    a.wait_for_subscription("before", &mut before).await;
    a.broadcast("before", Note::new(7)).expect("the message is below the limit");
    assert_eq!(next(&mut before).await, 7);
    for node in [&a, &b] {
        assert!(node.is_connected());
        assert_eq!(node.counter("bennu.pubsub.reconnects", &[]), 1);
        let name = format!("node={}", node.node());
        assert_eq!(log.lines(&["ERROR", &name]).len(), 1, "{:#?}", log.lines(&[]));
        assert_eq!(log.lines(&["INFO", "the engine is back", &name]).len(), 1, "{:#?}", log.lines(&[]));
    }
}

/// Stopped with SIGSTOP: its connections stay open, and no bytes move.
pub async fn messages_past_the_limit_are_dropped_while_the_server_is_stopped_and_the_rest_arrive_in_order<S: Server>() {
    let Some(server) = Process::<S>::start(None) else { return };
    let bound = 256 << 10;
    let a = Node::join_with::<S>(server.port(), None, "bennu", "a", bound);
    let b = Node::join(&server, "b");
    a.wait_for_nodes(2).await;
    let collected = Collector::sink();
    let _attachment = b.attach("t", collected.clone());
    a.wait_for_subscription("t", &mut b.subscribe("t")).await;
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
        assert!(n < 100_000, "no message was dropped");
    }
    assert!(slowest < PUBLISH_LIMIT, "a publisher waited for {slowest:?}");
    let dropped = a.counter(DROPPED, FULL);
    let in_buffers = (n - dropped) * 1000;
    assert!(in_buffers > bound as u64 / 2, "the queue was not used: {in_buffers} bytes");
    server.resume();

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

/// Stopped for longer than the timeout of a broker: its connections are open and useless.
pub async fn a_silent_server_is_disconnected_and_connected_again<S: Server>() {
    let Some(server) = Process::<S>::start(None) else { return };
    let log = CapturedLog::capture();
    let (a, b) = Node::pair(&server).await;
    let mut notes = b.subscribe::<Note>("t");
    a.wait_for_subscription("t", &mut notes).await;
    server.stop();
    eventually("both have disconnected", || !a.is_connected() && !b.is_connected()).await;
    assert_eq!(log.lines(&["ERROR", "no bytes from it within 10s"]).len(), 2, "{:#?}", log.lines(&[]));
    server.resume();
    a.wait_for_nodes(2).await;
    a.wait_for_subscription("t", &mut notes).await;
    assert_eq!(log.lines(&["ERROR"]).len(), 2, "{:#?}", log.lines(&[]));
}

/// Payloads of a foreign client on the cluster's subjects, and payloads of a later version of this program.
pub async fn garbage_is_counted_and_dropped_and_a_later_version_is_read<S: Server>() {
    let Some(server) = Process::<S>::start(None) else { return };
    let (a, b) = Node::pair(&server).await;
    let mut notes = a.subscribe::<Note>("t");
    b.wait_for_subscription("t", &mut notes).await;
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
    let frames: [(Subject<'_>, &[u8]); 8] = [
        (Subject::Topic("t"), b""),
        (Subject::Topic("t"), b"hello?"),
        (Subject::Topic("t"), of_no_version),
        (Subject::Node("a"), b"\x01\xFF\xFF"),
        (Subject::Control, &[0xFF; 300]),
        (Subject::Control, &nowhere),
        (Subject::Control, &there),
        (Subject::Topic("t"), &later),
    ];
    let _foreign_clients: Vec<_> =
        frames.map(|(subject, payload)| server.send_foreign(&S::foreign_publish(subject, payload))).into();

    assert_eq!(next(&mut notes).await, 7);
    eventually("all six are counted", || garbage() == 6).await;
    a.wait_for_nodes(3).await;
    let header = Header { from: "x", to: None, topic: "t", kind: "bennu.conformance.note" };
    let unreadable = Envelope { header, json: b"" };
    let unreadable = unreadable.encode().expect("the message is below the limit");
    let _foreign_client = server.send_foreign(&S::foreign_publish(Subject::Topic("t"), &unreadable));
    b.wait_for_subscription("t", &mut notes).await;
    assert!(a.is_connected() && a.counter("bennu.pubsub.reconnects", &[]) == 0);
}

/// Its connection ends without a goodbye.
pub async fn a_silent_node_has_left<S: Server>() {
    let Some(server) = Process::<S>::start(None) else { return };
    let (a, b) = Node::pair(&server).await;
    let mut events = a.node_events();
    let began = Instant::now();
    drop(b);
    assert_eq!(next_event(&mut events).await, left("b"));
    assert!(began.elapsed() > NODE_TIMEOUT / 2, "{:?}", began.elapsed());
    assert_eq!(a.nodes(), [a.node().clone()]);
}

/// The right password connects.
pub async fn a_wrong_password_is_reported_once_and_retried<S: Server>() {
    let Some(server) = Process::<S>::start(Some(("app", "s3cret"))) else { return };
    let log = CapturedLog::capture();
    let join = |credentials, name| Node::join_with::<S>(server.port(), credentials, "bennu", name, QUEUE_BYTES);
    let (a, b) = (join(Some("app:s3cret"), "a"), join(Some("app:s3cret"), "b"));
    a.wait_for_nodes(2).await;
    b.wait_for_nodes(2).await;
    let mut notes = b.subscribe::<Note>("t");
    a.wait_for_subscription("t", &mut notes).await;
    assert_eq!(a.counter("bennu.pubsub.refused", &[]), 0);

    let (wrong, nobody) = (join(Some("app:wr0ng"), "wrong"), join(None, "nobody"));
    for node in [&wrong, &nobody] {
        let name = format!("node={}", node.node());
        eventually("it is reported", || !log.lines(&["ERROR", &name]).is_empty()).await;
        wait_for_failed_attempts(&log, &name).await;
        let errors = log.lines(&["ERROR", &name]);
        assert_eq!(errors.len(), 1, "{errors:#?}");
        assert!(!node.is_connected() && node.nodes().len() == 1);
    }
    let line = &log.lines(&["ERROR", "node=wrong"])[0];
    assert!(line.contains(S::WRONG_PASSWORD) && !line.contains("wr0ng"), "{line}");
    assert_eq!(a.nodes().len(), 2);
}

/// A server that is not started yet is not an error of the application.
pub async fn a_node_that_starts_before_its_server_joins_when_the_server_is_up<S: Server>() {
    let mut server = Process::<S>::prepare();
    let log = CapturedLog::capture();
    let (a, b) = (Node::join(&server, "a"), Node::join(&server, "b"));
    let mut notes = b.subscribe::<Note>("t");
    a.broadcast("t", Note::new(1)).expect("an engine out of reach is no error of the publisher's");
    eventually("it is reported", || !log.lines(&["ERROR", "node=a"]).is_empty()).await;
    assert_eq!(a.counter(DROPPED, DISCONNECTED), 1);
    if !server.run() {
        return;
    }
    a.wait_for_nodes(2).await;
    a.wait_for_subscription("t", &mut notes).await;
    assert_eq!(log.lines(&["ERROR"]).len(), 2, "{:#?}", log.lines(&[]));
    assert_eq!(a.counter("bennu.pubsub.reconnects", &[]), 0);
}

/// Its nodes meet at the server.
pub async fn nodes_at_a_server_do_not_connect_to_each_other<S: Server>() {
    let Some(server) = Process::<S>::start(None) else { return };
    let node = Node::join(&server, "a");
    let error = node.connect("b@host").expect_err("nodes meet at their server");
    assert!(matches!(error, ClusterError::Unsupported { .. }) && error.to_string().contains("server"), "{error}");
}
