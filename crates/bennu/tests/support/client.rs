//! A raw WebSocket client: it sends no pong and no close frame and checks nothing by itself, only on a test's request.

use super::soon;
use bennu_websocket::{Opcode, encode};
use serde_json::Value;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// A frame from the server.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    pub fin: bool,
    pub rsv1: bool,
    pub opcode: u8,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.payload).expect("a text frame is UTF-8")
    }

    pub fn json(&self) -> Value {
        assert_eq!(self.opcode, TEXT, "{self:?} is not a text frame");
        serde_json::from_str(self.text()).expect("the server sends JSON")
    }

    /// Returns the code and the reason of a close frame.
    pub fn close(&self) -> (Option<u16>, String) {
        assert_eq!(self.opcode, CLOSE, "{self:?} is not a close frame");
        match &self.payload[..] {
            [] => (None, String::new()),
            [high, low, reason @ ..] => {
                (Some(u16::from_be_bytes([*high, *low])), String::from_utf8(reason.to_vec()).expect("UTF-8"))
            }
            [_] => panic!("half a close code"),
        }
    }
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = String::from_utf8_lossy(&self.payload[..self.payload.len().min(200)]);
        write!(f, "Frame(opcode {}, {} bytes: {shown:?})", self.opcode, self.payload.len())
    }
}

/// An HTTP response. Its body has the length of the header `content-length`.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    head: String,
    pub body: String,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// Returns the request of a WebSocket handshake, with further header lines, each ended by CRLF.
pub fn handshake(path: &str, headers: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{headers}\r\n"
    )
}

pub struct Client<T = TcpStream> {
    pub stream: T,
    read: Vec<u8>,
}

impl Client {
    pub async fn tcp(addr: SocketAddr) -> Self {
        let stream = soon("connecting", TcpStream::connect(addr)).await.expect("the server listens");
        stream.set_nodelay(true).expect("a TCP option");
        Client::over(stream)
    }

    /// Connects with a small receive buffer, so that the server's writes block soon when the client stops reading.
    pub async fn narrow(addr: SocketAddr, receive_buffer: u32) -> Self {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(receive_buffer).expect("a TCP option");
        Client::over(soon("connecting", socket.connect(addr)).await.expect("the server listens"))
    }

    /// Connects a WebSocket at a path with its query.
    pub async fn connect(addr: SocketAddr, path: &str) -> Self {
        Client::connect_with(addr, path, "").await.0
    }

    pub async fn connect_with(addr: SocketAddr, path: &str, headers: &str) -> (Self, Response) {
        let mut client = Client::tcp(addr).await;
        let response = client.upgrade(path, headers).await;
        (client, response)
    }

    /// Sends a handshake that should be refused, and returns the response.
    pub async fn refused(addr: SocketAddr, path: &str, headers: &str) -> Response {
        let mut client = Client::tcp(addr).await;
        client.send_raw(handshake(path, headers)).await;
        let response = client.response().await;
        assert_ne!(response.status, 101, "refused, but {response:?}");
        response
    }

    /// Ends the connection with a reset, as after a crash of the client's machine.
    pub fn reset(self) {
        rustix::net::sockopt::set_socket_linger(&self.stream, Some(std::time::Duration::ZERO)).expect("a TCP option");
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Client<T> {
    pub fn over(stream: T) -> Self {
        Client { stream, read: Vec::new() }
    }

    pub async fn upgrade(&mut self, path: &str, headers: &str) -> Response {
        self.send_raw(handshake(path, headers)).await;
        let response = self.response().await;
        assert_eq!(response.status, 101, "{response:?}");
        response
    }

    pub async fn response(&mut self) -> Response {
        let end = loop {
            if let Some(at) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(self.fill().await, "the server ended the stream without a response");
        };
        let head = String::from_utf8(self.read.drain(..end).collect()).expect("headers are ASCII");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status line");
        let mut response = Response { status, head, body: String::new() };
        let length = response.header("content-length").map_or(0, |length| length.parse().expect("a number"));
        while self.read.len() < length {
            assert!(self.fill().await, "the body ends early");
        }
        response.body = String::from_utf8(self.read.drain(..length).collect()).expect("text");
        response
    }

    /// Reads once; returns `false` at the end of the stream or after a reset.
    async fn fill(&mut self) -> bool {
        self.read.reserve(64 * 1024);
        matches!(soon("reading", self.stream.read_buf(&mut self.read)).await, Ok(count) if count > 0)
    }

    pub async fn send_raw(&mut self, bytes: impl AsRef<[u8]>) {
        soon("writing", self.stream.write_all(bytes.as_ref())).await.expect("the server reads");
        soon("flushing", self.stream.flush()).await.expect("the server reads");
    }

    /// Sends bytes to a server that may already have closed the connection.
    pub async fn try_send_raw(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        soon("writing", self.stream.write_all(bytes.as_ref())).await
    }

    pub async fn send_text(&mut self, text: &str) {
        self.send_raw(encode::masked_frame(Opcode::Text, text.as_bytes(), MASK)).await;
    }

    pub async fn send(&mut self, message: Value) {
        self.send_text(&message.to_string()).await;
    }

    /// Returns the next frame, or `None` if the stream ends first.
    pub async fn try_frame(&mut self) -> Option<Frame> {
        loop {
            if let Some((frame, len)) = parse(&self.read) {
                self.read.drain(..len);
                return Some(frame);
            }
            if !self.fill().await {
                assert!(self.read.is_empty(), "the stream ends inside a frame");
                return None;
            }
        }
    }

    pub async fn frame(&mut self) -> Frame {
        self.try_frame().await.expect("the server ended the stream before the next frame")
    }

    /// Returns the next message as JSON.
    pub async fn receive(&mut self) -> Value {
        self.frame().await.json()
    }

    /// Joins a topic on a V2 connection, with the join ref "1"; returns the reply's payload.
    pub async fn join(&mut self, topic: &str) -> Value {
        self.send(serde_json::json!(["1", "1", topic, "phx_join", {}])).await;
        loop {
            let message = self.receive().await;
            if message[1] == "1" && message[2] == topic && message[3] == "phx_reply" {
                return message[4].clone();
            }
        }
    }

    pub async fn joined(&mut self, topic: &str) {
        let reply = self.join(topic).await;
        assert_eq!(reply["status"], "ok", "{topic}: {reply}");
    }

    /// Reads until the close frame.
    pub async fn close_frame(&mut self) -> (Option<u16>, String) {
        loop {
            let frame = self.frame().await;
            if frame.opcode == CLOSE {
                return frame.close();
            }
        }
    }

    /// Reads until the stream ends; returns the number of bytes.
    pub async fn ended(&mut self) -> usize {
        let mut count = std::mem::take(&mut self.read).len();
        while self.fill().await {
            count += std::mem::take(&mut self.read).len();
        }
        count
    }

    /// Answers the server's close frame, waits for the end of the stream, and closes the connection.
    pub async fn answer_close(mut self, code: u16) {
        self.send_raw(encode::masked_frame(Opcode::Close, &code.to_be_bytes(), MASK)).await;
        self.ended().await;
    }
}

fn parse(bytes: &[u8]) -> Option<(Frame, usize)> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    assert_eq!(second & 0x80, 0, "a server does not mask");
    let (len, at) = match second {
        126 => (usize::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?)), 4),
        127 => (u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?) as usize, 10),
        short => (usize::from(short), 2),
    };
    let payload = bytes.get(at..at + len)?.to_vec();
    let frame = Frame { fin: first & 0x80 != 0, rsv1: first & 0x40 != 0, opcode: first & 0x0F, payload };
    Some((frame, at + len))
}

/// Returns a V2 binary push, in which clients send binary data.
pub fn binary_push(join_ref: &str, reference: &str, topic: &str, event: &str, data: &[u8]) -> Vec<u8> {
    let mut frame = vec![0, join_ref.len() as u8, reference.len() as u8, topic.len() as u8, event.len() as u8];
    for part in [join_ref, reference, topic, event] {
        frame.extend_from_slice(part.as_bytes());
    }
    frame.extend_from_slice(data);
    frame
}

/// Returns the status and the data of a V2 binary reply.
pub fn binary_reply(frame: &[u8]) -> (&str, &[u8]) {
    let [1, join_ref, reference, topic, status, rest @ ..] = frame else { panic!("not a binary reply: {frame:?}") };
    let status_at = usize::from(*join_ref) + usize::from(*reference) + usize::from(*topic);
    let (status, data) = rest[status_at..].split_at(usize::from(*status));
    (std::str::from_utf8(status).expect("UTF-8"), data)
}
