//! The Prometheus exporter: the application's instruments in `metrics-exporter-prometheus`, the aggregates, and the
//! route `/metrics`.
//!
//! [`Telemetry`](crate::Telemetry) owns it. The counters and gauges of the aggregates are copied into the exporter
//! before it renders. The durations are rendered here, since the exporter would need each value one by one.

use crate::aggregate::{Aggregates, SharedRecorder};
use crate::histogram::{APPLICATION_BOUNDS, BUCKET_BOUNDS, Bucket, EXPORTED_BOUNDS};
use crate::instrument::INSTRUMENTS;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use metrics::Key;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

/// The content type of Prometheus's text format.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The exporter's recorder and the aggregates. Clones share both.
#[derive(Clone)]
pub(crate) struct Prometheus {
    recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
    aggregates: Arc<Aggregates>,
}

impl Prometheus {
    pub(crate) fn new(aggregates: Arc<Aggregates>) -> Self {
        let builder = PrometheusBuilder::new().with_recommended_naming(true).set_buckets(&APPLICATION_BOUNDS);
        let recorder = Arc::new(builder.expect("the bounds are not empty").build_recorder());
        Prometheus { handle: recorder.handle(), recorder, aggregates }
    }

    /// Returns the recorder of the application's measurements.
    pub(crate) fn recorder(&self) -> SharedRecorder {
        self.recorder.clone()
    }

    /// Moves the queued values of histograms into their buckets.
    pub(crate) fn run_upkeep(&self) {
        self.handle.run_upkeep();
    }

    /// Returns the text of `/metrics`.
    pub(crate) fn render(&self) -> String {
        self.aggregates.copy_to(&self.recorder);
        let mut text = self.handle.render();
        let mut series = BTreeMap::<String, Vec<(Key, Vec<Bucket>)>>::new();
        self.aggregates.histograms(|key, buckets| {
            series.entry(key.name().to_owned()).or_default().push((key.clone(), buckets));
        });
        for (name, series) in series {
            write_histogram(&mut text, &name, &series);
        }
        text
    }
}

/// Appends one histogram with all its series in the text format.
fn write_histogram(text: &mut String, name: &str, series: &[(Key, Vec<Bucket>)]) {
    let shown = format!("{}_seconds", name.replace(['.', '-'], "_"));
    let mut line = |line: std::fmt::Arguments<'_>| writeln!(text, "{line}").expect("writing into a String never fails");
    if let Some(instrument) = INSTRUMENTS.iter().find(|instrument| instrument.name == name) {
        line(format_args!("# HELP {shown} {}", instrument.description));
    }
    line(format_args!("# TYPE {shown} histogram"));
    for (key, buckets) in series {
        let escaped = |value: &str| value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
        let tags: Vec<String> =
            key.labels().map(|label| format!("{}=\"{}\"", label.key(), escaped(label.value()))).collect();
        let tags = tags.join(",");
        let comma = if tags.is_empty() { "" } else { "," };
        for bound in EXPORTED_BOUNDS {
            // Each exported bound is a bucket bound, but for rounding.
            let below = BUCKET_BOUNDS.partition_point(|fine| *fine < bound * (1.0 + 1e-9));
            let count: u64 = buckets[..below].iter().map(|bucket| bucket.count).sum();
            line(format_args!("{shown}_bucket{{{tags}{comma}le=\"{bound}\"}} {count}"));
        }
        let count: u64 = buckets.iter().map(|bucket| bucket.count).sum();
        let seconds = buckets.iter().map(|bucket| bucket.nanoseconds).sum::<u64>() as f64 / 1e9;
        line(format_args!("{shown}_bucket{{{tags}{comma}le=\"+Inf\"}} {count}"));
        let braces = if tags.is_empty() { String::new() } else { format!("{{{tags}}}") };
        line(format_args!("{shown}_sum{braces} {seconds}"));
        line(format_args!("{shown}_count{braces} {count}"));
    }
    line(format_args!(""));
}

pub(crate) fn router<S: Clone + Send + Sync + 'static>(prometheus: Option<Prometheus>) -> Router<S> {
    Router::new().route("/metrics", get(async move || respond(prometheus.as_ref())))
}

fn respond(prometheus: Option<&Prometheus>) -> Response {
    match prometheus {
        Some(prometheus) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], prometheus.render()).into_response(),
        None => {
            let hint = "the Prometheus exporter is not configured: call Telemetry::prometheus() before install()\n";
            (StatusCode::NOT_FOUND, hint).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt;

    #[tokio::test]
    async fn without_prometheus_the_route_names_the_missing_call() {
        let request = Request::get("/metrics").body(Body::empty()).unwrap();
        let response = router::<()>(None).oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        let body = to_bytes(response.into_body(), 1000).await.unwrap();
        assert!(std::str::from_utf8(&body).unwrap().contains("Telemetry::prometheus()"), "{body:?}");
    }
}
