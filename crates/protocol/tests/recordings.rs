//! Recordings of real Phoenix: the bytes of binary frames, and the frames for which it closes the connection.
//!
//! Source: `conformance/recorded/phoenix-1.8.12-bandit.txt`.

use bennu_protocol::{DecodeError, Frame, Inbound, Name, Outbound, Payload, Ref, Serializer, Status};
use std::collections::BTreeSet;

const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../conformance/recorded/phoenix-1.8.12-bandit.txt");

/// Returns the recorded cases whose name begins with `prefix`: the rest of the name, and the lines.
fn cases(prefix: &str) -> Vec<(String, Vec<String>)> {
    let recorded = std::fs::read(RECORDED).expect("the recordings are in the repository");
    let mut cases: Vec<(String, Vec<String>)> = Vec::new();
    let mut wanted = false;
    for line in String::from_utf8_lossy(&recorded).lines() {
        if let Some(name) = line.strip_prefix("### ") {
            wanted = name.starts_with(prefix);
            if let Some(rest) = name.strip_prefix(prefix) {
                cases.push((rest.to_owned(), Vec::new()));
            }
        } else if wanted && let Some((_, lines)) = cases.last_mut() {
            lines.push(line.trim_start().to_owned());
        }
    }
    cases
}

/// Whether Phoenix closed the connection.
fn was_closed(lines: &[String]) -> bool {
    lines.iter().any(|line| line == r#"A < close 1011 """#)
}

fn bytes(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2), "{hex}");
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
}

#[test]
fn malformed_v2_text_is_an_error_in_the_cases_in_which_phoenix_closes_the_connection() {
    let cases = cases("v2 malformed: \"");
    assert_eq!(cases.len(), 22);
    for (name, lines) in cases {
        // The name is the frame, as a JSON string.
        let frame: String = serde_json::from_str(&format!("\"{name}")).expect("a JSON string");
        let decoded = Serializer::V2.decode(Frame::Text(&frame));
        assert_eq!(decoded.is_err(), was_closed(&lines), "{frame:?}: {decoded:?}");
        if let Err(error) = decoded {
            assert!(error.to_string().starts_with("the text is not a V2 message: "), "{error}");
        }
    }
}

#[test]
fn malformed_v1_text_is_an_error_in_the_cases_in_which_phoenix_closes_the_connection() {
    let cases = cases("v1 malformed: ");
    assert_eq!(cases.len(), 8);
    for (frame, lines) in cases {
        let decoded = Serializer::V1.decode(Frame::Text(&frame));
        assert_eq!(decoded.is_err(), was_closed(&lines), "{frame:?}: {decoded:?}");
        if let Err(error) = decoded {
            assert!(error.to_string().starts_with("the text is not a V1 message: "), "{error}");
        }
    }
}

#[test]
fn a_malformed_binary_frame_is_an_error_that_names_the_fault() {
    let expected = |case: &str| match case {
        "empty frame" | "1 byte 00" | "truncated header" => "ends inside its header; it must have at least 5 bytes",
        "kind 1 (reply)" => "a binary frame of kind 1 is not accepted",
        "kind 2 (broadcast)" => "a binary frame of kind 2 is not accepted",
        "kind 9" => "a binary frame of kind 9 is not accepted",
        "truncated event" => "frame of 19 bytes ends inside its event; it must have at least 20 bytes",
        "lengths past the end" => "frame of 6 bytes ends inside its join ref; it must have at least 260 bytes",
        "JSON text in a binary frame" => "a binary frame of kind 91 is not accepted",
        other => panic!("an unknown case: {other}"),
    };
    let cases = cases("bin malformed: ");
    assert_eq!(cases.len(), 9);
    for (case, lines) in cases {
        let hex = lines.iter().find_map(|line| line.strip_prefix("A > bin")).expect("a frame is sent").trim();
        assert!(was_closed(&lines));
        let error = Serializer::V2.decode(Frame::Binary(&bytes(hex))).unwrap_err();
        assert!(error.to_string().contains(expected(&case)), "{case}: {error}");
    }
    let topic = bytes("00010102013132fffe61");
    assert_eq!(Serializer::V2.decode(Frame::Binary(&topic)), Err(DecodeError::NotUtf8("topic")));
    assert_eq!(Serializer::V2.decode(Frame::Binary(b"\x00\0\0\0\x01\xff")), Err(DecodeError::NotUtf8("event")));
}

#[test]
fn v1_ignores_the_kind_of_the_frame() {
    let json = br#"{"topic":"phoenix","event":"heartbeat","payload":{},"ref":"1"}"#;
    let inbound = Serializer::V1.decode(Frame::Binary(json)).expect("JSON in a binary frame");
    assert_eq!((inbound.topic.as_str(), inbound.reference), (Some("phoenix"), Ref::text("1")));
    assert!(Serializer::V1.decode(Frame::Binary(&bytes("000101"))).is_err());
}

/// A push of a client: the frame and its parts.
struct Push {
    frame: &'static str,
    refs: [&'static str; 2],
    topic: &'static str,
    event: &'static str,
    data: &'static [u8],
}

const fn push(
    frame: &'static str,
    refs: [&'static str; 2],
    topic: &'static str,
    event: &'static str,
    data: &'static [u8],
) -> Push {
    Push { frame, refs, topic, event, data }
}

#[rustfmt::skip]
const FROM_CLIENTS: [Push; 14] = [
    push("000101080d313262656e63683a763162696e5f62726f616463617374010203", ["1", "2"], "bench:v1", "bin_broadcast", b"\x01\x02\x03"),
    push("000101070d313262656e63683a3162696e5f62726f616463617374010200ff", ["1", "2"], "bench:1", "bin_broadcast", DATA),
    push("0001010706313262656e63683a3162696e617279010200ff", ["1", "2"], "bench:1", "binary", DATA),
    push("000101070a313362656e63683a3162696e6172795f657272010200ff", ["1", "3"], "bench:1", "binary_err", DATA),
    push("0001010706313462656e63683a3162696e617279", ["1", "4"], "bench:1", "binary", b""),
    push("000101070b313262656e63683a3162696e5f746f5f6a736f6e010200ff", ["1", "2"], "bench:1", "bin_to_json", DATA),
    push("0001010708313362656e63683a3162696e5f70757368010200ff", ["1", "3"], "bench:1", "bin_push", DATA),
    push("0001010704313262656e63683a316563686f010200ff", ["1", "2"], "bench:1", "echo", DATA),
    push("0001010708313162656e63683a317068785f6a6f696e7b7d", ["1", "1"], "bench:1", "phx_join", b"{}"),
    push("00000107093170686f656e69786865617274626561747b7d", ["", "1"], "phoenix", "heartbeat", b"{}"),
    push("0001010706303262656e63683a3162696e617279010200ff", ["0", "2"], "bench:1", "binary", DATA),
    push("00000107063362656e63683a3162696e617279010200ff", ["", "3"], "bench:1", "binary", DATA),
    push("00010007063162656e63683a3162696e617279010200ff", ["1", ""], "bench:1", "binary", DATA),
    push("0001010709313262656e63683a317068785f6c65617665", ["1", "2"], "bench:1", "phx_leave", b""),
];

#[test]
fn recorded_binary_pushes_are_decoded_into_their_parts() {
    for Push { frame, refs: [join_ref, reference], topic, event, data } in FROM_CLIENTS {
        let expected = Inbound {
            join_ref: Ref::text(join_ref),
            reference: Ref::text(reference),
            topic: Name::from(topic),
            event: Name::from(event),
            payload: Payload::binary(data),
        };
        assert_eq!(Serializer::V2.decode(Frame::Binary(&bytes(frame))), Ok(expected), "{frame}");
    }
}

fn encoded(message: &Outbound<'_>) -> Vec<u8> {
    let mut frame = Vec::new();
    Serializer::V2.encode(message, &mut frame).expect("every part is short");
    frame
}

const DATA: &[u8] = b"\x01\x02\0\xff";

/// A reply on `bench:1` to join ref 1: the frame, then ref, status and data.
const REPLIES: [(&str, &str, Status, &[u8]); 4] = [
    ("0101010702313262656e63683a316f6b010200ff", "2", Status::Ok, DATA),
    ("0101010705313362656e63683a316572726f72010200ff", "3", Status::Error, DATA),
    ("0101010702313462656e63683a316f6b", "4", Status::Ok, b""),
    ("01010007023162656e63683a316f6b010200ff", "", Status::Ok, DATA),
];

/// A push on `bench:1` to join ref 1: the frame, then event and data.
const PUSHES: [(&str, &str, &[u8]); 1] = [("000107063162656e63683a31707573686564010200ff", "pushed", DATA)];

/// A broadcast on `bench:1`: the frame, then event and data.
const BROADCASTS: [(&str, &str, &[u8]); 2] = [
    ("02070762656e63683a3162696e5f6d7367010200ff", "bin_msg", DATA),
    ("02070262656e63683a31657600ff01", "ev", b"\0\xff\x01"),
];

/// The reply to a push with a ref that is not UTF-8, and that push.
const ECHOED_REF: (&str, &str) =
    ("010101070231ff62656e63683a316f6b010200ff", "000101070631ff62656e63683a3162696e617279010200ff");

#[test]
fn recorded_binary_replies_are_encoded_byte_for_byte() {
    for (frame, reference, status, data) in REPLIES {
        let (reference, topic, payload) = (Ref::text(reference), Name::from("bench:1"), Payload::binary(data));
        let reply = Outbound::Reply {
            join_ref: &Ref::text("1"),
            reference: &reference,
            topic: &topic,
            status: &status,
            payload: &payload,
        };
        assert_eq!(encoded(&reply), bytes(frame), "{frame}");
    }
}

#[test]
fn a_ref_that_is_not_utf8_is_echoed_byte_for_byte_as_recorded() {
    let (frame, push) = ECHOED_REF;
    let push = bytes(push);
    let Inbound { join_ref, reference, topic, payload, .. } =
        Serializer::V2.decode(Frame::Binary(&push)).expect("refs are any bytes");
    let reply = Outbound::Reply {
        join_ref: &join_ref,
        reference: &reference,
        topic: &topic,
        status: &Status::Ok,
        payload: &payload,
    };
    assert_eq!(encoded(&reply), bytes(frame));
}

#[test]
fn recorded_binary_pushes_and_broadcasts_are_encoded_byte_for_byte() {
    for (frame, event, data) in PUSHES {
        let payload = &Payload::binary(data);
        let push = Outbound::Push { join_ref: &Ref::text("1"), topic: "bench:1", event, payload };
        assert_eq!(encoded(&push), bytes(frame), "{frame}");
    }
    for (frame, event, data) in BROADCASTS {
        let payload = &Payload::binary(data);
        assert_eq!(encoded(&Outbound::Broadcast { topic: "bench:1", event, payload }), bytes(frame), "{frame}");
    }
}

#[test]
fn the_tables_contain_every_recorded_binary_frame_of_phoenix() {
    let recorded = std::fs::read(RECORDED).expect("the recordings are in the repository");
    let recorded = String::from_utf8_lossy(&recorded).into_owned();
    let recorded: BTreeSet<&str> =
        // The recording cuts a frame of a megabyte.
        recorded.lines().filter_map(|line| line.split_once(" < bin ")).map(|(_, hex)| hex).filter(|hex| hex.is_ascii()).collect();
    let tables = REPLIES.iter().map(|row| row.0).chain(PUSHES.iter().map(|row| row.0));
    let tables: BTreeSet<&str> = tables.chain(BROADCASTS.iter().map(|row| row.0)).chain([ECHOED_REF.0]).collect();
    assert_eq!(recorded, tables);
}
