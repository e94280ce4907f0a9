//! Section 7: the closing handshake.

use bennu_websocket::CloseCode;

use crate::play::{Sent, case, close, continuation, echo, echoed, fails, ping, play, text};

const REFUSED: CloseCode = CloseCode::PROTOCOL_ERROR;

fn close_with(code: u16, reason: impl AsRef<[u8]>) -> Sent {
    close([&code.to_be_bytes(), reason.as_ref()].concat())
}

#[test]
fn a_close_is_echoed_and_ends_the_conversation() {
    let hello = text("Hello World!");
    let normal = close_with(1000, "");
    let big = text("BAsd7&jh23".repeat(26 * 1024));
    let closed = [echo(&normal)];
    play([
        case("7.1.1", [hello.clone(), normal.clone()], [echo(&hello), echo(&normal)]),
        case("7.1.2", [normal.clone(), normal.clone()], closed.clone()),
        case("7.1.3", [normal.clone(), ping("after the close")], closed.clone()),
        case("7.1.4", [normal.clone(), hello.clone()], closed.clone()),
        case("7.1.5", [hello.clone().more(), normal.clone(), continuation("fragment2")], closed),
        case(
            "7.1.6",
            [big.clone(), hello.clone(), normal.clone(), ping("")],
            [echo(&big), echo(&hello), echo(&normal)],
        ),
    ]);
}

#[test]
fn a_close_payload_is_empty_or_a_code_and_a_reason() {
    play([
        echoed("7.3.1", close("")),
        fails("7.3.2", [close("a")], REFUSED),
        echoed("7.3.3", close_with(1000, "")),
        echoed("7.3.4", close_with(1000, "Hello World!")),
        echoed("7.3.5", close_with(1000, "*".repeat(123))),
        fails("7.3.6", [close_with(1000, "*".repeat(124))], REFUSED),
    ]);
}

#[test]
fn a_close_reason_that_is_not_utf8_fails_the_connection() {
    let reason = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80\x65\x64\x69\x74\x65\x64";
    play([fails("7.5.1", [close_with(1000, reason)], CloseCode::INVALID_PAYLOAD)]);
}

#[test]
fn a_valid_close_code_is_echoed() {
    let codes = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999];
    play(codes.into_iter().zip(1..).map(|(code, n)| echoed(format!("7.7.{n}"), close_with(code, ""))));
}

#[test]
fn an_invalid_close_code_fails_the_connection() {
    let codes = [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999];
    play(codes.into_iter().zip(1..).map(|(code, n)| fails(format!("7.9.{n}"), [close_with(code, "")], REFUSED)));
}

#[test]
fn a_close_code_outside_all_ranges_fails_the_connection() {
    // The suite only reports 5000 and 65535. 1015 was in its section 7.9 once.
    let codes = [5000, 65535, 1015];
    play(codes.into_iter().zip(1..).map(|(code, n)| fails(format!("7.13.{n}"), [close_with(code, "")], REFUSED)));
}
