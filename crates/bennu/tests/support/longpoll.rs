//! A long-poll client without a network: it calls the application's router directly, so that time can be paused and a
//! request can be cancelled by dropping it.

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::{HeaderMap, Method, Request, StatusCode};
use serde_json::{Value, json};
use std::future::Future;
use std::net::SocketAddr;
use tower_service::Service;

/// The client of one session.
pub struct Poller {
    /// The router of the node that receives the requests.
    pub app: Router,
    path: String,
    /// The token of the last response, unless a test sets an older one.
    pub token: String,
}

/// The body of a response to a GET.
#[derive(Debug, PartialEq)]
pub struct Polled {
    pub status: u64,
    pub token: String,
    pub messages: Vec<Value>,
}

/// A response to any request.
#[derive(Debug)]
pub struct Response {
    pub http: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Response {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{self:?}"))
    }

    pub fn polled(&self) -> Polled {
        let body = self.json();
        let messages = body["messages"].as_array().cloned().unwrap_or_default();
        let parse = |text: Value| serde_json::from_str(text.as_str().expect("a string")).expect("a message");
        Polled {
            status: body["status"].as_u64().expect("a status"),
            token: body["token"].as_str().unwrap_or_default().to_owned(),
            messages: messages.into_iter().map(parse).collect(),
        }
    }
}

/// Creates a request of a client at 10.0.0.1.
pub fn request(method: Method, uri: &str, body: impl Into<Body>) -> Request<Body> {
    let peer: SocketAddr = ([10, 0, 0, 1], 4321).into();
    Request::builder().method(method).uri(uri).extension(ConnectInfo(peer)).body(body.into()).expect("a request")
}

/// Passes a request to the application and returns its response.
pub async fn respond(app: &Router, request: Request<Body>) -> Response {
    let Ok(response): Result<axum::response::Response, _> = app.clone().call(request).await;
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.expect("a whole body");
    let text = String::from_utf8(body.to_vec()).expect("text");
    Response { http: parts.status, headers: parts.headers, text }
}

impl Poller {
    /// Opens a session at a mount, such as `/socket`, or `/socket?id=7`.
    pub async fn open(app: &Router, mount: &str) -> Self {
        let (mount, query) = mount.split_once('?').unwrap_or((mount, ""));
        let path = format!("{mount}/longpoll?vsn=2.0.0&{query}");
        let opened = respond(app, request(Method::GET, &path, "")).await.polled();
        assert_eq!((opened.status, opened.messages.len()), (410, 0), "{opened:?}");
        Poller { app: app.clone(), path, token: opened.token }
    }

    fn uri(&self) -> String {
        format!("{}&token={}", self.path, self.token)
    }

    /// Creates the request of a poll with the current token.
    pub fn poll_request(&self) -> Request<Body> {
        request(Method::GET, &self.uri(), "")
    }

    /// Polls with the current token, and does not change it. Dropping the future cancels the request, as a client does
    /// that closes its connection.
    pub fn polling(&self) -> impl Future<Output = Polled> + use<> {
        let (app, request) = (self.app.clone(), self.poll_request());
        async move { respond(&app, request).await.polled() }
    }

    /// Polls once and sets the token of the response.
    pub async fn poll(&mut self) -> Polled {
        let polled = self.polling().await;
        self.token.clone_from(&polled.token);
        polled
    }

    /// Polls and returns the messages; panics if there are none.
    pub async fn messages(&mut self) -> Vec<Value> {
        let polled = self.poll().await;
        assert_eq!(polled.status, 200, "{polled:?}");
        polled.messages
    }

    /// Posts a body.
    pub async fn post(&self, content_type: &str, body: impl Into<Body>) -> Response {
        let mut request = request(Method::POST, &self.uri(), body);
        request.headers_mut().insert("content-type", content_type.parse().expect("a header value"));
        respond(&self.app, request).await
    }

    /// Posts messages in one body; panics if the server refuses it.
    pub async fn send(&self, messages: impl IntoIterator<Item = Value>) {
        let lines: Vec<String> = messages.into_iter().map(|message| message.to_string()).collect();
        let response = self.post("application/x-ndjson", lines.join("\n")).await;
        assert_eq!(response.json(), json!({ "status": 200 }));
    }

    /// Joins a topic with join ref 1.
    pub async fn join(&mut self, topic: &str) {
        self.send([json!(["1", "1", topic, "phx_join", {}])]).await;
        let messages = self.messages().await;
        assert_eq!(messages, [json!(["1", "1", topic, "phx_reply", { "status": "ok", "response": {} }])]);
    }
}
