//! What must hold of every adapter, wherever its nodes meet. Each law is a function whose name says it;
//! [`crate::common_suite!`] makes them tests.

use super::Meeting;
use super::node::{Collected, DROPPED, Node, Note, eventually, joined, left, next, next_event};
use crate::QUEUE_BYTES;
use bennu_pubsub::{PublishError, conformance};

/// What the in-process adapter keeps too.
pub async fn the_adapter_keeps_every_law<M: Meeting>() {
    let Some(meeting) = M::arrange() else { return };
    let (a, b) = Node::pair(&meeting).await;
    conformance::check(&a, &b).await;
    let meeting = &meeting;
    conformance::check_nodes(&a, &b, || async move { meeting.join("bennu", "c", QUEUE_BYTES) }).await;
}

/// Faster than its silence could be noticed.
pub async fn a_node_that_starts_again_under_its_name_has_left_and_joined<M: Meeting>() {
    let Some(meeting) = M::arrange() else { return };
    let (a, b) = Node::pair(&meeting).await;
    let mut events = a.node_events();
    drop(b);
    let b = Node::join(&meeting, "b");
    assert_eq!([next_event(&mut events).await, next_event(&mut events).await], [left("b"), joined("b")]);
    b.knows(2).await;
}

/// 10,000 messages on one topic, and ten times as many on another.
pub async fn order_is_kept_beside_a_flood<M: Meeting>() {
    const MESSAGES: u64 = 10_000;
    let Some(meeting) = M::arrange() else { return };
    let (a, b) = Node::pair(&meeting).await;
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
pub async fn a_node_receives_what_it_wants_and_next_to_nothing_else<M: Meeting>() {
    const TOPICS: usize = 50;
    const WANTED: usize = 5;
    let Some(meeting) = M::arrange() else { return };
    let (a, b) = Node::pair(&meeting).await;
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
    println!("{}: {unwanted} of {received} messages unwanted, {unwanted_bytes} of {bytes} bytes", M::NAME);
    assert!(received >= 1000 * WANTED as u64 && received < 1000 * 2 * WANTED as u64, "{received}");
    assert!(unwanted * 100 <= received && unwanted_bytes * 100 <= bytes, "{unwanted} of {received}");
}

/// Subscribed and dropped as fast as can be, from two tasks.
pub async fn interest_that_flaps_ends_up_right<M: Meeting>() {
    let Some(meeting) = M::arrange() else { return };
    let (a, b) = Node::pair(&meeting).await;
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
pub async fn a_subscriber_that_does_not_read_holds_up_nobody<M: Meeting>() {
    let Some(meeting) = M::arrange() else { return };
    let (a, b) = Node::pair(&meeting).await;
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

/// Where nodes meet is not their cluster.
pub async fn clusters_that_meet_in_one_place_do_not_hear_each_other<M: Meeting>() {
    let Some(meeting) = M::arrange() else { return };
    let (a, b) = Node::pair(&meeting).await;
    let stranger = Node::of(|| meeting.join("other shop: *.>", "b", QUEUE_BYTES));
    let friend = Node::of(|| meeting.join("other shop: *.>", "c", QUEUE_BYTES));
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
pub async fn what_cannot_be_sent_is_an_error_and_a_topic_may_hold_anything<M: Meeting>() {
    let Some(meeting) = M::arrange() else { return };
    let (a, b) = Node::pair(&meeting).await;
    let huge = Note { n: 1, text: "x".repeat(QUEUE_BYTES) };
    let error = a.broadcast("t", huge).expect_err("it is larger than the queue");
    assert!(matches!(&error, PublishError::Engine { topic, .. } if topic == "t"), "{error:?}");
    assert!(error.to_string().contains("the limit is"), "{error}");
    let topic = "x".repeat(70_000);
    assert!(a.broadcast(&topic, Note::new(1)).is_err());

    for topic in ["", " ", "a.b.*.>", "snow \u{2603}\r\n", "a/**/$*?#@", &"x".repeat(3000)] {
        let mut notes = b.subscribe::<Note>(topic);
        a.reaches(topic, &mut notes).await;
    }
}

/// Leaving waits for what is queued.
pub async fn what_was_published_before_leaving_arrives<M: Meeting>() {
    let Some(meeting) = M::arrange() else { return };
    let (a, b) = Node::pair(&meeting).await;
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
