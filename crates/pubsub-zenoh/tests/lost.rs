//! The adapter when a node is lost: killed, or standing still, in a process of its own.

mod support;

use bennu_pubsub::SILENCE;
use bennu_pubsub_cluster::QUEUE_BYTES;
use bennu_pubsub_cluster::conformance::log::Log;
use bennu_pubsub_cluster::conformance::node::{
    AT_ONCE, Collected, DROPPED, FULL, Node, Note, eventually, joined, left, next_event,
};
use bennu_pubsub_cluster::conformance::process::free_port;
use std::time::{Duration, Instant};
use support::child::{self, Process};
use support::{node, node_with};

/// A number that no law counts with.
const PROBE: u64 = u64::MAX;

/// What the other process is; a test without what it needs in its environment.
#[test]
#[ignore = "the other tests start it as a process of its own"]
fn process() {
    child::run();
}

/// Publishes until the other process hears it.
async fn reaches(a: &Node, b: &Process) {
    eventually("the other process hears", || {
        a.broadcast("t", Note::new(PROBE)).expect("a probe is small");
        b.last() == Some(PROBE)
    })
    .await;
}

#[tokio::test]
async fn a_killed_node_is_reported_once_and_everything_is_restored_when_it_is_back() {
    let log = Log::capture();
    let ports = [free_port(), free_port()];
    let b = Process::start("b", ports[1], &[]);
    let a = node("a", ports[0], &[ports[1]]);
    let mut events = a.node_events();
    let mut near = a.subscribe::<Note>("t");
    a.knows(2).await;
    reaches(&a, &b).await;
    eventually("it is in reach", || a.is_connected()).await;
    let errors = log.lines(&["ERROR"]).len();
    while events.try_recv().is_some() {}

    b.kill();
    let began = Instant::now();
    assert_eq!(next_event(&mut events).await, left("b"));
    assert!(began.elapsed() < SILENCE / 2, "a connection that ends is seen at once, not after {:?}", began.elapsed());
    while near.try_recv().is_some() {}
    let began = Instant::now();
    for n in 0..1000 {
        a.broadcast("t", Note::new(n)).expect("a node out of reach is no error of the publisher's");
        assert_eq!(near.try_recv().expect("it is here at once").expect("nothing is lost").n, n);
    }
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    eventually("several attempts fail", || log.lines(&["DEBUG", "still out of reach", "node=a"]).len() >= 3).await;
    assert!(!a.is_connected());

    let b = Process::start("b", ports[1], &[]);
    assert_eq!(next_event(&mut events).await, joined("b"));
    reaches(&a, &b).await;
    a.broadcast("t", Note::new(7)).expect("it is small");
    eventually("it hears", || b.last() == Some(7)).await;
    eventually("it is in reach", || a.is_connected()).await;
    assert_eq!(a.counter("bennu.pubsub.reconnects", &[]), 1);
    assert_eq!(log.lines(&["ERROR"]).len(), errors + 1, "{:#?}", log.lines(&[]));
}

#[tokio::test]
async fn messages_past_the_bound_are_dropped_while_a_node_stands_still_and_the_rest_arrive_in_order() {
    let ports = [free_port(), free_port()];
    let b = Process::start("b", ports[1], &[]);
    let bound = 256 << 10;
    let a = node_with("a", ports[0], &[ports[1]], bound);
    a.knows(2).await;
    reaches(&a, &b).await;

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
        assert!(n < 100_000, "nothing is ever dropped");
    }
    b.go_on();
    assert!(slowest < AT_ONCE, "a publisher waited for {slowest:?}");
    let dropped = a.counter(DROPPED, FULL);

    const MARKER: u64 = u64::MAX - 1;
    eventually("a message behind all others arrives", || {
        a.broadcast("t", Note::new(MARKER)).expect("a full queue is no error of the publisher's");
        b.last() == Some(MARKER)
    })
    .await;
    let numbers: Vec<_> = b.heard().into_iter().filter(|number| *number < MARKER).collect();
    assert!(numbers.is_sorted_by(|one, other| one < other), "out of order, or twice");
    assert_eq!(numbers.len() as u64, n - dropped, "{dropped} of {n} were dropped");
    assert_eq!(a.counter("bennu.pubsub.reconnects", &[]), 0);
}

#[tokio::test]
async fn a_node_that_takes_nothing_is_cut_off_and_the_others_hear_everything_that_was_queued() {
    let ports = [free_port(), free_port(), free_port()];
    let still = Process::start("still", ports[1], &[]);
    let a = node_with("a", ports[0], &[ports[1]], 8 * QUEUE_BYTES);
    let c = node("c", ports[2], &[ports[0]]);
    a.knows(3).await;
    c.knows(3).await;
    let collected = Collected::sink();
    let _attachment = c.attach("t", collected.clone());
    a.reaches("t", &mut c.subscribe("t")).await;
    reaches(&a, &still).await;
    let mut events = a.node_events();

    still.stop();
    const MESSAGES: u64 = 20_000;
    let text = "x".repeat(1000);
    for n in 0..MESSAGES {
        a.broadcast("t", Note { n, text: text.clone() }).expect("it is small");
    }
    assert_eq!(next_event(&mut events).await, left("still"));
    eventually("the other hears the last one", || collected.last() == Some(MESSAGES - 1)).await;
    let numbers: Vec<_> = collected.numbers().into_iter().filter(|n| *n < MESSAGES).collect();
    assert_eq!(a.counter(DROPPED, &[]), 0);
    assert_eq!(numbers, (0..MESSAGES).collect::<Vec<_>>());
    still.go_on();
    assert_eq!(next_event(&mut events).await, joined("still"));
    reaches(&a, &still).await;
}

#[tokio::test]
async fn a_node_that_falls_silent_has_left_and_is_found_again() {
    let ports = [free_port(), free_port()];
    let a = node("a", ports[0], &[]);
    let b = Process::start("b", ports[1], &[ports[0]]);
    let mut events = a.node_events();
    a.knows(2).await;
    reaches(&a, &b).await;
    while events.try_recv().is_some() {}
    b.stop();
    let began = Instant::now();
    assert_eq!(next_event(&mut events).await, left("b"));
    assert!(began.elapsed() > SILENCE / 2, "{:?}", began.elapsed());
    b.go_on();
    assert_eq!(next_event(&mut events).await, joined("b"));
    reaches(&a, &b).await;
}
