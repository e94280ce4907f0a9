//! The state of a serialization: the writer, and how deep it is in.
//!
//! Made by [`to_bytes`](super::to_bytes) and `envelope`. serde feeds it through `values`, and through `compound` where a
//! value has parts.
//!
//! Invariant: nesting is refused beyond [`MAX_DEPTH`], as it is when reading, so that what is written can be read.

use super::writer::Writer;
use super::{MAX_DEPTH, TermError};

#[derive(Debug)]
pub(super) struct TermSerializer {
    pub(super) writer: Writer,
    depth: usize,
}

impl Default for TermSerializer {
    fn default() -> Self {
        Self { writer: Writer::new(), depth: 0 }
    }
}

impl TermSerializer {
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.writer.into_bytes()
    }

    pub(super) fn enter(&mut self) -> Result<(), TermError> {
        if self.depth == MAX_DEPTH {
            return Err(TermError::TooDeep);
        }
        self.depth += 1;
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Opens `{:variant, ...}`.
    pub(super) fn variant(&mut self, variant: &str, fields: usize) -> Result<(), TermError> {
        self.enter()?;
        self.writer.tuple(fields + 1)?;
        self.writer.atom(variant)
    }
}
