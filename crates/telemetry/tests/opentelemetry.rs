//! OpenTelemetry from a measurement to a collector: the bytes of a real OTLP export, decoded. One test, since a process
//! has one recorder.

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use bennu_telemetry::{Telemetry, increment, measure};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric::Data, number_data_point::Value};
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_receives_counters_gauges_and_histograms_with_units_when_the_program_ends() {
    let (exports, mut exported) = mpsc::channel(10);
    let collector = Router::new().route(
        "/v1/metrics",
        post(async move |body: Bytes| {
            exports.send(ExportMetricsServiceRequest::decode(body).unwrap()).await.unwrap();
            ExportMetricsServiceResponse::default().encode_to_vec()
        }),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/v1/metrics", listener.local_addr().unwrap());
    let collecting = tokio::spawn(async { axum::serve(listener, collector).await.unwrap() });

    let exporters = Telemetry::new().opentelemetry(&address).unwrap().install().unwrap();
    increment("socket_connect", 2, &[("status", "success")]);
    increment("socket_connect", 1, &[("status", "success")]);
    measure("stats_channel.ping", &[], || {});
    // Looked up for each change, as the framework does with rare events.
    for _ in 0..3 {
        metrics::gauge!("bennu.socket.connected").increment(1.0);
    }
    metrics::histogram!("bennu.channel.join_duration", "channel" => "C").record(0.002);
    tokio::task::spawn_blocking(move || drop(exporters)).await.unwrap();

    let export = exported.recv().await.unwrap();
    collecting.abort();
    let scopes = export.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
    let metrics: Vec<&Metric> = scopes.flat_map(|scope| &scope.metrics).collect();
    let metric = |name: &str| {
        let found = metrics.iter().find(|metric| metric.name == name);
        found.unwrap_or_else(|| panic!("{name} is not in {metrics:?}"))
    };
    let Some(Data::Sum(connects)) = &metric("socket_connect").data else { panic!("{metrics:?}") };
    assert_eq!(connects.data_points[0].value, Some(Value::AsInt(3)));
    assert_eq!(connects.data_points[0].attributes[0].key, "status");
    let Some(Data::Gauge(connected)) = &metric("bennu.socket.connected").data else { panic!("{metrics:?}") };
    assert_eq!(connected.data_points[0].value, Some(Value::AsDouble(3.0)));
    let joins = metric("bennu.channel.join_duration");
    assert_eq!((&*joins.unit, &*joins.description), ("s", "seconds that a join took"));
    let Some(Data::Histogram(joins)) = &joins.data else { panic!("{metrics:?}") };
    let point = &joins.data_points[0];
    assert_eq!((point.count, point.sum), (1, Some(0.002)));
    let bucket = point.bucket_counts.iter().position(|count| *count == 1).unwrap();
    assert_eq!((point.explicit_bounds[bucket - 1], point.explicit_bounds[bucket]), (0.001, 0.0025));
    assert_eq!(metric("stats_channel.ping").unit, "s");
}
