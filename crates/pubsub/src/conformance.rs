//! The suite of the [`Adapter`](crate::Adapter) contract: the laws of a cluster of two nodes, over any engine.
//!
//! An adapter's tests call [`check`] with two started nodes named `a` and `b`. Each law is a function whose name is the
//! sentence that it checks. A failure panics with the message that arrived instead.

use crate::{Message, NodeEvent, NodeName, PubSub, PublishError, Subscription};
use serde::{Deserialize, Serialize};
use std::future::Future;
use std::time::Duration;
use tokio::time::{Instant, timeout};

#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
struct Numbered {
    publisher: String,
    n: u32,
}

impl Message for Numbered {
    const KIND: &'static str = "bennu.conformance.numbered";
}

#[derive(Debug, Serialize, Deserialize)]
struct OfAnotherType;

impl Message for OfAnotherType {
    const KIND: &'static str = "bennu.conformance.other";
}

/// The number of a message that only tests whether a subscription is in effect.
const PROBE: u32 = u32::MAX - 1;

/// How long an engine may take to carry one message. A message that takes longer counts as lost.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Runs every law over two nodes of one cluster.
///
/// # Panics
/// When the adapter breaks a law.
pub async fn check(a: &PubSub, b: &PubSub) {
    each_node_knows_both_by_name(a, b);
    a_broadcast_reaches_subscribers_on_both_nodes(a, b).await;
    broadcast_from_leaves_out_only_its_sender(a, b).await;
    a_local_broadcast_stays_on_its_node(a, b).await;
    a_direct_broadcast_reaches_one_node(a, b).await;
    an_unknown_node_is_named_in_the_error(a);
    order_is_kept_for_each_publisher(a, b).await;
    a_dropped_subscription_receives_nothing(a, b).await;
    a_subscription_receives_only_its_own_type_and_topic(a, b).await;
}

/// Runs the laws of joining and leaving, with a third node of the cluster, named `c`, which `start` starts.
///
/// # Panics
/// When the adapter breaks a law.
pub async fn check_membership<F: Future<Output = PubSub>>(a: &PubSub, b: &PubSub, start: impl Fn() -> F) {
    let (mut at_a, mut at_b) = (a.node_events(), b.node_events());
    let name = NodeName::new("c");
    for round in 0..2 {
        let c = start().await;
        for events in [&mut at_a, &mut at_b] {
            assert_eq!(next_event(events).await, NodeEvent::joined(&name), "round {round}");
        }
        assert_eq!(a.nodes(), [a.node().clone(), b.node().clone(), name.clone()]);
        let mut far = c.subscribe::<Numbered>("nodes");
        wait_until_in_effect(a, "nodes", &mut far).await;
        nothing_before_the_marker(a, "nodes", &mut far).await;
        a.direct_broadcast(&name, "nodes", numbered(a, 7)).expect("it is known");
        assert_eq!(next(&mut far).await, 7);
        c.leave().await;
        drop((far, c));
        for events in [&mut at_a, &mut at_b] {
            assert_eq!(next_event(events).await, NodeEvent::left(&name), "round {round}");
        }
        assert_eq!(b.nodes(), [a.node().clone(), b.node().clone()]);
        an_unknown_node_is_named_in_the_error_of(a, "c");
    }
}

async fn next_event(events: &mut Subscription<NodeEvent>) -> NodeEvent {
    let event = timeout(TIMEOUT, events.recv()).await;
    let event = event.unwrap_or_else(|_| panic!("no node event within {TIMEOUT:?}"));
    NodeEvent::clone(&event.expect("the suite never falls behind"))
}

fn numbered(publisher: &PubSub, n: u32) -> Numbered {
    Numbered { publisher: publisher.node().to_string(), n }
}

/// Returns the next message that is not a probe.
async fn next(subscription: &mut Subscription<Numbered>) -> u32 {
    loop {
        let message = timeout(TIMEOUT, subscription.recv()).await;
        let message = message.unwrap_or_else(|_| panic!("nothing arrived within {TIMEOUT:?}"));
        match message.expect("the suite never falls behind").n {
            PROBE => {}
            n => return n,
        }
    }
}

/// Waits until a subscription is in effect at a publisher. An engine needs a moment to announce it, and messages
/// published before are lost.
async fn wait_until_in_effect(publisher: &PubSub, topic: &str, subscription: &mut Subscription<Numbered>) {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        publisher.broadcast(topic, numbered(publisher, PROBE)).expect("a probe is published");
        match timeout(Duration::from_millis(50), subscription.recv()).await {
            Ok(message) => return assert_eq!(message.expect("the suite never falls behind").n, PROBE),
            Err(_) => assert!(Instant::now() < deadline, "no subscription is in effect within {TIMEOUT:?}"),
        }
    }
}

/// Publishes a marker. When it has arrived, every message published before it has arrived or never will.
async fn nothing_before_the_marker(from: &PubSub, topic: &str, subscription: &mut Subscription<Numbered>) {
    from.broadcast(topic, numbered(from, u32::MAX)).expect("the marker is published");
    assert_eq!(next(subscription).await, u32::MAX, "a message arrived that should not have");
}

fn each_node_knows_both_by_name(a: &PubSub, b: &PubSub) {
    assert_ne!(a.node(), b.node());
    let both = vec![NodeName::new("a"), NodeName::new("b")];
    assert_eq!((a.nodes(), b.nodes()), (both.clone(), both));
}

async fn a_broadcast_reaches_subscribers_on_both_nodes(a: &PubSub, b: &PubSub) {
    let (mut on_a, mut on_b) = (a.subscribe("both"), b.subscribe("both"));
    wait_until_in_effect(a, "both", &mut on_b).await;
    a.broadcast("both", numbered(a, 1)).expect("published");
    assert_eq!((next(&mut on_a).await, next(&mut on_b).await), (1, 1));
}

async fn broadcast_from_leaves_out_only_its_sender(a: &PubSub, b: &PubSub) {
    let (mut sender, mut other, mut far) = (a.subscribe("from"), a.subscribe("from"), b.subscribe("from"));
    wait_until_in_effect(a, "from", &mut far).await;
    a.broadcast_from(sender.id(), "from", numbered(a, 1)).expect("published");
    assert_eq!((next(&mut other).await, next(&mut far).await), (1, 1));
    nothing_before_the_marker(a, "from", &mut sender).await;
}

async fn a_local_broadcast_stays_on_its_node(a: &PubSub, b: &PubSub) {
    let (mut near, mut far) = (a.subscribe("local"), b.subscribe("local"));
    wait_until_in_effect(a, "local", &mut far).await;
    assert_eq!(a.local_broadcast("local", numbered(a, 1)), 1);
    assert_eq!(next(&mut near).await, 1);
    nothing_before_the_marker(a, "local", &mut far).await;
}

async fn a_direct_broadcast_reaches_one_node(a: &PubSub, b: &PubSub) {
    let (mut on_a, mut on_b) = (a.subscribe("direct"), b.subscribe("direct"));
    wait_until_in_effect(a, "direct", &mut on_b).await;
    a.direct_broadcast(b.node(), "direct", numbered(a, 1)).expect("published");
    assert_eq!(next(&mut on_b).await, 1);
    nothing_before_the_marker(a, "direct", &mut on_a).await;
    assert_eq!(next(&mut on_b).await, u32::MAX);
    a.direct_broadcast(a.node(), "direct", numbered(a, 2)).expect("published to itself");
    assert_eq!(next(&mut on_a).await, 2);
    nothing_before_the_marker(a, "direct", &mut on_b).await;
}

fn an_unknown_node_is_named_in_the_error(a: &PubSub) {
    an_unknown_node_is_named_in_the_error_of(a, "ghost");
}

fn an_unknown_node_is_named_in_the_error_of(a: &PubSub, name: &'static str) {
    let error = a.direct_broadcast(&NodeName::new(name), "x", numbered(a, 1)).expect_err("no such node");
    assert!(matches!(&error, PublishError::UnknownNode { node, .. } if node == name), "{error:?}");
}

async fn order_is_kept_for_each_publisher(a: &PubSub, b: &PubSub) {
    let mut far = b.subscribe::<Numbered>("order");
    wait_until_in_effect(a, "order", &mut far).await;
    for n in 0..500 {
        a.broadcast("order", numbered(a, n)).expect("published");
    }
    for n in 0..500 {
        assert_eq!(next(&mut far).await, n);
    }
}

async fn a_dropped_subscription_receives_nothing(a: &PubSub, b: &PubSub) {
    drop(b.subscribe::<Numbered>("dropped"));
    assert_eq!((a.subscriber_count("dropped"), b.subscriber_count("dropped")), (0, 0));
    let mut later = b.subscribe::<Numbered>("dropped");
    wait_until_in_effect(a, "dropped", &mut later).await;
    nothing_before_the_marker(a, "dropped", &mut later).await;
}

async fn a_subscription_receives_only_its_own_type_and_topic(a: &PubSub, b: &PubSub) {
    let mut far = b.subscribe::<Numbered>("typed");
    wait_until_in_effect(a, "typed", &mut far).await;
    a.broadcast("typed", OfAnotherType).expect("published");
    a.broadcast("typed:x", numbered(a, 1)).expect("published");
    nothing_before_the_marker(a, "typed", &mut far).await;
}
