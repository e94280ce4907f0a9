//! The WebSocket transport: connects a client by an HTTP upgrade, and carries its messages between the socket and a
//! [`Connection`](bennu_channels::transport::Connection).
//!
//! [`crate::router`] routes the requests of a mount to [`upgrade`]. Parts, in the order of the flow:
//!
//! - [`upgrade`]: the handshake. [`subprotocol`] reads the header that may contain a token.
//! - [`stream`]: the read half and the write half of TCP, or of any other stream.
//! - [`driver`]: one task for each connection, which reads, decodes, passes messages on, and keeps the idle timer.
//! - [`framing`]: the conversion of encoded messages into frames.
//! - [`writer`]: the write half, shared by the driver and all senders; writes the outbox to the stream.
//! - [`flusher`]: the tasks that write the frames of other senders, so that a broadcast to many clients is one loop of
//!   writes. The frames that a channel sends to its own client are written by the channel's own task.

pub(crate) mod driver;
pub(crate) mod flusher;
pub(crate) mod framing;
pub(crate) mod stream;
pub(crate) mod subprotocol;
pub(crate) mod upgrade;
pub(crate) mod writer;
