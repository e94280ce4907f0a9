//! The encoding of one connection: its serializer, and the framing of its transport.
//!
//! A transport defines its [`Framing`]s as statics. A broadcast is encoded once for each [`Encoding`] in use, and all
//! connections with that encoding share the bytes.

use bennu_protocol::{EncodeError, FrameKind, Outbound, Serializer};
use bytes::Bytes;
use std::cell::RefCell;

/// The frame that a transport puts around an encoded message.
#[derive(Debug)]
pub struct Framing {
    /// The framing's name, unique in a program.
    pub name: &'static str,
    /// Makes the bytes that are written. Empty where the transport cannot carry the message, which is then skipped.
    pub frame: fn(FrameKind, &[u8]) -> Bytes,
}

/// A serializer and a framing.
#[derive(Debug, Clone, Copy)]
pub struct Encoding {
    /// The negotiated version.
    pub serializer: Serializer,
    /// The transport's framing.
    pub framing: &'static Framing,
}

impl Encoding {
    /// Encodes one message into the bytes that the transport writes.
    ///
    /// # Errors
    /// [`EncodeError`] when this version cannot carry it.
    pub fn encode(&self, message: &Outbound<'_>) -> Result<Bytes, EncodeError> {
        thread_local! {
            /// One buffer for each thread, since messages are small and many. It shrinks to its usual size after a
            /// large message.
            static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        const USUAL: usize = 64 * 1024;
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.clear();
            let kind = self.serializer.encode(message, scratch)?;
            let frame = (self.framing.frame)(kind, scratch);
            scratch.clear();
            scratch.shrink_to(USUAL);
            Ok(frame)
        })
    }
}

impl PartialEq for Encoding {
    fn eq(&self, other: &Self) -> bool {
        self.serializer == other.serializer && self.framing.name == other.framing.name
    }
}
