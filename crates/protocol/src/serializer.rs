//! The two versions of the wire format behind one type. Called by sessions (decode) and by whoever sends (encode).

use crate::{Frame, FrameKind, Inbound, Outbound, Payload, PayloadError, binary, v1, v2};

/// A version of the wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Serializer {
    /// `vsn` 1.0.x: JSON objects. No binary payloads.
    V1,
    /// `vsn` 2.0.x: JSON arrays, and binary frames for binary payloads.
    V2,
}

/// A frame that is no message of the negotiated version. The connection is closed with 1011, as Phoenix does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The text is no JSON, or not the JSON of a message.
    #[error("no {version} message: {reason}")]
    Json {
        /// `V1` or `V2`.
        version: &'static str,
        /// What serde_json found, with line and column.
        reason: String,
    },
    /// A binary frame ends before what its header announces.
    #[error("binary frame of {len} bytes ends inside its {part}, which needs {needed} bytes")]
    Truncated {
        /// What was cut.
        part: &'static str,
        /// Bytes that the frame has.
        len: usize,
        /// Bytes that it must have.
        needed: usize,
    },
    /// A binary frame of a kind that clients do not send: only 0, a push, is.
    #[error("binary frame of kind {0}, clients send kind 0 (push)")]
    UnknownKind(u8),
    /// A topic or event in a binary frame is no UTF-8.
    #[error("the {0} of a binary frame is not UTF-8")]
    NotUtf8(&'static str),
}

/// A message that this version cannot carry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The payload cannot be written.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// V1 has no binary frames.
    #[error("a binary payload of {bytes} bytes cannot be sent to a V1 client")]
    BinaryInV1 {
        /// Size of the data.
        bytes: usize,
    },
    /// Binary frames hold one byte for each length.
    #[error("the {part} of a binary message is {len} bytes long, the limit is 255")]
    TooLong {
        /// Which part.
        part: &'static str,
        /// Its length.
        len: usize,
    },
    /// A ref that came as bytes and is no UTF-8 cannot stand in JSON.
    #[error("a ref of {len} bytes is not UTF-8 and cannot stand in a JSON message")]
    RefNotUtf8 {
        /// Its length.
        len: usize,
    },
}

impl Serializer {
    /// Both, in the order in which they are tried.
    pub const ALL: [Serializer; 2] = [Serializer::V1, Serializer::V2];

    /// Reads one message.
    ///
    /// # Errors
    /// [`DecodeError`] says what the frame is instead. Never panics on a peer's bytes.
    pub fn decode<'a>(self, frame: Frame<'a>) -> Result<Inbound<'a>, DecodeError> {
        match (self, frame) {
            (Serializer::V1, Frame::Text(text)) => v1::decode(text.as_bytes()),
            // Phoenix's V1 serializer does not look at the frame's kind.
            (Serializer::V1, Frame::Binary(bytes)) => v1::decode(bytes),
            (Serializer::V2, Frame::Text(text)) => v2::decode(text),
            (Serializer::V2, Frame::Binary(bytes)) => binary::decode(bytes),
        }
    }

    /// Appends one message to `frame` and says which kind of frame it needs.
    ///
    /// # Errors
    /// [`EncodeError`] says what this version cannot carry; `frame` may then hold a part of it.
    pub fn encode(self, message: &Outbound<'_>, frame: &mut Vec<u8>) -> Result<FrameKind, EncodeError> {
        let payload = match message {
            Outbound::Reply { payload, .. }
            | Outbound::Push { payload, .. }
            | Outbound::Broadcast { payload, .. }
            | Outbound::End { payload, .. } => payload,
        };
        match (self, payload.as_binary()) {
            (Serializer::V1, Some(data)) => Err(EncodeError::BinaryInV1 { bytes: data.len() }),
            (Serializer::V2, Some(data)) => binary::encode(message, data, frame),
            (Serializer::V1, None) => v1::encode(message, frame),
            (Serializer::V2, None) => v2::encode(message, frame),
        }
    }

    /// Checks that this version can carry a payload.
    ///
    /// # Errors
    /// [`EncodeError`] for binary data in version 1, and for a value that could not be written as JSON.
    pub fn accepts(self, payload: &Payload) -> Result<(), EncodeError> {
        match (self, payload.as_binary()) {
            (Serializer::V1, Some(data)) => Err(EncodeError::BinaryInV1 { bytes: data.len() }),
            (Serializer::V2, Some(_)) => Ok(()),
            (_, None) => Ok(payload.json_bytes().map(drop)?),
        }
    }

    pub(crate) fn major(self) -> u64 {
        match self {
            Serializer::V1 => 1,
            Serializer::V2 => 2,
        }
    }

    pub(crate) fn requirement(self) -> String {
        format!("~> {}.0.0", self.major())
    }
}
