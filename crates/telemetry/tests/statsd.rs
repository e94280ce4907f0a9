//! StatsD from a measurement to the listener. One test, since a process has one recorder.

use bennu_telemetry::{
    InstallError, Line, StatsdListener, Telemetry, gauge, histogram, increment, measure, measure_async,
};
use futures::FutureExt;
use std::time::Duration;

#[tokio::test]
async fn the_applications_measurements_arrive_line_by_line_and_the_frameworks_are_aggregated() {
    let mut listener = StatsdListener::bind("127.0.0.1:0").unwrap();
    let exporters = Telemetry::new().statsd(&listener.address().to_string()).unwrap().install().unwrap();
    let second = Telemetry::new().prometheus().install();
    assert!(matches!(second, Err(InstallError::AlreadyInstalled)), "{second:?}");

    increment("socket_connect", 1, &[("status", "success"), ("socket", "StatsSocket")]);
    increment("channel_join", 1, &[("status", "fail"), ("channel", "StatsChannel")]);
    increment("channel_join", 1, &[("status", "success"), ("channel", "StatsChannel")]);
    gauge("orders.waiting", 12.0, &[]);
    metrics::gauge!("orders.waiting").increment(2.5);
    histogram("pipeline.push_delivered", 25.0, &[]);
    let mut application = Application(&mut listener);
    for expected in [
        "socket_connect 1|c|#status:success,socket:StatsSocket",
        "channel_join 1|c|#status:fail,channel:StatsChannel",
        "channel_join 1|c|#status:success,channel:StatsChannel",
        "orders.waiting 12|g",
        "orders.waiting 14.5|g",
        "pipeline.push_delivered 25|h",
    ] {
        assert_eq!(application.recv().await, expected);
    }

    assert_eq!(measure("stats_channel.ping", &[], || 7), 7);
    let abandoned = measure_async("abandoned", &[], std::future::pending::<()>());
    assert_eq!(abandoned.now_or_never(), None);
    assert_eq!(measure_async("stats_channel.pong", &[("kind", "fast")], async { "pong" }).await, "pong");
    let ping = application.recv().await;
    assert!(ping.starts_with("stats_channel.ping ") && ping.ends_with("|ms"), "{ping}");
    let pong = application.recv().await;
    assert!(pong.starts_with("stats_channel.pong ") && pong.ends_with("|ms|#kind:fast"), "{pong}");

    let connects = metrics::counter!("bennu.socket.connects", "socket" => "StatsSocket", "result" => "ok");
    connects.increment(2);
    connects.increment(1);
    let mut sum = 0.0;
    while sum < 3.0 {
        let line = listener.recv().await;
        if line.name() == "bennu.socket.connects" {
            assert_eq!((line.kind(), line.tag("result")), ("c", Some("ok")), "{line}");
            sum += line.value().unwrap();
        }
    }
    assert_eq!(sum, 3.0);

    let took = metrics::histogram!("bennu.channel.join_duration", "channel" => "C");
    for seconds in [0.0021, 0.0023, 0.0022, 0.5] {
        took.record(seconds);
    }
    connects.increment(5);
    increment("last", 1, &[]);
    drop(exporters);
    let (mut samples, mut last) = (Vec::new(), Vec::new());
    while let Some(line) = arrived(&mut listener).await {
        match line.name() {
            "bennu.channel.join_duration" => {
                samples.push((line.value().unwrap(), line.count(), line.kind().to_owned()))
            }
            "last" | "bennu.socket.connects" => last.push(line.to_string()),
            _ => {}
        }
    }
    assert_eq!(samples, [(2.2, 3, "ms".to_owned()), (500.0, 1, "ms".to_owned())], "each bucket's mean and count");
    last.sort();
    assert_eq!(
        last,
        ["bennu.socket.connects 5|c|#socket:StatsSocket,result:ok", "last 1|c"],
        "nothing is lost at the end"
    );
    assert_eq!(listener.lost(), 0);
}

/// Returns the next line after the exporters have ended, if there is one. The kernel has all sent lines already and
/// delivers each in less than a second.
async fn arrived(listener: &mut StatsdListener) -> Option<Line> {
    tokio::time::timeout(Duration::from_secs(1), listener.recv()).await.ok()
}

/// Receives the application's lines and skips those of the framework and the process.
struct Application<'a>(&'a mut StatsdListener);

impl Application<'_> {
    async fn recv(&mut self) -> String {
        loop {
            let line = self.0.recv().await;
            if !line.is_aggregated() {
                return line.to_string();
            }
        }
    }
}
