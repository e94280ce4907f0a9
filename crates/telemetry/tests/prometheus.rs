//! Prometheus from a measurement to `/metrics`. One test, since a process has one recorder.

use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use bennu_telemetry::{Telemetry, histogram, increment, measure};
use tower::ServiceExt;

#[tokio::test]
async fn metrics_have_the_names_units_bounds_and_limited_tags_that_prometheus_expects() {
    let exporters = Telemetry::new().prometheus().max_tag_values(3).install().unwrap();
    increment("socket_connect", 1, &[("status", "success"), ("socket", "StatsSocket")]);
    measure("stats_channel.ping", &[], || {});
    histogram("pipeline.push_delivered", 25.0, &[]);
    metrics::counter!("bennu.socket.connects", "socket" => "S", "result" => "ok").increment(2);
    metrics::histogram!("bennu.channel.join_duration", "channel" => "C").record(0.002);
    metrics::gauge!("bennu.socket.outbox_bytes").set(512.0);
    for tenant in ["a", "b", "c", "d", "e"] {
        metrics::counter!("orders", "tenant" => tenant).increment(1);
    }

    let request = Request::get("/metrics").body(Body::empty()).unwrap();
    let response = exporters.metrics_router::<()>().oneshot(request).await.unwrap();
    let kind = response.headers()[header::CONTENT_TYPE].to_str().unwrap();
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let text = std::str::from_utf8(&body).unwrap();
    for line in [
        r#"socket_connect_total{status="success",socket="StatsSocket"} 1"#,
        "# TYPE stats_channel_ping_seconds histogram",
        "stats_channel_ping_seconds_count 1",
        r#"pipeline_push_delivered_bucket{le="10"} 0"#,
        r#"pipeline_push_delivered_bucket{le="25"} 1"#,
        "pipeline_push_delivered_sum 25",
        "# HELP bennu_socket_connects_total calls of `connect`",
        r#"bennu_socket_connects_total{socket="S",result="ok"} 2"#,
        r#"bennu_channel_join_duration_seconds_bucket{channel="C",le="0.001"} 0"#,
        r#"bennu_channel_join_duration_seconds_bucket{channel="C",le="0.0025"} 1"#,
        "bennu_socket_outbox_bytes 512",
        r#"orders_total{tenant="c"} 1"#,
        r#"orders_total{tenant="other"} 2"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\nis not in\n{text}");
    }
    assert!(text.contains("\nprocess_resident_memory_bytes "), "{text}");
    assert_eq!(text.matches("tenant=").count(), 4, "{text}");
}
