//! The WebSocket codec of Bennu, without I/O: RFC 6455 frames for servers and clients, RFC 7692 compression for
//! servers.
//!
//! The crate converts bytes into messages and messages into bytes. It owns no socket, no task and no clock. `bennu`
//! calls it from the task of each connection, between the TCP stream, which it takes from hyper, and the client's
//! session. `bennu-client` calls it for the other side.
//!
//! * [`Decoder`] takes the bytes of each read and returns [`Incoming`] messages. A message that lies completely in the
//!   input is borrowed from it. An idle connection has a decoder of [48 bytes](Decoder#memory).
//! * [`encode`] builds server frames, each with header and payload in one shared [`bytes::Bytes`]. A broadcast is
//!   encoded once, and written to every receiver without another copy. It also builds the masked frames of a client.
//! * [`deflate`] negotiates `permessage-deflate` and compresses outbound messages, each on its own.
//! * [`handshake`] computes `Sec-WebSocket-Accept` from `Sec-WebSocket-Key`.
//!
//! # Example
//!
//! An echo server without its socket: `input` holds the bytes of a read, and `output` receives the bytes to write.
//!
//! ```
//! use bennu_websocket::{Decoder, DecoderLimits, Incoming, Opcode, encode};
//!
//! fn echo(decoder: &mut Decoder, mut input: &mut [u8], output: &mut Vec<u8>) {
//!     loop {
//!         let message = match decoder.decode(input) {
//!             Ok((Some(message), rest)) => {
//!                 input = rest;
//!                 message
//!             }
//!             Ok((None, _)) => return, // all input is decoded: read again
//!             Err(error) => {
//!                 output.extend(encode::close_frame(error.close_code(), ""));
//!                 return;
//!             }
//!         };
//!         output.extend(match message {
//!             Incoming::Text(text) => encode::frame(Opcode::Text, text.as_bytes()),
//!             Incoming::Binary(bytes) => encode::frame(Opcode::Binary, &bytes),
//!             Incoming::Ping(payload) => encode::pong(&payload),
//!             Incoming::Pong(_) => continue,
//!             Incoming::Close(close) => encode::close_frame(close.code, &close.reason),
//!         });
//!     }
//! }
//!
//! let mut decoder = Decoder::new(DecoderLimits::default(), None);
//! let mut input = encode::masked_frame(Opcode::Text, b"hello", [1, 2, 3, 4]);
//! let mut output = Vec::new();
//! echo(&mut decoder, &mut input, &mut output);
//! assert_eq!(output, b"\x81\x05hello");
//! ```

mod close;
mod decoder;
pub mod deflate;
pub mod encode;
mod error;
pub mod handshake;
mod header;
mod mask;
mod message;
mod opcode;
mod utf8;

pub use close::{CloseCode, CloseFrame};
pub use decoder::{Decoder, DecoderLimits};
pub use deflate::DeflateParameters;
pub use error::ProtocolError;
pub use mask::Mask;
pub use message::Incoming;
pub use opcode::Opcode;
