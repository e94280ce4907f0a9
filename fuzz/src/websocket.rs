//! The WebSocket decoder, fed with any bytes in any cuts.
//!
//! The first bytes choose the limit, the extension or the other side, and the sizes of the reads; the rest is
//! what a client sends, or a server. What comes out must be within the limit, must not depend on the cuts, and must come out again
//! when it is encoded and decoded once more.

use bennu_websocket::deflate::negotiate;
use bennu_websocket::{CloseFrame, Decoder, Event, Limits, Negotiated, Opcode, ProtocolError, encode};

/// What the first bytes of an input choose.
struct Setup {
    limits: Limits,
    extension: Option<Negotiated>,
    /// A client decodes what a server sends.
    of_server: bool,
    reads: [usize; 4],
}

/// How many bytes [`Setup::read`] takes.
const SETUP_LEN: usize = 7;

/// What a decoder may keep besides the bytes that arrived and its history: its box, and the least slack.
const FIXED_COST: usize = 1200;

/// The largest history: a window of 15 bits.
const MAX_HISTORY: usize = 32 * 1024;

/// Drives a decoder with the bytes, and panics when one of its promises is broken.
pub fn websocket(data: &[u8]) {
    let Some((setup, wire)) = data.split_first_chunk() else {
        return;
    };
    let setup = Setup::read(*setup);
    let cut = decode(&setup, wire, &setup.reads);
    let whole = decode(&setup, wire, &[usize::MAX]);
    // A cut can only make the decoder see an error earlier, never change what came before it.
    assert_eq!(cut.0, whole.0, "the events depend on the cuts");
    assert_eq!(cut.1.is_some(), whole.1.is_some(), "{:?} but {:?}", cut.1, whole.1);
    for event in cut.0 {
        assert_within(&event, setup.limits);
        assert_survives_the_wire(&event);
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
            limits: Limits { max_frame_size: usize::from(u16::from_le_bytes([limit_low, limit_high])) },
            extension: negotiate(offer.into_iter()),
            of_server: extension >= 128,
            reads: reads.map(|read| usize::from(read) + 1),
        }
    }
}

/// Decodes the wire in reads of these sizes, over and over.
fn decode(setup: &Setup, wire: &[u8], reads: &[usize]) -> (Vec<Event<'static>>, Option<ProtocolError>) {
    let mut decoder = match setup.of_server {
        true => Decoder::of_server(setup.limits),
        false => Decoder::new(setup.limits, setup.extension.as_ref()),
    };
    let mut wire = wire.to_vec();
    let mut rest = wire.as_mut_slice();
    let mut events = Vec::new();
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
                Ok((Some(event), left)) => {
                    assert!(left.len() < len_before, "an event takes bytes");
                    events.push(event.into_owned());
                    input = left;
                }
                Ok((None, left)) => {
                    assert!(left.is_empty(), "without an event all input is taken");
                    break;
                }
                Err(error) => {
                    assert!(error.close_code().may_be_received());
                    assert_eq!(decoder.retained_bytes(), 0, "nothing is kept after an error");
                    return (events, Some(error));
                }
            }
        }
        let allowed = arrived + arrived / 4 + FIXED_COST;
        let history = if setup.extension.is_some() { MAX_HISTORY } else { 0 };
        assert!(decoder.retained_bytes() <= allowed + history);
        rest = later;
    }
    (events, None)
}

fn assert_within(event: &Event<'_>, limits: Limits) {
    let len = match event {
        Event::Text(text) => text.len(),
        Event::Binary(bytes) => bytes.len(),
        Event::Ping(payload) | Event::Pong(payload) => {
            assert!(payload.len() <= 125);
            payload.len()
        }
        Event::Close(close) => {
            assert!(close.code.is_none_or(|code| code.may_be_received()));
            close.reason.len()
        }
    };
    assert!(len <= limits.max_frame_size);
}

fn assert_survives_the_wire(event: &Event<'static>) {
    let (opcode, payload) = match event {
        Event::Text(text) => (Opcode::Text, text.as_bytes().to_vec()),
        Event::Binary(bytes) => (Opcode::Binary, bytes.to_vec()),
        Event::Ping(payload) => (Opcode::Ping, payload.to_vec()),
        Event::Pong(payload) => (Opcode::Pong, payload.to_vec()),
        Event::Close(CloseFrame { code, reason }) => {
            // The header of a close frame is two bytes: its payload is at most 125.
            (Opcode::Close, encode::close_frame(*code, reason)[2..].to_vec())
        }
    };
    let mut wire = encode::masked_frame(opcode, &payload, [0xA5, 0x5A, 0xC3, 0x3C]);
    let mut decoder = Decoder::new(Limits::default(), None);
    let (again, rest) = decoder.decode(&mut wire).expect("an encoded event is valid");
    assert!(rest.is_empty());
    assert_eq!(again.as_ref(), Some(event));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small generator (xorshift), so that this needs no dependency and always runs the same.
    fn noise(mut state: u64) -> impl FnMut() -> u8 {
        move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        }
    }

    #[test]
    fn noise_breaks_no_invariant() {
        let mut next = noise(0x9E37_79B9_7F4A_7C15);
        for _ in 0..3000 {
            let len = usize::from(next()) * 2;
            let data: Vec<u8> = (0..len).map(|_| next()).collect();
            websocket(&data);
        }
    }

    #[test]
    fn frames_with_noise_in_them_break_no_invariant() {
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
