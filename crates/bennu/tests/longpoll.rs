//! Long polling: sessions that live between requests, the order and the number of what they deliver, their bounds, and
//! other nodes. What single requests are answered is in the recordings of real Phoenix.

mod support;

use axum::Router;
use axum::body::Body;
use bennu::prelude::*;
use bennu::pubsub::{InProcess, NodeName, PubSub};
use bennu::token::Secret;
use bennu::{CheckOrigin, ConnectInfo, Drained, LongPoll};
use bytes::Bytes;
use futures::FutureExt;
use http::{Method, StatusCode};
use metrics_util::debugging::DebuggingRecorder;
use serde_json::Value;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use support::channel::{Open, Room};
use support::client::Client;
use support::longpoll::{Answer, Poller, answer, request};
use support::watch::Metrics;
use support::{Server, endpoint, soon, until};
use tokio::time::{Instant, sleep};

fn mount(endpoint: &Endpoint, longpoll: impl Into<LongPoll>) -> Router {
    bennu::socket::<Open>("/socket").longpoll(longpoll).router(endpoint).expect("a good mount")
}

fn said(n: u32) -> Value {
    json!([null, null, "room:1", "said", { "n": n }])
}

fn say(endpoint: &Endpoint, n: u32) {
    endpoint.broadcast("room:1", "said", json!({ "n": n })).expect("an object");
}

/// Until every other task waits: paused time moves on only then.
async fn rest() {
    sleep(Duration::from_millis(1)).await;
}

mod delivery {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn messages_come_in_order_and_each_once() {
        let endpoint = endpoint();
        let mut client = Poller::open(&mount(&endpoint, true), "/socket").await;
        client.join("room:1").await;
        let mut received = Vec::new();
        for n in 0..50 {
            say(&endpoint, n);
            if n % 3 == 0 {
                received.extend(client.messages().await);
            }
        }
        received.extend(client.messages().await);
        assert_eq!(received, (0..50).map(said).collect::<Vec<_>>());
        assert_eq!(client.poll().await.status, 204, "and nothing else");
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiting_poll_is_answered_when_something_comes_with_all_that_came_together() {
        let endpoint = endpoint();
        let mut client = Poller::open(&mount(&endpoint, true), "/socket").await;
        client.join("room:1").await;
        let polling = tokio::spawn(client.polling());
        rest().await;
        client.send([json!(["1", "2", "room:1", "push", { "n": 1 }])]).await;
        let polled = polling.await.unwrap();
        let reply = json!(["1", "2", "room:1", "phx_reply", { "status": "ok", "response": {} }]);
        assert_eq!(polled.messages, [json!(["1", null, "room:1", "pushed", { "n": 1 }]), reply]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_that_got_lost_is_said_again_to_the_token_before_it_and_never_to_the_one_in_it() {
        let endpoint = endpoint();
        let mut client = Poller::open(&mount(&endpoint, true), "/socket").await;
        client.join("room:1").await;
        let before = client.token.clone();
        say(&endpoint, 1);
        let lost = client.poll().await;
        assert_eq!(lost.messages, [said(1)]);
        client.token = before;
        say(&endpoint, 2);
        for _ in 0..2 {
            assert_eq!(client.polling().await.messages, [said(1)], "the same again, and not yet what came later");
        }
        client.token = lost.token;
        assert_eq!(client.messages().await, [said(2)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_keeps_its_first_token_gets_everything_once() {
        let endpoint = endpoint();
        let client = Poller::open(&mount(&endpoint, true), "/socket").await;
        client.send([json!(["1", "1", "room:1", "phx_join", {}])]).await;
        assert_eq!(client.polling().await.messages.len(), 1);
        for n in 0..5 {
            say(&endpoint, n);
            assert_eq!(client.polling().await.messages, [said(n)]);
        }
        assert_eq!(client.polling().await.status, 204);
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_while_a_client_that_waited_has_hung_up_is_there_for_its_next_poll() {
        let endpoint = endpoint();
        let mut client = Poller::open(&mount(&endpoint, true), "/socket").await;
        client.join("room:1").await;
        let polling = tokio::spawn(client.polling());
        rest().await;
        polling.abort();
        say(&endpoint, 1);
        assert_eq!(client.messages().await, [said(1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_polls_the_newer_gets_the_messages_and_the_older_waits_out_its_window() {
        let endpoint = endpoint();
        let mut client = Poller::open(&mount(&endpoint, true), "/socket").await;
        client.join("room:1").await;
        let started = Instant::now();
        let older = tokio::spawn(client.polling());
        sleep(Duration::from_secs(2)).await;
        let newer = tokio::spawn(client.polling());
        rest().await;
        say(&endpoint, 1);
        let newer = newer.await.unwrap();
        assert_eq!(newer.messages, [said(1)]);
        let older = older.await.unwrap();
        assert_eq!((older.status, started.elapsed()), (204, Duration::from_secs(10)));
        // Whichever answer the client read last, it gets what comes, and nothing twice.
        for token in [older.token, newer.token] {
            client.token = token;
            say(&endpoint, 2);
            assert_eq!(client.polling().await.messages, [said(2)]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_older_poll_that_was_rung_for_does_not_take_over_from_a_newer_one() {
        let endpoint = endpoint();
        let mut client = Poller::open(&mount(&endpoint, true), "/socket").await;
        client.join("room:1").await;
        let older = tokio::spawn(client.polling());
        rest().await;
        say(&endpoint, 1);
        // Before the older one comes to run, a newer one takes what it was rung for, and the newest waits.
        let newer = client.polling().now_or_never().expect("a message is there");
        assert_eq!(newer.messages, [said(1)]);
        client.token = newer.token;
        let mut newest = Box::pin(client.polling());
        assert!(newest.as_mut().now_or_never().is_none());
        rest().await;
        say(&endpoint, 2);
        assert_eq!(newest.await.messages, [said(2)]);
        assert_eq!(older.await.unwrap().status, 204);
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiting_poll_is_answered_with_what_the_connection_itself_says() {
        let client = Poller::open(&mount(&endpoint(), true), "/socket").await;
        let started = Instant::now();
        let polling = tokio::spawn(client.polling());
        rest().await;
        client.send([json!([null, "1", "phoenix", "heartbeat", {}])]).await;
        assert_eq!(polling.await.unwrap().messages.len(), 1);
        assert!(started.elapsed() < Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_ends_with_204_and_its_length_is_the_mount_s() {
        let endpoint = endpoint();
        let app = mount(&endpoint, LongPoll::default().window(Duration::from_secs(25)));
        let mut client = Poller::open(&app, "/socket").await;
        let started = Instant::now();
        assert_eq!(client.poll().await.status, 204);
        assert_eq!(started.elapsed(), Duration::from_secs(25));
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_is_taken_whole_and_in_order_however_many_messages_it_has() {
        let endpoint = endpoint();
        let mut client = Poller::open(&mount(&endpoint, true), "/socket").await;
        client.join("room:1").await;
        client.send((0..1000).map(|n| json!(["1", n.to_string(), "room:1", "echo", n]))).await;
        let replies = client.messages().await;
        let reply = |n| json!(["1", format!("{n}"), "room:1", "phx_reply", { "status": "ok", "response": n }]);
        assert_eq!(replies, (0..1000).map(reply).collect::<Vec<_>>());
    }

    #[tokio::test(start_paused = true)]
    async fn the_messages_of_a_post_are_done_in_order_though_a_channel_has_much_to_do() {
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
    async fn a_post_does_not_wait_for_what_a_handler_waits_for() {
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
    async fn a_post_does_not_wait_for_a_channel_that_was_told_to_end_while_its_handler_waits() {
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
    async fn a_post_does_not_wait_for_a_join_that_waits_for_the_end_of_the_one_before() {
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
    async fn a_channel_that_is_left_has_closed_before_what_stands_behind_it_in_the_post_is_answered() {
        let endpoint = endpoint();
        let mut client = Poller::open(&mount(&endpoint, true), "/socket").await;
        client.join("room:1").await;
        client
            .send([json!(["1", "2", "room:1", "phx_leave", {}]), json!([null, "3", "phoenix", "heartbeat", {}])])
            .await;
        let said = client.messages().await;
        let events: Vec<_> = said.iter().map(|message| (&message[1], &message[3])).collect();
        assert_eq!(json!(events), json!([["2", "phx_reply"], ["1", "phx_close"], ["3", "phx_reply"]]));
    }

    #[tokio::test(start_paused = true)]
    async fn posts_of_one_session_are_taken_one_after_another() {
        let endpoint = endpoint();
        let mut client = Poller::open(&mount(&endpoint, true), "/socket").await;
        client.join("room:1").await;
        // The first announces more than it has sent; the second is whole, and waits for it.
        let (more, body) = tokio::sync::mpsc::unbounded_channel::<Bytes>();
        more.send(Bytes::from_static(br#"["1","2","room:1","#)).unwrap();
        let first = client.post("application/json", slow_body(body));
        let second = client.post("application/json", r#"["1","3","room:1","echo",3]"#);
        let finish = async {
            rest().await;
            more.send(Bytes::from_static(br#""echo",2]"#)).unwrap();
            drop(more);
        };
        tokio::join!(first, second, finish);
        let replies = client.messages().await;
        let refs: Vec<&Value> = replies.iter().map(|reply| &reply[1]).collect();
        assert_eq!(refs, ["2", "3"]);
    }
}

fn slow_body(mut parts: tokio::sync::mpsc::UnboundedReceiver<Bytes>) -> Body {
    Body::from_stream(futures::stream::poll_fn(move |cx| parts.poll_recv(cx).map(|part| part.map(Ok::<_, Infallible>))))
}

mod bad_input {
    use super::*;

    fn refused(answer: &Answer) -> (u16, u64, String) {
        let body = answer.json();
        (answer.http.as_u16(), body["status"].as_u64().unwrap(), body["reason"].as_str().unwrap_or_default().to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_wrong_is_named_the_messages_before_it_count_and_the_session_lives() {
        let mut client = Poller::open(&mount(&endpoint(), true), "/socket").await;
        client.join("room:1").await;
        let echo = r#"["1","2","room:1","echo",1]"#;
        for (body, reason) in [
            (format!("{echo}\n[not json"), "message 2: no V2 message: expected a JSON value at byte 1"),
            (format!("{echo}\n%%%"), "line 2 is neither a JSON message nor base64: Invalid symbol 37, offset 0."),
            (format!("{echo}\nAQAAAAA="), "message 2: binary frame of kind 1, clients send kind 0 (push)"),
        ] {
            let answer = client.post("application/x-ndjson", body).await;
            assert_eq!(refused(&answer), (200, 400, reason.to_owned()));
            assert_eq!(client.messages().await.len(), 1, "the good message before it");
        }
        let answer = client.post("application/json", "").await;
        assert_eq!((answer.json()["status"].as_u64(), answer.http), (Some(400), StatusCode::OK));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_over_the_limit_is_refused_with_the_limit_whether_or_not_it_says_its_length() {
        let app = mount(&endpoint(), LongPoll::default().max_body_bytes(100));
        let mut client = Poller::open(&app, "/socket").await;
        client.join("room:1").await;
        let message = |bytes: usize| format!(r#"["1","2","room:1","echo","{}"]"#, "x".repeat(bytes - 28));
        let streamed = Body::from_stream(futures::stream::iter([Ok::<_, Infallible>(Bytes::from(message(101)))]));
        for body in [Body::from(message(101)), streamed] {
            let answer = client.post("application/json", body).await;
            assert_eq!(answer.http, StatusCode::BAD_REQUEST);
            assert_eq!(answer.text, "the body is longer than 100 bytes, which is the limit");
        }
        let answer = client.post("application/json", message(100)).await;
        assert_eq!(answer.json(), json!({ "status": 200 }), "{}", message(100).len());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_comes_too_slowly_or_breaks_off_costs_its_own_request_only() {
        let client = Poller::open(&mount(&endpoint(), true), "/socket").await;
        let (more, body) = tokio::sync::mpsc::unbounded_channel::<Bytes>();
        let trickle = tokio::spawn(async move {
            while more.send(Bytes::from_static(b" ")).is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
        });
        let started = Instant::now();
        let answer = client.post("application/json", slow_body(body)).await;
        assert_eq!((answer.http, answer.text.as_str()), (StatusCode::BAD_REQUEST, "the body did not arrive in time"));
        assert_eq!(started.elapsed(), Duration::from_secs(60));
        trickle.await.unwrap();
        let broken = Body::from_stream(futures::stream::iter([Err::<Bytes, _>(std::io::Error::other("reset"))]));
        let answer = client.post("application/json", broken).await;
        assert_eq!(answer.text, "the body broke off: reset");
        let answer = client.post("application/json", vec![b'"', 0xff]).await;
        assert_eq!(answer.text, "the body is not UTF-8");
        client.send([json!([null, "1", "phoenix", "heartbeat", {}])]).await;
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_of_others_expired_ones_and_nonsense_are_no_sessions() {
        let endpoint = endpoint();
        let app = mount(&endpoint, LongPoll::default().crypto_max_age(Duration::ZERO));
        let expired = Poller::open(&app, "/socket").await;
        let other = Endpoint::new(Secret::new("another secret of at least twenty bytes").unwrap());
        let foreign = Poller::open(&mount(&other, true), "/socket").await;
        for token in [expired.token.as_str(), foreign.token.as_str(), "", "x", &"x".repeat(60_000)] {
            let uri = format!("/socket/longpoll?vsn=2.0.0&token={token}");
            let posted = answer(&app, request(Method::POST, &uri, "[]")).await;
            assert_eq!(posted.json(), json!({ "status": 410 }), "{token}");
            let polled = answer(&app, request(Method::GET, &uri, "")).await.polled();
            assert_eq!(polled.status, 410, "a new session: {token}");
        }
    }
}

mod ends {
    use super::*;

    struct Ends;

    /// Says on PubSub how it ended.
    #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Ended(String);

    impl bennu::pubsub::Message for Ended {
        const KIND: &'static str = "test.longpoll_ended";
    }

    impl<S: Socket> Channel<S> for Ends {
        async fn join(_: &str, _: Payload, _: &mut Context<S, Self>) -> Joined<Self> {
            accept(Ends)
        }

        async fn terminate(&mut self, reason: Terminate, ctx: &mut Context<S, Self>) {
            ctx.endpoint().pubsub().local_broadcast("ended", Ended(format!("{reason:?}")));
        }
    }

    struct Ending;

    impl Socket for Ending {
        type State = ();

        async fn connect(_: Connect) -> Result<Self, Refusal> {
            Ok(Ending)
        }

        fn id(&self) -> Option<String> {
            Some("them".to_owned())
        }

        fn channels(router: &mut ChannelRouter<Self>) {
            router.channel::<Ends>("ends").channel::<Room>("room:*");
        }
    }

    fn ending(endpoint: &Endpoint, longpoll: impl Into<LongPoll>) -> Router {
        bennu::socket::<Ending>("/socket").longpoll(longpoll).max_outbox_bytes(1000).router(endpoint).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_that_is_not_heard_for_one_and_a_half_windows_ends_with_its_channels() {
        let endpoint = endpoint();
        let mut ended = endpoint.pubsub().subscribe::<Ended>("ended");
        let mut client = Poller::open(&ending(&endpoint, true), "/socket").await;
        client.join("ends").await;
        let started = Instant::now();
        assert_eq!(*ended.recv().await.unwrap(), Ended("Closed".to_owned()));
        assert_eq!(started.elapsed(), Duration::from_secs(15));
        assert_eq!(endpoint.connection_count(), 0);
        assert_eq!(client.post("application/json", "[]").await.json(), json!({ "status": 410 }));
        assert_eq!(client.poll().await.status, 410, "and a new session");
        assert_eq!(endpoint.connection_count(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn polls_and_posts_keep_a_session_and_so_does_a_poll_that_waits_longer_than_a_session_may_idle() {
        let endpoint = endpoint();
        let longpoll = LongPoll::default().window(Duration::from_secs(30)).idle_time(Duration::from_secs(5));
        let mut client = Poller::open(&ending(&endpoint, longpoll), "/socket").await;
        for _ in 0..3 {
            assert_eq!(client.poll().await.status, 204);
        }
        for _ in 0..5 {
            sleep(Duration::from_secs(4)).await;
            client.send([json!([null, "1", "phoenix", "heartbeat", {}])]).await;
        }
        assert_eq!(client.messages().await.len(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_disconnect_ends_a_waiting_poll_at_once() {
        let endpoint = endpoint();
        let mut ended = endpoint.pubsub().subscribe::<Ended>("ended");
        let mut client = Poller::open(&ending(&endpoint, true), "/socket").await;
        client.join("ends").await;
        let started = Instant::now();
        let polling = tokio::spawn(client.polling());
        rest().await;
        endpoint.disconnect("them").unwrap();
        assert_eq!(polling.await.unwrap().status, 410);
        assert_eq!(*ended.recv().await.unwrap(), Ended("Closed".to_owned()));
        assert!(started.elapsed() < Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_said_before_a_disconnect_is_heard_before_the_end() {
        let endpoint = endpoint();
        let mut client = Poller::open(&ending(&endpoint, true), "/socket").await;
        client.join("room:1").await;
        say(&endpoint, 1);
        endpoint.disconnect("them").unwrap();
        assert_eq!(client.post("application/json", "[]").await.json(), json!({ "status": 410 }));
        let before = client.token.clone();
        assert_eq!(client.messages().await, [said(1)]);
        assert_eq!(endpoint.connection_count(), 0, "nothing more comes");
        client.token = before;
        assert_eq!(client.messages().await, [said(1)], "if that response was lost");
        assert_eq!(client.poll().await.status, 410);
    }

    /// Drains a node with one session, which takes as long as that session's client is waited for.
    async fn drain(endpoint: &Endpoint) -> Duration {
        let drain = bennu::Drain { batch_interval: Duration::from_millis(1), ..bennu::Drain::default() };
        let started = Instant::now();
        assert_eq!(drain.run(endpoint).await, Drained { connections: 1, left: 0 });
        started.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_has_left_holds_up_nobody_s_end_for_more_than_two_seconds() {
        let endpoint = endpoint();
        let mut client = Poller::open(&ending(&endpoint, true), "/socket").await;
        client.join("room:1").await;
        say(&endpoint, 1);
        assert_eq!(drain(&endpoint).await, Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn nor_does_one_whose_post_is_slow_to_arrive() {
        let endpoint = endpoint();
        let client = Poller::open(&ending(&endpoint, true), "/socket").await;
        let (_more, body) = tokio::sync::mpsc::unbounded_channel::<Bytes>();
        let posting = tokio::spawn(async move { client.post("application/json", slow_body(body)).await });
        rest().await;
        assert_eq!(drain(&endpoint).await, Duration::from_secs(2));
        posting.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn nor_does_one_that_leaves_at_the_moment_its_poll_would_be_answered() {
        let endpoint = endpoint();
        let client = Poller::open(&ending(&endpoint, true), "/socket").await;
        let polling = tokio::spawn(client.polling());
        rest().await;
        endpoint.disconnect("them").unwrap();
        polling.abort();
        assert_eq!(drain(&endpoint).await, Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_poll_is_closed_when_too_much_waits_for_it_and_that_is_counted() {
        let recorder = DebuggingRecorder::new();
        let metrics = Metrics::of(&recorder);
        let _guard = metrics::set_default_local_recorder(&recorder);
        let endpoint = endpoint();
        let app = ending(&endpoint, true);
        let mut client = Poller::open(&app, "/socket").await;
        client.join("room:1").await;
        let mut other = Poller::open(&app, "/socket").await;
        other.join("room:1").await;
        for n in 0..100 {
            say(&endpoint, n);
            assert_eq!(other.messages().await, [said(n)]);
        }
        let over = answer(&app, client.poll_request()).await.json();
        assert_eq!(
            (over["status"].as_u64(), over["reason"].as_str()),
            (Some(410), Some("1070 bytes unread, the limit is 1000"))
        );
        assert_eq!(metrics.get("bennu.socket.slow_clients"), 1.0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_binary_message_that_is_no_text_is_skipped_and_counted_and_the_others_come() {
        let recorder = DebuggingRecorder::new();
        let metrics = Metrics::of(&recorder);
        let _guard = metrics::set_default_local_recorder(&recorder);
        let endpoint = endpoint();
        let mut client = Poller::open(&mount(&endpoint, true), "/socket").await;
        client.join("room:1").await;
        say(&endpoint, 1);
        endpoint.broadcast("room:1", "said", vec![0xff, 0]).unwrap();
        say(&endpoint, 2);
        assert_eq!(client.messages().await, [said(1), said(2)]);
        assert_eq!(metrics.get("bennu.longpoll.unsendable"), 1.0);
    }

    #[tokio::test]
    async fn a_drain_answers_waiting_polls_refuses_new_sessions_and_leaves_nobody() {
        let endpoint = endpoint();
        let app = mount(&endpoint, LongPoll::default().window(Duration::from_secs(60)));
        let server = Server::start(&endpoint, app.clone()).await;
        let mut client = Client::tcp(server.addr).await;
        let get = |token: &str| format!("GET /socket/longpoll?vsn=2.0.0&token={token} HTTP/1.1\r\nHost: h\r\n\r\n");
        client.send_raw(get("")).await;
        let opened: Value = serde_json::from_str(&client.response().await.body).unwrap();
        client.send_raw(get(opened["token"].as_str().unwrap())).await;
        until("it is connected", || endpoint.connection_count() == 1).await;
        assert_eq!(server.drained().await, Drained { connections: 1, left: 0 });
        let answered = client.response().await;
        assert_eq!((answered.status, answered.body.as_str()), (503, r#"{"reason":"shutting down","status":500}"#));
        let refused = answer(&app, request(Method::GET, "/socket/longpoll?vsn=2.0.0", "")).await;
        assert_eq!(refused.http, StatusCode::SERVICE_UNAVAILABLE);
    }
}

mod bounds {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn sessions_past_a_bound_are_refused_with_its_number_until_others_have_ended() {
        let recorder = DebuggingRecorder::new();
        let metrics = Metrics::of(&recorder);
        let _guard = metrics::set_default_local_recorder(&recorder);
        let endpoint = endpoint();
        let bounded = LongPoll::default().max_sessions(3).max_sessions_per_peer(2);
        let app = mount(&endpoint, bounded);
        let open = |peer: [u8; 4]| {
            let mut request = request(Method::GET, "/socket/longpoll?vsn=2.0.0", "");
            let peer = std::net::SocketAddr::from((peer, 1));
            request.extensions_mut().insert(axum::extract::ConnectInfo(peer));
            let app = app.clone();
            async move { answer(&app, request).await }
        };
        for _ in 0..2 {
            assert_eq!(open([10, 0, 0, 1]).await.polled().status, 410);
        }
        let refused = open([10, 0, 0, 1]).await;
        assert_eq!(refused.http, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(refused.json()["reason"], "10.0.0.1 has 2 long-poll sessions, the limit is 2");
        assert_eq!(open([10, 0, 0, 2]).await.polled().status, 410);
        let refused = open([10, 0, 0, 3]).await;
        assert_eq!(refused.http, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(refused.json()["reason"], "this server has 3 long-poll sessions, the limit is 3");
        assert_eq!(metrics.get("bennu.longpoll.refused{limit=sessions}"), 1.0);
        assert_eq!(metrics.get("bennu.longpoll.refused{limit=sessions_per_peer}"), 1.0);
        assert_eq!(metrics.get("bennu.longpoll.sessions"), 3.0);
        sleep(Duration::from_secs(16)).await;
        assert_eq!((metrics.get("bennu.longpoll.sessions"), metrics.get("bennu.longpoll.expired")), (0.0, 3.0));
        assert_eq!(open([10, 0, 0, 3]).await.polled().status, 410);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_client_takes_no_place() {
        struct Never;
        impl Socket for Never {
            type State = ();

            async fn connect(_: Connect) -> Result<Self, Refusal> {
                Err(Refusal::plain())
            }
            fn channels(_: &mut ChannelRouter<Self>) {}
        }
        let longpoll = LongPoll::default().max_sessions(1);
        let app = bennu::socket::<Never>("/never").longpoll(longpoll).router(&endpoint()).unwrap();
        for _ in 0..3 {
            let refused = answer(&app, request(Method::GET, "/never/longpoll?vsn=2.0.0", "")).await;
            assert_eq!(refused.json(), json!({ "status": 403 }));
        }
    }
}

mod mounts {
    use super::*;

    #[tokio::test]
    async fn a_mount_long_polls_only_when_it_is_told_to() {
        let app = mount(&endpoint(), false);
        let refused = answer(&app, request(Method::GET, "/socket/longpoll?vsn=2.0.0", "")).await;
        assert_eq!(refused.http, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn without_cors_no_answer_allows_other_sites_and_with_it_every_one_does() {
        for (cors, allowed) in [(true, Some("*")), (false, None)] {
            let app = mount(&endpoint(), LongPoll::default().cors(cors));
            for (method, uri) in [
                (Method::GET, "/socket/longpoll?vsn=2.0.0"),
                (Method::GET, "/socket/longpoll?vsn=7"),
                (Method::POST, "/socket/longpoll"),
                (Method::OPTIONS, "/socket/longpoll/"),
            ] {
                let answer = answer(&app, request(method.clone(), uri, "")).await;
                let header = answer.headers.get("access-control-allow-origin").map(|value| value.to_str().unwrap());
                assert_eq!(header, allowed, "{method} {uri}");
            }
        }
    }

    #[tokio::test]
    async fn connect_is_told_the_same_as_over_a_websocket() {
        struct Curious;
        impl Socket for Curious {
            type State = ();

            async fn connect(request: Connect) -> Result<Self, Refusal> {
                let ConnectInfo { peer, path, headers, uri, auth_token, .. } = &request.info;
                assert_eq!(peer.unwrap().to_string(), "10.0.0.1:4321");
                assert_eq!((path.get("id"), headers["x-custom"].as_bytes()), (Some("7"), &b"yes"[..]));
                assert_eq!(uri.path(), "/curious/7/longpoll");
                assert_eq!((auth_token.as_deref(), request.param("lang")?), (Some("secret"), "en"));
                Ok(Curious)
            }
            fn channels(_: &mut ChannelRouter<Self>) {}
        }
        let mount = bennu::socket::<Curious>("/curious/{id}").auth_token(true).longpoll(true);
        let app = mount.check_origin(CheckOrigin::any()).router(&endpoint()).unwrap();
        let mut get = request(Method::GET, "/curious/7/longpoll?vsn=2.0.0&lang=en", "");
        get.headers_mut().insert("x-custom", "yes".parse().unwrap());
        get.headers_mut().insert("x-phoenix-authtoken", "secret".parse().unwrap());
        assert_eq!(answer(&app, get).await.polled().status, 410);
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_may_be_named_in_a_header_and_by_any_mount_of_its_endpoint() {
        let endpoint = endpoint();
        let other = bennu::socket::<Open>("/other").longpoll(true).router(&endpoint).unwrap();
        let app: Router = mount(&endpoint, true).merge(other);
        let client = Poller::open(&app, "/socket").await;
        let heartbeat = json!([null, "1", "phoenix", "heartbeat", {}]).to_string();
        let mut post = request(Method::POST, "/other/longpoll?vsn=2.0.0", heartbeat);
        post.headers_mut().insert("x-phoenix-longpoll-token", client.token.parse().unwrap());
        assert_eq!(answer(&app, post).await.json(), json!({ "status": 200 }));
        assert_eq!(client.polling().await.messages.len(), 1);
    }
}

mod nodes {
    use super::*;

    fn node(cluster: &InProcess, name: &'static str) -> (Endpoint, Router) {
        let secret = Secret::new("a secret of at least twenty bytes for tests").unwrap();
        let pubsub = PubSub::new(cluster.join(NodeName::new(name)));
        let endpoint = Endpoint::builder(secret).pubsub(pubsub).build();
        let app = mount(&endpoint, true);
        (endpoint, app)
    }

    /// Two nodes behind one name.
    fn two_nodes() -> (Endpoint, Router, Endpoint, Router) {
        let cluster = InProcess::cluster();
        let ((a, app_a), (b, app_b)) = (node(&cluster, "a"), node(&cluster, "b"));
        (a, app_a, b, app_b)
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_is_used_through_whichever_node_takes_the_request() {
        let (a, app_a, b, app_b) = two_nodes();
        let mut client = Poller::open(&app_a, "/socket").await;
        let mut received = Vec::new();
        client.join("room:1").await;
        for n in 0..20 {
            client.app = if n % 2 == 0 { app_b.clone() } else { app_a.clone() };
            client.send([json!(["1", "2", "room:1", "quiet", {}])]).await;
            say(if n % 3 == 0 { &a } else { &b }, n);
            received.extend(client.messages().await);
        }
        assert_eq!(received, (0..20).map(said).collect::<Vec<_>>());
        assert_eq!((a.connection_count(), b.connection_count()), (1, 0), "it lives where it was opened");
    }

    #[tokio::test(start_paused = true)]
    async fn a_poll_through_another_node_waits_there_and_its_window_ends_there() {
        let (a, app_a, _b, app_b) = two_nodes();
        let mut client = Poller::open(&app_a, "/socket").await;
        client.join("room:1").await;
        client.app = app_b;
        let polling = tokio::spawn(client.polling());
        rest().await;
        say(&a, 1);
        let polled = polling.await.unwrap();
        assert_eq!(polled.messages, [said(1)]);
        client.token = polled.token;
        let started = Instant::now();
        assert_eq!(client.poll().await.status, 204);
        assert_eq!(started.elapsed(), Duration::from_secs(10));
    }

    #[tokio::test(start_paused = true)]
    async fn what_got_lost_between_nodes_or_on_the_way_to_the_client_comes_with_the_next_poll() {
        let (a, app_a, _b, app_b) = two_nodes();
        let mut client = Poller::open(&app_a, "/socket").await;
        client.join("room:1").await;
        client.app = app_b;
        let polling = tokio::spawn(client.polling());
        rest().await;
        // The client hangs up; the node where its session lives does not know.
        polling.abort();
        let _ = polling.await;
        say(&a, 1);
        rest().await;
        say(&a, 2);
        assert_eq!(client.messages().await, [said(1)]);
        assert_eq!(client.messages().await, [said(2)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_leaves_answers_those_that_poll_through_it_and_nothing_is_lost() {
        let (a, app_a, b, app_b) = two_nodes();
        let mut client = Poller::open(&app_a, "/socket").await;
        client.join("room:1").await;
        client.app = app_b;
        let polling = tokio::spawn(client.polling());
        rest().await;
        let started = Instant::now();
        b.leave().await;
        let polled = polling.await.unwrap();
        assert_eq!((polled.status, started.elapsed()), (204, Duration::ZERO));
        say(&a, 1);
        (client.app, client.token) = (app_a, polled.token);
        assert_eq!(client.messages().await, [said(1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn nor_is_what_a_session_says_first() {
        let (_a, app_a, b, app_b) = two_nodes();
        let mut client = Poller::open(&app_a, "/socket").await;
        client.app = app_b;
        let polling = tokio::spawn(client.polling());
        rest().await;
        b.leave().await;
        (client.app, client.token) = (app_a, polling.await.unwrap().token);
        // The node where the session lives gives it to the poll that is answered.
        client.send([json!(["1", "1", "room:1", "phx_join", {}])]).await;
        rest().await;
        let reply = json!(["1", "1", "room:1", "phx_reply", { "status": "ok", "response": {} }]);
        assert_eq!(client.messages().await, [reply]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_poll_through_a_node_that_leaves_never_takes_over_from_the_clients_next_one() {
        let (a, app_a, b, app_b) = two_nodes();
        let mut client = Poller::open(&app_a, "/socket").await;
        client.join("room:1").await;
        b.leave().await;
        for n in 0..20 {
            client.app = app_a.clone();
            let polling = tokio::spawn(client.polling());
            rest().await;
            // What was sent before comes after, on another way.
            client.app = app_b.clone();
            assert_eq!(client.polling().await.status, 204);
            rest().await;
            let said_at = Instant::now();
            say(&a, n);
            let polled = polling.await.unwrap();
            assert_eq!((polled.messages, said_at.elapsed()), (vec![said(n)], Duration::ZERO));
            client.token = polled.token;
        }
    }

    #[tokio::test]
    async fn what_is_posted_through_a_node_that_shuts_down_still_arrives() {
        let (_a, app_a, b, app_b) = two_nodes();
        let mut client = Poller::open(&app_a, "/socket").await;
        client.join("room:1").await;
        // A POST that is not whole yet holds up the next, which comes through the node that shuts down.
        let (more, body) = tokio::sync::mpsc::unbounded_channel::<Bytes>();
        let first = client.post("application/json", slow_body(body));
        let arrived = Arc::new(tokio::sync::Notify::new());
        let bell = arrived.clone();
        let app_b = app_b.layer(axum::middleware::map_request(move |request: http::Request<Body>| {
            bell.notify_one();
            std::future::ready(request)
        }));
        let mut server = Server::start(&b, app_b).await;
        let second = async {
            let mut through_b = Client::tcp(server.addr).await;
            let echo = r#"["1","3","room:1","echo",{}]"#;
            let head = format!("POST /socket/longpoll?vsn=2.0.0&token={} HTTP/1.1\r\nHost: h", client.token);
            through_b.send_raw(format!("{head}\r\nContent-Length: {}\r\n\r\n{echo}", echo.len())).await;
            soon("the second POST", arrived.notified()).await;
            server.shut_down();
            soon("the drain", b.leaving()).await;
            more.send(Bytes::from_static(br#"["1","2","room:1","echo",{}]"#)).unwrap();
            drop(more);
            through_b.response().await.body
        };
        let (first, second) = tokio::join!(first, second);
        assert_eq!((first.text.as_str(), second.as_str()), (r#"{"status":200}"#, r#"{"status":200}"#));
        let mut refs = Vec::new();
        while refs.len() < 2 {
            refs.extend(client.messages().await.iter().map(|reply| reply[1].clone()));
        }
        assert_eq!(refs, ["2", "3"]);
        server.drained().await;
    }

    #[tokio::test(start_paused = true)]
    async fn bad_input_is_named_through_another_node_too() {
        let (_a, app_a, _b, app_b) = two_nodes();
        let mut client = Poller::open(&app_a, "/socket").await;
        client.app = app_b;
        let answer = client.post("application/json", "[not json").await;
        let reason = "message 1: no V2 message: expected a JSON value at byte 1";
        assert_eq!(answer.json(), json!({ "status": 400, "reason": reason }));
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_that_is_gone_and_one_whose_node_is_gone_answer_at_once() {
        let (a, app_a, _b, app_b) = two_nodes();
        let mut client = Poller::open(&app_a, "/socket").await;
        client.app = app_b;
        sleep(Duration::from_secs(16)).await;
        let started = Instant::now();
        assert_eq!(client.post("application/json", "[]").await.json(), json!({ "status": 410 }));
        let mut fresh = Poller::open(&app_a, "/socket").await;
        fresh.app = client.app.clone();
        drop((a, app_a));
        sleep(Duration::from_secs(16)).await;
        let waited = started.elapsed();
        assert_eq!(fresh.post("application/json", "[]").await.json(), json!({ "status": 410 }));
        assert_eq!(fresh.poll().await.status, 410, "a new session, here");
        assert_eq!(started.elapsed(), waited);
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_is_gone_as_soon_as_its_node_leaves_under_a_poll() {
        let (a, app_a, _b, app_b) = two_nodes();
        let mut client = Poller::open(&app_a, "/socket").await;
        client.join("room:1").await;
        client.app = app_b;
        let polling = tokio::spawn(client.polling());
        rest().await;
        let started = Instant::now();
        a.leave().await;
        assert_eq!(polling.await.unwrap().status, 410, "a new session, there");
        assert_eq!(started.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_is_there_and_does_not_answer_is_given_two_seconds() {
        let cluster = InProcess::cluster();
        let silent = PubSub::new(cluster.join(NodeName::new("silent")));
        let (endpoint, app) = node(&cluster, "a");
        let mut client = Poller::open(&app, "/socket").await;
        let ticket = bennu::token::Token::new(endpoint.secret(), "bennu long poll").no_expiry();
        client.token = ticket.sign(&("silent", "a-session", Some(0u64))).unwrap();
        let started = Instant::now();
        assert_eq!(client.post("application/json", "[]").await.json(), json!({ "status": 410 }));
        assert_eq!(started.elapsed(), Duration::from_secs(2));
        drop(silent);
    }
}

/// 2,000 clients that long poll one topic over TCP: of 100 broadcasts none is lost, none comes twice, all in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_clients_each_receive_a_hundred_broadcasts_once_and_in_order() {
    const CLIENTS: usize = 2000;
    const BROADCASTS: u32 = 100;
    let endpoint = endpoint();
    let server = Server::start(&endpoint, mount(&endpoint, true)).await;
    let addr = server.addr;
    let joined = Arc::new(tokio::sync::Barrier::new(CLIENTS + 1));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let joined = joined.clone();
            tokio::spawn(async move {
                let mut client = Client::tcp(addr).await;
                let mut token = String::new();
                let mut received = Vec::new();
                let mut started = false;
                while received.len() < BROADCASTS as usize {
                    let uri = format!("/socket/longpoll?vsn=2.0.0&token={token}");
                    client.send_raw(format!("GET {uri} HTTP/1.1\r\nHost: h\r\n\r\n")).await;
                    let polled: Value = serde_json::from_str(&client.response().await.body).expect("JSON");
                    token = polled["token"].as_str().expect("a token").to_owned();
                    match polled["status"].as_u64() {
                        Some(410) if received.is_empty() && !started => {
                            let join = r#"["1","1","room:1","phx_join",{}]"#;
                            let uri = format!("/socket/longpoll?vsn=2.0.0&token={token}");
                            let head = format!("POST {uri} HTTP/1.1\r\nHost: h\r\nContent-Length: {}", join.len());
                            client.send_raw(format!("{head}\r\n\r\n{join}")).await;
                            assert_eq!(client.response().await.body, r#"{"status":200}"#);
                        }
                        Some(204) => {}
                        Some(200) => {
                            for message in polled["messages"].as_array().expect("messages") {
                                let message: Value = serde_json::from_str(message.as_str().unwrap()).expect("JSON");
                                match message[3].as_str() {
                                    Some("said") => received.push(message[4]["n"].as_u64().unwrap()),
                                    _ => {
                                        assert_eq!(message[4]["status"], "ok", "{message}");
                                        started = true;
                                        joined.wait().await;
                                    }
                                }
                            }
                        }
                        _ => panic!("{polled}"),
                    }
                }
                received
            })
        })
        .collect();
    soon("all joined", joined.wait()).await;
    for n in 0..BROADCASTS {
        say(&endpoint, n);
        tokio::task::yield_now().await;
    }
    let expected: Vec<u64> = (0..u64::from(BROADCASTS)).collect();
    for client in clients {
        assert_eq!(soon("all broadcasts", client).await.expect("a client"), expected);
    }
    assert_eq!(endpoint.connection_count(), CLIENTS);
    let drained = server.drained().await;
    assert_eq!(drained.connections, CLIENTS);
}
