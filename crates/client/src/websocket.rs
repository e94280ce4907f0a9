//! The WebSocket transport: the handshake, then frames both ways.
//!
//! The driver polls it. It holds no buffer while idle: reads land in a scratch of the thread, and so does what is
//! written; only what the socket does not take at once is kept.

use crate::address::Address;
use crate::http1::{beside, broken, refusal};
use crate::random;
use crate::session::{Intent, Session};
use crate::shared::Shared;
use crate::stream::{Stream, Tls, dial};
use crate::{ConnectError, Lost, Params};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bennu_protocol::client::Received;
use bennu_protocol::{Frame, FrameKind};
use bennu_websocket::{CloseCode, Decoder, Event, Limits, Opcode, encode, handshake};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

/// What one read brings at most, and about what one write takes.
const SCRATCH_BYTES: usize = 64 * 1024;

/// Reads before other tasks get their turn.
const READS_A_TURN: u32 = 16;

/// phoenix.js sends a token as one more subprotocol, with this prefix.
const BEARER: &str = "base64url.bearer.phx.";

/// The scratches of a thread.
struct Scratch {
    read: Box<[u8]>,
    message: Vec<u8>,
    write: Vec<u8>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        read: vec![0; SCRATCH_BYTES].into_boxed_slice(),
        message: Vec::new(),
        write: Vec::new(),
    });
}

pub(crate) struct WebSocket {
    stream: Stream,
    decoder: Decoder,
    /// What arrived together with the handshake.
    early: Vec<u8>,
    /// Whole frames, or the rest of them, that the socket did not take yet.
    unsent: Vec<u8>,
    /// TLS may hold back what it took.
    unflushed: bool,
    /// The answer to the latest ping; earlier ones need none (RFC 6455 §5.5.3).
    pong: Option<Vec<u8>>,
    /// Our close frame is on its way.
    closing: bool,
}

impl WebSocket {
    /// Connects.
    ///
    /// # Errors
    /// The server cannot be reached, refuses, or does not speak WebSocket.
    pub(crate) async fn open(
        address: &Address,
        tls: &Tls,
        params: &Params,
        auth_token: Option<&str>,
        max_message_size: usize,
    ) -> Result<Self, ConnectError> {
        let stream = dial(address, tls).await?;
        let key = handshake::request_key(random::bytes());
        let request = request(address, params, auth_token, &key)?;
        let fail = |error: hyper::Error| broken(address, &error);
        let (mut sender, running) = http1::handshake(TokioIo::new(stream)).await.map_err(fail)?;
        let mut running = Some(Box::pin(running.with_upgrades()));
        let response = beside(&mut running, sender.send_request(request)).await.map_err(fail)?;
        let status = response.status();
        if status != StatusCode::SWITCHING_PROTOCOLS {
            return Err(beside(&mut running, refusal(status, response.into_body())).await);
        }
        check(&response, &key, auth_token.is_some())?;
        let upgraded = beside(&mut running, hyper::upgrade::on(response)).await.map_err(fail)?;
        let parts = upgraded
            .downcast::<TokioIo<Stream>>()
            .map_err(|_| ConnectError::Handshake("the connection did not come back".to_owned()))?;
        Ok(WebSocket {
            stream: parts.io.into_inner(),
            decoder: Decoder::of_server(Limits { max_frame_size: max_message_size }),
            early: parts.read_buf.to_vec(),
            unsent: Vec::new(),
            unflushed: false,
            pong: None,
            closing: false,
        })
    }

    /// Sends a heartbeat and waits for its answer: a proxy that lets the handshake through may still swallow messages.
    ///
    /// # Errors
    /// Anything else comes, or the connection ends.
    pub(crate) async fn prove(&mut self) -> Result<(), ConnectError> {
        // A session's own refs begin at 1.
        let heartbeat = br#"[null,"0","phoenix","heartbeat",{}]"#;
        let broken = |error: io::Error| ConnectError::Handshake(error.to_string());
        let frame = encode::masked_frame(Opcode::Text, heartbeat, random::bytes());
        self.stream.write_all(&frame).await.map_err(broken)?;
        self.stream.flush().await.map_err(broken)?;
        let mut buffer = std::mem::take(&mut self.early);
        loop {
            match self.decoder.decode(&mut buffer).map_err(|error| ConnectError::Handshake(error.to_string()))? {
                (Some(Event::Text(text)), rest) => {
                    let received = bennu_protocol::client::decode(Frame::Text(&text));
                    if matches!(&received, Ok(Received::Reply { reference, .. }) if reference.as_str() == Some("0")) {
                        self.early = rest.to_vec();
                        return Ok(());
                    }
                    return Err(ConnectError::Handshake("the first message answers no heartbeat".to_owned()));
                }
                (Some(Event::Ping(_) | Event::Pong(_)), rest) => buffer = rest.to_vec(),
                (Some(Event::Binary(_) | Event::Close(_)), _) => {
                    return Err(ConnectError::Handshake("no answer to a heartbeat".to_owned()));
                }
                (None, _) => {
                    buffer = vec![0; 1024];
                    let count = self.stream.read(&mut buffer).await.map_err(broken)?;
                    if count == 0 {
                        return Err(ConnectError::Handshake("the connection ended before any message".to_owned()));
                    }
                    buffer.truncate(count);
                }
            }
        }
    }

    /// Writes what is to be written and reads what is there; ready when the connection is over.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, shared: &Shared) -> Poll<Lost> {
        if !self.early.is_empty() {
            let mut early = std::mem::take(&mut self.early);
            if let Err(lost) = shared.drive(|session| self.feed(session, &mut early)) {
                return self.hang_up(cx, lost);
            }
        }
        for turn in 1.. {
            if let Poll::Ready(Err(error)) = self.poll_write(cx, shared) {
                return Poll::Ready(Lost::Io(Arc::new(error)));
            }
            let read = SCRATCH.with_borrow_mut(|scratch| {
                let mut buffer = ReadBuf::new(&mut scratch.read);
                std::task::ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))
                    .map_err(|error| Lost::Io(Arc::new(error)))?;
                match buffer.filled_mut() {
                    [] => Poll::Ready(Err(Lost::Closed { code: None, reason: String::new() })),
                    bytes => Poll::Ready(shared.drive(|session| self.feed(session, bytes))),
                }
            });
            match read {
                Poll::Pending => break,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(lost)) => return self.hang_up(cx, lost),
            }
            if turn == READS_A_TURN {
                cx.waker().wake_by_ref();
                break;
            }
        }
        Poll::Pending
    }

    /// Says goodbye without waiting: for a connection that is given up.
    pub(crate) fn abandon(&mut self, cx: &mut Context<'_>) {
        if self.unsent.is_empty() && !self.closing {
            let frame = encode::masked_close_frame(CloseCode::NORMAL, "", random::bytes());
            let _ = Pin::new(&mut self.stream).poll_write(cx, &frame);
        }
    }

    /// Hands messages to the session.
    fn feed(&mut self, session: &mut Session, mut input: &mut [u8]) -> Result<(), Lost> {
        let now = Shared::now();
        loop {
            match self.decoder.decode(std::mem::take(&mut input)) {
                Ok((None, _)) => return Ok(()),
                Ok((Some(event), rest)) => {
                    input = rest;
                    match event {
                        Event::Text(text) => session.receive(now, Frame::Text(&text)),
                        Event::Binary(bytes) => session.receive(now, Frame::Binary(&bytes)),
                        Event::Ping(payload) => {
                            self.pong = Some(encode::masked_frame(Opcode::Pong, &payload, random::bytes()));
                        }
                        Event::Pong(_) => {}
                        Event::Close(frame) => {
                            let code = frame.code.map(|code| code.0);
                            return Err(Lost::Closed { code, reason: frame.reason });
                        }
                    }
                }
                Err(error) => {
                    self.unsent = encode::masked_close_frame(error.close_code(), "", random::bytes());
                    return Err(Lost::Protocol(error.to_string()));
                }
            }
        }
    }

    /// Ends the connection for this reason; a close frame of the server is answered with its code (RFC 6455 §5.5.1).
    fn hang_up(&mut self, cx: &mut Context<'_>, lost: Lost) -> Poll<Lost> {
        if let (Lost::Closed { code: Some(code), .. }, false) = (&lost, self.closing) {
            self.unsent.extend(encode::masked_close_frame(CloseCode(*code), "", random::bytes()));
        }
        if !self.unsent.is_empty() && !matches!(lost, Lost::Io(_)) {
            let _ = Pin::new(&mut self.stream).poll_write(cx, &self.unsent);
            let _ = Pin::new(&mut self.stream).poll_flush(cx);
        }
        Poll::Ready(lost)
    }

    /// Ready when there is nothing to write.
    fn poll_write(&mut self, cx: &mut Context<'_>, shared: &Shared) -> Poll<io::Result<()>> {
        loop {
            if self.unsent.is_empty() {
                let filled = SCRATCH.with_borrow_mut(|scratch| {
                    self.fill(scratch, shared);
                    if scratch.write.is_empty() {
                        return Ok(false);
                    }
                    let written = match Pin::new(&mut self.stream).poll_write(cx, &scratch.write) {
                        Poll::Ready(written) => written?,
                        Poll::Pending => 0,
                    };
                    self.unsent = scratch.write[written..].to_vec();
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

    /// Takes what is to be sent, about a scratch of it, as frames.
    fn fill(&mut self, scratch: &mut Scratch, shared: &Shared) {
        scratch.write.clear();
        scratch.write.shrink_to(SCRATCH_BYTES);
        if let Some(pong) = self.pong.take().filter(|_| !self.closing) {
            scratch.write.extend_from_slice(&pong);
        }
        let intent = shared.drive(|session| {
            while scratch.write.len() < SCRATCH_BYTES && !self.closing {
                scratch.message.clear();
                let opcode = match session.transmit(&mut scratch.message) {
                    Some(FrameKind::Text) => Opcode::Text,
                    Some(FrameKind::Binary) => Opcode::Binary,
                    None => break,
                };
                encode::write_masked(&mut scratch.write, opcode, &scratch.message, random::bytes());
            }
            session.intent()
        });
        scratch.message.shrink_to(SCRATCH_BYTES);
        if intent == Intent::Close && !self.closing && scratch.write.is_empty() {
            self.closing = true;
            scratch.write = encode::masked_close_frame(CloseCode::NORMAL, "", random::bytes());
        }
    }
}

fn request(
    address: &Address,
    params: &Params,
    auth_token: Option<&str>,
    key: &str,
) -> Result<Request<Full<Bytes>>, ConnectError> {
    let mut request = Request::get(address.open("websocket", params))
        .header(header::HOST, &address.authority)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, key);
    if let Some(token) = auth_token {
        let offered = format!("phoenix, {BEARER}{}", URL_SAFE_NO_PAD.encode(token));
        request = request.header(header::SEC_WEBSOCKET_PROTOCOL, offered);
    }
    request.body(Full::default()).map_err(|error| ConnectError::Handshake(error.to_string()))
}

/// Whether the answer is that of a WebSocket server to this very request (RFC 6455 §4.1).
fn check(response: &Response<Incoming>, key: &str, offered: bool) -> Result<(), ConnectError> {
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let fail = |what: &str| Err(ConnectError::Handshake(what.to_owned()));
    if !header(header::UPGRADE).is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket")) {
        return fail("it switches to another protocol than websocket");
    }
    let words = header(header::CONNECTION).unwrap_or_default().split(',').map(str::trim);
    if !words.into_iter().any(|word| word.eq_ignore_ascii_case("upgrade")) {
        return fail("its Connection does not say upgrade");
    }
    if header(header::SEC_WEBSOCKET_ACCEPT) != Some(handshake::accept_key(key.as_bytes()).as_str()) {
        return fail("its Sec-WebSocket-Accept does not belong to the request");
    }
    if response.headers().contains_key(header::SEC_WEBSOCKET_EXTENSIONS) {
        return fail("it chose an extension, none was offered");
    }
    match header(header::SEC_WEBSOCKET_PROTOCOL) {
        None => Ok(()),
        Some(chosen) if offered && (chosen == "phoenix" || chosen.starts_with(BEARER)) => Ok(()),
        Some(_) => fail("it chose a subprotocol that was not offered"),
    }
}
