//! What must hold of an adapter on a broker. Each law is a function whose name says it; [`crate::suite!`] makes them
//! tests.

use super::Server;
use super::log::Log;
use super::node::{Collected, Node, Note, eventually, next, next_event};
use super::process::Process;
use crate::{Channel, QUEUE_BYTES};
use bennu_pubsub::{ConnectError, Envelope, NodeEvent, NodeName, PublishError, SILENCE, conformance};
use bytes::Bytes;
use std::time::{Duration, Instant};

/// A publisher that takes longer has waited for something. A thread may be kept from running for some time.
const AT_ONCE: Duration = Duration::from_secs(1);

const DROPPED: &str = "bennu.pubsub.dropped";
const FULL: &[(&str, &str)] = &[("reason", "queue_full")];
const DISCONNECTED: &[(&str, &str)] = &[("reason", "disconnected")];

fn joined(name: &'static str) -> NodeEvent {
    NodeEvent::joined(&NodeName::new(name))
}

fn left(name: &'static str) -> NodeEvent {
    NodeEvent::left(&NodeName::new(name))
}

async fn several_attempts_fail(log: &Log, node: &str) {
    eventually("several attempts fail", || log.lines(&["DEBUG", "still out of reach", node]).len() >= 3).await;
}

/// What the in-process adapter keeps too.
pub async fn the_adapter_keeps_every_law<S: Server>() {
    let Some(server) = Process::<S>::start(None) else { return };
    let (a, b) = Node::pair(&server).await;
    conformance::check(&a, &b).await;
    let port = server.port();
    conformance::check_nodes(&a, &b, || async move { S::join(port, None, "bennu", "c", QUEUE_BYTES) }).await;
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
    let unreadable = Envelope { from: "x", to: None, topic: "t", kind: "bennu.conformance.note", json: Bytes::new() };
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

/// Faster than its silence could be noticed.
pub async fn a_node_that_starts_again_under_its_name_has_left_and_joined<S: Server>() {
    let Some(server) = Process::<S>::start(None) else { return };
    let (a, b) = Node::pair(&server).await;
    let mut events = a.node_events();
    drop(b);
    let b = Node::join(&server, "b");
    assert_eq!([next_event(&mut events).await, next_event(&mut events).await], [left("b"), joined("b")]);
    b.knows(2).await;
}

/// 10,000 messages on one topic, and ten times as many on another.
pub async fn order_is_kept_beside_a_flood<S: Server>() {
    const MESSAGES: u64 = 10_000;
    let Some(server) = Process::<S>::start(None) else { return };
    let (a, b) = Node::pair(&server).await;
    let (ordered, flood) = (Collected::sink(), Collected::sink());
    let _attachments = (b.attach("ordered", ordered.clone()), b.attach("flood", flood.clone()));
    let mut probes = (b.subscribe("ordered"), b.subscribe("flood"));
    a.reaches("ordered", &mut probes.0).await;
    a.reaches("flood", &mut probes.1).await;

    let publish = |topic: &'static str, times: u64| {
        let pubsub = a.clone();
        tokio::spawn(async move {
            for n in 0..times {
                pubsub.broadcast(topic, Note::new(n)).expect("it is small");
                if n % 100 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        })
    };
    let tasks = [publish("flood", 10 * MESSAGES), publish("ordered", MESSAGES)];
    for task in tasks {
        task.await.expect("nothing panics");
    }
    eventually("the last one", || ordered.last() == Some(MESSAGES - 1)).await;
    let numbers: Vec<_> = ordered.numbers().into_iter().filter(|n| *n < MESSAGES).collect();
    assert_eq!(a.counter(DROPPED, &[]), 0);
    assert_eq!(numbers, (0..MESSAGES).collect::<Vec<_>>());
}

/// The other node has 50 topics, this one wants 5 of them, and one more that changes all the time.
pub async fn a_node_receives_what_it_wants_and_next_to_nothing_else<S: Server>() {
    const TOPICS: usize = 50;
    const WANTED: usize = 5;
    let Some(server) = Process::<S>::start(None) else { return };
    let (a, b) = Node::pair(&server).await;
    let topic = |n: usize| format!("room:{n}");
    let mut wanted: Vec<_> = (0..WANTED).map(|n| b.subscribe::<Note>(&topic(n))).collect();
    for (n, subscription) in wanted.iter_mut().enumerate() {
        a.reaches(&topic(n), subscription).await;
    }
    let mut changing = b.subscribe::<Note>(&topic(WANTED));
    for round in 0..1000 {
        for n in 0..TOPICS {
            a.broadcast(&topic(n), Note::new(round)).expect("it is small");
        }
        for subscription in &mut wanted {
            assert_eq!(next(subscription).await, round);
        }
        if round % 20 == 0 {
            drop(changing);
            changing = b.subscribe(&topic(WANTED + round as usize / 20 % (TOPICS - WANTED)));
        }
    }
    let counter = |name: &str| b.counter(&format!("bennu.pubsub.{name}"), &[]);
    let (received, unwanted) = (counter("received"), counter("unwanted"));
    let (bytes, unwanted_bytes) = (counter("received_bytes"), counter("unwanted_bytes"));
    println!("{}: {unwanted} of {received} messages unwanted, {unwanted_bytes} of {bytes} bytes", S::NAME);
    assert!(received >= 1000 * WANTED as u64 && received < 1000 * 2 * WANTED as u64, "{received}");
    assert!(unwanted * 100 <= received && unwanted_bytes * 100 <= bytes, "{unwanted} of {received}");
}

/// Subscribed and dropped as fast as can be, from two tasks.
pub async fn interest_that_flaps_ends_up_right<S: Server>() {
    let Some(server) = Process::<S>::start(None) else { return };
    let (a, b) = Node::pair(&server).await;
    let flap = |stays: bool, topic: &'static str| {
        let pubsub = b.clone();
        tokio::spawn(async move {
            for n in 0..2000 {
                drop(pubsub.subscribe::<Note>(topic));
                if n % 50 == 0 {
                    tokio::task::yield_now().await;
                }
            }
            stays.then(|| pubsub.subscribe::<Note>(topic))
        })
    };
    let (stays, goes) = (flap(true, "stays"), flap(false, "goes"));
    let mut stays = stays.await.expect("nothing panics").expect("it stays");
    assert!(goes.await.expect("nothing panics").is_none());
    a.reaches("stays", &mut stays).await;

    let before = b.counter("bennu.pubsub.received", &[]);
    a.broadcast("goes", Note::new(1)).expect("it is small");
    a.broadcast("stays", Note::new(2)).expect("it is small");
    assert_eq!(next(&mut stays).await, 2);
    assert_eq!(b.counter("bennu.pubsub.received", &[]), before + 1);
}

/// Its own queue loses the oldest; nobody else notices.
pub async fn a_subscriber_that_does_not_read_holds_up_nobody<S: Server>() {
    let Some(server) = Process::<S>::start(None) else { return };
    let (a, b) = Node::pair(&server).await;
    let mut slow = b.subscribe::<Note>("t");
    a.reaches("t", &mut slow).await;
    let mut other = b.subscribe::<Note>("u");
    a.reaches("u", &mut other).await;
    for n in 0..5000 {
        a.broadcast("t", Note::new(n)).expect("it is small");
    }
    a.broadcast("u", Note::new(1)).expect("it is small");
    assert_eq!(next(&mut other).await, 1);
    assert!(slow.try_recv().expect("something waits").is_err());
}

/// One's server is not one's cluster.
pub async fn clusters_on_one_server_do_not_hear_each_other<S: Server>() {
    let Some(server) = Process::<S>::start(None) else { return };
    let (a, b) = Node::pair(&server).await;
    let stranger = Node::join_with::<S>(server.port(), None, "other shop: *.>", "b", QUEUE_BYTES);
    let friend = Node::join_with::<S>(server.port(), None, "other shop: *.>", "c", QUEUE_BYTES);
    stranger.knows(2).await;
    let (mut here, mut there) = (b.subscribe::<Note>("t"), stranger.subscribe::<Note>("t"));
    a.reaches("t", &mut here).await;
    friend.reaches("t", &mut there).await;
    a.broadcast("t", Note::new(1)).expect("it is small");
    friend.broadcast("t", Note::new(2)).expect("it is small");
    assert_eq!((next(&mut here).await, next(&mut there).await), (1, 2));
    assert_eq!((a.nodes().len(), friend.nodes().len()), (2, 2));
}

/// Everything that is known before a message is queued is told to its publisher.
pub async fn what_cannot_be_sent_is_an_error_and_what_has_no_meaning_is_unsupported<S: Server>() {
    let Some(server) = Process::<S>::start(None) else { return };
    let (a, b) = Node::pair(&server).await;
    let error = a.connect("b@host").expect_err("nodes meet at their server");
    assert!(matches!(error, ConnectError::Unsupported { .. }) && error.to_string().contains("server"), "{error}");
    let huge = Note { n: 1, text: "x".repeat(QUEUE_BYTES) };
    let error = a.broadcast("t", huge).expect_err("it is larger than the queue");
    assert!(matches!(&error, PublishError::Engine { topic, .. } if topic == "t"), "{error:?}");
    assert!(error.to_string().contains("the limit is"), "{error}");
    let topic = "x".repeat(70_000);
    assert!(a.broadcast(&topic, Note::new(1)).is_err());

    for topic in ["", " ", "a.b.*.>", "snow \u{2603}\r\n", &"x".repeat(3000)] {
        let mut notes = b.subscribe::<Note>(topic);
        a.reaches(topic, &mut notes).await;
    }
}

/// Leaving waits for what is queued.
pub async fn what_was_published_before_leaving_arrives<S: Server>() {
    let Some(server) = Process::<S>::start(None) else { return };
    let (a, b) = Node::pair(&server).await;
    let collected = Collected::sink();
    let _attachment = a.attach("t", collected.clone());
    b.reaches("t", &mut a.subscribe("t")).await;
    let mut events = a.node_events();
    for n in 0..10_000 {
        b.broadcast("t", Note::new(n)).expect("it is small");
    }
    b.leave().await;
    assert_eq!(next_event(&mut events).await, left("b"));
    assert_eq!(collected.last(), Some(9999));
    b.broadcast("t", Note::new(1)).expect("nobody hears it any more");
    assert_eq!((b.counter(DROPPED, &[]), b.is_connected()), (1, false));
}

/// The right one lets it in.
pub async fn a_wrong_password_is_reported_once_and_tried_again<S: Server>() {
    let Some(server) = Process::<S>::start(Some(("alice", "s3cret"))) else { return };
    let log = Log::capture();
    let join = |credentials, name| Node::join_with::<S>(server.port(), credentials, "bennu", name, QUEUE_BYTES);
    let (a, b) = (join(Some("alice:s3cret"), "a"), join(Some("alice:s3cret"), "b"));
    a.knows(2).await;
    b.knows(2).await;
    let mut notes = b.subscribe::<Note>("t");
    a.reaches("t", &mut notes).await;
    assert_eq!(a.counter("bennu.pubsub.refused", &[]), 0);

    let (wrong, nobody) = (join(Some("alice:wr0ng"), "wrong"), join(None, "nobody"));
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
