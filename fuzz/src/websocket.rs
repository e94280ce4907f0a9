//! The WebSocket decoder, with any bytes in reads of any size.
//!
//! The first bytes of an input select the limit, the extension, the peer and the sizes of the reads. The rest is the
//! wire. Every decoded message must be within the limit, must not depend on the reads, and must be unchanged when it is
//! encoded and decoded again.

use bennu_websocket::deflate::negotiate;
use bennu_websocket::{CloseFrame, Decoder, DecoderLimits, DeflateParameters, Incoming, Opcode, ProtocolError, encode};

/// The settings of a run, taken from the first bytes of its input.
struct Setup {
    limits: DecoderLimits,
    extension: Option<DeflateParameters>,
    /// Whether the wire is that of a server, decoded by a client.
    of_server: bool,
    reads: [usize; 4],
}

/// The number of bytes for [`Setup::read`].
const SETUP_LEN: usize = 7;

/// The memory of a decoder in bytes without the received bytes and the history: its box, and the least slack.
const FIXED_COST: usize = 1200;

/// The largest history in bytes: a window of 15 bits.
const MAX_HISTORY: usize = 32 * 1024;

/// Decodes the bytes, and panics when an invariant of the decoder is violated.
pub fn websocket(data: &[u8]) {
    let Some((setup, wire)) = data.split_first_chunk() else {
        return;
    };
    let setup = Setup::read(*setup);
    let cut = decode(&setup, wire, &setup.reads);
    let whole = decode(&setup, wire, &[usize::MAX]);
    // The sizes of the reads can change which error is returned, but not the messages before it.
    assert_eq!(cut.0, whole.0, "the messages depend on the reads");
    assert_eq!(cut.1.is_some(), whole.1.is_some(), "{:?} but {:?}", cut.1, whole.1);
    for message in cut.0 {
        assert_within(&message, setup.limits);
        assert_unchanged_by_encoding(&message);
    }
}

impl Setup {
    fn read(bytes: [u8; SETUP_LEN]) -> Self {
        let [limit_low, limit_high, extension, reads @ ..] = bytes;
        let offer = match extension % 4 {
            0 => None,
            1 => Some("permessage-deflate"),
            2 => Some("permessage-deflate; client_no_context_takeover"),
            _ => Some("permessage-deflate; client_max_window_bits=9"),
        };
        Setup {
            limits: DecoderLimits { max_frame_size: usize::from(u16::from_le_bytes([limit_low, limit_high])) },
            extension: negotiate(offer.into_iter()),
            of_server: extension >= 128,
            reads: reads.map(|read| usize::from(read) + 1),
        }
    }
}

/// Decodes the wire in reads of these sizes, which repeat to its end.
fn decode(setup: &Setup, wire: &[u8], reads: &[usize]) -> (Vec<Incoming<'static>>, Option<ProtocolError>) {
    let mut decoder = match setup.of_server {
        true => Decoder::of_server(setup.limits),
        false => Decoder::new(setup.limits, setup.extension.as_ref()),
    };
    let mut wire = wire.to_vec();
    let mut rest = wire.as_mut_slice();
    let mut messages = Vec::new();
    let mut arrived = 0;
    for read in reads.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (mut input, later) = rest.split_at_mut((*read).min(rest.len()));
        arrived += input.len();
        loop {
            let len_before = input.len();
            match decoder.decode(input) {
                Ok((Some(message), left)) => {
                    assert!(left.len() < len_before, "every message has bytes");
                    messages.push(message.into_owned());
                    input = left;
                }
                Ok((None, left)) => {
                    assert!(left.is_empty(), "without a message all input is decoded");
                    break;
                }
                Err(error) => {
                    assert!(error.close_code().may_be_received());
                    assert_eq!(decoder.retained_bytes(), 0, "nothing is kept after an error");
                    return (messages, Some(error));
                }
            }
        }
        let allowed = arrived + arrived / 4 + FIXED_COST;
        let history = if setup.extension.is_some() { MAX_HISTORY } else { 0 };
        assert!(decoder.retained_bytes() <= allowed + history);
        rest = later;
    }
    (messages, None)
}

fn assert_within(message: &Incoming<'_>, limits: DecoderLimits) {
    let len = match message {
        Incoming::Text(text) => text.len(),
        Incoming::Binary(bytes) => bytes.len(),
        Incoming::Ping(payload) | Incoming::Pong(payload) => {
            assert!(payload.len() <= 125);
            payload.len()
        }
        Incoming::Close(close) => {
            assert!(close.code.is_none_or(|code| code.may_be_received()));
            close.reason.len()
        }
    };
    assert!(len <= limits.max_frame_size);
}

fn assert_unchanged_by_encoding(message: &Incoming<'static>) {
    let (opcode, payload) = match message {
        Incoming::Text(text) => (Opcode::Text, text.as_bytes().to_vec()),
        Incoming::Binary(bytes) => (Opcode::Binary, bytes.to_vec()),
        Incoming::Ping(payload) => (Opcode::Ping, payload.to_vec()),
        Incoming::Pong(payload) => (Opcode::Pong, payload.to_vec()),
        Incoming::Close(CloseFrame { code, reason }) => {
            // The header of a close frame has two bytes, because its payload has at most 125.
            (Opcode::Close, encode::close_frame(*code, reason)[2..].to_vec())
        }
    };
    let mut wire = encode::masked_frame(opcode, &payload, [0xA5, 0x5A, 0xC3, 0x3C]);
    let mut decoder = Decoder::new(DecoderLimits::default(), None);
    let (again, rest) = decoder.decode(&mut wire).expect("an encoded message is valid");
    assert!(rest.is_empty());
    assert_eq!(again.as_ref(), Some(message));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small generator (xorshift). It needs no dependency and returns the same bytes in every run.
    fn noise(mut state: u64) -> impl FnMut() -> u8 {
        move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        }
    }

    #[test]
    fn noise_violates_no_invariant() {
        let mut next = noise(0x9E37_79B9_7F4A_7C15);
        for _ in 0..3000 {
            let len = usize::from(next()) * 2;
            let data: Vec<u8> = (0..len).map(|_| next()).collect();
            websocket(&data);
        }
    }

    #[test]
    fn frames_with_noise_violate_no_invariant() {
        let mut next = noise(0xD1B5_4A32_D192_ED03);
        for _ in 0..3000 {
            let mut data: Vec<u8> = (0..SETUP_LEN).map(|_| next()).collect();
            for _ in 0..next() % 8 {
                let payload: Vec<u8> = (0..next() % 150).map(|_| next() % 3).collect();
                let mut frame = encode::masked_frame(Opcode::Text, &payload, [next(); 4]);
                frame[0] = next() & 0xCF;
                data.extend(frame);
            }
            websocket(&data);
        }
    }
}
