//! What is lost comes back: servers that are killed, servers that drain, channels that crash.

use crate::server::Server;
use crate::{ask, builder, connect, connection, join, next_event, outage, over_both, soon};
use bennu_client::{Event, Interruption, Lost, PushError, QueueLimit, Transport};
use serde_json::{Value, json};

over_both! {
    a_server_that_is_killed_and_starts_again_is_rejoined_and_buffered_pushes_arrive
    a_server_that_ends_as_asked_is_come_back_to
    a_channel_that_crashes_is_joined_again_and_its_neighbour_stays
    a_full_buffer_says_so_at_once
    a_client_may_be_started_before_its_server
    params_of_the_next_join_can_be_changed
}

async fn a_server_that_is_killed_and_starts_again_is_rejoined_and_buffered_pushes_arrive(over: Transport) {
    let server = Server::start().await;
    let client = connect(&server, over).await;
    let mut room = join(&client, "bench:a").await;
    let port = server.kill().await;
    assert_eq!(next_event(&mut room).await, Event::Interrupted(Interruption::ConnectionLost));
    outage(&client).await;
    room.send("broadcast", json!({ "n": 1 })).unwrap();
    let waiting = room.push("echo", json!({ "n": 2 })).timeout(crate::SOON);
    let server = Server::start_on(port).await;
    assert_eq!(soon("the reply", waiting).await.unwrap().parse::<Value>().unwrap(), json!({ "n": 2 }));
    connection(&client, 2).await;
    assert!(matches!(next_event(&mut room).await, Event::Joined(_)));
    let message = soon("the broadcast", room.next()).await.unwrap();
    assert_eq!((message.join, message.parse().unwrap()), (2, json!({ "n": 1 })));
    drop(server);
}

async fn a_server_that_ends_as_asked_is_come_back_to(over: Transport) {
    let server = Server::start().await;
    let client = connect(&server, over).await;
    let mut room = join(&client, "bench:a").await;
    let (port, lost) = futures::join!(server.terminate(), outage(&client));
    match (over, lost) {
        (Transport::WebSocket, Lost::Closed { code: Some(1012), .. }) | (Transport::LongPoll, _) => {}
        (_, lost) => panic!("{lost}"),
    }
    let _server = Server::start_on(port).await;
    connection(&client, 2).await;
    loop {
        if let Event::Joined(_) = next_event(&mut room).await {
            break;
        }
    }
    assert_eq!(ask(&room, "echo", json!({ "n": 1 })).await, json!({ "n": 1 }));
}

async fn a_channel_that_crashes_is_joined_again_and_its_neighbour_stays(over: Transport) {
    let server = Server::start().await;
    let client = connect(&server, over).await;
    let mut room = join(&client, "ping").await;
    let mut neighbour = join(&client, "bench:a").await;
    let error = soon("the crash", room.push("raise", json!({}))).await.unwrap_err();
    assert_eq!(error, PushError::Crashed { event: "raise".to_owned() });
    let Event::Interrupted(Interruption::Crashed(reason)) = next_event(&mut room).await else { panic!("a crash") };
    assert_eq!(reason.parse::<Value>().unwrap(), json!({ "reason": "channel_crash" }));
    // Made while it is not joined: sent when it is.
    assert_eq!(ask(&room, "ping", json!({})).await, json!({ "ping": "pong" }));
    assert!(matches!(next_event(&mut room).await, Event::Joined(_)));
    assert_eq!(ask(&neighbour, "echo", json!({})).await, json!({}));
    assert!(futures::FutureExt::now_or_never(neighbour.next_event()).is_none());
}

async fn a_full_buffer_says_so_at_once(over: Transport) {
    let server = Server::start().await;
    let limit = QueueLimit { messages: 3, bytes: 100_000 };
    let client = builder(&server, "socket", over).push_buffer(limit).connect().await.unwrap();
    let mut room = join(&client, "bench:a").await;
    let port = server.kill().await;
    outage(&client).await;
    (1..=3).for_each(|n| room.send("broadcast", json!({ "n": n })).unwrap());
    let error = room.push("broadcast", json!({ "n": 4 })).await.unwrap_err();
    assert!(matches!(error, PushError::BufferFull { messages: 3, max_messages: 3, .. }), "{error}");
    let _server = Server::start_on(port).await;
    for n in 1..=3 {
        let message = soon("what waited", room.next()).await.unwrap();
        assert_eq!(message.parse::<Value>().unwrap(), json!({ "n": n }));
    }
}

async fn a_client_may_be_started_before_its_server(over: Transport) {
    let server = Server::start().await;
    let client = builder(&server, "socket", over);
    let port = server.kill().await;
    let client = client.start().unwrap();
    let mut room = client.channel("bench:a").open().unwrap();
    room.send("broadcast", json!({ "n": 1 })).unwrap();
    outage(&client).await;
    let _server = Server::start_on(port).await;
    let message = soon("the broadcast", room.next()).await.unwrap();
    assert_eq!(message.parse::<Value>().unwrap(), json!({ "n": 1 }));
}

async fn params_of_the_next_join_can_be_changed(over: Transport) {
    let server = Server::start().await;
    let client = builder(&server, "socket", over).param("id", "1").connect().await.unwrap();
    let mut room = client.join("reply:1", json!({ "seen": 0 })).await.unwrap();
    room.set_params(json!({ "seen": 5 })).unwrap();
    server.post("/disconnect?id=user_socket:1", b"").await;
    assert_eq!(next_event(&mut room).await, Event::Interrupted(Interruption::ConnectionLost));
    let Event::Joined(response) = next_event(&mut room).await else { panic!("joined again") };
    assert_eq!(response.parse::<Value>().unwrap(), json!({ "topic": "reply:1", "got": { "seen": 5 } }));
    assert_eq!(room.response(), &response);
}
