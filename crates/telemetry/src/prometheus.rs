//! Prometheus: an application's instruments as its exporter keeps them, the sums as they stand, and `/metrics`.
//!
//! The sums' counters and gauges are told to the exporter before it renders. Their durations are rendered here: the
//! exporter would have to be told each value.

use crate::bound;
use crate::duration::{self, Bucket};
use crate::instrument::INSTRUMENTS;
use crate::sum::{SharedRecorder, Sums};
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use metrics::Key;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

/// What a scraper is told: the text format of Prometheus.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What is kept for Prometheus. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Prometheus {
    recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
    sums: Arc<Sums>,
}

impl Prometheus {
    pub(crate) fn new(sums: Arc<Sums>) -> Self {
        let builder = PrometheusBuilder::new().with_recommended_naming(true).set_buckets(&bound::ANY);
        let recorder = Arc::new(builder.expect("the bounds are not empty").build_recorder());
        Prometheus { handle: recorder.handle(), recorder, sums }
    }

    /// What takes an application's measurements.
    pub(crate) fn recorder(&self) -> SharedRecorder {
        self.recorder.clone()
    }

    /// Takes in the values of histograms that wait.
    pub(crate) fn take_in(&self) {
        self.handle.run_upkeep();
    }

    /// What `/metrics` answers.
    pub(crate) fn render(&self) -> String {
        self.sums.relay(&self.recorder);
        let mut text = self.handle.render();
        let mut series = BTreeMap::<String, Vec<(Key, Vec<Bucket>)>>::new();
        self.sums.durations(|key, buckets| {
            series.entry(key.name().to_owned()).or_default().push((key.clone(), buckets));
        });
        for (name, series) in series {
            push_durations(&mut text, &name, &series);
        }
        text
    }
}

/// One histogram with all its series, in the text format.
fn push_durations(text: &mut String, name: &str, series: &[(Key, Vec<Bucket>)]) {
    let shown = format!("{}_seconds", name.replace(['.', '-'], "_"));
    let mut line =
        |line: std::fmt::Arguments<'_>| writeln!(text, "{line}").expect("a String takes all that is written");
    if let Some(instrument) = INSTRUMENTS.iter().find(|instrument| instrument.name == name) {
        line(format_args!("# HELP {shown} {}", instrument.counts));
    }
    line(format_args!("# TYPE {shown} histogram"));
    for (key, buckets) in series {
        let escaped = |value: &str| value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
        let tags: Vec<String> =
            key.labels().map(|label| format!("{}=\"{}\"", label.key(), escaped(label.value()))).collect();
        let tags = tags.join(",");
        let comma = if tags.is_empty() { "" } else { "," };
        for bound in bound::SECONDS {
            // The bounds here are among those there, but for rounding.
            let below = duration::SECONDS.partition_point(|fine| *fine < bound * (1.0 + 1e-9));
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
    Router::new().route("/metrics", get(async move || answer(prometheus.as_ref())))
}

fn answer(prometheus: Option<&Prometheus>) -> Response {
    match prometheus {
        Some(prometheus) => ([(header::CONTENT_TYPE, TEXT_FORMAT)], prometheus.render()).into_response(),
        None => {
            let hint = "nothing is kept for Prometheus: call Telemetry::prometheus() before install()\n";
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
    async fn without_prometheus_the_route_says_what_is_missing() {
        let request = Request::get("/metrics").body(Body::empty()).unwrap();
        let response = router::<()>(None).oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        let body = to_bytes(response.into_body(), 1000).await.unwrap();
        assert!(std::str::from_utf8(&body).unwrap().contains("Telemetry::prometheus()"), "{body:?}");
    }
}
