//! The order of frames, and the data that the decoder borrows, keeps and drops. Complete conversations are in
//! `tests/autobahn`, laws for arbitrary input in `tests/laws.rs`.

use super::*;
use crate::deflate::{deflated_frame, negotiate};
use crate::encode::{header, masked_frame};
use crate::{CloseCode, CloseFrame};

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

fn decoder() -> Decoder {
    Decoder::new(DecoderLimits::default(), None)
}

fn limited(max_frame_size: usize) -> Decoder {
    Decoder::new(DecoderLimits { max_frame_size }, None)
}

fn deflating(offer: &str) -> Decoder {
    let agreed = negotiate([offer].into_iter()).expect("a valid offer");
    Decoder::new(DecoderLimits::default(), Some(&agreed))
}

/// A masked frame without FIN.
fn fragment(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut frame = masked_frame(opcode, payload, KEY);
    frame[0] &= 0x7F;
    frame
}

/// A masked frame with RSV1.
fn rsv1(mut frame: Vec<u8>) -> Vec<u8> {
    frame[0] |= 0x40;
    frame
}

/// Returns every message of the input, and the error after them.
fn decode_all(decoder: &mut Decoder, bytes: &[u8]) -> (Vec<Incoming<'static>>, Option<ProtocolError>) {
    let mut bytes = bytes.to_vec();
    let mut input = bytes.as_mut_slice();
    let mut messages = Vec::new();
    loop {
        match decoder.decode(input) {
            Ok((Some(message), rest)) => {
                messages.push(message.into_owned());
                input = rest;
            }
            Ok((None, rest)) => {
                assert!(rest.is_empty(), "without a message all input is decoded");
                return (messages, None);
            }
            Err(error) => return (messages, Some(error)),
        }
    }
}

fn error_of(bytes: &[u8]) -> ProtocolError {
    decode_all(&mut decoder(), bytes).1.expect("an error")
}

fn text(text: &str) -> Incoming<'static> {
    Incoming::Text(Cow::Owned(text.to_owned()))
}

#[test]
fn an_idle_decoder_has_48_bytes_and_nothing_on_the_heap() {
    assert_eq!(size_of::<Decoder>(), 48);
    assert!(size_of::<Partial>() <= 136, "{}", size_of::<Partial>());
    let mut decoder = decoder();
    let bytes = masked_frame(Opcode::Text, &[b'x'; 1000], KEY);
    for cut in 0..bytes.len() {
        decode_all(&mut decoder, &bytes[..cut]);
        let (messages, error) = decode_all(&mut decoder, &bytes[cut..]);
        assert_eq!((messages.len(), error), (1, None));
        assert_eq!(decoder.retained_bytes(), 0);
    }
}

#[test]
fn a_message_that_lies_completely_in_the_input_is_borrowed() {
    let mut decoder = decoder();
    let mut bytes = masked_frame(Opcode::Text, b"Hello", KEY);
    bytes.extend(masked_frame(Opcode::Binary, b"bytes", KEY));
    bytes.extend(masked_frame(Opcode::Ping, b"?", KEY));
    let (message, rest) = decoder.decode(&mut bytes).expect("valid");
    assert_eq!(message, Some(Incoming::Text(Cow::Borrowed("Hello"))));
    assert!(matches!(message, Some(Incoming::Text(Cow::Borrowed(_)))));
    let (message, rest) = decoder.decode(rest).expect("valid");
    assert!(matches!(message, Some(Incoming::Binary(Cow::Borrowed(b"bytes")))));
    let (message, rest) = decoder.decode(rest).expect("valid");
    assert!(matches!(message, Some(Incoming::Ping(Cow::Borrowed(b"?")))));
    assert!(matches!(decoder.decode(rest), Ok((None, []))));
}

#[test]
fn the_fragmented_example_of_rfc_6455_section_5_7_is_one_message() {
    let mut bytes = fragment(Opcode::Text, b"Hel");
    bytes.extend(masked_frame(Opcode::Continuation, b"lo", KEY));
    assert_eq!(decode_all(&mut decoder(), &bytes), (vec![text("Hello")], None));
}

#[test]
fn a_control_frame_between_fragments_is_decoded_first() {
    let mut bytes = fragment(Opcode::Text, b"Hel");
    bytes.extend(masked_frame(Opcode::Ping, b"p", KEY));
    bytes.extend(masked_frame(Opcode::Continuation, b"lo", KEY));
    let (messages, error) = decode_all(&mut decoder(), &bytes);
    assert_eq!(messages, [Incoming::Ping(Cow::Borrowed(b"p")), text("Hello")]);
    assert_eq!(error, None);
}

#[test]
fn frames_out_of_order_are_refused() {
    let alone = masked_frame(Opcode::Continuation, b"x", KEY);
    assert_eq!(error_of(&alone), ProtocolError::UnexpectedContinuation);
    let mut interleaved = fragment(Opcode::Text, b"a");
    interleaved.extend(masked_frame(Opcode::Binary, b"b", KEY));
    assert_eq!(error_of(&interleaved), ProtocolError::InterleavedMessage { opcode: Opcode::Binary });
}

#[test]
fn a_complete_message_cannot_be_continued() {
    let mut bytes = fragment(Opcode::Text, b"a");
    bytes.extend(masked_frame(Opcode::Continuation, b"b", KEY));
    bytes.extend(masked_frame(Opcode::Continuation, b"c", KEY));
    let (messages, error) = decode_all(&mut decoder(), &bytes);
    assert_eq!(messages, [text("ab")]);
    assert_eq!(error, Some(ProtocolError::UnexpectedContinuation));
}

#[test]
fn rsv1_is_refused_without_the_extension_and_after_the_first_frame() {
    let reserved = |opcode| ProtocolError::ReservedBits { bits: 0b100, opcode };
    let compressed = rsv1(masked_frame(Opcode::Text, b"\xF2\x48\xCD\xC9\xC9\x07\x00", KEY));
    assert_eq!(error_of(&compressed), reserved(Opcode::Text));

    let ping = rsv1(masked_frame(Opcode::Ping, b"", KEY));
    let (_, error) = decode_all(&mut deflating("permessage-deflate"), &ping);
    assert_eq!(error, Some(reserved(Opcode::Ping)));

    let mut fragments = rsv1(fragment(Opcode::Text, b"\xF2\x48\xCD"));
    fragments.extend(rsv1(masked_frame(Opcode::Continuation, b"\xC9\xC9\x07\x00", KEY)));
    let (_, error) = decode_all(&mut deflating("permessage-deflate"), &fragments);
    assert_eq!(error, Some(reserved(Opcode::Continuation)));
}

#[test]
fn the_fragmented_example_of_rfc_7692_section_7_2_3_1_is_one_message() {
    let mut bytes = rsv1(fragment(Opcode::Text, b"\xF2\x48\xCD"));
    bytes.extend(masked_frame(Opcode::Continuation, b"\xC9\xC9\x07\x00", KEY));
    let mut decoder = deflating("permessage-deflate");
    assert_eq!(decode_all(&mut decoder, &bytes), (vec![text("Hello")], None));
}

#[test]
fn an_uncompressed_message_is_accepted_with_the_extension() {
    let bytes = masked_frame(Opcode::Text, b"Hello", KEY);
    let mut decoder = deflating("permessage-deflate");
    assert_eq!(decode_all(&mut decoder, &bytes), (vec![text("Hello")], None));
    assert_eq!(decoder.retained_bytes(), 0, "no history without a compressed message");
}

#[test]
fn compressed_text_that_is_not_utf8_is_refused() {
    let frame = deflated_frame(Opcode::Text, b"ok\xFF", 15);
    let bytes = rsv1(masked_frame(Opcode::Text, &frame[2..], KEY));
    let (_, error) = decode_all(&mut deflating("permessage-deflate"), &bytes);
    assert_eq!(error, Some(ProtocolError::InvalidUtf8 { index: 2 }));
}

#[test]
fn a_history_is_at_most_the_window_that_the_client_announced() {
    let frame = deflated_frame(Opcode::Binary, &[7; 5000], 9);
    let bytes = rsv1(masked_frame(Opcode::Binary, &frame[2..], KEY));
    for (offer, kept) in [
        ("permessage-deflate", 5000),
        ("permessage-deflate; client_max_window_bits=10", 1024),
        ("permessage-deflate; client_no_context_takeover", 0),
    ] {
        let mut decoder = deflating(offer);
        assert_eq!(decode_all(&mut decoder, &bytes).0.len(), 1);
        assert_eq!(decoder.retained_bytes(), kept, "{offer}");
    }
}

#[test]
fn the_limit_includes_the_header_of_a_frame() {
    let fits = masked_frame(Opcode::Text, &[b'x'; 992], KEY);
    assert_eq!(decode_all(&mut limited(1000), &fits).0.len(), 1);
    let over = masked_frame(Opcode::Text, &[b'x'; 993], KEY);
    let (_, error) = decode_all(&mut limited(1000), &over[..4]);
    assert_eq!(error, Some(ProtocolError::FrameTooBig { size: 1001, limit: 1000 }));
}

#[test]
fn the_limit_of_a_fragmented_message_is_checked_when_a_header_arrives() {
    let mut bytes = fragment(Opcode::Binary, &[1; 600]);
    bytes.extend(fragment(Opcode::Continuation, &[2; 400]));
    let mut decoder = limited(1000);
    assert_eq!(decode_all(&mut decoder, &bytes), (vec![], None));
    let over = masked_frame(Opcode::Continuation, &[3], KEY);
    let (_, error) = decode_all(&mut decoder, &over[..6]);
    assert_eq!(error, Some(ProtocolError::MessageTooBig { size: 1001, limit: 1000 }));
}

#[test]
fn a_header_that_announces_a_long_payload_reserves_no_memory_for_it() {
    let (mut announced, _) = header(Opcode::Binary, false, 9_000_000);
    announced[1] |= 0x80;
    let mut bytes = announced.to_vec();
    bytes.extend(KEY);
    bytes.extend([0; 10]);
    let mut decoder = decoder();
    assert_eq!(decode_all(&mut decoder, &bytes), (vec![], None));
    assert!(decoder.retained_bytes() < 1000, "{}", decoder.retained_bytes());
}

#[test]
fn after_a_close_nothing_is_decoded() {
    let mut bytes = masked_frame(Opcode::Close, b"\x03\xE8", KEY);
    bytes.extend(masked_frame(Opcode::Text, b"late", KEY));
    let mut decoder = decoder();
    let (messages, error) = decode_all(&mut decoder, &bytes);
    let close = CloseFrame { code: Some(CloseCode::NORMAL), reason: String::new() };
    assert_eq!((messages, error), (vec![Incoming::Close(close)], None));
    assert_eq!(decode_all(&mut decoder, &bytes), (vec![], None));
}

#[test]
fn after_an_error_nothing_is_decoded_or_kept() {
    let mut decoder = decoder();
    let mut bytes = fragment(Opcode::Text, b"first");
    bytes.extend(fragment(Opcode::Text, b"interleaved"));
    assert!(decode_all(&mut decoder, &bytes).1.is_some());
    assert_eq!(decoder.retained_bytes(), 0);
    let fine = masked_frame(Opcode::Text, b"late", KEY);
    assert_eq!(decode_all(&mut decoder, &fine), (vec![], None));
}

#[test]
fn empty_fragments_are_accepted_and_use_no_memory() {
    let mut decoder = decoder();
    let mut bytes = fragment(Opcode::Text, b"");
    bytes.extend(fragment(Opcode::Continuation, b"").repeat(1000));
    assert_eq!(decode_all(&mut decoder, &bytes), (vec![], None));
    assert_eq!(decoder.retained_bytes(), size_of::<Partial>());
    let last = masked_frame(Opcode::Continuation, b"x", KEY);
    assert_eq!(decode_all(&mut decoder, &last), (vec![text("x")], None));
}
