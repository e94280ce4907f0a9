//! The laws of every adapter between nodes, at any meeting point. Each law is a function whose name states it;
//! [`crate::common_suite!`] makes tests of them.

use super::MeetingPoint;
use super::node::{Collector, DROPPED, Node, Note, eventually, joined, left, next, next_event};
use crate::QUEUE_BYTES;
use bennu_pubsub::{PublishError, conformance};

/// The contract that the in-process adapter keeps too.
pub async fn the_adapter_keeps_its_contract<M: MeetingPoint>() {
    let Some(place) = M::set_up() else { return };
    let (a, b) = Node::pair(&place).await;
    conformance::check(&a, &b).await;
    let place = &place;
    conformance::check_membership(&a, &b, || async move { place.join("bennu", "c", QUEUE_BYTES) }).await;
}

/// The restart takes less than the timeout of a node.
pub async fn a_node_that_starts_again_under_its_name_has_left_and_joined<M: MeetingPoint>() {
    let Some(place) = M::set_up() else { return };
    let (a, b) = Node::pair(&place).await;
    let mut events = a.node_events();
    drop(b);
    let b = Node::join(&place, "b");
    assert_eq!([next_event(&mut events).await, next_event(&mut events).await], [left("b"), joined("b")]);
    b.wait_for_nodes(2).await;
}

/// 10,000 messages on one topic, and ten times as many on another.
pub async fn order_is_kept_beside_a_flood<M: MeetingPoint>() {
    const MESSAGES: u64 = 10_000;
    let Some(place) = M::set_up() else { return };
    let (a, b) = Node::pair(&place).await;
    let (ordered, flood) = (Collector::sink(), Collector::sink());
    let _attachments = (b.attach("ordered", ordered.clone()), b.attach("flood", flood.clone()));
    let mut probes = (b.subscribe("ordered"), b.subscribe("flood"));
    a.wait_for_subscription("ordered", &mut probes.0).await;
    a.wait_for_subscription("flood", &mut probes.1).await;

    let publish = |topic: &'static str, times: u64| {
        let pubsub = a.clone();
        tokio::spawn(async move {
            for n in 0..times {
                pubsub.broadcast(topic, Note::new(n)).expect("the message is below the limit");
                if n % 100 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        })
    };
    let tasks = [publish("flood", 10 * MESSAGES), publish("ordered", MESSAGES)];
    for task in tasks {
        task.await.expect("the task does not panic");
    }
    eventually("the last message arrives", || ordered.last() == Some(MESSAGES - 1)).await;
    let numbers: Vec<_> = ordered.numbers().into_iter().filter(|n| *n < MESSAGES).collect();
    assert_eq!(a.counter(DROPPED, &[]), 0);
    assert_eq!(numbers, (0..MESSAGES).collect::<Vec<_>>());
}

/// The other node publishes on 50 topics. This node subscribes to 5 of them, and to one more that changes all the time.
pub async fn a_node_receives_its_interest_and_almost_nothing_else<M: MeetingPoint>() {
    const TOPICS: usize = 50;
    const WANTED: usize = 5;
    let Some(place) = M::set_up() else { return };
    let (a, b) = Node::pair(&place).await;
    let topic = |n: usize| format!("room:{n}");
    let mut wanted: Vec<_> = (0..WANTED).map(|n| b.subscribe::<Note>(&topic(n))).collect();
    for (n, subscription) in wanted.iter_mut().enumerate() {
        a.wait_for_subscription(&topic(n), subscription).await;
    }
    let mut changing = b.subscribe::<Note>(&topic(WANTED));
    for round in 0..1000 {
        for n in 0..TOPICS {
            a.broadcast(&topic(n), Note::new(round)).expect("the message is below the limit");
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
    println!("{}: {unwanted} of {received} messages unwanted, {unwanted_bytes} of {bytes} bytes", M::NAME);
    assert!(received >= 1000 * WANTED as u64 && received < 1000 * 2 * WANTED as u64, "{received}");
    assert!(unwanted * 100 <= received && unwanted_bytes * 100 <= bytes, "{unwanted} of {received}");
}

/// Two tasks subscribe and unsubscribe as fast as possible.
pub async fn interest_that_flaps_ends_up_right<M: MeetingPoint>() {
    let Some(place) = M::set_up() else { return };
    let (a, b) = Node::pair(&place).await;
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
    let mut stays = stays.await.expect("the task does not panic").expect("the topic stays subscribed");
    assert!(goes.await.expect("the task does not panic").is_none());
    a.wait_for_subscription("stays", &mut stays).await;

    let before = b.counter("bennu.pubsub.received", &[]);
    a.broadcast("goes", Note::new(1)).expect("the message is below the limit");
    a.broadcast("stays", Note::new(2)).expect("the message is below the limit");
    assert_eq!(next(&mut stays).await, 2);
    assert_eq!(b.counter("bennu.pubsub.received", &[]), before + 1);
}

/// The slow subscriber loses the oldest messages of its own queue.
pub async fn a_slow_subscriber_delays_no_other_subscriber<M: MeetingPoint>() {
    let Some(place) = M::set_up() else { return };
    let (a, b) = Node::pair(&place).await;
    let mut slow = b.subscribe::<Note>("t");
    a.wait_for_subscription("t", &mut slow).await;
    let mut other = b.subscribe::<Note>("u");
    a.wait_for_subscription("u", &mut other).await;
    for n in 0..5000 {
        a.broadcast("t", Note::new(n)).expect("the message is below the limit");
    }
    a.broadcast("u", Note::new(1)).expect("the message is below the limit");
    assert_eq!(next(&mut other).await, 1);
    assert!(slow.try_recv().expect("the queue is not empty").is_err());
}

/// A meeting point may serve several clusters.
pub async fn clusters_at_one_meeting_point_receive_only_their_own_messages<M: MeetingPoint>() {
    let Some(place) = M::set_up() else { return };
    let (a, b) = Node::pair(&place).await;
    let foreign = Node::measured(|| place.join("other shop: *.>", "b", QUEUE_BYTES));
    let friend = Node::measured(|| place.join("other shop: *.>", "c", QUEUE_BYTES));
    foreign.wait_for_nodes(2).await;
    let (mut here, mut there) = (b.subscribe::<Note>("t"), foreign.subscribe::<Note>("t"));
    a.wait_for_subscription("t", &mut here).await;
    friend.wait_for_subscription("t", &mut there).await;
    a.broadcast("t", Note::new(1)).expect("the message is below the limit");
    friend.broadcast("t", Note::new(2)).expect("the message is below the limit");
    assert_eq!((next(&mut here).await, next(&mut there).await), (1, 2));
    assert_eq!((a.nodes().len(), friend.nodes().len()), (2, 2));
}

/// A publisher receives every error that is detected before its message is queued.
pub async fn a_message_too_large_is_an_error_and_a_topic_may_contain_any_character<M: MeetingPoint>() {
    let Some(place) = M::set_up() else { return };
    let (a, b) = Node::pair(&place).await;
    let huge = Note { n: 1, text: "x".repeat(QUEUE_BYTES) };
    let error = a.broadcast("t", huge).expect_err("the message is larger than the queue");
    assert!(matches!(&error, PublishError::Engine { topic, .. } if topic == "t"), "{error:?}");
    assert!(error.to_string().contains("the limit is"), "{error}");
    let topic = "x".repeat(70_000);
    assert!(a.broadcast(&topic, Note::new(1)).is_err());

    for topic in ["", " ", "a.b.*.>", "snow \u{2603}\r\n", "a/**/$*?#@", &"x".repeat(3000)] {
        let mut notes = b.subscribe::<Note>(topic);
        a.wait_for_subscription(topic, &mut notes).await;
    }
}

/// Leaving waits for the queue.
pub async fn messages_published_before_leaving_arrive<M: MeetingPoint>() {
    let Some(place) = M::set_up() else { return };
    let (a, b) = Node::pair(&place).await;
    let collected = Collector::sink();
    let _attachment = a.attach("t", collected.clone());
    b.wait_for_subscription("t", &mut a.subscribe("t")).await;
    let mut events = a.node_events();
    for n in 0..10_000 {
        b.broadcast("t", Note::new(n)).expect("the message is below the limit");
    }
    b.leave().await;
    assert_eq!(next_event(&mut events).await, left("b"));
    assert_eq!(collected.last(), Some(9999));
    b.broadcast("t", Note::new(1)).expect("the message is dropped, not refused");
    assert_eq!((b.counter(DROPPED, &[]), b.is_connected()), (1, false));
}
