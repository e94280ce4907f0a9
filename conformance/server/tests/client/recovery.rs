//! Recovery of the client after killed servers, drained servers, and crashed channels.

use crate::server::Server;
use crate::{builder, connect, connection, join, next_event, outage, over_both, request, soon};
use bennu_client::{ChannelEvent, ConnectionError, Interruption, QueueLimit, SendError, Transport};
use serde_json::{Value, json};

over_both! {
    after_a_killed_server_restarts_the_client_rejoins_and_buffered_pushes_arrive
    after_a_drained_server_restarts_the_client_rejoins
    a_crashed_channel_is_joined_again_and_other_channels_stay_joined
    a_push_to_a_full_buffer_fails_at_once
    a_client_may_be_started_before_its_server
    the_params_of_the_next_join_can_be_changed
}

async fn after_a_killed_server_restarts_the_client_rejoins_and_buffered_pushes_arrive(over: Transport) {
    let server = Server::start().await;
    let client = connect(&server, over).await;
    let mut room = join(&client, "bench:a").await;
    let port = server.kill().await;
    assert_eq!(next_event(&mut room).await, ChannelEvent::Interrupted(Interruption::ConnectionLost));
    outage(&client).await;
    room.send("broadcast", json!({ "n": 1 })).unwrap();
    let waiting = room.push("echo", json!({ "n": 2 })).timeout(crate::SOON);
    let server = Server::start_on(port).await;
    assert_eq!(soon("the reply", waiting).await.unwrap().parse::<Value>().unwrap(), json!({ "n": 2 }));
    connection(&client, 2).await;
    assert!(matches!(next_event(&mut room).await, ChannelEvent::Joined(_)));
    let message = soon("the broadcast", room.next()).await.unwrap();
    assert_eq!((message.join, message.parse().unwrap()), (2, json!({ "n": 1 })));
    drop(server);
}

async fn after_a_drained_server_restarts_the_client_rejoins(over: Transport) {
    let server = Server::start().await;
    let client = connect(&server, over).await;
    let mut room = join(&client, "bench:a").await;
    let (port, lost) = futures::join!(server.terminate(), outage(&client));
    match (over, lost) {
        (Transport::WebSocket, ConnectionError::Closed { code: Some(1012), .. }) | (Transport::LongPoll, _) => {}
        (_, lost) => panic!("{lost}"),
    }
    let _server = Server::start_on(port).await;
    connection(&client, 2).await;
    loop {
        if let ChannelEvent::Joined(_) = next_event(&mut room).await {
            break;
        }
    }
    assert_eq!(request(&room, "echo", json!({ "n": 1 })).await, json!({ "n": 1 }));
}

async fn a_crashed_channel_is_joined_again_and_other_channels_stay_joined(over: Transport) {
    let server = Server::start().await;
    let client = connect(&server, over).await;
    let mut room = join(&client, "ping").await;
    let mut neighbour = join(&client, "bench:a").await;
    let error = soon("the crash", room.push("raise", json!({}))).await.unwrap_err();
    assert_eq!(error, SendError::Crashed { event: "raise".to_owned() });
    let ChannelEvent::Interrupted(Interruption::Crashed(reason)) = next_event(&mut room).await else {
        panic!("not a crash")
    };
    assert_eq!(reason.parse::<Value>().unwrap(), json!({ "reason": "channel_crash" }));
    // The push is made before the rejoin and sent after it.
    assert_eq!(request(&room, "ping", json!({})).await, json!({ "ping": "pong" }));
    assert!(matches!(next_event(&mut room).await, ChannelEvent::Joined(_)));
    assert_eq!(request(&neighbour, "echo", json!({})).await, json!({}));
    assert!(futures::FutureExt::now_or_never(neighbour.next_event()).is_none());
}

async fn a_push_to_a_full_buffer_fails_at_once(over: Transport) {
    let server = Server::start().await;
    let limit = QueueLimit { messages: 3, bytes: 100_000 };
    let client = builder(&server, "socket", over).push_buffer(limit).connect().await.unwrap();
    let mut room = join(&client, "bench:a").await;
    let port = server.kill().await;
    outage(&client).await;
    (1..=3).for_each(|n| room.send("broadcast", json!({ "n": n })).unwrap());
    let error = room.push("broadcast", json!({ "n": 4 })).await.unwrap_err();
    assert!(matches!(error, SendError::BufferFull { messages: 3, max_messages: 3, .. }), "{error}");
    let _server = Server::start_on(port).await;
    for n in 1..=3 {
        let message = soon("a buffered broadcast", room.next()).await.unwrap();
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

async fn the_params_of_the_next_join_can_be_changed(over: Transport) {
    let server = Server::start().await;
    let client = builder(&server, "socket", over).param("id", "1").connect().await.unwrap();
    let mut room = client.join("reply:1", json!({ "seen": 0 })).await.unwrap();
    room.set_params(json!({ "seen": 5 })).unwrap();
    server.post("/disconnect?id=user_socket:1", b"").await;
    assert_eq!(next_event(&mut room).await, ChannelEvent::Interrupted(Interruption::ConnectionLost));
    let ChannelEvent::Joined(response) = next_event(&mut room).await else { panic!("not joined again") };
    assert_eq!(response.parse::<Value>().unwrap(), json!({ "topic": "reply:1", "got": { "seen": 5 } }));
    assert_eq!(room.response(), &response);
}
