//! The suite that every adapter runs: what a cluster of two nodes must do, whichever engine carries it.
//!
//! An adapter's tests call [`check`] with two started nodes named `a` and `b`. Each law is a function whose name is
//! the sentence it checks; a failure panics with what arrived instead.

use crate::{Message, NodeName, PubSub, PublishError, Subscription};
use serde::{Deserialize, Serialize};
use std::time::Duration;

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

/// How long an engine may take to carry one message before the suite calls it lost.
const PATIENCE: Duration = Duration::from_secs(10);

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

fn numbered(publisher: &PubSub, n: u32) -> Numbered {
    Numbered { publisher: publisher.node().to_string(), n }
}

async fn next(subscription: &mut Subscription<Numbered>) -> u32 {
    let message = tokio::select! {
        message = subscription.recv() => message,
        () = tokio_sleep(PATIENCE) => panic!("nothing arrived within {PATIENCE:?}"),
    };
    message.expect("the suite never falls behind").n
}

async fn tokio_sleep(duration: Duration) {
    // The crate itself has no use for tokio's clock; a thread does for a deadline that is not meant to pass.
    let (done, finished) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        std::thread::sleep(duration);
        drop(done);
    });
    let _ = finished.await;
}

/// Publishes a last message behind whatever came before; when it has arrived, the rest has or never will.
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
    a.broadcast("both", numbered(a, 1)).expect("published");
    assert_eq!((next(&mut on_a).await, next(&mut on_b).await), (1, 1));
}

async fn broadcast_from_leaves_out_only_its_sender(a: &PubSub, b: &PubSub) {
    let (mut sender, mut other, mut far) = (a.subscribe("from"), a.subscribe("from"), b.subscribe("from"));
    a.broadcast_from(sender.id(), "from", numbered(a, 1)).expect("published");
    assert_eq!((next(&mut other).await, next(&mut far).await), (1, 1));
    nothing_before_the_marker(a, "from", &mut sender).await;
}

async fn a_local_broadcast_stays_on_its_node(a: &PubSub, b: &PubSub) {
    let (mut near, mut far) = (a.subscribe("local"), b.subscribe("local"));
    assert_eq!(a.local_broadcast("local", numbered(a, 1)), 1);
    assert_eq!(next(&mut near).await, 1);
    nothing_before_the_marker(a, "local", &mut far).await;
}

async fn a_direct_broadcast_reaches_one_node(a: &PubSub, b: &PubSub) {
    let (mut on_a, mut on_b) = (a.subscribe("direct"), b.subscribe("direct"));
    a.direct_broadcast(b.node(), "direct", numbered(a, 1)).expect("published");
    assert_eq!(next(&mut on_b).await, 1);
    nothing_before_the_marker(a, "direct", &mut on_a).await;
    assert_eq!(next(&mut on_b).await, u32::MAX);
    a.direct_broadcast(a.node(), "direct", numbered(a, 2)).expect("published to itself");
    assert_eq!(next(&mut on_a).await, 2);
    nothing_before_the_marker(a, "direct", &mut on_b).await;
}

fn an_unknown_node_is_named_in_the_error(a: &PubSub) {
    let error = a.direct_broadcast(&NodeName::new("ghost"), "x", numbered(a, 1)).expect_err("no such node");
    assert!(matches!(&error, PublishError::UnknownNode { node, .. } if node == "ghost"), "{error:?}");
}

async fn order_is_kept_for_each_publisher(a: &PubSub, b: &PubSub) {
    let mut far = b.subscribe::<Numbered>("order");
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
    nothing_before_the_marker(a, "dropped", &mut later).await;
}

async fn a_subscription_receives_only_its_own_type_and_topic(a: &PubSub, b: &PubSub) {
    let mut far = b.subscribe::<Numbered>("typed");
    a.broadcast("typed", OfAnotherType).expect("published");
    a.broadcast("typed:x", numbered(a, 1)).expect("published");
    nothing_before_the_marker(a, "typed", &mut far).await;
}
