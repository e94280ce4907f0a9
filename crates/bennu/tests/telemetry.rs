//! The log lines of the server, at Phoenix's levels and without secrets, and its documented instruments.

mod support;

use bennu::prelude::*;
use metrics_util::debugging::DebuggingRecorder;
use support::channel::Room;
use support::client::Client;
use support::watch::{Log, Metrics};
use support::{Server, endpoint, until};
use tracing::Level;

struct LoggedSocket;

impl Socket for LoggedSocket {
    type State = ();

    async fn connect(request: Connect) -> Result<Self, Refusal> {
        match request.params.get("how") {
            Some("refused") => Err(Refusal::because("not today")),
            Some("panic") => panic!("panics on request"),
            _ => Ok(LoggedSocket),
        }
    }

    fn channels(router: &mut ChannelRouter<Self>) {
        router.channel::<Room>("room:*").channel::<Touchy>("touchy:*");
    }
}

/// A channel that crashes in the callback that its topic names.
struct Touchy {
    when: String,
}

struct Poke;

impl Touchy {
    fn crash_if(&self, now: &str) {
        assert_ne!(self.when, now, "crashes on request");
    }
}

impl<S: Socket> Channel<S> for Touchy {
    const INTERCEPT: &'static [&'static str] = &["touch"];

    async fn join(topic: &str, _: Payload, ctx: &mut Context<S, Self>) -> Joined<Self> {
        let touchy = Touchy { when: topic.trim_start_matches("touchy:").to_owned() };
        touchy.crash_if("join");
        if touchy.when == "refused" {
            return refuse(json!({ "reason": "no" }));
        }
        if touchy.when == "timer" {
            ctx.send_after(std::time::Duration::from_millis(1), Poke);
        }
        accept(touchy)
    }

    async fn handle_in(&mut self, event: &str, _: Payload, ctx: &mut Context<S, Self>) -> Handled {
        self.crash_if("handle_in");
        match event {
            "poke" => ctx.send_self(Poke),
            "touch" => ctx.broadcast("touch", Payload::empty())?,
            "stop" => return stop(StopReason::Normal),
            _ => return unhandled(event),
        }
        noreply()
    }

    async fn handle_out(&mut self, _: &str, _: Payload, _: &mut Context<S, Self>) -> Flow {
        self.crash_if("handle_out");
        noreply()
    }

    async fn terminate(&mut self, _: Terminate, _: &mut Context<S, Self>) {
        self.crash_if("terminate");
    }
}

impl<S: Socket> HandleInfo<S, Poke> for Touchy {
    async fn handle_info(&mut self, _: Poke, _: &mut Context<S, Self>) -> Flow {
        self.crash_if("handle_info");
        self.crash_if("timer");
        noreply()
    }
}

const PATH: &str = "/socket/websocket?vsn=2.0.0";

async fn server() -> (Server, Endpoint) {
    let endpoint = endpoint();
    let app = bennu::socket::<LoggedSocket>("/socket").router(&endpoint).unwrap();
    (Server::start(&endpoint, app).await, endpoint)
}

/// Returns the only line that contains all these parts.
fn the_line(log: &Log, parts: &[&str]) -> String {
    let mut lines = log.with(parts);
    assert_eq!(lines.len(), 1, "{parts:?}: {lines:#?} of {:#?}", log.lines());
    lines.remove(0)
}

#[tokio::test]
async fn a_connect_is_logged_at_info_with_its_parameters_but_no_secrets() {
    let (log, _guard) = Log::watch(Level::INFO);
    let (server, _endpoint) = server().await;
    let secrets = "&token=s3cret&user_password=hunter2&page=home";
    Client::connect(server.addr, &format!("{PATH}{secrets}")).await;
    let line = the_line(&log, &["connected", "socket=\"LoggedSocket\""]);
    assert!(line.trim_start().starts_with("INFO"), "{line}");
    for part in ["took=", r#""token": "[FILTERED]""#, r#""user_password": "[FILTERED]""#, r#""page": "home""#] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
    Client::refused(server.addr, &format!("{PATH}{secrets}&how=refused"), "").await;
    let line = the_line(&log, &["INFO", "refused connection", "refusal=not today"]);
    assert!(line.contains("[FILTERED]"), "{line}");
    Client::refused(server.addr, &format!("{PATH}{secrets}&how=panic"), "").await;
    the_line(&log, &["ERROR", "connect panicked", "socket=\"LoggedSocket\""]);
    assert!(!log.has(&["s3cret"]) && !log.has(&["hunter2"]), "{:#?}", log.lines());
}

#[tokio::test]
async fn a_join_is_logged_at_info_and_messages_at_debug_without_secrets() {
    let (log, _guard) = Log::watch(Level::DEBUG);
    let (server, _endpoint) = server().await;
    let mut client = Client::connect(server.addr, PATH).await;
    client.send(json!(["1", "1", "room:1", "phx_join", { "token": "s3cret", "name": "ann" }])).await;
    client.receive().await;
    let line = the_line(&log, &["INFO", "joined", "topic=\"room:1\"", "channel=\"Room\""]);
    for part in ["took=", r#""name":"ann""#, r#""token":"[FILTERED]""#] {
        assert!(line.contains(part), "{part} is not in {line}");
    }

    client.send(json!(["1", "2", "room:1", "echo", { "deep": [{ "password": "hunter2" }], "n": 1 }])).await;
    client.receive().await;
    let line = the_line(&log, &["DEBUG", "handle_in", "topic=\"room:1\"", "event=\"echo\""]);
    for part in [r#""deep":[{"password":"[FILTERED]"}]"#, r#""n":1"#] {
        assert!(line.contains(part), "{part} is not in {line}");
    }

    client.send(json!(["2", "3", "touchy:refused", "phx_join", { "token": "s3cret" }])).await;
    client.receive().await;
    let line = the_line(&log, &["INFO", "not joined", "topic=\"touchy:refused\"", "result=Refused"]);
    assert!(line.contains("[FILTERED]"), "{line}");
    assert!(!log.has(&["s3cret"]) && !log.has(&["hunter2"]), "{:#?}", log.lines());
}

#[tokio::test]
async fn at_info_no_messages_are_logged() {
    let (log, _guard) = Log::watch(Level::INFO);
    let (server, _endpoint) = server().await;
    let mut client = Client::connect(server.addr, PATH).await;
    client.joined("room:1").await;
    let before = log.lines().len();
    client.send(json!(["1", "2", "room:1", "push", { "n": 1 }])).await;
    client.receive().await;
    client.receive().await;
    assert_eq!(log.lines().split_off(before), Vec::<String>::new());
}

/// Payloads that are nested too deeply to be parsed cannot be filtered either.
#[tokio::test]
async fn a_secret_beside_json_that_cannot_be_parsed_is_not_logged_either() {
    let (log, _guard) = Log::watch(Level::DEBUG);
    let (server, _endpoint) = server().await;
    let mut client = Client::connect(server.addr, PATH).await;
    client.joined("room:1").await;
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    client.send_text(&format!(r#"["1","2","room:1","echo",{{"password":"hunter2","deep":{deep}}}]"#)).await;
    client.frame().await;
    assert!(log.has(&["handle_in", "event=\"echo\""]));
    assert!(!log.has(&["hunter2"]), "{:#?}", log.with(&["hunter2"]));
}

/// Pushes are logged at trace, and channels push tokens.
#[tokio::test]
async fn a_secret_that_a_channel_pushes_is_not_logged_at_trace() {
    let (log, _guard) = Log::watch(Level::TRACE);
    let (server, _endpoint) = server().await;
    let mut client = Client::connect(server.addr, PATH).await;
    client.joined("room:1").await;
    client.send(json!(["1", "2", "room:1", "push", { "token": "s3cret" }])).await;
    client.receive().await;
    client.receive().await;
    assert!(log.has(&["TRACE", "push", "topic=\"room:1\"", "event=\"pushed\""]), "{:#?}", log.lines());
    assert!(!log.has(&["s3cret"]), "{:#?}", log.with(&["s3cret"]));
}

#[tokio::test]
async fn a_crash_in_any_callback_is_logged_at_error_with_its_topic_and_callback_and_affects_no_other_channel() {
    let (log, _guard) = Log::watch(Level::INFO);
    let (server, endpoint) = server().await;
    let mut client = Client::connect(server.addr, PATH).await;
    client.joined("room:other").await;
    for (when, event, callback) in [
        ("join", "", "callback=join"),
        ("handle_in", "poke", r#"callback=handle_in("poke")"#),
        ("handle_out", "touch", r#"callback=handle_out("touch")"#),
        ("handle_info", "poke", "callback=handle_info("),
        ("timer", "", "callback=handle_info("),
        ("terminate", "stop", "callback=terminate"),
        ("unknown", "nonsense", r#"callback=handle_in("nonsense")"#),
    ] {
        let topic = format!("touchy:{when}");
        let reply = client.join(&topic).await;
        if when == "join" {
            assert_eq!(reply, json!({ "status": "error", "response": { "reason": "join crashed" } }));
        } else {
            if !event.is_empty() {
                client.send(json!(["1", "2", topic, event, {}])).await;
            }
            assert_eq!(client.receive().await, json!(["1", "1", topic, "phx_error", { "reason": "channel_crash" }]));
        }
        let line = the_line(&log, &["ERROR", "channel crashed", &format!("topic=\"{topic}\""), callback]);
        let cause = if when == "unknown" { "no handler for event" } else { "panicked: assertion" };
        assert!(line.contains("channel=\"Touchy\"") && line.contains(cause), "{line}");
        client.send(json!(["1", "3", "room:other", "echo", { "after": when }])).await;
        assert_eq!(client.receive().await[4]["response"]["after"], when);
    }
    until("they have ended", || endpoint.channel_count() == 1).await;
}

#[tokio::test]
async fn a_drain_is_logged_at_info_with_its_numbers() {
    let (log, _guard) = Log::watch(Level::INFO);
    let (server, endpoint) = server().await;
    let client = Client::connect(server.addr, PATH).await;
    until("it is connected", || endpoint.connection_count() == 1).await;
    let closing = tokio::spawn(async move {
        let mut client = client;
        client.close_frame().await;
        client.answer_close(1012).await;
    });
    server.drained().await;
    closing.await.unwrap();
    the_line(&log, &["INFO", "draining", "connections=1"]);
    the_line(&log, &["INFO", "drained", "connections=1", "left=0"]);
}

#[tokio::test]
async fn every_documented_instrument_counts_as_documented() {
    let recorder = DebuggingRecorder::new();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let metrics = Metrics::of(&recorder);
    let (server, endpoint) = server().await;
    let mut one = Client::connect(server.addr, PATH).await;
    let mut two = Client::connect(server.addr, PATH).await;
    Client::refused(server.addr, &format!("{PATH}&how=refused"), "").await;
    Client::refused(server.addr, &format!("{PATH}&how=panic"), "").await;
    one.joined("room:1").await;
    two.joined("room:1").await;
    one.join("touchy:refused").await;
    one.join("touchy:join").await;
    one.send(json!(["1", "2", "room:1", "echo", {}])).await;
    one.receive().await;
    one.send(json!(["1", "3", "room:1", "nonsense", {}])).await;
    assert_eq!(one.receive().await[3], "phx_error");
    let mut old = Client::connect(server.addr, "/socket/websocket?vsn=1.0.0").await;
    old.send(json!({ "topic": "room:1", "event": "phx_join", "payload": {}, "ref": "1" })).await;
    old.receive().await;
    endpoint.broadcast("room:1", "said", vec![1u8, 2]).unwrap();
    old.send_text("no message").await;
    old.close_frame().await;
    old.answer_close(1011).await;
    until("the V1 client has gone", || endpoint.connection_count() == 2).await;

    for (name, value) in [
        ("bennu.socket.connects{socket=LoggedSocket,result=ok}", 3.0),
        ("bennu.socket.connects{socket=LoggedSocket,result=refused}", 1.0),
        ("bennu.socket.connects{socket=LoggedSocket,result=crashed}", 1.0),
        ("bennu.socket.connected", 2.0),
        ("bennu.socket.bad_messages", 1.0),
        ("bennu.channel.joins{channel=Room,result=ok}", 3.0),
        ("bennu.channel.joins{channel=Touchy,result=refused}", 1.0),
        ("bennu.channel.joins{channel=Touchy,result=crashed}", 1.0),
        ("bennu.channel.join_duration{channel=Room}", 3.0),
        ("bennu.channel.handle_in_duration{channel=Room}", 2.0),
        ("bennu.channel.crashes{channel=Room}", 1.0),
        ("bennu.channel.crashes{channel=Touchy}", 1.0),
        ("bennu.channel.joined{channel=Room}", 1.0),
        ("bennu.broadcast.unencodable", 1.0),
    ] {
        assert_eq!(metrics.get(name), value, "{name} in {:#?}", metrics.all());
    }
    let closing = tokio::spawn(async move {
        for mut client in [one, two] {
            client.close_frame().await;
            client.answer_close(1012).await;
        }
    });
    server.drained().await;
    closing.await.unwrap();
    assert_eq!(metrics.get("bennu.drain.connections"), 2.0);
    assert_eq!((metrics.get("bennu.socket.connected"), metrics.get("bennu.channel.joined")), (0.0, 0.0));
}
