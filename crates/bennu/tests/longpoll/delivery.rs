//! The delivery of messages: their order, each exactly once, and the polls and posts that carry them.

use super::*;

#[tokio::test(start_paused = true)]
async fn messages_arrive_in_order_and_exactly_once() {
    let endpoint = endpoint();
    let mut client = Poller::open(&mount(&endpoint, true), "/socket").await;
    client.join("room:1").await;
    let mut received = Vec::new();
    for n in 0..50 {
        broadcast(&endpoint, n);
        if n % 3 == 0 {
            received.extend(client.messages().await);
        }
    }
    received.extend(client.messages().await);
    assert_eq!(received, (0..50).map(said).collect::<Vec<_>>());
    assert_eq!(client.poll().await.status, 204, "no other message");
}

#[tokio::test(start_paused = true)]
async fn a_waiting_poll_receives_all_messages_that_arrive_together() {
    let endpoint = endpoint();
    let mut client = Poller::open(&mount(&endpoint, true), "/socket").await;
    client.join("room:1").await;
    let polling = tokio::spawn(client.polling());
    settle().await;
    client.send([json!(["1", "2", "room:1", "push", { "n": 1 }])]).await;
    let polled = polling.await.unwrap();
    let reply = json!(["1", "2", "room:1", "phx_reply", { "status": "ok", "response": {} }]);
    assert_eq!(polled.messages, [json!(["1", null, "room:1", "pushed", { "n": 1 }]), reply]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_response_is_sent_again_to_the_previous_token_and_never_to_its_own_token() {
    let endpoint = endpoint();
    let mut client = Poller::open(&mount(&endpoint, true), "/socket").await;
    client.join("room:1").await;
    let before = client.token.clone();
    broadcast(&endpoint, 1);
    let lost = client.poll().await;
    assert_eq!(lost.messages, [said(1)]);
    client.token = before;
    broadcast(&endpoint, 2);
    for _ in 0..2 {
        assert_eq!(client.polling().await.messages, [said(1)], "the same batch again, without the later message");
    }
    client.token = lost.token;
    assert_eq!(client.messages().await, [said(2)]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_keeps_its_first_token_receives_every_message_once() {
    let endpoint = endpoint();
    let client = Poller::open(&mount(&endpoint, true), "/socket").await;
    client.send([json!(["1", "1", "room:1", "phx_join", {}])]).await;
    assert_eq!(client.polling().await.messages.len(), 1);
    for n in 0..5 {
        broadcast(&endpoint, n);
        assert_eq!(client.polling().await.messages, [said(n)]);
    }
    assert_eq!(client.polling().await.status, 204);
}

#[tokio::test(start_paused = true)]
async fn messages_after_a_dropped_poll_reach_the_next_poll() {
    let endpoint = endpoint();
    let mut client = Poller::open(&mount(&endpoint, true), "/socket").await;
    client.join("room:1").await;
    let polling = tokio::spawn(client.polling());
    settle().await;
    polling.abort();
    broadcast(&endpoint, 1);
    assert_eq!(client.messages().await, [said(1)]);
}

#[tokio::test(start_paused = true)]
async fn of_two_polls_the_newer_receives_the_messages_and_the_older_waits_until_its_window_ends() {
    let endpoint = endpoint();
    let mut client = Poller::open(&mount(&endpoint, true), "/socket").await;
    client.join("room:1").await;
    let started = Instant::now();
    let older = tokio::spawn(client.polling());
    sleep(Duration::from_secs(2)).await;
    let newer = tokio::spawn(client.polling());
    settle().await;
    broadcast(&endpoint, 1);
    let newer = newer.await.unwrap();
    assert_eq!(newer.messages, [said(1)]);
    let older = older.await.unwrap();
    assert_eq!((older.status, started.elapsed()), (204, Duration::from_secs(10)));
    // With the token of either response, the client receives the next message, and no message twice.
    for token in [older.token, newer.token] {
        client.token = token;
        broadcast(&endpoint, 2);
        assert_eq!(client.polling().await.messages, [said(2)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_notified_older_poll_does_not_replace_a_newer_one() {
    let endpoint = endpoint();
    let mut client = Poller::open(&mount(&endpoint, true), "/socket").await;
    client.join("room:1").await;
    let older = tokio::spawn(client.polling());
    settle().await;
    broadcast(&endpoint, 1);
    // Before the older poll runs, a newer one takes the message of its notification, and the newest one waits.
    let newer = client.polling().now_or_never().expect("a message is queued");
    assert_eq!(newer.messages, [said(1)]);
    client.token = newer.token;
    let mut newest = Box::pin(client.polling());
    assert!(newest.as_mut().now_or_never().is_none());
    settle().await;
    broadcast(&endpoint, 2);
    assert_eq!(newest.await.messages, [said(2)]);
    assert_eq!(older.await.unwrap().status, 204);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_poll_receives_the_replies_of_the_connection_itself() {
    let client = Poller::open(&mount(&endpoint(), true), "/socket").await;
    let started = Instant::now();
    let polling = tokio::spawn(client.polling());
    settle().await;
    client.send([json!([null, "1", "phoenix", "heartbeat", {}])]).await;
    assert_eq!(polling.await.unwrap().messages.len(), 1);
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_poll_ends_with_204_after_the_window_of_the_mount() {
    let endpoint = endpoint();
    let app = mount(&endpoint, LongPoll::default().window(Duration::from_secs(25)));
    let mut client = Poller::open(&app, "/socket").await;
    let started = Instant::now();
    assert_eq!(client.poll().await.status, 204);
    assert_eq!(started.elapsed(), Duration::from_secs(25));
}

#[tokio::test(start_paused = true)]
async fn a_post_of_a_thousand_messages_is_processed_completely_and_in_order() {
    let endpoint = endpoint();
    let mut client = Poller::open(&mount(&endpoint, true), "/socket").await;
    client.join("room:1").await;
    client.send((0..1000).map(|n| json!(["1", n.to_string(), "room:1", "echo", n]))).await;
    let replies = client.messages().await;
    let reply = |n| json!(["1", format!("{n}"), "room:1", "phx_reply", { "status": "ok", "response": n }]);
    assert_eq!(replies, (0..1000).map(reply).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn the_messages_of_a_post_are_processed_in_order_even_if_a_channel_is_busy() {
    let endpoint = endpoint();
    let mut client = Poller::open(&mount(&endpoint, true), "/socket").await;
    let heartbeat = json!([null, "4", "phoenix", "heartbeat", {}]);
    let [join, load, echo] = [("1", "phx_join"), ("2", "load"), ("3", "echo")]
        .map(|(reference, event)| json!(["1", reference, "loaded", event, {}]));
    client.send([join, load, echo, heartbeat]).await;
    let replies = client.messages().await;
    let refs: Vec<&Value> = replies.iter().map(|reply| &reply[1]).collect();
    assert_eq!(refs, ["1", "2", "3", "4"]);
}

#[tokio::test(start_paused = true)]
async fn a_post_does_not_wait_for_a_handler_that_waits() {
    let endpoint = endpoint();
    let mut client = Poller::open(&mount(&endpoint, true), "/socket").await;
    client.join("room:1").await;
    client.join("room:2").await;
    let [dawdle, echo] = [("1", "dawdle"), ("2", "echo")]
        .map(|(room, event)| json!(["1", event, format!("room:{room}"), event, { "ms": 60_000 }]));
    let started = Instant::now();
    client.send([dawdle, echo]).await;
    assert_eq!(client.messages().await[0][1], "echo");
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_post_does_not_wait_for_a_leaving_channel_whose_handler_waits() {
    let endpoint = endpoint();
    let mut client = Poller::open(&mount(&endpoint, true), "/socket").await;
    client.join("room:1").await;
    client.join("room:2").await;
    let message = |room, event| json!(["1", event, format!("room:{room}"), event, { "ms": 60_000 }]);
    let started = Instant::now();
    client.send([message(1, "dawdle"), message(1, "phx_leave"), message(2, "echo")]).await;
    assert_eq!(client.messages().await[0][1], "echo");
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_post_does_not_wait_for_a_rejoin_that_waits_for_the_end_of_the_old_channel() {
    let endpoint = endpoint();
    let mut client = Poller::open(&mount(&endpoint, true), "/socket").await;
    client.join("room:1").await;
    client.join("room:2").await;
    let started = Instant::now();
    let dawdle = json!(["1", "2", "room:1", "dawdle", { "ms": 60_000 }]);
    let again = json!(["3", "3", "room:1", "phx_join", {}]);
    let to_it = json!(["3", "4", "room:1", "echo", {}]);
    client.send([dawdle, again, to_it, json!(["1", "5", "room:2", "echo", {}])]).await;
    assert_eq!(client.messages().await[0][1], "5");
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_left_channel_has_closed_before_the_next_message_of_the_post_is_processed() {
    let endpoint = endpoint();
    let mut client = Poller::open(&mount(&endpoint, true), "/socket").await;
    client.join("room:1").await;
    client.send([json!(["1", "2", "room:1", "phx_leave", {}]), json!([null, "3", "phoenix", "heartbeat", {}])]).await;
    let messages = client.messages().await;
    let events: Vec<_> = messages.iter().map(|message| (&message[1], &message[3])).collect();
    assert_eq!(json!(events), json!([["2", "phx_reply"], ["1", "phx_close"], ["3", "phx_reply"]]));
}

#[tokio::test(start_paused = true)]
async fn posts_of_one_session_are_processed_one_after_another() {
    let endpoint = endpoint();
    let mut client = Poller::open(&mount(&endpoint, true), "/socket").await;
    client.join("room:1").await;
    // The first body is incomplete; the second body is complete, and waits for the first.
    let (more, body) = tokio::sync::mpsc::unbounded_channel::<Bytes>();
    more.send(Bytes::from_static(br#"["1","2","room:1","#)).unwrap();
    let first = client.post("application/json", slow_body(body));
    let second = client.post("application/json", r#"["1","3","room:1","echo",3]"#);
    let finish = async {
        settle().await;
        more.send(Bytes::from_static(br#""echo",2]"#)).unwrap();
        drop(more);
    };
    tokio::join!(first, second, finish);
    let replies = client.messages().await;
    let refs: Vec<&Value> = replies.iter().map(|reply| &reply[1]).collect();
    assert_eq!(refs, ["2", "3"]);
}
