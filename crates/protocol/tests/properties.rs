//! The laws of both serializers: a decoded message equals the encoded one, and the bytes of a peer never cause a panic.

use bennu_protocol::client::{self, Received};
use bennu_protocol::{
    DecodeError, EncodeError, Frame, FrameKind, Inbound, Name, Outbound, Payload, Ref, Serializer, Status, event,
};
use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// Any JSON value, with numbers and texts at the edges of the format.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        // Quarters, because serde_json may miss the last digit of other fractions, which these laws do not cover.
        any::<i32>().prop_map(|quarters| Value::from(f64::from(quarters) / 4.0)),
        any_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any_text(), inner, 0..6).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

/// Any text, and often one that needs escapes.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![".{0,20}", "[\\x00-\\x1f\"\\\\/ \u{7f}\u{2028}\u{1f600}]{0,8}", "[a-z0-9:_*-]{0,20}"]
}

/// A ref as its JSON value.
fn any_ref() -> impl Strategy<Value = Value> {
    prop_oneof![
        2 => Just(Value::Null),
        6 => any_text().prop_map(Value::from),
        2 => any::<u64>().prop_map(Value::from),
        1 => any_json(),
    ]
}

/// A topic or an event as its JSON value, which is nearly always a text.
fn any_name() -> impl Strategy<Value = Value> {
    prop_oneof![9 => any_text().prop_map(Value::from), 1 => any_json()]
}

fn any_status() -> impl Strategy<Value = Status> {
    prop_oneof![Just(Status::Ok), Just(Status::Error), any_text().prop_map(|word| Status::Other(word.into()))]
}

/// The JSON text of a value; if `odd`, with whitespace around it and every character escaped.
fn spelled(value: &Value, odd: bool) -> String {
    let json = value.to_string();
    match value {
        Value::String(text) if odd => {
            let units = text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect::<String>();
            format!(" \"{units}\"\t")
        }
        _ if odd => format!("\n {json} "),
        _ => json,
    }
}

fn name_value(name: &Name<'_>) -> Value {
    match name {
        Name::Text(text) => Value::from(&**text),
        Name::Json(json) => serde_json::from_str(json).expect("the JSON of a value"),
    }
}

/// The JSON value of a decoded ref, taken from a message that echoes it.
fn ref_value(reference: &Ref) -> Value {
    let mut frame = Vec::new();
    let message = Outbound::End { join_ref: reference, topic: "", event: "", payload: &Payload::empty() };
    Serializer::V2.encode(&message, &mut frame).expect("the ref came in a text frame");
    serde_json::from_slice::<Value>(&frame).expect("a text frame is JSON")[0].clone()
}

/// One encoded text frame as JSON.
fn text_frame(serializer: Serializer, message: &Outbound<'_>) -> Value {
    let mut frame = Vec::new();
    assert_eq!(serializer.encode(message, &mut frame), Ok(FrameKind::Text));
    serde_json::from_slice(&frame).expect("a text frame is JSON")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn v2_text_is_decoded_into_its_parts_in_any_spelling(
        join_ref in any_ref(), reference in any_ref(), topic in any_name(), event in any_name(), payload in any_json(),
        odd in any::<[bool; 5]>(), extra in prop::collection::vec(any_json(), 0..3),
    ) {
        let mut elements: Vec<String> =
            [&join_ref, &reference, &topic, &event, &payload].iter().zip(odd).map(|(value, odd)| spelled(value, odd)).collect();
        elements.extend(extra.iter().map(Value::to_string));
        let text = format!("[{}]", elements.join(","));
        let inbound = Serializer::V2.decode(Frame::Text(&text)).unwrap();
        prop_assert_eq!(ref_value(&inbound.join_ref), join_ref);
        prop_assert_eq!(ref_value(&inbound.reference), reference);
        prop_assert_eq!(name_value(&inbound.topic), topic);
        prop_assert_eq!(name_value(&inbound.event), event);
        prop_assert_eq!(inbound.payload.as_json(), Some(elements[4].trim()), "payloads are unchanged");
    }

    #[test]
    fn v2_accepts_exactly_the_arrays_of_five_or_more_values_that_serde_json_accepts(
        elements in prop::collection::vec(nearly_json(), 4..7),
        end in prop_oneof![8 => Just("]"), 1 => Just(",]"), 1 => Just("")],
    ) {
        let text = format!("[{}{end}", elements.join(","));
        let values = serde_json::from_str::<Vec<&RawValue>>(&text).unwrap_or_default();
        let expected = values.get(4).map(|raw| raw.get());
        let decoded = Serializer::V2.decode(Frame::Text(&text));
        prop_assert_eq!(decoded.as_ref().ok().and_then(|inbound| inbound.payload.as_json()), expected, "{}", text);
    }

    #[test]
    fn a_v2_payload_of_any_text_is_unchanged(inside in any::<String>(), before in 0usize..9) {
        let json = serde_json::to_string(&inside).unwrap();
        let text = format!(r#"["1","2","t","e",{}{json}]"#, " ".repeat(before));
        let inbound = Serializer::V2.decode(Frame::Text(&text)).unwrap();
        prop_assert_eq!(inbound.payload.as_json(), Some(&*json));
    }

    #[test]
    fn v1_text_is_decoded_into_its_parts_in_any_order(
        join_ref in prop::option::of(any_ref()), reference in any_ref(), topic in any_name(), event in any_name(),
        payload in any_json(), odd in any::<[bool; 5]>(), turn in 0..5usize,
    ) {
        let mut fields = vec![
            format!(r#""topic":{}"#, spelled(&topic, odd[0])),
            format!(r#" "event" : {}"#, spelled(&event, odd[1])),
            format!(r#""payload":{}"#, spelled(&payload, odd[2])),
            format!(r#""ref":{}"#, spelled(&reference, odd[3])),
            r#""extra":[1]"#.to_owned(),
        ];
        fields.extend(join_ref.as_ref().map(|value| format!(r#""join_ref":{}"#, spelled(value, odd[4]))));
        fields.rotate_left(turn);
        let text = format!(" {{{}}}\n", fields.join(","));
        let inbound = Serializer::V1.decode(Frame::Text(&text)).unwrap();
        prop_assert_eq!(ref_value(&inbound.join_ref), join_ref.unwrap_or(Value::Null));
        prop_assert_eq!(ref_value(&inbound.reference), reference);
        prop_assert_eq!(name_value(&inbound.topic), topic);
        prop_assert_eq!(name_value(&inbound.event), event);
        prop_assert_eq!(inbound.payload.parse::<Value>().unwrap(), payload);
        prop_assert_eq!(Serializer::V1.decode(Frame::Binary(text.as_bytes())), Ok(inbound));
    }

    #[test]
    fn a_message_to_a_v2_client_has_its_parts_in_their_places(
        join_ref in any_ref(), reference in any_ref(), topic in any_text(), event in any_text(), status in any_status(),
        response in any_json(),
    ) {
        let inbound = json!([join_ref, reference, topic, event, response]).to_string();
        let Inbound { join_ref: join, reference: own, topic: name, payload, .. } =
            &Serializer::V2.decode(Frame::Text(&inbound)).unwrap();
        let reply = Outbound::Reply { join_ref: join, reference: own, topic: name, status: &status, payload };
        let expected = json!([join_ref, reference, topic, "phx_reply", {"status": status.as_str(), "response": response}]);
        prop_assert_eq!(text_frame(Serializer::V2, &reply), expected);
        let push = Outbound::Push { join_ref: join, topic: &topic, event: &event, payload };
        prop_assert_eq!(text_frame(Serializer::V2, &push), json!([join_ref, null, topic, event, response]));
        let broadcast = Outbound::Broadcast { topic: &topic, event: &event, payload };
        prop_assert_eq!(text_frame(Serializer::V2, &broadcast), json!([null, null, topic, event, response]));
        let end = Outbound::End { join_ref: join, topic: &topic, event: event::CLOSE, payload };
        prop_assert_eq!(text_frame(Serializer::V2, &end), json!([join_ref, join_ref, topic, "phx_close", response]));
    }

    #[test]
    fn a_message_to_a_v1_client_has_its_parts_under_their_keys(
        join_ref in any_ref(), reference in any_ref(), topic in any_text(), event in any_text(), status in any_status(),
        response in any_json(),
    ) {
        let inbound = json!([join_ref, reference, topic, event, response]).to_string();
        let Inbound { join_ref: join, reference: own, topic: name, payload, .. } =
            &Serializer::V2.decode(Frame::Text(&inbound)).unwrap();
        let object = |event: &str, payload: Value, reference: &Value| {
            json!({"topic": topic, "event": event, "payload": payload, "ref": reference})
        };
        let reply = Outbound::Reply { join_ref: join, reference: own, topic: name, status: &status, payload };
        let replied = json!({"status": status.as_str(), "response": response});
        prop_assert_eq!(text_frame(Serializer::V1, &reply), object("phx_reply", replied, &reference));
        for message in [
            Outbound::Push { join_ref: join, topic: &topic, event: &event, payload },
            Outbound::Broadcast { topic: &topic, event: &event, payload },
        ] {
            prop_assert_eq!(text_frame(Serializer::V1, &message), object(&event, response.clone(), &Value::Null));
        }
        let end = Outbound::End { join_ref: join, topic: &topic, event: event::ERROR, payload };
        prop_assert_eq!(text_frame(Serializer::V1, &end), object("phx_error", response.clone(), &join_ref));
    }

    #[test]
    fn a_binary_push_is_decoded_into_its_parts_and_a_reply_has_the_same_parts(
        join_ref in prop::collection::vec(any::<u8>(), 0..256), reference in prop::collection::vec(any::<u8>(), 0..256),
        topic in "[ -~\u{e9}]{0,120}", event in "[ -~\u{e9}]{0,120}", data in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let parts = [&join_ref[..], &reference, topic.as_bytes(), event.as_bytes()];
        let mut frame = vec![0];
        frame.extend(parts.iter().map(|part| part.len() as u8));
        frame.extend(parts.concat());
        frame.extend(&data);
        let inbound = Serializer::V2.decode(Frame::Binary(&frame)).unwrap();
        prop_assert_eq!(inbound.topic.as_str(), Some(&*topic));
        prop_assert_eq!(inbound.event.as_str(), Some(&*event));
        prop_assert_eq!(&inbound.payload.to_binary().unwrap()[..], &data[..]);
        for (reference, bytes) in [(&inbound.join_ref, &join_ref), (&inbound.reference, &reference)] {
            prop_assert!(!reference.is_null());
            prop_assert_eq!(reference.size(), bytes.len());
        }

        // The event is the status here, so the reply equals the push except for its kind.
        let Inbound { join_ref, reference, topic, payload, .. } = &inbound;
        let status = &Status::Other(event.into());
        let mut again = Vec::new();
        let reply = Outbound::Reply { join_ref, reference, topic, status, payload };
        prop_assert_eq!(Serializer::V2.encode(&reply, &mut again), Ok(FrameKind::Binary));
        frame[0] = 1;
        prop_assert_eq!(again, frame.clone());

        // The error of a frame that ends early has the frame's length and the length that it must have.
        frame[0] = 0;
        let header = 5 + frame[1..5].iter().map(|len| usize::from(*len)).sum::<usize>();
        for cut in 0..header {
            let error = Serializer::V2.decode(Frame::Binary(&frame[..cut])).unwrap_err();
            prop_assert!(matches!(error, DecodeError::Truncated { len, needed, .. } if len == cut && needed <= header), "{error}");
        }
    }

    #[test]
    fn arbitrary_bytes_never_cause_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for serializer in Serializer::ALL {
            let _ = serializer.decode(Frame::Binary(&bytes));
            let _ = serializer.decode(Frame::Text(&String::from_utf8_lossy(&bytes)));
        }
    }

    #[test]
    fn text_of_the_characters_of_json_never_causes_a_panic(text in r#"[\[\]{}",:0-9a-z\\ \.\-+eE]{0,60}"#, cut in 0..40usize) {
        let message = r#"["1","2","room:1","event",{"a":[1,"\u00e9\ud83d\ude00"]}]"#;
        for text in [text.clone(), format!("[{text}]"), format!("{}{text}{}", &message[..cut], &message[cut..])] {
            for serializer in Serializer::ALL {
                let _ = serializer.decode(Frame::Text(&text));
            }
        }
    }
}

/// Text that is JSON, nearly JSON, or noise of JSON's own characters.
fn nearly_json() -> impl Strategy<Value = String> {
    let noise = r#"[\[\]{}:,"\\ntfaeu0-9. é-]{0,24}"#;
    let value = any::<i32>().prop_map(|n| n.to_string()).boxed().prop_recursive(6, 64, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|items| format!("[{}]", items.join(" ,"))),
            prop::collection::vec((r#""[a-z\\n é]{0,12}""#, inner), 0..4).prop_map(|fields| {
                let fields: Vec<_> = fields.into_iter().map(|(key, value)| format!("{key}: {value}")).collect();
                format!("{{{}}}", fields.join(","))
            }),
        ]
    });
    let broken = (value.clone(), any::<prop::sample::Index>(), noise).prop_map(|(text, at, noise)| {
        let at = text.floor_char_boundary(at.index(text.len() + 1));
        format!("{}{noise}{}", &text[..at], &text[at..])
    });
    prop_oneof![1 => noise.prop_map(String::from), 20 => value, 2 => broken]
}

#[test]
fn a_part_that_is_too_long_for_a_binary_message_is_an_error_that_names_the_part() {
    let long = "x".repeat(256);
    let (long_ref, short, payload) = (Ref::text(&*long), Ref::text("1"), Payload::binary(vec![1]));
    let (name, status) = (Name::from("t"), Status::Other(long.clone().into()));
    let reply =
        |join_ref, reference, topic, status| Outbound::Reply { join_ref, reference, topic, status, payload: &payload };
    let long_name = Name::from(&*long);
    for (message, part) in [
        (reply(&long_ref, &short, &name, &Status::Ok), "join ref"),
        (reply(&short, &long_ref, &name, &Status::Ok), "ref"),
        (reply(&short, &short, &long_name, &Status::Ok), "topic"),
        (reply(&short, &short, &name, &status), "status"),
        (Outbound::Push { join_ref: &short, topic: "t", event: &long, payload: &payload }, "event"),
        (Outbound::Broadcast { topic: &long, event: "e", payload: &payload }, "topic"),
    ] {
        let error = Serializer::V2.encode(&message, &mut Vec::new()).unwrap_err();
        assert_eq!(error, EncodeError::TooLong { part, len: 256 });
        assert_eq!(error.to_string(), format!("the {part} of a binary message is 256 bytes long, the limit is 255"));
    }
}

#[test]
fn a_binary_payload_is_an_error_for_a_v1_client() {
    let message = Outbound::Broadcast { topic: "t", event: "e", payload: &Payload::binary(vec![1, 2, 3]) };
    let error = Serializer::V1.encode(&message, &mut Vec::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "could not send a binary payload of 3 bytes to a V1 client; only V2 has binary frames"
    );
}

#[test]
fn a_ref_that_is_not_utf8_is_an_error_in_a_json_message() {
    let inbound = Serializer::V2.decode(Frame::Binary(b"\x00\x02\x01\x01\x01\xff\xfe2te")).unwrap();
    let payload = &Payload::empty();
    for serializer in Serializer::ALL {
        let end = Outbound::End { join_ref: &inbound.join_ref, topic: "t", event: "e", payload };
        assert_eq!(serializer.encode(&end, &mut Vec::new()), Err(EncodeError::RefNotUtf8 { len: 2 }));
    }
}

#[test]
fn a_value_that_serde_could_not_write_is_an_error_when_it_is_sent() {
    let payload = &Payload::json(&std::collections::BTreeMap::from([((1, 2), 3)]));
    for serializer in Serializer::ALL {
        let error =
            serializer.encode(&Outbound::Broadcast { topic: "t", event: "e", payload }, &mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "could not write the payload as JSON: key must be a string");
    }
}

#[test]
fn the_error_of_a_text_frame_has_the_position() {
    for (text, reason) in [
        (r#"["1","2","t","e",{"a":01}]"#, "invalid number at line 1 column 24"),
        (
            r#"["1","2","t","e"]"#,
            "invalid length 4, expected an array [join_ref, ref, topic, event, payload] at line 1 column 17",
        ),
        (
            r#"{"topic":"t"}"#,
            "invalid type: map, expected an array [join_ref, ref, topic, event, payload] at line 1 column 0",
        ),
        (r#"["1","2","t","e",{}] x"#, "trailing characters at line 1 column 22"),
    ] {
        let error = Serializer::V2.decode(Frame::Text(text)).unwrap_err();
        assert_eq!(error.to_string(), format!("the text is not a V2 message: {reason}"));
    }
}

#[test]
fn mixed_nesting_must_match_at_any_depth() {
    for levels in [63, 64, 65, 128, 100_000] {
        let payload = format!("{}1{}", r#"{"a":["#.repeat(levels), "]}".repeat(levels));
        let text = format!(r#"["1","2","t","e",{payload}]"#);
        assert_eq!(Serializer::V2.decode(Frame::Text(&text)).unwrap().payload.as_json(), Some(&*payload));
        let crossed = format!("{}1{}", r#"{"a":["#.repeat(levels), "}]".repeat(levels));
        assert!(Serializer::V2.decode(Frame::Text(&format!(r#"["1","2","t","e",{crossed}]"#))).is_err());
    }
}

#[test]
fn a_message_nested_a_hundred_thousand_deep_is_decoded_and_encoded() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let text = format!(r#"["1",{deep},"t","e",{deep},{deep}]"#);
    let inbound = Serializer::V2.decode(Frame::Text(&text)).unwrap();
    assert_eq!((inbound.payload.as_json(), inbound.reference.size()), (Some(&*deep), 200_000));
    let text = format!(r#"{{"topic":"t","event":"e","ref":1,"payload":{deep},"extra":{deep}}}"#);
    let inbound = Serializer::V1.decode(Frame::Text(&text)).unwrap();
    let mut frame = Vec::new();
    Serializer::V1
        .encode(&Outbound::Broadcast { topic: "t", event: "e", payload: &inbound.payload }, &mut frame)
        .unwrap();
    assert_eq!(frame.len(), deep.len() + r#"{"topic":"t","event":"e","payload":,"ref":null}"#.len());
}

fn any_payload() -> impl Strategy<Value = Payload> {
    let bytes = prop::collection::vec(any::<u8>(), 0..64);
    prop_oneof![any_json().prop_map(|value| Payload::json(&value)), bytes.prop_map(Payload::binary)]
}

/// The encoded bytes as a frame.
fn framed(kind: FrameKind, bytes: &[u8]) -> Frame<'_> {
    match kind {
        FrameKind::Text => Frame::Text(std::str::from_utf8(bytes).expect("a text frame is UTF-8")),
        FrameKind::Binary => Frame::Binary(bytes),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_server_decodes_the_message_that_a_client_encodes(
        join_ref in "[a-z0-9]{0,8}", reference in any_text(), topic in any_text(), event in any_text(),
        payload in any_payload(),
    ) {
        let (topic, event) = (Name::from(topic.as_str()), Name::from(event.as_str()));
        let sent = Inbound { join_ref: Ref::text(join_ref), reference: Ref::text(reference), topic, event, payload };
        let mut frame = Vec::new();
        let kind = client::encode(&sent, &mut frame).unwrap();
        prop_assert_eq!(Serializer::V2.decode(framed(kind, &frame)).unwrap(), sent);
    }

    #[test]
    fn a_client_decodes_the_message_that_the_server_encodes(
        join_ref in "[a-z0-9]{1,8}", reference in any_text(), topic in any_text(), word in any_text(),
        status in any_status(), payload in any_payload(),
    ) {
        prop_assume!(word != event::REPLY);
        let (join_ref, reference, name) = (Ref::text(join_ref), Ref::text(reference), Name::from(topic.as_str()));
        let read = |message: Outbound<'_>| {
            let mut frame = Vec::new();
            let kind = Serializer::V2.encode(&message, &mut frame).unwrap();
            client::decode(framed(kind, &frame)).unwrap()
        };
        let reply = Outbound::Reply {
            join_ref: &join_ref, reference: &reference, topic: &name, status: &status, payload: &payload,
        };
        let status = match status.as_str() { "ok" => Status::Ok, "error" => Status::Error, _ => status.clone() };
        prop_assert_eq!(read(reply), Received::Reply {
            join_ref: join_ref.clone(), reference, topic: topic.clone(), status, payload: payload.clone(),
        });
        let received = |join_ref: &Ref| Received::Event {
            join_ref: join_ref.clone(), topic: topic.clone(), event: word.clone(), payload: payload.clone(),
        };
        let (topic, event, payload) = (topic.as_str(), word.as_str(), &payload);
        prop_assert_eq!(read(Outbound::Push { join_ref: &join_ref, topic, event, payload }), received(&join_ref));
        prop_assert_eq!(read(Outbound::Broadcast { topic, event, payload }), received(&Ref::NULL));
        prop_assert_eq!(read(Outbound::End { join_ref: &join_ref, topic, event, payload }), received(&join_ref));
    }

    #[test]
    fn the_bytes_of_a_server_never_cause_a_panic_in_its_client(bytes in prop::collection::vec(any::<u8>(), 0..200), text in ".{0,100}") {
        let _ = client::decode(Frame::Binary(&bytes));
        let _ = client::decode(Frame::Text(&text));
        let _ = client::decode(Frame::Text(&format!(r#"["1","2","t","phx_reply",{text}]"#)));
    }
}
