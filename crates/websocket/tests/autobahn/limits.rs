//! Section 9: big messages, many fragments, many messages.
//!
//! The suite measures time here. These tests only compare the echoes. The largest message has 16 MiB, which is over the
//! default limit.

use bennu_websocket::{CloseCode, DecoderLimits};

use crate::play::{Case, Sent, binary, case, converse, echo, echoed, fails, fragmented, play, play_with, text};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

const RAISED: DecoderLimits = DecoderLimits { max_frame_size: 16 * MIB + 14 };

fn big(message: fn(Vec<u8>) -> Sent, section: &str) {
    let sizes = [64 * KIB, 256 * KIB, MIB, 4 * MIB, 8 * MIB, 16 * MIB];
    play_with(
        RAISED,
        sizes.into_iter().zip(1..).map(|(size, n)| echoed(format!("{section}.{n}"), message(vec![b'*'; size]))),
    );
}

#[test]
fn a_text_of_up_to_16_mib_is_echoed() {
    big(text, "9.1");
}

#[test]
fn a_binary_of_up_to_16_mib_is_echoed() {
    big(binary, "9.2");
}

fn in_fragments(message: fn(Vec<u8>) -> Sent, section: &str) {
    let sizes = [64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB];
    let message = message(vec![b'*'; 4 * MIB]);
    play(sizes.into_iter().zip(1..).map(|(size, n)| {
        let sent = fragmented(message.clone(), size);
        case(format!("{section}.{n}"), sent, [echo(&message)])
    }));
}

#[test]
fn a_text_of_4_mib_in_fragments_of_any_size_is_echoed() {
    in_fragments(text, "9.3");
}

#[test]
fn a_binary_of_4_mib_in_fragments_of_any_size_is_echoed() {
    in_fragments(binary, "9.4");
}

fn in_reads(message: Sent, section: &str) {
    let wire = message.wire();
    for (read, n) in [64, 128, 256, 512, 1024, 2048].into_iter().zip(1..) {
        let replies = converse(DecoderLimits::default(), None, &wire, &[read]);
        assert!(replies == [echo(&message)], "case {section}.{n}");
    }
}

#[test]
fn a_text_of_1_mib_in_reads_of_any_size_is_echoed() {
    in_reads(text(vec![b'*'; MIB]), "9.5");
}

#[test]
fn a_binary_of_1_mib_in_reads_of_any_size_is_echoed() {
    in_reads(binary(vec![0xFE; MIB]), "9.6");
}

fn many(message: fn(Vec<u8>) -> Sent, section: &str) -> Vec<Case> {
    let sizes = [0, 16, 64, 256, KIB, 4 * KIB].into_iter().zip(1..);
    sizes
        .map(|(size, n)| {
            let sent = vec![message(vec![b'*'; size]); 1000];
            let expected: Vec<_> = sent.iter().map(echo).collect();
            case(format!("{section}.{n}"), sent, expected)
        })
        .collect()
}

#[test]
fn a_thousand_texts_are_echoed_in_order() {
    play(many(text, "9.7"));
}

#[test]
fn a_thousand_binaries_are_echoed_in_order() {
    play(many(binary, "9.8"));
}

#[test]
fn a_message_over_the_limit_fails_the_connection() {
    let over = vec![b'*'; 10_000_000];
    let halves = fragmented(text(over.clone()), 5_000_001);
    let fits = DecoderLimits { max_frame_size: 9_999_999 };
    play([fails("ours, a frame", [text(over)], CloseCode::TOO_BIG)]);
    play_with(fits, [fails("ours, fragments", halves, CloseCode::TOO_BIG)]);
}
