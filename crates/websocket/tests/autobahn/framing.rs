//! Sections 1 to 4: lengths, pings and pongs, reserved bits and reserved opcodes.

use bennu_websocket::CloseCode;

use crate::play::{Case, Sent, binary, case, close, echo, echoed, failed, fails, ping, play, pong, ponged, sent, text};

const REFUSED: CloseCode = CloseCode::PROTOCOL_ERROR;

/// The lengths around which the header changes its form.
const LENS: [usize; 8] = [0, 125, 126, 127, 128, 65535, 65536, 65536];

const BINARY: [u8; 8] = [0x00, 0xFF, 0xFE, 0xFD, 0xFC, 0xFB, 0x00, 0xFF];

#[test]
fn a_text_message_of_any_length_is_echoed() {
    play(LENS.iter().zip(1..).map(|(len, n)| echoed(format!("1.1.{n}"), text("*".repeat(*len)))));
}

#[test]
fn a_binary_message_of_any_length_is_echoed() {
    play(LENS.iter().zip(1..).map(|(len, n)| echoed(format!("1.2.{n}"), binary([0xFE].repeat(*len)))));
}

#[test]
fn a_ping_gets_a_pong_with_its_payload() {
    play([
        case("2.1", [ping("")], [ponged("")]),
        case("2.2", [ping("Hello, world!")], [ponged("Hello, world!")]),
        case("2.3", [ping(BINARY)], [ponged(BINARY)]),
        case("2.4", [ping([0xFE; 125])], [ponged([0xFE; 125])]),
        case("2.6", [ping([0xFE; 125])], [ponged([0xFE; 125])]),
    ]);
}

#[test]
fn a_ping_of_126_bytes_fails_the_connection() {
    play([fails("2.5", [ping([0xFE; 126])], REFUSED)]);
}

#[test]
fn an_unsolicited_pong_is_ignored() {
    play([
        case("2.7", [pong("")], []),
        case("2.8", [pong("unsolicited pong payload")], []),
        case("2.9", [pong("unsolicited pong payload"), ping("ping payload")], [ponged("ping payload")]),
    ]);
}

#[test]
fn ten_pings_get_their_pongs_in_order() {
    let payloads = (0..10).map(|n| format!("payload-{n}"));
    let pings: Vec<_> = payloads.clone().map(ping).collect();
    let pongs: Vec<_> = payloads.map(ponged).collect();
    play(["2.10", "2.11"].map(|id| case(id, pings.clone(), pongs.clone())));
}

/// A case of a valid message, an invalid frame, and a ping that gets no pong.
fn after_a_message(id: impl Into<String>, invalid: Sent) -> Case {
    let valid = text("Hello, world!");
    let expected = [echo(&valid), failed(REFUSED)];
    case(id, [valid, invalid, ping("")], expected)
}

#[test]
fn a_frame_with_a_reserved_bit_fails_the_connection() {
    play([
        fails("3.1", [text("Hello, world!").reserved(1)], REFUSED),
        after_a_message("3.2", text("Hello, world!").reserved(2)),
        after_a_message("3.3", text("Hello, world!").reserved(3)),
        after_a_message("3.4", text("Hello, world!").reserved(4)),
        fails("3.5", [binary([0, 0xFF, 0xFE]).reserved(5)], REFUSED),
        fails("3.6", [ping("Hello, world!").reserved(6)], REFUSED),
        fails("3.7", [close([0x03, 0xE8]).reserved(7)], REFUSED),
    ]);
}

#[test]
fn a_reserved_data_opcode_fails_the_connection() {
    play([
        fails("4.1.1", [sent(3, "")], REFUSED),
        fails("4.1.2", [sent(4, "reserved opcode payload")], REFUSED),
        after_a_message("4.1.3", sent(5, "")),
        after_a_message("4.1.4", sent(6, "reserved opcode payload")),
        after_a_message("4.1.5", sent(7, "")),
    ]);
}

#[test]
fn a_reserved_control_opcode_fails_the_connection() {
    play([
        fails("4.2.1", [sent(11, "")], REFUSED),
        fails("4.2.2", [sent(12, "reserved opcode payload")], REFUSED),
        after_a_message("4.2.3", sent(13, "")),
        after_a_message("4.2.4", sent(14, "reserved opcode payload")),
        after_a_message("4.2.5", sent(15, "")),
    ]);
}
