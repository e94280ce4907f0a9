//! The application's state reaches `connect` and every channel; the topic's parts and the request's extensions are typed.

use crate::socket;
use crate::support::*;
use bennu_channels::prelude::*;
use bennu_channels::protocol::Serializer;
use bennu_channels::transport::{NotConnected, SocketMount};
use bennu_channels::{MissingExtension, Params};
use serde::Serialize;
use serde_json::json;
use std::sync::Arc;

/// The place of a database. It is neither `Clone` nor `Debug`: nothing requires either.
struct Db {
    seats: u64,
}

struct App {
    name: &'static str,
    db: Db,
}

impl AsRef<Db> for App {
    fn as_ref(&self) -> &Db {
        &self.db
    }
}

#[derive(Clone)]
struct User(&'static str);

struct Visitor {
    greeting: String,
}

impl Socket for Visitor {
    type State = App;

    async fn connect(request: Connect<App>) -> Result<Self, Refusal> {
        let greeting = format!("{} to {}", request.param("greeting")?, request.state().name);
        Ok(Visitor { greeting })
    }

    fn channels(router: &mut ChannelRouter<Self>) {
        router.channel::<Hall>("hall:{hall}:seat:{seat}").channel::<Lost>("lost:{id}").channel::<Free>("free");
    }
}

/// A seat, which must be a number.
struct Hall {
    seat: u64,
}

#[derive(Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
enum SeatError {
    NoSuchSeat { last: u64 },
}

impl Hall {
    fn find(seat: u64, app: &App) -> Result<u64, SeatError> {
        Some(seat).filter(|seat| *seat <= app.db.seats).ok_or(SeatError::NoSuchSeat { last: app.db.seats })
    }
}

impl Channel<Visitor> for Hall {
    async fn join(_: &str, _: Payload, ctx: &mut Context<Visitor, Self>) -> Joined<Self> {
        let hall: String = ctx.topic_part("hall")?;
        let seat = Hall::find(ctx.topic_part("seat")?, ctx.state()).or_reply()?;
        accept_with(Hall { seat }, json!({ "hall": hall, "greeting": ctx.socket.greeting }))
    }

    async fn handle_in(&mut self, event: &str, payload: Payload, ctx: &mut Context<Visitor, Self>) -> Handled {
        match event {
            "move" => {
                self.seat = Hall::find(payload.parse()?, ctx.state()).or_reply()?;
                reply_ok(&self.seat)
            }
            "refuse" => refuse(json!({ "reason": "no" })),
            _ => unhandled(event),
        }
    }
}

/// Requests a part that its pattern does not have.
struct Lost;

impl Channel<Visitor> for Lost {
    async fn join(_: &str, _: Payload, ctx: &mut Context<Visitor, Self>) -> Joined<Self> {
        ctx.topic_part::<u64>("key")?;
        accept(Lost)
    }
}

/// A channel for any socket with a database in its state.
struct Free;

impl<S: Socket<State: AsRef<Db>>> Channel<S> for Free {
    async fn join(_: &str, _: Payload, ctx: &mut Context<S, Self>) -> Joined<Self> {
        accept_with(Free, json!({ "free": ctx.state().as_ref().seats }))
    }
}

async fn visitor() -> Client {
    let connecting = Connecting::to(&endpoint()).params([("greeting", "welcome")]);
    connecting.open_with::<Visitor>(App { name: "the hall", db: Db { seats: 9 } }).await
}

#[tokio::test(start_paused = true)]
async fn the_state_reaches_connect_join_handlers_and_channels_that_know_only_a_part_of_it() {
    let mut client = visitor().await;
    client.send_all([
        json!(["1", "1", "hall:a:seat:7", "phx_join", {}]),
        json!(["1", "2", "hall:a:seat:7", "move", 9]),
        json!(["2", "3", "free", "phx_join", {}]),
    ]);
    client.expect([ok("1", "1", "hall:a:seat:7", json!({ "hall": "a", "greeting": "welcome to the hall" }))]).await;
    client.expect([ok("2", "3", "free", json!({ "free": 9 })), ok("1", "2", "hall:a:seat:7", json!(9))]).await;
}

#[tokio::test(start_paused = true)]
async fn a_users_mistake_is_an_answer_in_a_handler_and_a_refusal_in_join() {
    let mut client = visitor().await;
    let no_such_seat = json!({ "reason": "no_such_seat", "last": 9 });
    client.send(json!(["1", "1", "hall:a:seat:10", "phx_join", {}]));
    client.expect([error("1", "1", "hall:a:seat:10", no_such_seat.clone())]).await;
    client.join("hall:a:seat:1", "2").await;
    client.send(json!(["2", "3", "hall:a:seat:1", "move", 10]));
    client.expect([error("2", "3", "hall:a:seat:1", no_such_seat)]).await;
    client.send(json!(["2", "4", "hall:a:seat:1", "refuse", {}]));
    client.expect([error("2", "4", "hall:a:seat:1", json!({ "reason": "no" }))]).await;
    // The channel is still there.
    client.send(json!(["2", "5", "hall:a:seat:1", "move", 2]));
    client.expect([ok("2", "5", "hall:a:seat:1", json!(2))]).await;
}

#[tokio::test(start_paused = true)]
async fn a_part_of_another_type_is_answered_as_an_unknown_topic_and_a_part_that_there_is_not_crashes() {
    let log = Log::capture();
    let mut client = visitor().await;
    let unmatched = json!({ "reason": "unmatched topic" });
    client.send(json!(["1", "1", "hall:a:seat:x", "phx_join", {}]));
    client.expect([error("1", "1", "hall:a:seat:x", unmatched.clone())]).await;
    client.send(json!(["1", "1", "hall:a:seat:", "phx_join", {}]));
    client.expect([error_without_ref("1", "hall:a:seat:", unmatched)]).await;
    assert_eq!(log.of("ERROR"), [""; 0]);
    client.send(json!(["1", "1", "lost:7", "phx_join", {}]));
    client.expect([error("1", "1", "lost:7", json!({ "reason": "join crashed" }))]).await;
    let errors = log.of("ERROR");
    assert!(errors[0].contains("the pattern \\\"lost:{id}\\\" has no part \\\"key\\\""), "{errors:?}");
}

fn error_without_ref(reference: &str, topic: &str, response: serde_json::Value) -> serde_json::Value {
    json!([null, reference, topic, "phx_reply", { "status": "error", "response": response }])
}

#[tokio::test(start_paused = true)]
async fn a_join_reply_that_this_client_cannot_get_crashes_the_join_and_not_the_connection() {
    struct Binary;
    impl<S: Socket> Channel<S> for Binary {
        async fn join(_: &str, params: Payload, _: &mut Context<S, Self>) -> Joined<Self> {
            if params.get("refuse")? == Some(true) {
                return refuse(vec![1_u8]);
            }
            accept_with(Binary, vec![1_u8])
        }
    }
    socket!(Camera: "binary" => Binary);
    let mut connecting = Connecting::to(&endpoint());
    connecting.serializer = Serializer::V1;
    let mut client = connecting.open::<Camera>().await;
    for params in [json!({}), json!({ "refuse": true })] {
        client.send(json!({ "topic": "binary", "event": "phx_join", "payload": params, "ref": "1" }));
        assert_eq!(
            client.next().await["payload"],
            json!({ "status": "error", "response": { "reason": "join crashed" } })
        );
    }
    // A binary frame of V2 has one byte for the length of its topic.
    socket!(Cameras: "camera:*" => Binary);
    let mut client = connect_to::<Cameras>(&endpoint()).await;
    for params in [json!({}), json!({ "refuse": true })] {
        let topic = format!("camera:{}", "x".repeat(250));
        client.send(json!(["1", "1", topic, "phx_join", params]));
        let crashed = json!({ "status": "error", "response": { "reason": "join crashed" } });
        client.expect([json!(["1", "1", topic, "phx_reply", crashed])]).await;
    }
    client.expect_heartbeat().await;
}

#[tokio::test(start_paused = true)]
async fn an_extension_of_a_layer_reaches_connect_and_a_missing_one_is_an_error_with_its_type() {
    struct Known(&'static str);
    impl Socket for Known {
        type State = ();

        async fn connect(request: Connect) -> Result<Self, Refusal> {
            let User(name) = request.extension()?;
            Ok(Known(name))
        }

        fn id(&self) -> Option<String> {
            Some(self.0.to_owned())
        }

        fn channels(_: &mut ChannelRouter<Self>) {}
    }
    let endpoint = endpoint();
    let mount = SocketMount::new::<Known>(endpoint.clone(), Arc::new(()), Default::default()).unwrap();
    let connect = |info| mount.connect(Connect::new(Params::default(), info, endpoint.clone()));
    let connected = connect(ConnectInfo::new().with_extension(User("blue"))).await.expect("a user");
    assert_eq!(connected.id(), Some("blue"));
    let Err(NotConnected::Refused(refusal)) = connect(ConnectInfo::new()).await else { panic!("refused") };
    assert!(refusal.to_string().starts_with("the request has no extension contract::state::User: "), "{refusal}");
    let request = Connect::new(Params::default(), ConnectInfo::new(), endpoint.clone());
    assert!(matches!(request.extension::<u8>(), Err(MissingExtension { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_made_of_any_error_and_of_words() {
    fn refuse(how: u8) -> Result<(), Refusal> {
        match how {
            0 => Err("words")?,
            1 => Err(std::io::Error::other("an error"))?,
            2 => Err(anyhow::anyhow!("a cause").context("a context"))?,
            _ => return crash(format!("more {}", "words")),
        }
        Ok(())
    }
    let reasons = [0, 1, 2, 3].map(|how| refuse(how).unwrap_err().to_string());
    assert_eq!(reasons, ["words", "an error", "a context: a cause", "more words"]);
    let banned = Refusal::stop("banned");
    assert!(banned.is_final() && !refuse(0).unwrap_err().is_final());
    assert_eq!((banned.reason(), banned.to_string()), (Some("banned"), "banned".to_owned()), "the log says it too");
}
