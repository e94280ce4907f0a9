//! The WebSocket transport: the handshake, then frames in both directions.
//!
//! The driver polls it. An idle connection holds no buffer: reads and writes use buffers of the thread, and the
//! connection keeps only the bytes that the stream has not accepted yet.

use super::address::Address;
use super::http::{connect_error, drive, read_refusal};
use super::stream::{Stream, Tls, dial};
use crate::random;
use crate::session::{Intent, Session};
use crate::shared::Shared;
use crate::{ConnectError, ConnectParams, ConnectionError};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bennu_protocol::client::Received;
use bennu_protocol::{Frame, FrameKind};
use bennu_websocket::{CloseCode, Decoder, DecoderLimits, Incoming, Opcode, encode, handshake};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

/// The size of the read buffer, and the approximate size of one write.
const BUFFER_BYTES: usize = 64 * 1024;

/// The reads of one poll; then other tasks run.
const READS_PER_POLL: u32 = 16;

/// The prefix of the subprotocol that carries the auth token, as in phoenix.js.
const TOKEN_PREFIX: &str = "base64url.bearer.phx.";

/// The buffers of a thread.
struct Buffers {
    read: Box<[u8]>,
    message: Vec<u8>,
    write: Vec<u8>,
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::new(Buffers {
        read: vec![0; BUFFER_BYTES].into_boxed_slice(),
        message: Vec::new(),
        write: Vec::new(),
    });
}

pub(crate) struct WebSocket {
    stream: Stream,
    decoder: Decoder,
    /// Bytes that were read together with the handshake's response.
    initial_input: Vec<u8>,
    /// Frames, or the rest of them, that the stream has not accepted yet.
    unsent: Vec<u8>,
    /// The stream needs a flush: TLS may buffer accepted bytes.
    unflushed: bool,
    /// The reply to the latest ping; earlier pings need none (RFC 6455 §5.5.3).
    pong: Option<Vec<u8>>,
    /// The client's close frame was written.
    closing: bool,
}

impl WebSocket {
    /// Connects to the server and performs the handshake.
    ///
    /// # Errors
    /// The client could not connect, the server refused, or its response is not a WebSocket handshake.
    pub(crate) async fn open(
        address: &Address,
        tls: &Tls,
        params: &ConnectParams,
        auth_token: Option<&str>,
        max_message_size: usize,
    ) -> Result<Self, ConnectError> {
        let stream = dial(address, tls).await?;
        let key = handshake::request_key(random::bytes());
        let request = request(address, params, auth_token, &key)?;
        let fail = |error: hyper::Error| connect_error(address, &error);
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(fail)?;
        let mut connection = Some(Box::pin(connection.with_upgrades()));
        let response = drive(&mut connection, sender.send_request(request)).await.map_err(fail)?;
        let status = response.status();
        if status != StatusCode::SWITCHING_PROTOCOLS {
            return Err(drive(&mut connection, read_refusal(status, response.into_body())).await);
        }
        check(&response, &key, auth_token.is_some())?;
        let upgraded = drive(&mut connection, hyper::upgrade::on(response)).await.map_err(fail)?;
        let parts = upgraded
            .downcast::<TokioIo<Stream>>()
            .map_err(|_| ConnectError::Handshake("hyper did not return the stream".to_owned()))?;
        Ok(WebSocket {
            stream: parts.io.into_inner(),
            decoder: Decoder::of_server(DecoderLimits { max_frame_size: max_message_size }),
            initial_input: parts.read_buf.to_vec(),
            unsent: Vec::new(),
            unflushed: false,
            pong: None,
            closing: false,
        })
    }

    /// Sends a heartbeat and waits for its reply: some proxies pass the handshake and drop all messages.
    ///
    /// # Errors
    /// The first message is not the reply, or the connection ends.
    pub(crate) async fn exchange_heartbeat(&mut self) -> Result<(), ConnectError> {
        // The refs of the session begin at 1.
        let heartbeat = br#"[null,"0","phoenix","heartbeat",{}]"#;
        let fail = |error: io::Error| ConnectError::Handshake(error.to_string());
        let frame = encode::masked_frame(Opcode::Text, heartbeat, random::bytes());
        self.stream.write_all(&frame).await.map_err(fail)?;
        self.stream.flush().await.map_err(fail)?;
        let mut buffer = std::mem::take(&mut self.initial_input);
        loop {
            match self.decoder.decode(&mut buffer).map_err(|error| ConnectError::Handshake(error.to_string()))? {
                (Some(Incoming::Text(text)), rest) => {
                    let received = bennu_protocol::client::decode(Frame::Text(&text));
                    if matches!(&received, Ok(Received::Reply { reference, .. }) if reference.as_str() == Some("0")) {
                        self.initial_input = rest.to_vec();
                        return Ok(());
                    }
                    return Err(ConnectError::Handshake(
                        "the first message is not the reply to a heartbeat".to_owned(),
                    ));
                }
                (Some(Incoming::Ping(_) | Incoming::Pong(_)), rest) => buffer = rest.to_vec(),
                (Some(Incoming::Binary(_) | Incoming::Close(_)), _) => {
                    return Err(ConnectError::Handshake("the first frame is not the reply to a heartbeat".to_owned()));
                }
                (None, _) => {
                    buffer = vec![0; 1024];
                    let count = self.stream.read(&mut buffer).await.map_err(fail)?;
                    if count == 0 {
                        return Err(ConnectError::Handshake(
                            "the connection ended before the reply to a heartbeat".to_owned(),
                        ));
                    }
                    buffer.truncate(count);
                }
            }
        }
    }

    /// Writes the queued messages and reads the available input; ready when the connection has ended.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, shared: &Shared) -> Poll<ConnectionError> {
        if !self.initial_input.is_empty() {
            let mut input = std::mem::take(&mut self.initial_input);
            if let Err(error) = shared.update(|session| self.decode_frames(session, &mut input)) {
                return self.finish(cx, error);
            }
        }
        for turn in 1.. {
            if let Poll::Ready(Err(error)) = self.poll_write(cx, shared) {
                return Poll::Ready(ConnectionError::Io(Arc::new(error)));
            }
            let read = BUFFERS.with_borrow_mut(|buffers| {
                let mut buffer = ReadBuf::new(&mut buffers.read);
                std::task::ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))
                    .map_err(|error| ConnectionError::Io(Arc::new(error)))?;
                match buffer.filled_mut() {
                    [] => Poll::Ready(Err(ConnectionError::Closed { code: None, reason: String::new() })),
                    bytes => Poll::Ready(shared.update(|session| self.decode_frames(session, bytes))),
                }
            });
            match read {
                Poll::Pending => break,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return self.finish(cx, error),
            }
            if turn == READS_PER_POLL {
                cx.waker().wake_by_ref();
                break;
            }
        }
        Poll::Pending
    }

    /// Writes a close frame without waiting, before the connection is dropped.
    pub(crate) fn abort(&mut self, cx: &mut Context<'_>) {
        if self.unsent.is_empty() && !self.closing {
            let frame = encode::masked_close_frame(CloseCode::NORMAL, "", random::bytes());
            let _ = Pin::new(&mut self.stream).poll_write(cx, &frame);
        }
    }

    /// Decodes input and passes the messages to the session.
    fn decode_frames(&mut self, session: &mut Session, mut input: &mut [u8]) -> Result<(), ConnectionError> {
        let now = Shared::now();
        loop {
            match self.decoder.decode(std::mem::take(&mut input)) {
                Ok((None, _)) => return Ok(()),
                Ok((Some(incoming), rest)) => {
                    input = rest;
                    match incoming {
                        Incoming::Text(text) => session.receive(now, Frame::Text(&text)),
                        Incoming::Binary(bytes) => session.receive(now, Frame::Binary(&bytes)),
                        Incoming::Ping(payload) => {
                            self.pong = Some(encode::masked_frame(Opcode::Pong, &payload, random::bytes()));
                        }
                        Incoming::Pong(_) => {}
                        Incoming::Close(frame) => {
                            let code = frame.code.map(|code| code.0);
                            return Err(ConnectionError::Closed { code, reason: frame.reason });
                        }
                    }
                }
                Err(error) => {
                    self.unsent = encode::masked_close_frame(error.close_code(), "", random::bytes());
                    return Err(ConnectionError::Protocol(error.to_string()));
                }
            }
        }
    }

    /// Ends the connection with this error. A close frame of the server is confirmed with its code (RFC 6455 §5.5.1).
    fn finish(&mut self, cx: &mut Context<'_>, error: ConnectionError) -> Poll<ConnectionError> {
        if let (ConnectionError::Closed { code: Some(code), .. }, false) = (&error, self.closing) {
            self.unsent.extend(encode::masked_close_frame(CloseCode(*code), "", random::bytes()));
        }
        if !self.unsent.is_empty() && !matches!(error, ConnectionError::Io(_)) {
            let _ = Pin::new(&mut self.stream).poll_write(cx, &self.unsent);
            let _ = Pin::new(&mut self.stream).poll_flush(cx);
        }
        Poll::Ready(error)
    }

    /// Writes the unsent bytes, then the queued messages; ready when both are written and flushed.
    fn poll_write(&mut self, cx: &mut Context<'_>, shared: &Shared) -> Poll<io::Result<()>> {
        loop {
            if self.unsent.is_empty() {
                let filled = BUFFERS.with_borrow_mut(|buffers| {
                    self.encode_frames(buffers, shared);
                    if buffers.write.is_empty() {
                        return Ok(false);
                    }
                    let written = match Pin::new(&mut self.stream).poll_write(cx, &buffers.write) {
                        Poll::Ready(written) => written?,
                        Poll::Pending => 0,
                    };
                    self.unsent = buffers.write[written..].to_vec();
                    self.unflushed = true;
                    Ok::<bool, io::Error>(true)
                })?;
                if !filled {
                    break;
                }
            } else {
                let written = std::task::ready!(Pin::new(&mut self.stream).poll_write(cx, &self.unsent))?;
                if written == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                if written == self.unsent.len() {
                    self.unsent = Vec::new();
                } else {
                    self.unsent.drain(..written);
                }
            }
        }
        if self.unflushed {
            std::task::ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Encodes queued messages as frames into the write buffer, about [`BUFFER_BYTES`] of them.
    fn encode_frames(&mut self, buffers: &mut Buffers, shared: &Shared) {
        buffers.write.clear();
        buffers.write.shrink_to(BUFFER_BYTES);
        if let Some(pong) = self.pong.take().filter(|_| !self.closing) {
            buffers.write.extend_from_slice(&pong);
        }
        let intent = shared.update(|session| {
            while buffers.write.len() < BUFFER_BYTES && !self.closing {
                buffers.message.clear();
                let opcode = match session.transmit(&mut buffers.message) {
                    Some(FrameKind::Text) => Opcode::Text,
                    Some(FrameKind::Binary) => Opcode::Binary,
                    None => break,
                };
                encode::write_masked(&mut buffers.write, opcode, &buffers.message, random::bytes());
            }
            session.intent()
        });
        buffers.message.shrink_to(BUFFER_BYTES);
        if intent == Intent::Close && !self.closing && buffers.write.is_empty() {
            self.closing = true;
            buffers.write = encode::masked_close_frame(CloseCode::NORMAL, "", random::bytes());
        }
    }
}

fn request(
    address: &Address,
    params: &ConnectParams,
    auth_token: Option<&str>,
    key: &str,
) -> Result<Request<Full<Bytes>>, ConnectError> {
    let mut request = Request::get(address.connect_target("websocket", params))
        .header(header::HOST, &address.authority)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, key);
    if let Some(token) = auth_token {
        let offered = format!("phoenix, {TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(token));
        request = request.header(header::SEC_WEBSOCKET_PROTOCOL, offered);
    }
    let mut request = request.body(Full::default()).map_err(|error| ConnectError::Handshake(error.to_string()))?;
    request.headers_mut().extend(address.headers.clone());
    Ok(request)
}

/// Checks that the response completes the handshake of this request (RFC 6455 §4.1).
fn check<B>(response: &Response<B>, key: &str, offered: bool) -> Result<(), ConnectError> {
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let fail = |reason: &str| Err(ConnectError::Handshake(reason.to_owned()));
    if !header(header::UPGRADE).is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket")) {
        return fail("the response upgrades to another protocol than websocket");
    }
    let mut options = header(header::CONNECTION).unwrap_or_default().split(',').map(str::trim);
    if !options.any(|option| option.eq_ignore_ascii_case("upgrade")) {
        return fail("the response has no `Connection: upgrade`");
    }
    if header(header::SEC_WEBSOCKET_ACCEPT) != Some(handshake::accept_key(key.as_bytes()).as_str()) {
        return fail("the response's Sec-WebSocket-Accept does not match the request's key");
    }
    if response.headers().contains_key(header::SEC_WEBSOCKET_EXTENSIONS) {
        return fail("the server chose an extension, but none was offered");
    }
    match header(header::SEC_WEBSOCKET_PROTOCOL) {
        None => Ok(()),
        Some(chosen) if offered && (chosen == "phoenix" || chosen.starts_with(TOKEN_PREFIX)) => Ok(()),
        Some(_) => fail("the server chose a subprotocol that was not offered"),
    }
}
