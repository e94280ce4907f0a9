//! Section 2: pings and pongs.

use bennu_websocket::CloseCode;

use crate::play::{case, fails, ping, play, pong, ponged};

const BINARY: [u8; 8] = [0x00, 0xFF, 0xFE, 0xFD, 0xFC, 0xFB, 0x00, 0xFF];

#[test]
fn a_ping_is_answered_with_its_payload() {
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
    play([fails("2.5", [ping([0xFE; 126])], CloseCode::PROTOCOL_ERROR)]);
}

#[test]
fn a_pong_that_nobody_asked_for_is_ignored() {
    play([
        case("2.7", [pong("")], []),
        case("2.8", [pong("unsolicited pong payload")], []),
        case("2.9", [pong("unsolicited pong payload"), ping("ping payload")], [ponged("ping payload")]),
    ]);
}

#[test]
fn ten_pings_are_answered_in_their_order() {
    let payloads = (0..10).map(|n| format!("payload-{n}"));
    let pings: Vec<_> = payloads.clone().map(ping).collect();
    let pongs: Vec<_> = payloads.map(ponged).collect();
    play(["2.10", "2.11"].map(|id| case(id, pings.clone(), pongs.clone())));
}
