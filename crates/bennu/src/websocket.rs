//! The WebSocket transport: from an upgraded stream to a [`bennu_channels::Connection`] and back.
//!
//! - [`driver`]: one task a connection; reads, decodes, hands messages on, keeps the idle timer.
//! - [`link`]: what that task shares with whoever writes: the write half and what is left over of a write.
//! - [`flush`]: the tasks that write, so that one message to many clients is one loop of writes.
//! - [`framing`]: how encoded messages become frames.
//!
//! Called by [`crate::upgrade`] once the handshake is done.

pub(crate) mod driver;
pub(crate) mod flush;
pub(crate) mod framing;
pub(crate) mod link;
pub(crate) mod stream;
