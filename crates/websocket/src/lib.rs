//! The WebSocket codec of Bennu: RFC 6455 frames on both sides and RFC 7692 compression on the server's, without I/O.
//!
//! The crate turns bytes into messages and messages into bytes, and does nothing else: it owns no
//! socket, no task and no clock. `bennu` calls it from its connection loop, between the TCP stream it
//! took back from hyper and the session of the client; `bennu-client` does the same at the other end.
//!
//! * [`Decoder`] takes whatever a read gave and returns [`Event`]s. A message that lies whole in the
//!   input is borrowed from it; an idle connection keeps [48 bytes](Decoder#memory) here.
//! * [`encode`] builds server frames, header and payload in one shared [`bytes::Bytes`], so that a
//!   broadcast is encoded once and written to every receiver without another copy; and a client's masked ones.
//! * [`deflate`] negotiates `permessage-deflate` and compresses outbound messages, each on its own.
//! * [`handshake`] computes the answer to `Sec-WebSocket-Key`.
//!
//! # Example
//!
//! An echo server, apart from its socket: `input` is what a read gave, `output` is what to write.
//!
//! ```
//! use bennu_websocket::{Decoder, Event, Limits, Opcode, encode};
//!
//! fn echo(decoder: &mut Decoder, mut input: &mut [u8], output: &mut Vec<u8>) {
//!     loop {
//!         let event = match decoder.decode(input) {
//!             Ok((Some(event), rest)) => {
//!                 input = rest;
//!                 event
//!             }
//!             Ok((None, _)) => return, // all input is taken: read again
//!             Err(error) => {
//!                 output.extend(encode::close_frame(error.close_code(), ""));
//!                 return;
//!             }
//!         };
//!         output.extend(match event {
//!             Event::Text(text) => encode::frame(Opcode::Text, text.as_bytes()),
//!             Event::Binary(bytes) => encode::frame(Opcode::Binary, &bytes),
//!             Event::Ping(payload) => encode::pong(&payload),
//!             Event::Pong(_) => continue,
//!             Event::Close(close) => encode::close_frame(close.code, &close.reason),
//!         });
//!     }
//! }
//!
//! let mut decoder = Decoder::new(Limits::default(), None);
//! let mut input = encode::masked_frame(Opcode::Text, b"hello", [1, 2, 3, 4]);
//! let mut output = Vec::new();
//! echo(&mut decoder, &mut input, &mut output);
//! assert_eq!(output, b"\x81\x05hello");
//! ```

mod close;
mod decode;
pub mod deflate;
pub mod encode;
mod error;
mod event;
pub mod handshake;
mod header;
mod mask;
mod message;
mod opcode;
mod utf8;

pub use close::{CloseCode, CloseFrame};
pub use decode::{Decoder, Limits, Peer};
pub use deflate::Negotiated;
pub use error::ProtocolError;
pub use event::Event;
pub use mask::Mask;
pub use opcode::Opcode;
