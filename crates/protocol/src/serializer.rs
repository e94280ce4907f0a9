//! The two versions of the wire format behind one type.
//!
//! Connections call it to decode messages, and senders to encode them. The formats are in `v1`, `v2` and `binary`.

use crate::{Frame, FrameKind, Inbound, Outbound, Payload, PayloadError, binary, v1, v2};

/// A version of the wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Serializer {
    /// `vsn` 1.0.x: JSON objects. Binary payloads are not supported.
    V1,
    /// `vsn` 2.0.x: JSON arrays, and binary frames for binary payloads.
    V2,
}

/// A frame that is not a message of the negotiated version. The server closes the connection with 1011, as Phoenix
/// does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The text is not JSON, or is not the JSON of a message.
    #[error("the text is not a {version} message: {reason}")]
    Json {
        /// `V1` or `V2`.
        version: &'static str,
        /// The error of serde_json, with line and column.
        reason: String,
    },
    /// A binary frame is shorter than the parts that its header announces.
    #[error("a binary frame of {len} bytes ends inside its {part}; it must have at least {needed} bytes")]
    Truncated {
        /// The part that is cut.
        part: &'static str,
        /// The length of the frame in bytes.
        len: usize,
        /// The least length in bytes that the frame must have.
        needed: usize,
    },
    /// A binary frame has a kind that the peer must not send. A client sends kind 0, a push, only.
    #[error(
        "a binary frame of kind {0} is not accepted; a client sends kind 0 (push), \
         a server kind 0 (push), 1 (reply) or 2 (broadcast)"
    )]
    UnknownKind(u8),
    /// A text part of a binary frame, such as its topic, is not UTF-8.
    #[error("the {0} of a binary frame is not UTF-8")]
    NotUtf8(&'static str),
}

impl DecodeError {
    pub(crate) fn json(version: &'static str, error: &serde_json::Error) -> Self {
        DecodeError::Json { version, reason: error.to_string() }
    }
}

/// A message that this version of the wire format cannot carry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The payload cannot be written.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// The payload is binary, and V1 has no binary frames.
    #[error("could not send a binary payload of {bytes} bytes to a V1 client; only V2 has binary frames")]
    BinaryInV1 {
        /// The size of the data in bytes.
        bytes: usize,
    },
    /// A part is too long for a binary frame, which has one byte for each length.
    #[error("the {part} of a binary message is {len} bytes long, the limit is 255")]
    TooLong {
        /// The part's name.
        part: &'static str,
        /// The part's length in bytes.
        len: usize,
    },
    /// The ref came as bytes that are not UTF-8, and JSON cannot carry it.
    #[error("could not write a ref of {len} bytes into a JSON message: the ref is not UTF-8")]
    RefNotUtf8 {
        /// The ref's length in bytes.
        len: usize,
    },
}

impl Serializer {
    /// Both versions, in the order in which they are tried.
    pub const ALL: [Serializer; 2] = [Serializer::V1, Serializer::V2];

    /// Decodes one message.
    ///
    /// # Errors
    /// Returns [`DecodeError`] when the frame is not a message. The bytes of a peer never cause a panic.
    pub fn decode<'a>(self, frame: Frame<'a>) -> Result<Inbound<'a>, DecodeError> {
        match (self, frame) {
            (Serializer::V1, Frame::Text(text)) => v1::decode(text.as_bytes()),
            // Phoenix's V1 serializer ignores the frame's kind.
            (Serializer::V1, Frame::Binary(bytes)) => v1::decode(bytes),
            (Serializer::V2, Frame::Text(text)) => v2::decode(text),
            (Serializer::V2, Frame::Binary(bytes)) => binary::decode(bytes),
        }
    }

    /// Appends one message to `frame`, and returns the kind of frame that it must be sent in.
    ///
    /// # Errors
    /// Returns [`EncodeError`] when this version cannot carry the message. `frame` may then hold a part of it.
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
    /// Returns [`EncodeError`] for binary data in V1, and for a value that serde could not write as JSON.
    pub fn check_payload(self, payload: &Payload) -> Result<(), EncodeError> {
        match (self, payload.as_binary()) {
            (Serializer::V1, Some(data)) => Err(EncodeError::BinaryInV1 { bytes: data.len() }),
            (Serializer::V2, Some(_)) => Ok(()),
            (_, None) => Ok(payload.json_bytes().map(drop)?),
        }
    }
}
