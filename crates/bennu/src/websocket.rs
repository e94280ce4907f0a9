//! The WebSocket transport: from a handshake to a [`bennu_channels::Connection`] and back.
//!
//! - [`upgrade`]: the handshake; [`subprotocol`] reads the header that may carry a token.
//! - [`driver`]: one task a connection; reads, decodes, hands messages on, keeps the idle timer.
//! - [`link`]: what that task shares with whoever writes: the write half and what is left over of a write.
//! - [`flush`]: the tasks that write what others sent, so that one message to many clients is one loop of writes; what a
//!   channel says to its own client is written by its own task.
//! - [`framing`]: how encoded messages become frames.
//! - [`stream`]: the two halves of TCP, or of anything else behind a box.
//!
//! Called by the router that [`crate::mount`] makes.

pub(crate) mod driver;
pub(crate) mod flush;
pub(crate) mod framing;
pub(crate) mod link;
pub(crate) mod stream;
pub(crate) mod subprotocol;
pub(crate) mod upgrade;
