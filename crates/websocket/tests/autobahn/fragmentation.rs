//! Section 5: fragmented messages, and control frames between their fragments.

use bennu_websocket::CloseCode;

use crate::play::{Case, Sent, case, continuation, echo, failed, fails, ping, play, pong, ponged, text};

const REFUSED: CloseCode = CloseCode::PROTOCOL_ERROR;

#[test]
fn a_fragmented_control_frame_fails_the_connection() {
    let halves = |first: Sent| [first.more(), continuation("fragment2")];
    play([fails("5.1", halves(ping("fragment1")), REFUSED), fails("5.2", halves(pong("fragment1")), REFUSED)]);
}

#[test]
fn a_text_in_two_fragments_is_echoed_as_one() {
    play(["5.3", "5.4", "5.5"].map(|id| {
        case(id, [text("fragment1").more(), continuation("fragment2")], [echo(&text("fragment1fragment2"))])
    }));
}

#[test]
fn a_ping_between_two_fragments_is_answered_first() {
    play(["5.6", "5.7", "5.8"].map(|id| {
        case(
            id,
            [text("fragment1").more(), ping("ping payload"), continuation("fragment2")],
            [ponged("ping payload"), echo(&text("fragment1fragment2"))],
        )
    }));
}

#[test]
fn a_continuation_without_a_start_fails_the_connection() {
    let last = continuation("non-continuation payload");
    let sent = |first: Sent| [first, text("Hello, world!")];
    play(
        ["5.9", "5.10", "5.11"]
            .map(|id| fails(id, sent(last.clone()), REFUSED))
            .into_iter()
            .chain(["5.12", "5.13", "5.14"].map(|id| fails(id, sent(last.clone().more()), REFUSED))),
    );
}

#[test]
fn a_continuation_after_the_end_of_a_message_fails_the_connection() {
    play([case(
        "5.15",
        [text("fragment1").more(), continuation("fragment2"), continuation("fragment3").more(), text("fragment4")],
        [echo(&text("fragment1fragment2")), failed(REFUSED)],
    )]);
}

#[test]
fn a_continuation_before_each_message_fails_the_connection_at_the_first() {
    let twice = |first: Sent| [first.clone(), text("fragment2"), first, text("fragment4")];
    play([
        fails("5.16", twice(continuation("fragment1").more()), REFUSED),
        fails("5.17", twice(continuation("fragment1")), REFUSED),
    ]);
}

#[test]
fn a_message_inside_another_fails_the_connection() {
    play([fails("5.18", [text("fragment1").more(), text("fragment2")], REFUSED)]);
}

/// A case of five fragments, with pings after the second and after the fourth.
fn five_fragments(id: &str) -> Case {
    case(
        id,
        [
            text("fragment1").more(),
            continuation("fragment2").more(),
            ping("pongme 1!"),
            continuation("fragment3").more(),
            continuation("fragment4").more(),
            ping("pongme 2!"),
            continuation("fragment5"),
        ],
        [ponged("pongme 1!"), ponged("pongme 2!"), echo(&text("fragment1fragment2fragment3fragment4fragment5"))],
    )
}

#[test]
fn pings_between_five_fragments_are_answered_and_the_text_is_echoed() {
    play(["5.19", "5.20"].map(five_fragments));
}
