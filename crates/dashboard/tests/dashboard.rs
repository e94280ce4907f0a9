//! The HTTP and channel interface of the dashboard: access, snapshots, and mounting.

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use bennu::Endpoint;
use bennu::error::MountError;
use bennu::token::Secret;
use bennu_client::{Client, ConnectError};
use bennu_dashboard::{Access, Dashboard, DashboardError};
use serde_json::Value;
use tokio::net::TcpListener;
use tower::ServiceExt;

fn endpoint() -> Endpoint {
    Endpoint::new(Secret::new("0123456789abcdef".repeat(4)).unwrap())
}

async fn get(app: &axum::Router, path: &str) -> (StatusCode, String) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    assert_eq!(response.headers()[header::REFERRER_POLICY], "no-referrer");
    let status = response.status();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// Returns the topic in a page.
fn topic(page: &str) -> String {
    let (_, after) = page.split_once("name=\"topic\" content=\"").unwrap();
    after.split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_request_without_the_token_reaches_neither_the_page_nor_its_socket() {
    let endpoint = endpoint();
    let app: axum::Router = Dashboard::new().router("/admin/dashboard", &endpoint, Access::token("sesame")).unwrap();
    for path in ["/admin/dashboard", "/admin/dashboard?token=", "/admin/dashboard?token=sesam"] {
        let (status, body) = get(&app, path).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path}");
        assert!(!body.contains("bennu:dashboard:"), "{body}");
    }
    let (status, page) = get(&app, "/admin/dashboard?token=sesame").await;
    assert_eq!(status, StatusCode::OK);
    let topic = topic(&page);
    assert_eq!(topic.len(), "bennu:dashboard:".len() + 32);
    for file in ["dashboard.css", "dashboard.js", "chart.js", "figure.js", "socket.js", "plain.css", "page.js"] {
        let (status, content) = get(&app, &format!("/admin/dashboard/{file}")).await;
        assert!(status == StatusCode::OK && !content.contains(&topic), "{file}");
    }

    let address = serve(app).await;
    let client =
        |token| Client::builder(format!("ws://{address}/admin/dashboard/socket")).param("token", token).connect();
    assert!(matches!(client("wrong").await, Err(ConnectError::Refused { .. })));
    client("sesame").await.unwrap().join(&topic, serde_json::json!({})).await.unwrap();
}

#[tokio::test]
async fn a_page_receives_a_welcome_and_a_snapshot_a_second_and_joins_no_other_topic() {
    let dashboard = Dashboard::new();
    let recorder = dashboard.recorder();
    let endpoint = endpoint();
    let app: axum::Router = dashboard.router("/dashboard", &endpoint, Access::everyone()).unwrap();
    metrics::with_local_recorder(&recorder, || {
        metrics::counter!("bennu.channel.joins", "channel" => "Ping", "result" => "ok").increment(3);
    });
    let topic = topic(&get(&app, "/dashboard").await.1);
    let address = serve(app).await;
    let client = Client::connect(format!("ws://{address}/dashboard/socket")).await.unwrap();
    assert!(client.join("bennu:dashboard:guessed", serde_json::json!({})).await.is_err());

    let mut channel = client.join(&topic, serde_json::json!({})).await.unwrap();
    let welcome: Value = channel.response().parse().unwrap();
    assert_eq!(welcome["node"], endpoint.pubsub().node().to_string());
    assert!(welcome["bounds"].as_array().unwrap().len() > 30);
    let mut last = 0;
    for _ in 0..2 {
        let message = channel.next().await.unwrap();
        assert_eq!(message.event, "snapshot");
        let snapshot: Value = message.payload.parse().unwrap();
        assert_eq!(snapshot["channels"]["Ping"]["joins"], serde_json::json!([3, 0, 0]));
        assert_eq!(snapshot["counters"]["bennu.channel.joins:ok"], 3);
        assert!(snapshot["at"].as_u64().unwrap() > last);
        last = snapshot["at"].as_u64().unwrap();
    }
}

#[tokio::test]
async fn a_path_has_one_dashboard() {
    let endpoint = endpoint();
    let _first: axum::Router = Dashboard::new().router("/dashboard", &endpoint, Access::everyone()).unwrap();
    let second = Dashboard::new().router::<()>("/dashboard", &endpoint, Access::everyone());
    assert!(matches!(second, Err(DashboardError::Mount(MountError::Taken(path))) if path == "/dashboard/socket"));
    assert!(Dashboard::new().router::<()>("/other", &endpoint, Access::everyone()).is_ok());
}

async fn serve(app: axum::Router) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}
