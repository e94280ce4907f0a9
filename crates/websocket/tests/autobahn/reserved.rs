//! Sections 3 and 4: reserved bits and reserved opcodes.

use bennu_websocket::CloseCode;

use crate::play::{Sent, binary, case, close, echo, failed, fails, ping, play, sent, text};

const REFUSED: CloseCode = CloseCode::PROTOCOL_ERROR;

/// A good message, then a bad frame, then a ping that nobody answers.
fn after_a_message(id: impl Into<String>, bad: Sent) -> crate::play::Case {
    let good = text("Hello, world!");
    let expected = [echo(&good), failed(REFUSED)];
    case(id, [good, bad, ping("")], expected)
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
