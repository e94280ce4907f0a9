//! permessage-deflate: the inflation of inbound messages (RFC 7692 §7.2.2).
//!
//! The decoder calls [`Inflater::inflate`] with each complete compressed message. A client can take its context over,
//! so a message can refer to earlier ones. A connection therefore keeps the last bytes that it inflated, at most a
//! window of them. The zlib inflater belongs to the thread, and receives those bytes as its dictionary. Invariant:
//! nothing is kept before the first compressed message, and nothing at all under `client_no_context_takeover`.

use std::cell::RefCell;

use flate2::{Decompress, FlushDecompress, Status};

use super::{DeflateParameters, FLUSH_TAIL};
use crate::ProtocolError;

/// The bytes that are inflated after every message: the tail that the peer has removed, and an empty final block. Only
/// a complete stream ends exactly with that block, so a truncated one is detected.
const END: [u8; 9] = {
    let [a, b, c, d] = FLUSH_TAIL;
    [a, b, c, d, 0x01, 0x00, 0x00, 0xFF, 0xFF]
};

/// The first estimate of a message's size, as a multiple of its deflate stream. JSON has about this ratio.
const TYPICAL_RATIO: usize = 4;

/// The least capacity of the output, in bytes.
const MIN_ROOM: usize = 256;

/// The maximum of final blocks inside a message: one for each `STREAM_PER_RESTART` bytes of its stream, and
/// `FREE_RESTARTS`. After each, zlib restarts and copies up to a window of bytes, so a message of final blocks only
/// would occupy a core for minutes.
const STREAM_PER_RESTART: usize = 1024;
const FREE_RESTARTS: usize = 16;

thread_local! {
    static DECOMPRESS: RefCell<Option<Decompress>> = const { RefCell::new(None) };
}

/// The inflation state of a connection: the history to which a message can refer.
#[derive(Debug)]
pub(crate) struct Inflater {
    /// Invariant: at most `2^window_bits` bytes; empty without context takeover.
    history: Box<[u8]>,
    window_bits: u8,
    context_takeover: bool,
}

impl Inflater {
    pub(crate) fn new(parameters: &DeflateParameters) -> Self {
        Inflater {
            history: Box::default(),
            window_bits: parameters.client_window_bits(),
            context_takeover: !parameters.client_no_context_takeover(),
        }
    }

    /// Inflates the deflate stream of one complete message.
    ///
    /// # Errors
    ///
    /// Returns [`ProtocolError::InflatedTooBig`] as soon as the output exceeds `limit` bytes, and
    /// [`ProtocolError::InvalidDeflate`] when the bytes are not a complete deflate stream.
    pub(crate) fn inflate(&mut self, stream: &[u8], limit: usize) -> Result<Vec<u8>, ProtocolError> {
        let message = DECOMPRESS.with_borrow_mut(|decompress| {
            let decompress = decompress.get_or_insert_with(|| Decompress::new(false));
            decompress.reset(false);
            inflate_with(decompress, &self.history, stream, limit)
        })?;
        if self.context_takeover {
            self.append_to_history(&message);
        }
        Ok(message)
    }

    pub(crate) fn retained_bytes(&self) -> usize {
        self.history.len()
    }

    /// Appends a message to the history, and drops the bytes before the last window.
    fn append_to_history(&mut self, message: &[u8]) {
        let window = 1 << self.window_bits;
        let recent = &message[message.len().saturating_sub(window)..];
        let kept = self.history.len().min(window - recent.len());
        let older = &self.history[self.history.len() - kept..];
        if kept + recent.len() == self.history.len() {
            // The window is full and keeps its size, so the allocation is reused.
            self.history.copy_within(recent.len().., 0);
            self.history[kept..].copy_from_slice(recent);
        } else {
            self.history = [older, recent].concat().into_boxed_slice();
        }
    }
}

/// The inflation of one message with the inflater of the thread.
struct Inflation<'i> {
    decompress: &'i mut Decompress,
    history: &'i [u8],
    message: Vec<u8>,
    limit: usize,
    /// The number of final blocks that are still allowed inside the message.
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
    /// Inflates all of `part`. Returns the status of the stream after its last byte: ended or not.
    fn feed(&mut self, mut part: &[u8]) -> Result<Status, ProtocolError> {
        loop {
            let (taken_before, len_before) = (self.decompress.total_in(), self.message.len());
            let status = self
                .decompress
                .decompress_vec(part, &mut self.message, FlushDecompress::Sync)
                .map_err(|_| self.invalid)?;
            let taken = usize::try_from(self.decompress.total_in() - taken_before)
                .expect("zlib takes at most the bytes of the slice");
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
                // zlib has input and room and makes no progress, so it never will.
                return Err(self.invalid);
            }
        }
    }

    /// Begins a new stream after a final block inside the message (RFC 7692 §7.2.3.4).
    fn restart(&mut self) -> Result<(), ProtocolError> {
        self.restarts_left = self.restarts_left.checked_sub(1).ok_or(self.invalid)?;
        self.decompress.reset(false);
        self.begin_stream()
    }

    /// Sets the history and the message so far as the dictionary of the stream. zlib keeps their last window.
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
        // One byte more than the limit is enough to detect that the message exceeds it.
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
    fn a_message_that_refers_to_a_dropped_context_is_refused() {
        let mut inflater = inflater("permessage-deflate; client_no_context_takeover");
        let first = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        let second = [0xf2, 0x00, 0x11, 0x00, 0x00];
        assert!(inflater.inflate(&first, 5).is_ok());
        let error = inflater.inflate(&second, 5).expect_err("there is no history");
        assert_eq!(error.close_code(), CloseCode::INVALID_PAYLOAD);
        assert!(inflater.history.is_empty());
    }

    #[test]
    fn the_empty_message_inflates_to_nothing() {
        assert_eq!(inflate(&[0x00]), Ok(Vec::new()));
    }

    #[test]
    fn a_truncated_stream_is_refused() {
        let whole = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        for cut in 1..whole.len() {
            assert_eq!(inflate(&whole[..cut]), Err(ProtocolError::InvalidDeflate { size: cut }));
        }
    }

    #[test]
    fn a_distance_can_refer_to_bytes_before_a_final_block() {
        // "Hello" in a final block, then the second message of §7.2.3.2, which copies it.
        let stream = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0xf2, 0x00, 0x11, 0x00, 0x00];
        assert_eq!(inflate(&stream).as_deref(), Ok(&b"HelloHello"[..]));
    }

    #[test]
    fn a_message_of_many_final_blocks_is_refused() {
        // Each pair of bytes is an empty final block, after which a new stream begins.
        let error = inflate(&[0x03, 0x00].repeat(1000)).expect_err("1000 restarts");
        assert_eq!(error, ProtocolError::InvalidDeflate { size: 2000 });
    }

    #[test]
    fn a_small_stream_of_a_huge_message_is_refused_at_the_limit() {
        let frame = crate::deflate::deflated_frame(crate::Opcode::Binary, &[0; 1_000_000], 15);
        let stream = &frame[4..];
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
            inflater.append_to_history(&message);
            all.extend(message);
            let window = &all[all.len().saturating_sub(512)..];
            assert_eq!(&inflater.history[..], window);
        }
    }
}
