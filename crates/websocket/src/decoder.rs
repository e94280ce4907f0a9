//! The decoder: the bytes of a peer, in reads of any size, into messages (RFC 6455 §5 and §6.2).
//!
//! The connection tasks of `bennu` and of `bennu-client` call [`Decoder::decode`] with the bytes of each read. This
//! file owns the order of frames. `header` parses headers, `message` keeps incomplete messages, and `deflate` inflates
//! compressed ones.
//!
//! Invariants: all state between two calls is in one box, which exists only while a header, a frame or a message is
//! incomplete. Memory is proportional to the bytes received, not to the lengths announced. After a close or an error
//! nothing is decoded.

use std::borrow::Cow;

use crate::deflate::{DeflateParameters, Inflater};
use crate::header::{FrameHeader, MAX_MASKED_HEADER_LEN, Peer};
use crate::message::{DataKind, PartialMessage};
use crate::{CloseFrame, Incoming, Mask, Opcode, ProtocolError};

/// The limit on the memory that a peer can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecoderLimits {
    /// The maximum size of one frame, header and payload together, in bytes. It is also the maximum size of a whole
    /// fragmented message, and of a compressed message after inflation.
    ///
    /// 10,000,000 by default, which is Phoenix's default on Bandit. A larger frame is refused when its header arrives.
    pub max_frame_size: usize,
}

impl Default for DecoderLimits {
    fn default() -> Self {
        DecoderLimits { max_frame_size: 10_000_000 }
    }
}

/// Decodes the frames of one peer.
///
/// ```
/// use bennu_websocket::{Decoder, DecoderLimits, Incoming, Opcode, encode};
///
/// let mut decoder = Decoder::new(DecoderLimits::default(), None);
/// let mut input = encode::masked_frame(Opcode::Text, b"Hello", [1, 2, 3, 4]);
/// let (first_read, second_read) = input.split_at_mut(7);
///
/// assert_eq!(decoder.decode(first_read)?.0, None);
/// assert_eq!(decoder.decode(second_read)?.0, Some(Incoming::Text("Hello".into())));
/// # Ok::<(), bennu_websocket::ProtocolError>(())
/// ```
///
/// # Memory
///
/// 48 bytes while nothing is incomplete. An incomplete message adds about 120 bytes and the bytes received, with at
/// most a quarter and 512 bytes of slack. With permessage-deflate, a client that takes its context over adds its
/// previous messages, inflated, up to its window: 32 KiB, or less if it announced a smaller window.
#[derive(Debug)]
pub struct Decoder {
    limits: DecoderLimits,
    partial: Option<Box<Partial>>,
    inflater: Option<Inflater>,
    peer: Peer,
    finished: bool,
}

/// The incomplete header, frame and message.
#[derive(Debug, Default)]
struct Partial {
    /// The first bytes of a header. Invariant: empty while a frame is open.
    header: [u8; MAX_MASKED_HEADER_LEN],
    header_len: usize,
    /// The frame of the current payload. Invariant: at least one byte of the payload is due.
    frame: Option<OpenFrame>,
    /// The bytes received of a control frame's payload.
    control: Vec<u8>,
    /// The data message. Control frames can arrive between its fragments.
    message: Option<PartialMessage>,
}

impl Partial {
    fn is_empty(&self) -> bool {
        self.header_len == 0 && self.frame.is_none() && self.message.is_none()
    }
}

/// A frame after its header has been parsed.
#[derive(Debug)]
struct OpenFrame {
    role: Role,
    /// Whether it is the last frame of its message.
    fin: bool,
    mask: Option<Mask>,
    /// The payload bytes that have not been received.
    due: usize,
}

/// The role of a frame in the order of frames.
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
    /// Creates a server's decoder at the start of a connection, with the parameters that
    /// [`negotiate`](crate::deflate::negotiate) returned for it.
    pub fn new(limits: DecoderLimits, extension: Option<&DeflateParameters>) -> Self {
        Decoder { limits, partial: None, inflater: extension.map(Inflater::new), peer: Peer::Client, finished: false }
    }

    /// Creates a client's decoder at the start of a connection. It decodes the frames of a server, without extensions.
    ///
    /// ```
    /// use bennu_websocket::{Decoder, DecoderLimits, Incoming, Opcode, encode};
    ///
    /// let mut decoder = Decoder::of_server(DecoderLimits::default());
    /// let mut input = encode::frame(Opcode::Text, b"Hello").to_vec();
    /// assert_eq!(decoder.decode(&mut input)?.0, Some(Incoming::Text("Hello".into())));
    /// # Ok::<(), bennu_websocket::ProtocolError>(())
    /// ```
    pub fn of_server(limits: DecoderLimits) -> Self {
        Decoder { peer: Peer::Server, ..Decoder::new(limits, None) }
    }

    /// Decodes up to the next message, and returns it with the rest of the input.
    ///
    /// Without a message, all input has been decoded. The caller repeats the call with the rest of the input until
    /// there is no message. The input is unmasked in place. The decoder copies an incomplete message, so the caller's
    /// buffer is free after the call. After [`Incoming::Close`] or an error, all further input is dropped (RFC 6455
    /// §5.5.1, §7.1.7).
    ///
    /// # Errors
    ///
    /// Returns [`ProtocolError`] when the peer has violated the protocol or exceeded a limit. Earlier calls have
    /// returned the messages before the refused frame.
    pub fn decode<'b>(&mut self, input: &'b mut [u8]) -> Result<(Option<Incoming<'b>>, &'b mut [u8]), ProtocolError> {
        if self.finished {
            return Ok((None, &mut []));
        }
        let outcome = self.advance(input);
        if matches!(outcome, Ok((Some(Incoming::Close(_)), _)) | Err(_)) {
            *self = Decoder { finished: true, peer: self.peer, ..Decoder::new(self.limits, None) };
        } else if self.partial.as_ref().is_some_and(|partial| partial.is_empty()) {
            self.partial = None;
        }
        outcome
    }

    /// The bytes on the heap: the incomplete message, and the history of a client that takes its compression context
    /// over. See [Memory](Self#memory).
    pub fn retained_bytes(&self) -> usize {
        let partial = self.partial.as_ref().map_or(0, |partial| {
            let message = partial.message.as_ref().map_or(0, PartialMessage::capacity);
            size_of::<Partial>() + partial.control.capacity() + message
        });
        partial + self.inflater.as_ref().map_or(0, Inflater::retained_bytes)
    }

    /// Decodes frame after frame until one completes a message or the input ends.
    fn advance<'b>(&mut self, mut input: &'b mut [u8]) -> Result<(Option<Incoming<'b>>, &'b mut [u8]), ProtocolError> {
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
            let message = match frame.role {
                Role::Control(control) => self.decode_control(control, frame, payload)?,
                Role::Start { .. } | Role::Continuation => self.decode_data(frame, payload)?,
            };
            if message.is_some() || input.is_empty() {
                return Ok((message, input));
            }
        }
    }

    /// Reads a header from the front of the input. Without a complete header, all input is copied.
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
        let held = MAX_MASKED_HEADER_LEN.min(begun + input.len());
        partial.header[begun..held].copy_from_slice(&input[..held - begun]);
        match FrameHeader::parse(&partial.header[..held], peer, limit)? {
            Some(header) => {
                // The bytes that were copied from after the header are payload. They remain in the input.
                partial.header_len = 0;
                Ok((Some(header), &mut input[header.header_len - begun..]))
            }
            None => {
                partial.header_len = held;
                Ok((None, &mut input[held - begun..]))
            }
        }
    }

    /// Checks a header against the frames before it.
    fn open(&self, header: FrameHeader) -> Result<OpenFrame, ProtocolError> {
        let opcode = header.opcode;
        let message = self.partial.as_ref().and_then(|partial| partial.message.as_ref());
        let starts = DataKind::of(opcode);
        if header.rsv1 && (starts.is_none() || self.inflater.is_none()) {
            // RFC 7692 §6: only the first frame of a message has the bit that marks it as compressed.
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

    /// Decodes the received bytes of a control frame.
    fn decode_control<'b>(
        &mut self,
        control: Control,
        frame: OpenFrame,
        payload: &'b [u8],
    ) -> Result<Option<Incoming<'b>>, ProtocolError> {
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
            Control::Close => Incoming::Close(CloseFrame::parse(&payload)?),
            Control::Ping => Incoming::Ping(payload),
            Control::Pong => Incoming::Pong(payload),
        }))
    }

    /// Decodes the received bytes of a data frame.
    fn decode_data<'b>(&mut self, frame: OpenFrame, payload: &'b [u8]) -> Result<Option<Incoming<'b>>, ProtocolError> {
        let ends_message = frame.fin && frame.due == 0;
        let begun = self.partial.as_mut().and_then(|partial| partial.message.take());
        let mut message = match (begun, frame.role) {
            (Some(message), _) => message,
            (None, Role::Start { kind, deflated: false }) if ends_message => {
                return kind.message(Cow::Borrowed(payload)).map(Some);
            }
            (None, Role::Start { kind, deflated: true }) if ends_message => {
                return self.inflate(kind, payload).map(Some);
            }
            (None, Role::Start { kind, deflated }) => PartialMessage::new(kind, deflated),
            // `open` has checked that a message is open.
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
            PartialMessage::Text(text) => Ok(Some(Incoming::Text(Cow::Owned(text.finish()?)))),
            PartialMessage::Binary(bytes) => Ok(Some(Incoming::Binary(Cow::Owned(bytes)))),
            PartialMessage::Deflated { kind, stream } => self.inflate(kind, &stream).map(Some),
        }
    }

    fn inflate(&mut self, kind: DataKind, stream: &[u8]) -> Result<Incoming<'static>, ProtocolError> {
        let inflater = self.inflater.as_mut().expect("`open` refuses a compressed message without the extension");
        let payload = inflater.inflate(stream, self.limits.max_frame_size)?;
        kind.message(Cow::Owned(payload))
    }
}

#[cfg(test)]
mod tests;
