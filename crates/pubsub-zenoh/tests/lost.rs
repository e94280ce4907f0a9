//! The adapter when a node is lost: a process of its own that is killed or stopped.

mod support;

use bennu_pubsub::NODE_TIMEOUT;
use bennu_pubsub_cluster::QUEUE_BYTES;
use bennu_pubsub_cluster::conformance::log::CapturedLog;
use bennu_pubsub_cluster::conformance::node::{
    Collector, DROPPED, FULL, Node, Note, PUBLISH_LIMIT, eventually, joined, left, next_event,
};
use bennu_pubsub_cluster::conformance::process::free_port;
use std::time::{Duration, Instant};
use support::child::{self, Process};
use support::{node, node_with};

/// A number that no law uses.
const PROBE: u64 = u64::MAX;

/// The body of the other process. Without its environment variables, the test does nothing.
#[test]
#[ignore = "the other tests start it as a process of its own"]
fn process() {
    child::run();
}

/// Publishes until the other process receives a message.
async fn wait_until_reached(a: &Node, b: &Process) {
    eventually("the other process receives a message", || {
        a.broadcast("t", Note::new(PROBE)).expect("a probe is below the limit");
        b.last() == Some(PROBE)
    })
    .await;
}

#[tokio::test]
async fn a_killed_node_is_reported_once_and_subscriptions_are_restored_when_it_is_back() {
    let log = CapturedLog::capture();
    let ports = [free_port(), free_port()];
    let b = Process::start("b", ports[1], &[]);
    let a = node("a", ports[0], &[ports[1]]);
    let mut events = a.node_events();
    let mut near = a.subscribe::<Note>("t");
    a.wait_for_nodes(2).await;
    wait_until_reached(&a, &b).await;
    eventually("it is in reach", || a.is_connected()).await;
    let errors = log.lines(&["ERROR"]).len();
    while events.try_recv().is_some() {}

    b.kill();
    let began = Instant::now();
    assert_eq!(next_event(&mut events).await, left("b"));
    assert!(
        began.elapsed() < NODE_TIMEOUT / 2,
        "a connection that ends is seen at once, not after {:?}",
        began.elapsed()
    );
    while near.try_recv().is_some() {}
    let began = Instant::now();
    for n in 0..1000 {
        a.broadcast("t", Note::new(n)).expect("a node out of reach is no error of the publisher's");
        assert_eq!(near.try_recv().expect("the local delivery is synchronous").expect("no message is lost").n, n);
    }
    assert!(began.elapsed() < PUBLISH_LIMIT, "{:?}", began.elapsed());
    eventually("several attempts fail", || log.lines(&["DEBUG", "still out of reach", "node=a"]).len() >= 3).await;
    assert!(!a.is_connected());

    let b = Process::start("b", ports[1], &[]);
    assert_eq!(next_event(&mut events).await, joined("b"));
    wait_until_reached(&a, &b).await;
    a.broadcast("t", Note::new(7)).expect("the message is below the limit");
    eventually("it receives the message", || b.last() == Some(7)).await;
    eventually("it is in reach", || a.is_connected()).await;
    assert_eq!(a.counter("bennu.pubsub.reconnects", &[]), 1);
    assert_eq!(log.lines(&["ERROR"]).len(), errors + 1, "{:#?}", log.lines(&[]));
}

#[tokio::test]
async fn messages_past_the_limit_are_dropped_while_a_node_is_stopped_and_the_rest_arrive_in_order() {
    let ports = [free_port(), free_port()];
    let b = Process::start("b", ports[1], &[]);
    let bound = 256 << 10;
    let a = node_with("a", ports[0], &[ports[1]], bound);
    a.wait_for_nodes(2).await;
    wait_until_reached(&a, &b).await;

    b.stop();
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
    b.resume();
    assert!(slowest < PUBLISH_LIMIT, "a publisher waited for {slowest:?}");
    let dropped = a.counter(DROPPED, FULL);

    const MARKER: u64 = u64::MAX - 1;
    eventually("a message behind all others arrives", || {
        a.broadcast("t", Note::new(MARKER)).expect("a full queue is no error of the publisher's");
        b.last() == Some(MARKER)
    })
    .await;
    let numbers: Vec<_> = b.received().into_iter().filter(|number| *number < MARKER).collect();
    assert!(numbers.is_sorted_by(|one, other| one < other), "out of order, or twice");
    assert_eq!(numbers.len() as u64, n - dropped, "{dropped} of {n} were dropped");
    assert_eq!(a.counter("bennu.pubsub.reconnects", &[]), 0);
}

#[tokio::test]
async fn a_node_that_reads_nothing_is_disconnected_and_the_others_receive_the_whole_queue() {
    let ports = [free_port(), free_port(), free_port()];
    let still = Process::start("still", ports[1], &[]);
    let a = node_with("a", ports[0], &[ports[1]], 8 * QUEUE_BYTES);
    let c = node("c", ports[2], &[ports[0]]);
    a.wait_for_nodes(3).await;
    c.wait_for_nodes(3).await;
    let collected = Collector::sink();
    let _attachment = c.attach("t", collected.clone());
    a.wait_for_subscription("t", &mut c.subscribe("t")).await;
    wait_until_reached(&a, &still).await;
    let mut events = a.node_events();

    still.stop();
    const MESSAGES: u64 = 20_000;
    let text = "x".repeat(1000);
    for n in 0..MESSAGES {
        a.broadcast("t", Note { n, text: text.clone() }).expect("the message is below the limit");
    }
    assert_eq!(next_event(&mut events).await, left("still"));
    eventually("the other node receives the last message", || collected.last() == Some(MESSAGES - 1)).await;
    let numbers: Vec<_> = collected.numbers().into_iter().filter(|n| *n < MESSAGES).collect();
    assert_eq!(a.counter(DROPPED, &[]), 0);
    assert_eq!(numbers, (0..MESSAGES).collect::<Vec<_>>());
    still.resume();
    assert_eq!(next_event(&mut events).await, joined("still"));
    wait_until_reached(&a, &still).await;
}

#[tokio::test]
async fn a_silent_node_has_left_and_joins_again() {
    let ports = [free_port(), free_port()];
    let a = node("a", ports[0], &[]);
    let b = Process::start("b", ports[1], &[ports[0]]);
    let mut events = a.node_events();
    a.wait_for_nodes(2).await;
    wait_until_reached(&a, &b).await;
    while events.try_recv().is_some() {}
    b.stop();
    let began = Instant::now();
    assert_eq!(next_event(&mut events).await, left("b"));
    assert!(began.elapsed() > NODE_TIMEOUT / 2, "{:?}", began.elapsed());
    b.resume();
    assert_eq!(next_event(&mut events).await, joined("b"));
    wait_until_reached(&a, &b).await;
}
