//! A crowd that comes all at once, as after a restart, to joins that all need the same few database connections.

use crate::socket;
use crate::support::*;
use bennu_channels::prelude::*;
use serde_json::json;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

/// Ten queries at a time, 10 ms each: a thousand joins a second.
static DATABASE: Semaphore = Semaphore::const_new(10);
const QUERY: Duration = Duration::from_millis(10);

struct Queried;

impl<S: Socket> Channel<S> for Queried {
    async fn join(_: &str, _: Payload, _: &mut Context<S, Self>) -> Joined<Self> {
        let _connection = DATABASE.acquire().await.expect("it is never closed");
        sleep(QUERY).await;
        accept(Queried)
    }
}

struct Hanging;

impl<S: Socket> Channel<S> for Hanging {
    async fn join(_: &str, _: Payload, _: &mut Context<S, Self>) -> Joined<Self> {
        std::future::pending().await
    }
}

socket!(Store: "room:*" => Queried, "hangs" => Hanging);

#[tokio::test(start_paused = true)]
async fn a_crowd_waits_before_it_connects_so_that_no_join_takes_long() {
    let endpoint = endpoint();
    let start = Instant::now();
    let crowd = (0..3000).map(|n| {
        let endpoint = endpoint.clone();
        tokio::spawn(async move {
            let mut client = connect_to::<Store>(&endpoint).await;
            let sent = Instant::now();
            client.join(&format!("room:{n}"), "1").await;
            (client, sent.elapsed())
        })
    });
    let mut slowest = Duration::ZERO;
    let mut clients = Vec::new();
    for client in crowd.collect::<Vec<_>>() {
        let (client, took) = client.await.unwrap();
        clients.push(client);
        slowest = slowest.max(took);
    }
    assert!(slowest <= Duration::from_millis(600), "the slowest join took {slowest:?}");
    // The database is never idle.
    assert!(start.elapsed() <= Duration::from_millis(3100), "{:?}", start.elapsed());
    assert_eq!(endpoint.connection_count(), 3000);
}

#[tokio::test(start_paused = true)]
async fn joins_that_hang_keep_nobody_out_for_long() {
    let endpoint = endpoint();
    let mut hanging = Vec::new();
    for _ in 0..512 {
        let client = connect_to::<Store>(&endpoint).await;
        client.send(json!(["1", "1", "hangs", "phx_join", {}]));
        hanging.push(client);
    }
    let start = Instant::now();
    let mut late = connect_to::<Store>(&endpoint).await;
    assert_eq!(start.elapsed(), Duration::from_secs(1));
    late.expect_heartbeat().await;
}

#[tokio::test(start_paused = true)]
async fn clients_that_leave_on_their_way_in_make_room() {
    let endpoint = endpoint();
    let mut crowd = Vec::new();
    for _ in 0..512 {
        crowd.push(connect_to::<Store>(&endpoint).await);
    }
    let start = Instant::now();
    crowd.pop().expect("one").hang_up();
    connect_to::<Store>(&endpoint).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
}
