//! A channel that fails harms nothing else: no other channel, not its connection, no other connection. The log names
//! its topic and the callback.

use crate::socket;
use crate::support::*;
use bennu_channels::prelude::*;
use serde_json::{Value, json};
use std::future::Future;
use std::time::Duration;

/// Fails in the callback that its client names.
struct Fragile {
    on_terminate: bool,
    on_drop: bool,
}

struct Boom;

/// Panics when the mail that holds it is dropped.
struct Grenade(bool);

impl Drop for Grenade {
    fn drop(&mut self) {
        if self.0 {
            panic!("on purpose, in the drop of a message");
        }
    }
}

impl<S: Socket> Channel<S> for Fragile {
    const INTERCEPT: &'static [&'static str] = &["boom", "out_error"];

    async fn join(_: &str, params: Payload, ctx: &mut Context<S, Self>) -> Joined<Self> {
        if params.get("panic")? == Some(true) {
            panic!("on purpose, in join");
        }
        if params.get("grenade")? == Some(true) {
            ctx.send_after(Duration::from_secs(1), Grenade(true));
            return refuse(json!({ "reason": "no" }));
        }
        if params.get("grenade_in_batch")? == Some(true) {
            // A stop of the client's waits already: both are taken together.
            tokio::time::sleep(Duration::from_secs(1)).await;
            ctx.send_self(Grenade(true));
        }
        if params.get("stuck")? == Some(true) {
            let _grenade = Grenade(true);
            std::future::pending::<()>().await;
        }
        if params.get("error")? == Some(true) {
            "seven".parse::<u8>()?;
        }
        accept(Fragile { on_terminate: false, on_drop: false })
    }

    async fn handle_in(&mut self, event: &str, payload: Payload, ctx: &mut Context<S, Self>) -> Handled {
        match event {
            "ping" => return reply_ok(json!({ "ping": "pong" })),
            "panic" => panic!("on purpose, in handle_in"),
            "panic_text" => std::panic::panic_any("on purpose".to_owned()),
            "panic_number" => std::panic::panic_any(7),
            "panic_late" => {
                tokio::time::sleep(Duration::from_secs(1)).await;
                panic!("on purpose, after a while");
            }
            "error" => {
                payload.parse::<u8>()?;
            }
            "info" => ctx.send_self(Boom),
            "timer" => {
                ctx.send_after(Duration::from_secs(1), Boom);
            }
            "terminate" => self.on_terminate = true,
            "drop" => self.on_drop = true,
            "grenade_timer" => {
                ctx.send_after(Duration::from_secs(3600), Grenade(true));
            }
            "stop" => return stop(StopReason::Normal),
            "stuck" => {
                let _grenade = Grenade(true);
                std::future::pending::<()>().await;
            }
            "grenade_mail" => {
                ctx.send_self(Grenade(true));
                return stop(StopReason::Normal);
            }
            _ => return unhandled(event),
        }
        noreply()
    }

    async fn handle_out(&mut self, event: &str, _: Payload, _: &mut Context<S, Self>) -> Flow {
        match event {
            "out_error" => Err("seven".parse::<u8>().unwrap_err())?,
            _ => panic!("on purpose, in handle_out"),
        }
    }

    async fn terminate(&mut self, _: Terminate, _: &mut Context<S, Self>) {
        if self.on_terminate {
            panic!("on purpose, in terminate");
        }
    }
}

impl Drop for Fragile {
    fn drop(&mut self) {
        if self.on_drop {
            panic!("on purpose, in drop");
        }
    }
}

impl<S: Socket> HandleInfo<S, Boom> for Fragile {
    // Not an async fn: its panic comes before there is a future.
    fn handle_info(&mut self, _: Boom, _: &mut Context<S, Self>) -> impl Future<Output = Flow> + Send {
        panic!("on purpose, in handle_info");
        #[allow(unreachable_code)]
        async {
            noreply()
        }
    }
}

impl<S: Socket> HandleInfo<S, Grenade> for Fragile {
    async fn handle_info(&mut self, mut grenade: Grenade, _: &mut Context<S, Self>) -> Flow {
        grenade.0 = false;
        noreply()
    }
}

socket!(TestSocket: "fragile:*" => Fragile);

/// One client with a sibling channel, and another client on a topic of its own.
struct Neighbours {
    endpoint: bennu_channels::Endpoint,
    client: Client,
    other: Client,
    log: Log,
}

const TOPIC: &str = "fragile:victim";

impl Neighbours {
    async fn new() -> Self {
        quiet_panics();
        let log = Log::capture();
        let endpoint = endpoint();
        let mut client = connect_to::<TestSocket>(&endpoint).await;
        let mut other = connect_to::<TestSocket>(&endpoint).await;
        client.join(TOPIC, "1").await;
        client.join("fragile:sibling", "2").await;
        other.join("fragile:other", "1").await;
        Neighbours { endpoint, client, other, log }
    }

    /// The topic of the failure is free again.
    async fn left() -> Self {
        let mut scene = Neighbours::new().await;
        scene.client.send(json!(["1", "9", TOPIC, "phx_leave", {}]));
        scene.client.expect([ok("1", "9", TOPIC, json!({})), phx_close("1", TOPIC)]).await;
        scene
    }

    fn say(&self, event: &str, payload: Value) {
        self.client.send(json!(["1", "10", TOPIC, event, payload]));
    }

    /// Sees that these frames come, the crash is logged once, and everybody else goes on.
    async fn unharmed<const N: usize>(mut self, frames: [Value; N], logged: &str) {
        self.client.expect(frames).await;
        self.client.expect_nothing().await;
        let errors = self.log.of("ERROR");
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert_eq!(errors[0], format!("ERROR channel crashed topic={TOPIC:?} channel=\"Fragile\" {logged}"));

        self.client.send(json!(["2", "20", "fragile:sibling", "ping", {}]));
        self.client.expect([ok("2", "20", "fragile:sibling", json!({ "ping": "pong" }))]).await;
        self.other.send(json!(["1", "20", "fragile:other", "ping", {}]));
        self.other.expect([ok("1", "20", "fragile:other", json!({ "ping": "pong" }))]).await;
        self.client.expect_heartbeat().await;
        self.client.join(TOPIC, "30").await;

        self.client.hang_up();
        self.other.hang_up();
        rest().await;
        let endpoint = self.endpoint;
        let counts = (endpoint.connection_count(), endpoint.channel_count(), endpoint.pubsub().topic_count());
        assert_eq!(counts, (0, 0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_handle_in() {
    let scene = Neighbours::new().await;
    scene.say("panic", json!({}));
    scene
        .unharmed([phx_error("1", TOPIC)], r#"callback=handle_in("panic") why="panicked: on purpose, in handle_in""#)
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_handle_in_after_it_has_waited() {
    let scene = Neighbours::new().await;
    scene.say("panic_late", json!({}));
    scene
        .unharmed(
            [phx_error("1", TOPIC)],
            r#"callback=handle_in("panic_late") why="panicked: on purpose, after a while""#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_with_an_owned_text() {
    let scene = Neighbours::new().await;
    scene.say("panic_text", json!({}));
    scene.unharmed([phx_error("1", TOPIC)], r#"callback=handle_in("panic_text") why="panicked: on purpose""#).await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_with_a_value_that_is_no_text() {
    let scene = Neighbours::new().await;
    scene.say("panic_number", json!({}));
    scene
        .unharmed(
            [phx_error("1", TOPIC)],
            r#"callback=handle_in("panic_number") why="panicked: with a value that is no text""#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_error_in_handle_in() {
    let scene = Neighbours::new().await;
    scene.say("error", json!("x"));
    scene
        .unharmed(
            [phx_error("1", TOPIC)],
            r#"callback=handle_in("error") why="the payload is not a u8: invalid type: string \"x\", expected u8 at line 1 column 3""#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_event_that_nobody_handles() {
    let scene = Neighbours::new().await;
    scene.say("nope", json!({}));
    scene.unharmed([phx_error("1", TOPIC)], r#"callback=handle_in("nope") why="no handler for event \"nope\"""#).await;
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_no_string() {
    let scene = Neighbours::new().await;
    scene.client.send(json!(["1", "10", TOPIC, 5, {}]));
    scene.unharmed([phx_error("1", TOPIC)], r#"callback=handle_in("5") why="the event is 5, not a string""#).await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_handle_info() {
    let scene = Neighbours::new().await;
    scene.say("info", json!({}));
    let boom = std::any::type_name::<Boom>();
    let logged = format!(r#"callback=handle_info({boom}) why="panicked: on purpose, in handle_info""#);
    scene.unharmed([phx_error("1", TOPIC)], &logged).await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_message_of_a_timer() {
    let scene = Neighbours::new().await;
    scene.say("timer", json!({}));
    let boom = std::any::type_name::<Boom>();
    let logged = format!(r#"callback=handle_info({boom}) why="panicked: on purpose, in handle_info""#);
    scene.unharmed([phx_error("1", TOPIC)], &logged).await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_handle_out() {
    let scene = Neighbours::new().await;
    scene.endpoint.broadcast(TOPIC, "boom", json!({})).unwrap();
    scene
        .unharmed([phx_error("1", TOPIC)], r#"callback=handle_out("boom") why="panicked: on purpose, in handle_out""#)
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_error_in_handle_out() {
    let scene = Neighbours::new().await;
    scene.endpoint.broadcast(TOPIC, "out_error", json!({})).unwrap();
    scene
        .unharmed([phx_error("1", TOPIC)], r#"callback=handle_out("out_error") why="invalid digit found in string""#)
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_terminate_turns_the_end_into_phx_error() {
    let scene = Neighbours::new().await;
    scene.say("terminate", json!({}));
    scene.client.send(json!(["1", "11", TOPIC, "phx_leave", {}]));
    scene
        .unharmed(
            [ok("1", "11", TOPIC, json!({})), phx_error("1", TOPIC)],
            r#"callback=terminate why="panicked: on purpose, in terminate""#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_drop_of_the_channel_turns_the_end_into_phx_error() {
    let scene = Neighbours::new().await;
    scene.say("drop", json!({}));
    scene.client.send(json!(["1", "11", TOPIC, "phx_leave", {}]));
    scene
        .unharmed(
            [ok("1", "11", TOPIC, json!({})), phx_error("1", TOPIC)],
            r#"callback=drop why="panicked: on purpose, in drop""#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_drop_of_a_timer_s_message_when_the_channel_ends() {
    let scene = Neighbours::new().await;
    scene.say("grenade_timer", json!({}));
    scene.client.send(json!(["1", "11", TOPIC, "phx_leave", {}]));
    scene
        .unharmed(
            [ok("1", "11", TOPIC, json!({})), phx_error("1", TOPIC)],
            r#"callback=drop why="panicked: on purpose, in the drop of a message""#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_drop_of_a_message_that_was_not_handled_any_more() {
    let scene = Neighbours::new().await;
    scene.say("grenade_mail", json!({}));
    scene
        .unharmed([phx_error("1", TOPIC)], r#"callback=drop why="panicked: on purpose, in the drop of a message""#)
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_drop_of_a_message_that_was_taken_and_not_handled_any_more() {
    let scene = Neighbours::left().await;
    scene.client.send_all([
        json!(["3", "3", TOPIC, "phx_join", { "grenade_in_batch": true }]),
        json!(["3", "4", TOPIC, "stop", {}]),
    ]);
    scene
        .unharmed(
            [ok("3", "3", TOPIC, json!({})), phx_error("3", TOPIC)],
            r#"callback=drop why="panicked: on purpose, in the drop of a message""#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_drop_of_a_handler_that_is_killed() {
    let scene = Neighbours::new().await;
    scene.say("stuck", json!({}));
    scene.client.send(json!(["1", "11", TOPIC, "phx_leave", {}]));
    scene
        .unharmed(
            [phx_error("1", TOPIC)],
            r#"callback=handle_in("stuck") why="panicked: on purpose, in the drop of a message""#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_drop_of_a_join_that_is_killed() {
    let scene = Neighbours::left().await;
    scene.client.send(json!(["3", "3", TOPIC, "phx_join", { "stuck": true }]));
    scene.client.send(json!(["3", "4", TOPIC, "phx_leave", {}]));
    scene
        .unharmed(
            [error("3", "3", TOPIC, json!({ "reason": "join crashed" })), ok("3", "4", TOPIC, json!({}))],
            r#"callback=join why="panicked: on purpose, in the drop of a message""#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_join() {
    let scene = Neighbours::left().await;
    scene.client.send(json!(["3", "3", TOPIC, "phx_join", { "panic": true }]));
    scene
        .unharmed(
            [error("3", "3", TOPIC, json!({ "reason": "join crashed" }))],
            r#"callback=join why="panicked: on purpose, in join""#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_error_in_join() {
    let scene = Neighbours::left().await;
    scene.client.send(json!(["3", "3", TOPIC, "phx_join", { "error": true }]));
    scene
        .unharmed(
            [error("3", "3", TOPIC, json!({ "reason": "join crashed" }))],
            r#"callback=join why="invalid digit found in string""#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_drop_of_a_refused_joins_values() {
    let scene = Neighbours::left().await;
    scene.client.send(json!(["3", "3", TOPIC, "phx_join", { "grenade": true }]));
    scene
        .unharmed(
            [error("3", "3", TOPIC, json!({ "reason": "no" }))],
            r#"callback=drop why="panicked: on purpose, in the drop of a message""#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_connect_is_an_error_and_no_connection() {
    struct Panicking;
    impl Socket for Panicking {
        type State = ();

        async fn connect(_: Connect) -> Result<Self, bennu_channels::Refusal> {
            panic!("on purpose, in connect");
        }
        fn channels(_: &mut ChannelRouter<Self>) {}
    }
    quiet_panics();
    let log = Log::capture();
    let mount =
        bennu_channels::transport::SocketMount::new::<Panicking>(endpoint(), Default::default(), Default::default())
            .unwrap();
    let request = Connect::new(Default::default(), Default::default(), endpoint());
    assert!(matches!(mount.connect(request).await, Err(bennu_channels::transport::NotConnected::Crashed)));
    assert!(log.of("ERROR")[0].starts_with(r#"ERROR connect panicked socket="Panicking""#), "{:?}", log.lines());
}
