//! The telemetry of the channels layer: logs without secrets, and metrics that return to zero.

use crate::socket;
use crate::support::*;
use bennu_channels::Drain;
use bennu_channels::prelude::*;
use bennu_channels::protocol::{Frame, Serializer};
use bennu_channels::transport::Limits;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

struct Room;

impl<S: Socket> Channel<S> for Room {
    async fn join(_: &str, params: Payload, _: &mut Context<S, Self>) -> Joined<Self> {
        if params.get("deny")? == Some(true) {
            return refuse(json!({}));
        }
        params.get::<u8>("number")?;
        accept(Room)
    }

    async fn handle_in(&mut self, event: &str, payload: Payload, ctx: &mut Context<S, Self>) -> Handled {
        match event {
            "ping" => reply_ok(json!({})),
            "push" => {
                ctx.push("pushed", payload)?;
                noreply()
            }
            _ => unhandled(event),
        }
    }
}

struct Keyed;

impl Socket for Keyed {
    type State = ();

    async fn connect(request: Connect) -> Result<Self, Refusal> {
        if request.param("key")? == "panic" {
            panic!("on purpose");
        }
        Ok(Keyed)
    }

    fn channels(router: &mut ChannelRouter<Self>) {
        router.channel::<Room>("room:*");
    }
}

socket!(TestSocket: "room:*" => Room);

#[tokio::test(start_paused = true)]
async fn secrets_in_parameters_reach_no_log() {
    let log = Log::capture();
    let secrets = json!({ "list": [{ "auth_token": "s3cret" }], "user": { "name": "n", "password": "s3cret" } });
    let mut client = Connecting::to(&endpoint())
        .params([("key", "k"), ("token", "s3cret"), ("user_password", "s3cret")])
        .open::<Keyed>()
        .await;
    client.join_with("room:1", "1", secrets.clone()).await;
    client.send(json!(["1", "2", "room:1", "ping", secrets]));
    assert_eq!(client.next().await[4]["status"], "ok");
    client.send(json!(["1", "3", "room:1", "push", secrets]));
    assert_eq!(client.next().await[3], "pushed");
    let lines = log.lines();
    assert!(lines.iter().all(|line| !line.contains("s3cret")), "{lines:#?}");
    let filtered = r#"parameters={"list":[{"auth_token":"[FILTERED]"}],"user":{"name":"n","password":"[FILTERED]"}}"#;
    for start in ["INFO joined", "DEBUG handle_in", "TRACE push"] {
        assert!(lines.iter().any(|line| line.starts_with(start) && line.contains(filtered)), "{start}: {lines:#?}");
    }
    let connected = r#"parameters={"key": "k", "token": "[FILTERED]", "user_password": "[FILTERED]"}"#;
    assert!(lines.iter().any(|line| line.starts_with("INFO connected") && line.contains(connected)), "{lines:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_payload_in_which_nothing_can_be_filtered_is_not_shown() {
    let log = Log::capture();
    let mut client = connect::<TestSocket>().await;
    client.join("room:1", "1").await;
    let deep = format!(r#"{{"password":"s3cret","deep":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    for payload in [&deep, r#"{"password":"s3cret","half of a pair":"\ud800"}"#] {
        client.send_text(&format!(r#"["1","2","room:1","ping",{payload}]"#));
        assert_eq!(client.next().await[4]["status"], "ok");
    }
    let lines = log.lines();
    assert!(lines.iter().all(|line| !line.contains("s3cret")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("parameters=<47 bytes>")), "{lines:#?}");
}

#[tokio::test(start_paused = true)]
async fn an_application_chooses_which_parameters_are_not_logged() {
    let log = Log::capture();
    let endpoint = bennu_channels::Endpoint::builder(secret()).filter_parameters(["pin"]).build();
    let mut client = connect_to::<TestSocket>(&endpoint).await;
    client.join_with("room:1", "1", json!({ "pin": 1234, "token": "shown" })).await;
    let joined = log.lines().into_iter().find(|line| line.starts_with("INFO joined")).unwrap();
    assert!(joined.contains(r#"parameters={"pin":"[FILTERED]","token":"shown"}"#), "{joined}");
}

#[tokio::test(start_paused = true)]
async fn long_payloads_and_bytes_are_logged_by_their_size() {
    let log = Log::capture();
    let mut client = connect::<TestSocket>().await;
    client.join("room:1", "1").await;
    client.send(json!(["1", "2", "room:1", "ping", { "text": "x".repeat(5000) }]));
    client.send_binary(b"\x00\x01\x01\x06\x0412room:1ping\x01\x02\x03");
    client.next().await;
    client.next().await;
    let shown: Vec<_> =
        log.of("DEBUG").iter().map(|line| line.split("parameters=").nth(1).unwrap().to_owned()).collect();
    assert_eq!(shown, ["<5011 bytes>", "<3 bytes>"]);
}

/// Everything that this test's thread measures.
struct Metrics {
    snapshotter: Snapshotter,
    /// A snapshot takes gauges back to zero as well: their levels are kept here.
    gauges: BTreeMap<String, f64>,
    _recording: metrics::LocalRecorderGuard<'static>,
}

impl Metrics {
    /// Make it before the sockets that are measured.
    fn record() -> Self {
        let recorder: &'static DebuggingRecorder = Box::leak(Box::new(DebuggingRecorder::new()));
        let _recording = metrics::set_default_local_recorder(recorder);
        Metrics { snapshotter: recorder.snapshotter(), gauges: BTreeMap::new(), _recording }
    }

    /// Every metric that is not zero as `name{label=value}`: counters and samples since the last call, gauges as they are.
    fn read(&mut self) -> Vec<(String, f64)> {
        let mut read = BTreeMap::new();
        for (key, _, _, value) in self.snapshotter.snapshot().into_vec() {
            let labels: Vec<_> = key.key().labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
            let name = format!("{}{{{}}}", key.key().name(), labels.join(","));
            match value {
                DebugValue::Counter(count) => _ = read.insert(name, count as f64),
                DebugValue::Histogram(samples) => _ = read.insert(name, samples.len() as f64),
                // Waiting bytes are set, not counted up and down.
                DebugValue::Gauge(bytes) if name.ends_with("_bytes{}") => {
                    _ = self.gauges.insert(name, bytes.into_inner())
                }
                DebugValue::Gauge(change) => *self.gauges.entry(name).or_default() += change.into_inner(),
            }
        }
        read.extend(self.gauges.clone());
        read.into_iter().filter(|(_, value)| *value != 0.0).collect()
    }

    fn expect<const N: usize>(&mut self, expected: [(&str, f64); N]) {
        assert_eq!(self.read(), expected.map(|(name, value)| (name.to_owned(), value)));
    }
}

#[tokio::test(start_paused = true)]
async fn joins_messages_and_crashes_are_counted_and_gauges_come_back_to_zero() {
    let mut metrics = Metrics::record();
    let mut client = connect::<TestSocket>().await;
    metrics.expect([("bennu.socket.connected{}", 1.0), ("bennu.socket.connects{socket=TestSocket,result=ok}", 1.0)]);
    client.join("room:1", "1").await;
    client.join("room:2", "2").await;
    client.send(json!(["3", "3", "room:3", "phx_join", { "deny": true }]));
    client.send(json!(["4", "4", "room:4", "phx_join", { "number": "x" }]));
    client.next().await;
    client.next().await;
    metrics.expect([
        ("bennu.channel.crashes{channel=Room}", 1.0),
        ("bennu.channel.join_duration{channel=Room}", 4.0),
        ("bennu.channel.joined{channel=Room}", 2.0),
        ("bennu.channel.joins{channel=Room,result=crashed}", 1.0),
        ("bennu.channel.joins{channel=Room,result=ok}", 2.0),
        ("bennu.channel.joins{channel=Room,result=refused}", 1.0),
        ("bennu.socket.connected{}", 1.0),
        ("bennu.socket.messages_in{socket=TestSocket}", 4.0),
        ("bennu.socket.messages_out{socket=TestSocket}", 4.0),
    ]);
    client.send(json!(["1", "5", "room:1", "ping", {}]));
    client.send(json!(["2", "6", "room:2", "nope", {}]));
    client.next().await;
    client.next().await;
    metrics.expect([
        ("bennu.channel.crashes{channel=Room}", 1.0),
        ("bennu.channel.handle_in_duration{channel=Room}", 2.0),
        ("bennu.channel.joined{channel=Room}", 1.0),
        ("bennu.socket.connected{}", 1.0),
        ("bennu.socket.messages_in{socket=TestSocket}", 2.0),
        ("bennu.socket.messages_out{socket=TestSocket}", 2.0),
    ]);
    client.hang_up();
    rest().await;
    metrics.expect([]);
}

#[tokio::test(start_paused = true)]
async fn a_duration_is_measured_in_seconds() {
    struct Slow;
    impl<S: Socket> Channel<S> for Slow {
        async fn join(_: &str, _: Payload, _: &mut Context<S, Self>) -> Joined<Self> {
            tokio::time::sleep(Duration::from_millis(250)).await;
            accept(Slow)
        }
    }
    socket!(SlowSocket: "slow" => Slow);
    let metrics = Metrics::record();
    let mut client = connect::<SlowSocket>().await;
    client.join("slow", "1").await;
    let snapshot = metrics.snapshotter.snapshot().into_vec();
    let samples = snapshot.into_iter().find_map(|(key, _, _, value)| match value {
        DebugValue::Histogram(samples) if key.key().name() == "bennu.channel.join_duration" => Some(samples),
        _ => None,
    });
    let samples: Vec<f64> = samples.expect("measured").into_iter().map(|sample| sample.into_inner()).collect();
    assert!(samples.len() == 1 && (0.25..0.26).contains(&samples[0]), "{samples:?}");
}

#[tokio::test(start_paused = true)]
async fn connections_that_are_refused_or_crash_or_break_the_protocol_are_counted() {
    quiet_panics();
    let mut metrics = Metrics::record();
    let endpoint = endpoint();
    let mount =
        bennu_channels::transport::SocketMount::new::<Keyed>(endpoint.clone(), Default::default(), Limits::default())
            .unwrap();
    for params in [vec![], vec![("key", "panic")]] {
        let params = params.into_iter().collect();
        let request = Connect::new(params, Default::default(), endpoint.clone());
        assert!(mount.connect(request).await.is_err());
    }
    metrics.expect([
        ("bennu.socket.connects{socket=Keyed,result=crashed}", 1.0),
        ("bennu.socket.connects{socket=Keyed,result=refused}", 1.0),
    ]);
    let client = connect_to::<TestSocket>(&endpoint).await;
    metrics.read();
    client.try_send(Frame::Text("not json")).unwrap_err();
    metrics.expect([("bennu.socket.bad_messages{}", 1.0), ("bennu.socket.connected{}", 1.0)]);
}

#[tokio::test(start_paused = true)]
async fn slow_clients_broadcasts_that_are_skipped_and_drained_connections_are_counted() {
    let mut metrics = Metrics::record();
    let endpoint = endpoint();
    let mut connecting = Connecting::to(&endpoint);
    connecting.limits = Limits { outbox_bytes: 1000, ..Limits::default() };
    connecting.serializer = Serializer::V1;
    let mut client = connecting.open::<TestSocket>().await;
    client.send(json!({ "topic": "room:1", "event": "phx_join", "payload": {}, "ref": "1" }));
    client.next().await;
    metrics.read();
    let standing = [("bennu.channel.joined{channel=Room}", 1.0), ("bennu.socket.connected{}", 1.0)];

    endpoint.broadcast("room:1", "msg", vec![1]).unwrap();
    metrics.expect([("bennu.broadcast.sent{}", 1.0), ("bennu.broadcast.unencodable{}", 1.0), standing[0], standing[1]]);
    for _ in 0..20 {
        endpoint.broadcast("room:1", "msg", json!({ "text": "x".repeat(100) })).unwrap();
    }
    metrics.expect([("bennu.broadcast.sent{}", 20.0), standing[0], standing[1], ("bennu.socket.slow_clients{}", 1.0)]);
    let drain = Drain { deadline: Duration::from_secs(1), ..Drain::default() };
    drain.run(&endpoint).await;
    metrics.expect([("bennu.drain.connections{}", 1.0), ("bennu.drain.draining{}", 1.0), standing[1]]);
}

#[tokio::test(start_paused = true)]
async fn waiting_bytes_of_outboxes_and_mailboxes_are_measured_every_five_seconds() {
    struct Busy;
    impl<S: Socket> Channel<S> for Busy {
        async fn join(_: &str, _: Payload, _: &mut Context<S, Self>) -> Joined<Self> {
            accept(Busy)
        }
        async fn handle_in(&mut self, _: &str, _: Payload, _: &mut Context<S, Self>) -> Handled {
            tokio::time::sleep(Duration::from_secs(7)).await;
            noreply()
        }
    }
    socket!(BusySocket: "busy" => Busy);
    let mut metrics = Metrics::record();
    let endpoint = endpoint();
    let mut client = connect_to::<BusySocket>(&endpoint).await;
    client.join("busy", "1").await;
    let measuring = tokio::spawn({
        let endpoint = endpoint.clone();
        async move { endpoint.measure_queues().await }
    });
    let waiting = |metrics: &mut Metrics| {
        let read = metrics.read().into_iter().filter(|(name, _)| name.ends_with("_bytes{}"));
        read.map(|(name, bytes)| (name, bytes as usize)).collect::<Vec<_>>()
    };
    rest().await;
    assert_eq!(waiting(&mut metrics), []);

    endpoint.broadcast("busy", "msg", json!({})).unwrap();
    client.send(json!(["1", "2", "busy", "first", {}]));
    rest().await;
    client.send(json!(["1", "3", "busy", "second", {}]));
    tokio::time::sleep(Duration::from_secs(5)).await;
    // The tests' framing adds a byte; each message has its overhead.
    let frame = 1 + r#"[null,null,"busy","msg",{}]"#.len() + 64;
    let message = "3".len() + "second".len() + "{}".len() + 128;
    let expected = [("bennu.channel.mailbox_bytes{}", message), ("bennu.socket.outbox_bytes{}", frame)];
    assert_eq!(waiting(&mut metrics), expected.map(|(name, bytes)| (name.to_owned(), bytes)));

    client.next().await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(waiting(&mut metrics), []);
    measuring.abort();
}
