//! permessage-deflate, inbound: one whole message inflated (RFC 7692 §7.2.2).
//!
//! A client may take its context over: the next message may point into the ones before. So a
//! connection keeps the last bytes that it inflated, at most a window of them, and nothing else; the
//! inflater itself belongs to the thread, and gets those bytes as its dictionary. Nothing is kept before
//! the first compressed message, nor ever where `client_no_context_takeover` was agreed.

use std::cell::RefCell;

use flate2::{Decompress, FlushDecompress, Status};

use super::{FLUSH_TAIL, Negotiated};
use crate::ProtocolError;

/// What follows every message here: the tail that the peer left out, and then an empty final block.
/// Only a stream that is whole ends exactly with that block, so one that was cut short is found out.
const END: [u8; 9] = {
    let [a, b, c, d] = FLUSH_TAIL;
    [a, b, c, d, 0x01, 0x00, 0x00, 0xFF, 0xFF]
};

/// The first guess at the size of a message, as a multiple of its deflate stream; JSON takes about this.
const TYPICAL_RATIO: usize = 4;

/// The least room to inflate into, in bytes.
const MIN_ROOM: usize = 256;

/// How many final blocks a message may hold before its end: one for so many bytes of its stream, and a
/// few besides. Each makes zlib begin anew, with up to a window of bytes to copy, so a message of
/// nothing else would cost a core for minutes.
const STREAM_PER_RESTART: usize = 1024;
const FREE_RESTARTS: usize = 16;

thread_local! {
    static DECOMPRESS: RefCell<Option<Decompress>> = const { RefCell::new(None) };
}

/// A connection's side of inflating: the history that a message may point into.
#[derive(Debug)]
pub(crate) struct Inflater {
    /// Invariant: at most `2^window_bits` bytes; empty when contexts are not taken over.
    history: Box<[u8]>,
    window_bits: u8,
    takes_over: bool,
}

impl Inflater {
    pub(crate) fn new(negotiated: &Negotiated) -> Self {
        Inflater {
            history: Box::default(),
            window_bits: negotiated.client_window_bits(),
            takes_over: !negotiated.client_no_context_takeover(),
        }
    }

    /// Inflates the deflate stream of one whole message.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::InflatedTooBig`] as soon as the output passes `limit` bytes,
    /// [`ProtocolError::InvalidDeflate`] when the stream is none or is not whole.
    pub(crate) fn inflate(&mut self, stream: &[u8], limit: usize) -> Result<Vec<u8>, ProtocolError> {
        let message = DECOMPRESS.with_borrow_mut(|decompress| {
            let decompress = decompress.get_or_insert_with(|| Decompress::new(false));
            decompress.reset(false);
            inflate_with(decompress, &self.history, stream, limit)
        })?;
        if self.takes_over {
            self.remember(&message);
        }
        Ok(message)
    }

    pub(crate) fn retained_bytes(&self) -> usize {
        self.history.len()
    }

    /// Moves the window on over a message.
    fn remember(&mut self, message: &[u8]) {
        let window = 1 << self.window_bits;
        let recent = &message[message.len().saturating_sub(window)..];
        let kept = self.history.len().min(window - recent.len());
        let older = &self.history[self.history.len() - kept..];
        if kept + recent.len() == self.history.len() {
            // The window is full, as it stays from then on: no need to allocate.
            self.history.copy_within(recent.len().., 0);
            self.history[kept..].copy_from_slice(recent);
        } else {
            self.history = [older, recent].concat().into_boxed_slice();
        }
    }
}

/// One message on its way through the thread's inflater.
struct Inflation<'i> {
    decompress: &'i mut Decompress,
    history: &'i [u8],
    message: Vec<u8>,
    limit: usize,
    /// How many final blocks may still come before the end.
    restarts_left: usize,
    invalid: ProtocolError,
}

fn inflate_with(
    decompress: &mut Decompress,
    history: &[u8],
    stream: &[u8],
    limit: usize,
) -> Result<Vec<u8>, ProtocolError> {
    let room = stream.len().saturating_mul(TYPICAL_RATIO).max(MIN_ROOM);
    let mut inflation = Inflation {
        decompress,
        history,
        message: Vec::with_capacity(room.min(limit.saturating_add(1))),
        limit,
        restarts_left: FREE_RESTARTS + stream.len() / STREAM_PER_RESTART,
        invalid: ProtocolError::InvalidDeflate { size: stream.len() },
    };
    inflation.begin_stream()?;
    inflation.feed(stream)?;
    match inflation.feed(&END)? {
        Status::StreamEnd => Ok(inflation.message),
        Status::Ok | Status::BufError => Err(inflation.invalid),
    }
}

impl Inflation<'_> {
    /// Inflates all of `part`. Returns how the last byte left the stream: at its end, or inside.
    fn feed(&mut self, mut part: &[u8]) -> Result<Status, ProtocolError> {
        loop {
            let (taken_before, len_before) = (self.decompress.total_in(), self.message.len());
            let status = self
                .decompress
                .decompress_vec(part, &mut self.message, FlushDecompress::Sync)
                .map_err(|_| self.invalid)?;
            let taken = usize::try_from(self.decompress.total_in() - taken_before)
                .expect("no more is taken than the slice holds");
            part = &part[taken..];
            if self.message.len() > self.limit {
                return Err(ProtocolError::InflatedTooBig { limit: self.limit });
            }

            let stream_ended = status == Status::StreamEnd;
            let has_room = self.message.len() < self.message.capacity();
            if part.is_empty() && (stream_ended || has_room) {
                return Ok(status);
            }
            if stream_ended {
                self.restart()?;
            } else if !has_room {
                self.grow();
            } else if taken == 0 && self.message.len() == len_before {
                // zlib has input and room and does nothing: it never will.
                return Err(self.invalid);
            }
        }
    }

    /// Goes on after a final block inside of the message (RFC 7692 §7.2.3.4).
    fn restart(&mut self) -> Result<(), ProtocolError> {
        self.restarts_left = self.restarts_left.checked_sub(1).ok_or(self.invalid)?;
        self.decompress.reset(false);
        self.begin_stream()
    }

    /// Puts what came before in front of the stream; zlib keeps the last window of it.
    fn begin_stream(&mut self) -> Result<(), ProtocolError> {
        for dictionary in [self.history, &self.message] {
            if !dictionary.is_empty() {
                self.decompress.set_dictionary(dictionary).map_err(|_| self.invalid)?;
            }
        }
        Ok(())
    }

    fn grow(&mut self) {
        let len = self.message.len();
        // One byte over the limit is enough to see that it is passed.
        let most = self.limit.saturating_add(1) - len;
        self.message.reserve_exact((len / 2).max(MIN_ROOM).min(most));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CloseCode;
    use crate::deflate::negotiate;

    fn inflater(offer: &str) -> Inflater {
        Inflater::new(&negotiate([offer].into_iter()).expect("a valid offer"))
    }

    fn inflate(stream: &[u8]) -> Result<Vec<u8>, ProtocolError> {
        inflater("permessage-deflate").inflate(stream, 1000)
    }

    #[test]
    fn the_examples_of_rfc_7692_section_7_2_3_inflate_to_hello() {
        let one_block = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        let stored = [0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00];
        let final_block = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
        let two_blocks = [0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00];
        for stream in [&one_block[..], &stored, &final_block, &two_blocks] {
            assert_eq!(inflate(stream).as_deref(), Ok(&b"Hello"[..]), "{stream:02x?}");
        }
    }

    #[test]
    fn the_context_of_rfc_7692_section_7_2_3_2_is_taken_over() {
        let mut inflater = inflater("permessage-deflate");
        let first = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        let second = [0xf2, 0x00, 0x11, 0x00, 0x00];
        assert_eq!(inflater.inflate(&first, 5).as_deref(), Ok(&b"Hello"[..]));
        assert_eq!(inflater.inflate(&second, 5).as_deref(), Ok(&b"Hello"[..]));
    }

    #[test]
    fn a_message_that_points_into_a_context_nobody_kept_is_refused() {
        let mut inflater = inflater("permessage-deflate; client_no_context_takeover");
        let first = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        let second = [0xf2, 0x00, 0x11, 0x00, 0x00];
        assert!(inflater.inflate(&first, 5).is_ok());
        let error = inflater.inflate(&second, 5).expect_err("nothing to point into");
        assert_eq!(error.close_code(), CloseCode::INVALID_PAYLOAD);
        assert!(inflater.history.is_empty());
    }

    #[test]
    fn the_empty_message_inflates_to_nothing() {
        assert_eq!(inflate(&[0x00]), Ok(Vec::new()));
    }

    #[test]
    fn a_stream_that_is_cut_short_is_refused() {
        let whole = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        for cut in 1..whole.len() {
            let verdict = inflate(&whole[..cut]);
            assert_eq!(verdict, Err(ProtocolError::InvalidDeflate { size: cut }));
        }
    }

    #[test]
    fn a_final_block_does_not_cut_off_what_a_distance_points_to() {
        // "Hello" in a final block, then the second message of §7.2.3.2, which copies it.
        let stream = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0xf2, 0x00, 0x11, 0x00, 0x00];
        assert_eq!(inflate(&stream).as_deref(), Ok(&b"HelloHello"[..]));
    }

    #[test]
    fn final_blocks_without_end_are_refused() {
        // Each pair is an empty final block, and costs a new stream.
        let error = inflate(&[0x03, 0x00].repeat(1000)).expect_err("1000 restarts");
        assert_eq!(error, ProtocolError::InvalidDeflate { size: 2000 });
    }

    #[test]
    fn a_bomb_is_refused_at_the_limit() {
        let bomb = crate::deflate::deflated_frame(crate::Opcode::Binary, &[0; 1_000_000], 15);
        let stream = &bomb[4..];
        assert!(stream.len() < 1100);
        let mut inflater = inflater("permessage-deflate");
        assert_eq!(inflater.inflate(stream, 1_000_000).map(|message| message.len()), Ok(1_000_000));
        let error = inflater.inflate(stream, 999_999).expect_err("one byte too many");
        assert_eq!(error, ProtocolError::InflatedTooBig { limit: 999_999 });
        assert_eq!(error.close_code(), CloseCode::TOO_BIG);
    }

    #[test]
    fn the_history_is_the_last_window_of_all_messages() {
        let mut inflater = inflater("permessage-deflate; client_max_window_bits=9");
        let mut all = Vec::new();
        for (len, fill) in [(100, 1), (300, 2), (200, 3), (511, 4), (0, 5), (512, 6), (5, 7), (2000, 8)] {
            let message = vec![fill; len];
            inflater.remember(&message);
            all.extend(message);
            let window = &all[all.len().saturating_sub(512)..];
            assert_eq!(&inflater.history[..], window);
        }
    }
}
