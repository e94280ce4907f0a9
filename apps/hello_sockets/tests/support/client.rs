//! A WebSocket client that plays dialogues in the format of `wscat`: lines that begin with `>` are sent, and lines that
//! begin with `<` must be the next messages.

use super::DEADLINE;
use futures::{SinkExt, StreamExt};
use serde_json::Value;
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

pub(crate) struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    /// Connects to a socket's path, which may have parameters: `/auth_socket?token=...`.
    pub(crate) async fn connect(address: SocketAddr, socket: &str) -> Self {
        Self::try_connect(address, socket).await.unwrap()
    }

    /// As [`Client::connect`].
    ///
    /// # Errors
    /// The status of a refused connection.
    pub(crate) async fn try_connect(address: SocketAddr, socket: &str) -> Result<Self, u16> {
        let (path, params) = socket.split_once('?').unwrap_or((socket, ""));
        let url = format!("ws://{address}{path}/websocket?vsn=2.0.0&{params}");
        match connect_async(url).await {
            Ok((stream, _)) => Ok(Client(stream)),
            Err(tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// Plays a dialogue. Lines are compared as JSON; `"_"` matches every value.
    pub(crate) async fn dialogue(&mut self, lines: &str) {
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            match line.split_once(' ') {
                Some((">", sent)) => self.send(sent).await,
                Some(("<", expected)) => {
                    let expected: Value = serde_json::from_str(expected).unwrap();
                    let received = self.receive().await;
                    assert!(is_like(&received, &expected), "received {received}\nexpected {expected}");
                }
                _ => panic!("the line begins with neither > nor <: {line}"),
            }
        }
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    /// Returns the next message.
    pub(crate) async fn receive(&mut self) -> Value {
        match self.next().await {
            Some(Ok(Message::Text(text))) => serde_json::from_str(&text).unwrap(),
            other => panic!("expected a message, got {other:?}"),
        }
    }

    /// Returns the code of the close frame, which must be the next message.
    pub(crate) async fn closed(mut self) -> u16 {
        match self.next().await {
            Some(Ok(Message::Close(Some(frame)))) => {
                // The reply to the close frame, so that the server need not wait for it.
                while let Some(Ok(_)) = self.next().await {}
                CloseCode::into(frame.code)
            }
            other => panic!("expected a close, got {other:?}"),
        }
    }

    async fn next(&mut self) -> Option<tungstenite::Result<Message>> {
        timeout(DEADLINE, self.0.next()).await.expect("no message arrived before the deadline")
    }
}

fn is_like(received: &Value, expected: &Value) -> bool {
    match (received, expected) {
        (_, Value::String(any)) if any == "_" => true,
        (Value::Array(received), Value::Array(expected)) => {
            received.len() == expected.len() && received.iter().zip(expected).all(|(one, other)| is_like(one, other))
        }
        (Value::Object(received), Value::Object(expected)) => {
            received.len() == expected.len()
                && received.iter().all(|(key, one)| expected.get(key).is_some_and(|other| is_like(one, other)))
        }
        _ => received == expected,
    }
}
