//! The decoder: a peer's bytes, cut as they may be, into events (RFC 6455 §5 and §6.2).
//!
//! The connection loops of `bennu` and of `bennu-client` call [`Decoder::decode`] with what a read gave. Headers are parsed in
//! `header`, begun messages live in `message`, compressed ones pass through `deflate::Inflater`. This file
//! owns the order of frames: what may follow what.
//!
//! Invariants: whatever is kept between two calls lies in one box, which is there only while a header,
//! a frame or a message is incomplete; memory follows the bytes that arrived, not those announced; after
//! a close or an error nothing is decoded any more.

use std::borrow::Cow;

use crate::deflate::{Inflater, Negotiated};
use crate::header::{FrameHeader, MAX_HEADER};
use crate::message::{DataKind, Message};
use crate::{CloseFrame, Event, Mask, Opcode, ProtocolError};

/// What a peer may ask of a connection's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most that one frame may have, header and payload together, in bytes; also the most that a
    /// fragmented message, and a compressed one when it is inflated, may have as a whole.
    ///
    /// 10,000,000 by default, which is Phoenix's default on Bandit. A frame is refused when its header
    /// arrives.
    pub max_frame_size: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { max_frame_size: 10_000_000 }
    }
}

/// Whose frames are decoded. The two differ in one rule: a client masks every frame, a server none (RFC 6455 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// The decoder is a server's.
    Client,
    /// The decoder is a client's.
    Server,
}

/// Decodes the frames of one peer.
///
/// ```
/// use bennu_websocket::{Decoder, Event, Limits, Opcode, encode};
///
/// let mut decoder = Decoder::new(Limits::default(), None);
/// let mut input = encode::masked_frame(Opcode::Text, b"Hello", [1, 2, 3, 4]);
/// let (head, tail) = input.split_at_mut(7); // as if two reads gave it
///
/// assert_eq!(decoder.decode(head)?.0, None);
/// assert_eq!(decoder.decode(tail)?.0, Some(Event::Text("Hello".into())));
/// # Ok::<(), bennu_websocket::ProtocolError>(())
/// ```
///
/// # Memory
///
/// 48 bytes while nothing is incomplete. A begun message adds about 120 bytes and what arrived of it,
/// with at most a quarter and 512 bytes of slack. With permessage-deflate a client that takes its context
/// over adds what it sent before, inflated, up to its window: 32 KiB unless it announced less.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    partial: Option<Box<Partial>>,
    inflater: Option<Inflater>,
    peer: Peer,
    finished: bool,
}

/// What is incomplete.
#[derive(Debug, Default)]
struct Partial {
    /// The first bytes of a header. Invariant: empty unless no frame is open.
    header: [u8; MAX_HEADER],
    header_len: usize,
    /// The frame whose payload is arriving. Invariant: at least one byte of it is due.
    frame: Option<OpenFrame>,
    /// The payload so far of an open control frame.
    control: Vec<u8>,
    /// The data message so far. Control frames may come while it is open.
    message: Option<Message>,
}

impl Partial {
    fn is_empty(&self) -> bool {
        self.header_len == 0 && self.frame.is_none() && self.message.is_none()
    }
}

/// A frame whose header has come.
#[derive(Debug)]
struct OpenFrame {
    role: Role,
    /// Whether it is the last of its message.
    fin: bool,
    mask: Option<Mask>,
    due: usize,
}

/// What a frame is, in the place where it came.
#[derive(Clone, Copy, Debug)]
enum Role {
    Control(Control),
    /// The first or only frame of a message.
    Start {
        kind: DataKind,
        deflated: bool,
    },
    Continuation,
}

#[derive(Clone, Copy, Debug)]
enum Control {
    Close,
    Ping,
    Pong,
}

impl Decoder {
    /// A server's decoder at the start of a connection, with what
    /// [`negotiate`](crate::deflate::negotiate) gave for it.
    pub fn new(limits: Limits, extension: Option<&Negotiated>) -> Self {
        Decoder { limits, partial: None, inflater: extension.map(Inflater::new), peer: Peer::Client, finished: false }
    }

    /// A client's decoder at the start of a connection: it reads what a server sends, without extensions.
    ///
    /// ```
    /// use bennu_websocket::{Decoder, Event, Limits, Opcode, encode};
    ///
    /// let mut decoder = Decoder::of_server(Limits::default());
    /// let mut input = encode::frame(Opcode::Text, b"Hello").to_vec();
    /// assert_eq!(decoder.decode(&mut input)?.0, Some(Event::Text("Hello".into())));
    /// # Ok::<(), bennu_websocket::ProtocolError>(())
    /// ```
    pub fn of_server(limits: Limits) -> Self {
        Decoder { peer: Peer::Server, ..Decoder::new(limits, None) }
    }

    /// Decodes up to the next event, and returns it with the rest of the input.
    ///
    /// Without an event all input is taken, and more is needed; so a caller calls again with the rest
    /// until there is no event. The input is unmasked in place. What is incomplete is kept inside: the
    /// caller's buffer is free after the call. After a [`Event::Close`] or an error all further input is
    /// dropped (RFC 6455 §5.5.1, §7.1.7).
    ///
    /// # Errors
    ///
    /// The peer broke the protocol or a limit, see [`ProtocolError`]. Events of frames before the broken
    /// one were returned by earlier calls.
    pub fn decode<'b>(&mut self, input: &'b mut [u8]) -> Result<(Option<Event<'b>>, &'b mut [u8]), ProtocolError> {
        if self.finished {
            return Ok((None, &mut []));
        }
        let outcome = self.advance(input);
        if matches!(outcome, Ok((Some(Event::Close(_)), _)) | Err(_)) {
            *self = Decoder { finished: true, peer: self.peer, ..Decoder::new(self.limits, None) };
        } else if self.partial.as_ref().is_some_and(|partial| partial.is_empty()) {
            self.partial = None;
        }
        outcome
    }

    /// How many bytes are kept on the heap: what is incomplete, and the history of a client that takes
    /// its compression context over. For a server's accounts; see [Memory](Self#memory).
    pub fn retained_bytes(&self) -> usize {
        let partial = self.partial.as_ref().map_or(0, |partial| {
            let message = partial.message.as_ref().map_or(0, Message::capacity);
            size_of::<Partial>() + partial.control.capacity() + message
        });
        partial + self.inflater.as_ref().map_or(0, Inflater::retained_bytes)
    }

    /// Goes from frame to frame until one completes an event or the input ends.
    fn advance<'b>(&mut self, mut input: &'b mut [u8]) -> Result<(Option<Event<'b>>, &'b mut [u8]), ProtocolError> {
        loop {
            let mut frame = match self.partial.as_mut().and_then(|partial| partial.frame.take()) {
                Some(frame) => frame,
                None => {
                    let (header, rest) = self.read_header(input)?;
                    input = rest;
                    match header {
                        Some(header) => self.open(header)?,
                        None => return Ok((None, input)),
                    }
                }
            };

            let (payload, rest) = input.split_at_mut(frame.due.min(input.len()));
            input = rest;
            if let Some(mask) = &mut frame.mask {
                mask.apply(payload);
            }
            frame.due -= payload.len();
            let event = match frame.role {
                Role::Control(control) => self.control(control, frame, payload)?,
                Role::Start { .. } | Role::Continuation => self.data(frame, payload)?,
            };
            if event.is_some() || input.is_empty() {
                return Ok((event, input));
            }
        }
    }

    /// Reads a header from the front of the input; without one all input is kept.
    fn read_header<'b>(&mut self, input: &'b mut [u8]) -> Result<(Option<FrameHeader>, &'b mut [u8]), ProtocolError> {
        let limit = self.limits.max_frame_size;
        let begun = self.partial.as_ref().map_or(0, |partial| partial.header_len);
        if begun == 0
            && let Some(header) = FrameHeader::parse(input, self.peer, limit)?
        {
            return Ok((Some(header), &mut input[header.header_len..]));
        }
        if input.is_empty() {
            return Ok((None, input));
        }

        let peer = self.peer;
        let partial = self.partial.get_or_insert_default();
        let held = MAX_HEADER.min(begun + input.len());
        partial.header[begun..held].copy_from_slice(&input[..held - begun]);
        match FrameHeader::parse(&partial.header[..held], peer, limit)? {
            Some(header) => {
                // Bytes that were copied from behind the header are payload, and stay in the input.
                partial.header_len = 0;
                Ok((Some(header), &mut input[header.header_len - begun..]))
            }
            None => {
                partial.header_len = held;
                Ok((None, &mut input[held - begun..]))
            }
        }
    }

    /// Judges a header by the frames before it.
    fn open(&self, header: FrameHeader) -> Result<OpenFrame, ProtocolError> {
        let opcode = header.opcode;
        let message = self.partial.as_ref().and_then(|partial| partial.message.as_ref());
        let starts = DataKind::of(opcode);
        if header.rsv1 && (starts.is_none() || self.inflater.is_none()) {
            // RFC 7692 §6: only the first frame of a message says that it is compressed.
            return Err(ProtocolError::ReservedBits { bits: 0b100, opcode });
        }
        let role = match (opcode, starts, message) {
            (Opcode::Close, ..) => Role::Control(Control::Close),
            (Opcode::Ping, ..) => Role::Control(Control::Ping),
            (Opcode::Pong, ..) => Role::Control(Control::Pong),
            (_, Some(kind), None) => Role::Start { kind, deflated: header.rsv1 },
            (_, Some(_), Some(_)) => return Err(ProtocolError::InterleavedMessage { opcode }),
            (_, None, None) => return Err(ProtocolError::UnexpectedContinuation),
            (_, None, Some(message)) => {
                let limit = self.limits.max_frame_size;
                let size = message.len().saturating_add(header.payload_len);
                if size > limit {
                    return Err(ProtocolError::MessageTooBig { size: size as u64, limit });
                }
                Role::Continuation
            }
        };
        Ok(OpenFrame { role, fin: header.fin, mask: header.key.map(Mask::new), due: header.payload_len })
    }

    /// Takes what came of a control frame.
    fn control<'b>(
        &mut self,
        control: Control,
        frame: OpenFrame,
        payload: &'b [u8],
    ) -> Result<Option<Event<'b>>, ProtocolError> {
        if frame.due > 0 {
            let partial = self.partial.get_or_insert_default();
            partial.control.extend_from_slice(payload);
            partial.frame = Some(frame);
            return Ok(None);
        }
        let begun =
            self.partial.as_mut().map(|partial| std::mem::take(&mut partial.control)).filter(|begun| !begun.is_empty());
        let payload = match begun {
            Some(mut begun) => {
                begun.extend_from_slice(payload);
                Cow::Owned(begun)
            }
            None => Cow::Borrowed(payload),
        };
        Ok(Some(match control {
            Control::Close => Event::Close(CloseFrame::parse(&payload)?),
            Control::Ping => Event::Ping(payload),
            Control::Pong => Event::Pong(payload),
        }))
    }

    /// Takes what came of a data frame.
    fn data<'b>(&mut self, frame: OpenFrame, payload: &'b [u8]) -> Result<Option<Event<'b>>, ProtocolError> {
        let ends_message = frame.fin && frame.due == 0;
        let begun = self.partial.as_mut().and_then(|partial| partial.message.take());
        let mut message = match (begun, frame.role) {
            (Some(message), _) => message,
            (None, Role::Start { kind, deflated: false }) if ends_message => {
                return kind.event(Cow::Borrowed(payload)).map(Some);
            }
            (None, Role::Start { kind, deflated: true }) if ends_message => {
                return self.inflate(kind, payload).map(Some);
            }
            (None, Role::Start { kind, deflated }) => Message::new(kind, deflated),
            // `open` made sure that there is a message to continue.
            (None, Role::Continuation | Role::Control(_)) => {
                return Err(ProtocolError::UnexpectedContinuation);
            }
        };

        message.push(payload, frame.fin.then_some(frame.due))?;
        if !ends_message {
            let partial = self.partial.get_or_insert_default();
            partial.message = Some(message);
            partial.frame = (frame.due > 0).then_some(frame);
            return Ok(None);
        }
        match message {
            Message::Text(text) => Ok(Some(Event::Text(Cow::Owned(text.finish()?)))),
            Message::Binary(bytes) => Ok(Some(Event::Binary(Cow::Owned(bytes)))),
            Message::Deflated { kind, stream } => self.inflate(kind, &stream).map(Some),
        }
    }

    fn inflate(&mut self, kind: DataKind, stream: &[u8]) -> Result<Event<'static>, ProtocolError> {
        let inflater = self.inflater.as_mut().expect("`open` lets no compressed message pass without the extension");
        let message = inflater.inflate(stream, self.limits.max_frame_size)?;
        kind.event(Cow::Owned(message))
    }
}

#[cfg(test)]
mod tests;
