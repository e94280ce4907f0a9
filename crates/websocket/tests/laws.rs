//! Laws of the codec for arbitrary messages, fragments, reads and bytes. The laws of one file (masking, UTF-8,
//! compression) are in its unit tests.

use bennu_websocket::deflate::{deflated_frame, negotiate};
use bennu_websocket::{
    CloseCode, CloseFrame, Decoder, DecoderLimits, DeflateParameters, Incoming, Opcode, ProtocolError, encode,
};
use proptest::prelude::*;

/// A message of a client.
#[derive(Clone, Debug)]
struct Sent {
    text: bool,
    payload: Vec<u8>,
    deflated: bool,
    /// The positions at which the message is divided into fragments, in 256ths of its length.
    fragments: Vec<u8>,
    /// Whether a ping precedes each fragment but the first.
    pings: bool,
}

impl Sent {
    /// The messages that the decoder must return.
    fn incoming(&self) -> Vec<Incoming<'static>> {
        let ping = Incoming::Ping(b"still there?".as_slice().into());
        let pings = if self.pings { self.fragments.len() } else { 0 };
        let message = if self.text {
            Incoming::Text(String::from_utf8(self.payload.clone()).expect("generated as text").into())
        } else {
            Incoming::Binary(self.payload.clone().into())
        };
        std::iter::repeat_n(ping, pings).chain([message]).collect()
    }

    fn wire(&self) -> Vec<u8> {
        let opcode = if self.text { Opcode::Text } else { Opcode::Binary };
        let payload = if self.deflated {
            let frame = deflated_frame(opcode, &self.payload, 15);
            unmasked_payload(&frame).to_vec()
        } else {
            self.payload.clone()
        };
        let mut cuts: Vec<usize> =
            self.fragments.iter().map(|share| payload.len() * usize::from(*share) / 256).collect();
        cuts.sort_unstable();
        cuts.push(payload.len());

        let mut wire = Vec::new();
        let mut from = 0;
        for (index, to) in cuts.iter().copied().enumerate() {
            let first = index == 0;
            if self.pings && !first {
                wire.extend(client_frame(0x89, b"still there?"));
            }
            let fin = if index + 1 == cuts.len() { 0x80 } else { 0 };
            let rsv1 = if first && self.deflated { 0x40 } else { 0 };
            let opcode = if first { opcode.bits() } else { 0 };
            wire.extend(client_frame(fin | rsv1 | opcode, &payload[from..to]));
            from = to;
        }
        wire
    }
}

fn client_frame(first_byte: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = bennu_websocket::encode::masked_frame(Opcode::Text, payload, [9, 8, 7, 6]);
    frame[0] = first_byte;
    frame
}

fn unmasked_payload(frame: &[u8]) -> &[u8] {
    match frame[1] {
        126 => &frame[4..],
        127 => &frame[10..],
        _ => &frame[2..],
    }
}

fn sent() -> impl Strategy<Value = Sent> {
    let text = any::<String>().prop_map(|text| (true, text.into_bytes()));
    let binary = proptest::collection::vec(any::<u8>(), 0..300).prop_map(|bytes| (false, bytes));
    (prop_oneof![text, binary], 1usize..300, any::<bool>(), proptest::collection::vec(any::<u8>(), 0..5), any::<bool>())
        .prop_map(|((text, payload), repeat, deflated, fragments, pings)| Sent {
            text,
            payload: payload.repeat(if repeat > 250 { repeat } else { 1 }),
            deflated,
            fragments,
            pings,
        })
}

/// Decodes the wire in reads of the given sizes, which repeat to its end.
fn decode_in_reads(
    decoder: &mut Decoder,
    wire: &[u8],
    reads: &[usize],
) -> Result<Vec<Incoming<'static>>, ProtocolError> {
    let mut wire = wire.to_vec();
    let mut rest = wire.as_mut_slice();
    let mut messages = Vec::new();
    for read in reads.iter().cycle() {
        let (mut input, later) = rest.split_at_mut((*read).min(rest.len()));
        while let (Some(message), left) = decoder.decode(input)? {
            messages.push(message.into_owned());
            input = left;
        }
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    Ok(messages)
}

fn agreed(offer: &str) -> DeflateParameters {
    negotiate([offer].into_iter()).expect("a valid offer")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn decoding_does_not_depend_on_the_fragments_and_the_reads(
        conversation in proptest::collection::vec(sent(), 1..4),
        reads in prop_oneof![
            Just(vec![1]),
            Just(vec![usize::MAX]),
            proptest::collection::vec(1usize..100, 1..10),
        ],
    ) {
        let wire: Vec<u8> = conversation.iter().flat_map(Sent::wire).collect();
        let expected: Vec<Incoming> = conversation.iter().flat_map(Sent::incoming).collect();
        let mut decoder = Decoder::new(DecoderLimits::default(), Some(&agreed("permessage-deflate")));
        prop_assert_eq!(decode_in_reads(&mut decoder, &wire, &reads), Ok(expected));
    }

    #[test]
    fn arbitrary_bytes_never_cause_a_panic_and_use_memory_in_proportion(
        reads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..100), 0..40),
        max_frame_size in 0usize..3000,
        deflate: bool,
    ) {
        let extension = deflate.then(|| agreed("permessage-deflate; client_max_window_bits=9"));
        let mut decoder = Decoder::new(DecoderLimits { max_frame_size }, extension.as_ref());
        let mut arrived = 0;
        for mut read in reads {
            arrived += read.len();
            let mut input = read.as_mut_slice();
            while let Ok((Some(_), rest)) = decoder.decode(input) {
                input = rest;
            }
            prop_assert!(decoder.retained_bytes() <= arrived + arrived / 4 + 1200);
        }
    }

    #[test]
    fn nearly_valid_frames_never_cause_a_panic_and_never_exceed_the_limit(
        frames in proptest::collection::vec((any::<u8>(), proptest::collection::vec(any::<u8>(), 0..130)), 0..40),
        max_frame_size in 0usize..300,
        read in 1usize..200,
    ) {
        let wire: Vec<u8> = frames
            .iter()
            .flat_map(|(first_byte, payload)| client_frame(first_byte & 0xCF, payload))
            .collect();
        let extension = agreed("permessage-deflate");
        let mut decoder = Decoder::new(DecoderLimits { max_frame_size }, Some(&extension));
        for message in decode_in_reads(&mut decoder, &wire, &[read]).unwrap_or_default() {
            let len = match message {
                Incoming::Text(text) => text.len(),
                Incoming::Binary(bytes) | Incoming::Ping(bytes) | Incoming::Pong(bytes) => bytes.len(),
                Incoming::Close(close) => close.reason.len(),
            };
            prop_assert!(len <= max_frame_size);
        }
        prop_assert!(decoder.retained_bytes() <= 2 * max_frame_size + 1200 + 32 * 1024);
    }

    #[test]
    fn one_flipped_bit_never_causes_a_panic(
        sent in sent(),
        position: prop::sample::Index,
        bit in 0u8..8,
        read in 1usize..200,
    ) {
        let mut wire = sent.wire();
        let position = position.index(wire.len());
        wire[position] ^= 1 << bit;
        let mut decoder = Decoder::new(DecoderLimits::default(), Some(&agreed("permessage-deflate")));
        let _ = decode_in_reads(&mut decoder, &wire, &[read]);
    }

    #[test]
    fn a_client_decodes_the_frames_of_a_server_in_reads_of_any_size(
        texts in proptest::collection::vec((any::<String>(), 1usize..300), 0..4),
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        ping in proptest::collection::vec(any::<u8>(), 0..=125),
        reason in "[a-zé]{0,40}",
        reads in prop_oneof![Just(vec![1]), Just(vec![usize::MAX]), proptest::collection::vec(1usize..100, 1..10)],
    ) {
        let texts: Vec<String> = texts.into_iter().map(|(text, repeat)| text.repeat(repeat)).collect();
        let mut wire = Vec::new();
        let mut expected = Vec::new();
        for text in &texts {
            wire.extend(encode::frame(Opcode::Text, text.as_bytes()));
            expected.push(Incoming::Text(text.clone().into()));
        }
        wire.extend(encode::frame(Opcode::Ping, &ping));
        wire.extend(encode::pong(&ping));
        wire.extend(encode::frame(Opcode::Binary, &bytes));
        wire.extend(encode::close_frame(CloseCode::SERVICE_RESTART, &reason));
        expected.push(Incoming::Ping(ping.clone().into()));
        expected.push(Incoming::Pong(ping.into()));
        expected.push(Incoming::Binary(bytes.into()));
        expected.push(Incoming::Close(CloseFrame { code: Some(CloseCode::SERVICE_RESTART), reason }));
        let mut decoder = Decoder::of_server(DecoderLimits::default());
        prop_assert_eq!(decode_in_reads(&mut decoder, &wire, &reads), Ok(expected));
        prop_assert_eq!(decoder.retained_bytes(), 0);
    }

    #[test]
    fn a_client_refuses_masked_frames_and_a_server_unmasked_ones(payload: Vec<u8>, key: [u8; 4], read in 1usize..20) {
        let masked = encode::masked_frame(Opcode::Binary, &payload, key);
        let unmasked = encode::frame(Opcode::Binary, &payload);
        let opcode = Opcode::Binary;
        let mut client = Decoder::of_server(DecoderLimits::default());
        prop_assert_eq!(decode_in_reads(&mut client, &masked, &[read]), Err(ProtocolError::Masked { opcode }));
        let mut server = Decoder::new(DecoderLimits::default(), None);
        prop_assert_eq!(decode_in_reads(&mut server, &unmasked, &[read]), Err(ProtocolError::Unmasked { opcode }));
    }

    #[test]
    fn arbitrary_bytes_of_a_server_never_cause_a_panic_and_use_memory_in_proportion(
        reads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..100), 0..40),
        max_frame_size in 0usize..3000,
    ) {
        let mut decoder = Decoder::of_server(DecoderLimits { max_frame_size });
        let mut arrived = 0;
        for mut read in reads {
            arrived += read.len();
            let mut input = read.as_mut_slice();
            while let Ok((Some(_), rest)) = decoder.decode(input) {
                input = rest;
            }
            prop_assert!(decoder.retained_bytes() <= arrived + arrived / 4 + 1200);
        }
    }
}
