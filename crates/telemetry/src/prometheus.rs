//! Prometheus: the recorder with its names and bounds, and `/metrics`.

use crate::bound;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

/// What a scraper is told: the text format of Prometheus.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(crate) fn recorder() -> PrometheusRecorder {
    PrometheusBuilder::new()
        .with_recommended_naming(true)
        .set_buckets(&bound::ANY)
        .and_then(|builder| {
            builder.set_buckets_for_metric(Matcher::Prefix(bound::FRAMEWORK.to_owned()), &bound::SECONDS)
        })
        .expect("the bounds are not empty")
        .build_recorder()
}

pub(crate) fn router<S: Clone + Send + Sync + 'static>(prometheus: Option<PrometheusHandle>) -> Router<S> {
    Router::new().route("/metrics", get(async move || answer(prometheus.as_ref())))
}

fn answer(prometheus: Option<&PrometheusHandle>) -> Response {
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
