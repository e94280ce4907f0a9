//! A client that long polls, without a network: its requests go straight to the application's router, so that time can
//! be paused and a request can be given up by dropping it.

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::Response;
use http::{HeaderMap, Method, Request, StatusCode};
use serde_json::{Value, json};
use std::future::Future;
use std::net::SocketAddr;
use tower_service::Service;

/// A session as its client knows it.
pub struct Poller {
    /// The node that takes the requests.
    pub app: Router,
    path: String,
    /// Of the last response, unless a test keeps an older one.
    pub token: String,
}

/// An answer to a GET.
#[derive(Debug, PartialEq)]
pub struct Polled {
    pub status: u64,
    pub token: String,
    pub messages: Vec<Value>,
}

/// An answer of any kind.
#[derive(Debug)]
pub struct Answer {
    pub http: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
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

/// The request of a client at `peer`.
pub fn request(method: Method, uri: &str, body: impl Into<Body>) -> Request<Body> {
    let peer: SocketAddr = ([10, 0, 0, 1], 4321).into();
    Request::builder().method(method).uri(uri).extension(ConnectInfo(peer)).body(body.into()).expect("a request")
}

pub async fn answer(app: &Router, request: Request<Body>) -> Answer {
    let Ok(response): Result<Response, _> = app.clone().call(request).await;
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.expect("a whole body");
    let text = String::from_utf8(body.to_vec()).expect("text");
    Answer { http: parts.status, headers: parts.headers, text }
}

impl Poller {
    /// Opens a session at a mount, such as `/socket`, or `/socket?id=7`.
    pub async fn open(app: &Router, mount: &str) -> Self {
        let (mount, query) = mount.split_once('?').unwrap_or((mount, ""));
        let path = format!("{mount}/longpoll?vsn=2.0.0&{query}");
        let opened = answer(app, request(Method::GET, &path, "")).await.polled();
        assert_eq!((opened.status, opened.messages.len()), (410, 0), "{opened:?}");
        Poller { app: app.clone(), path, token: opened.token }
    }

    fn uri(&self) -> String {
        format!("{}&token={}", self.path, self.token)
    }

    /// A poll with the present token, as a request.
    pub fn poll_request(&self) -> Request<Body> {
        request(Method::GET, &self.uri(), "")
    }

    /// A poll with the present token, which does not take over the one that comes. Dropped, the client has hung up.
    pub fn polling(&self) -> impl Future<Output = Polled> + use<> {
        let (app, request) = (self.app.clone(), self.poll_request());
        async move { answer(&app, request).await.polled() }
    }

    /// Polls once.
    pub async fn poll(&mut self) -> Polled {
        let polled = self.polling().await;
        self.token.clone_from(&polled.token);
        polled
    }

    /// Polls, and sees that there are messages.
    pub async fn messages(&mut self) -> Vec<Value> {
        let polled = self.poll().await;
        assert_eq!(polled.status, 200, "{polled:?}");
        polled.messages
    }

    /// Posts a body.
    pub async fn post(&self, content_type: &str, body: impl Into<Body>) -> Answer {
        let mut request = request(Method::POST, &self.uri(), body);
        request.headers_mut().insert("content-type", content_type.parse().expect("a header value"));
        answer(&self.app, request).await
    }

    /// Posts messages as one batch, which the server takes.
    pub async fn send(&self, messages: impl IntoIterator<Item = Value>) {
        let lines: Vec<String> = messages.into_iter().map(|message| message.to_string()).collect();
        let answer = self.post("application/x-ndjson", lines.join("\n")).await;
        assert_eq!(answer.json(), json!({ "status": 200 }));
    }

    /// Joins a topic with join ref 1.
    pub async fn join(&mut self, topic: &str) {
        self.send([json!(["1", "1", topic, "phx_join", {}])]).await;
        let messages = self.messages().await;
        assert_eq!(messages, [json!(["1", "1", topic, "phx_reply", { "status": "ok", "response": {} }])]);
    }
}
