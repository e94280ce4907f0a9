//! Sections 12 and 13: permessage-deflate with payloads of several kinds, sizes and fragmentations
//! (12), and under several agreements (13).
//!
//! The suite sends 1,000 messages in each case. Here a few are enough for context takeover, and a debug build of
//! zlib-rs compresses about a MiB per second. The client uses flate2 directly, with a context that lasts as long as the
//! agreement allows.

use bennu_websocket::deflate::negotiate;
use bennu_websocket::{DecoderLimits, DeflateParameters};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::play::{Reply, Sent, binary, converse, echo, fragmented, manners, text};

/// The number of messages of a size: 64 KiB of them, at least 2 and at most 10.
fn message_count(size: usize) -> usize {
    (64 * 1024 / size).clamp(2, 10)
}

/// The sizes of the messages, and of their fragments if there are any, in the order of the suite.
const SIZES: [(usize, Option<usize>); 18] = [
    (16, None),
    (64, None),
    (256, None),
    (1024, None),
    (4096, None),
    (8192, None),
    (16384, None),
    (32768, None),
    (65536, None),
    (131072, None),
    (8192, Some(256)),
    (16384, Some(256)),
    (32768, Some(256)),
    (65536, Some(256)),
    (131072, Some(256)),
    (131072, Some(1024)),
    (131072, Some(4096)),
    (131072, Some(32768)),
];

const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

/// The client's compressor.
struct Client {
    compress: Compress,
    takes_over: bool,
}

impl Client {
    fn new(agreed: &DeflateParameters) -> Self {
        let bits = agreed.client_window_bits().max(9);
        Client {
            compress: Compress::new_with_window_bits(Compression::default(), false, bits),
            takes_over: !agreed.client_no_context_takeover(),
        }
    }

    /// Compresses a message and sets RSV1.
    fn deflate(&mut self, message: &Sent) -> Sent {
        if !self.takes_over {
            self.compress.reset();
        }
        let mut stream = Vec::with_capacity(message.payload.len() * 2 + 64);
        self.compress.compress_vec(&message.payload, &mut stream, FlushCompress::Sync).expect("there is room");
        assert!(stream.ends_with(&TAIL));
        stream.truncate(stream.len() - TAIL.len());
        Sent { payload: stream, ..message.clone().reserved(4) }
    }
}

/// Inflates a reply with the agreed window and no history, because the server takes no context over.
fn inflate(reply: Reply, window_bits: u8) -> Reply {
    assert_eq!(reply.first_byte & 0x70, 0x40, "RSV1 and no other bit");
    let stream = [&reply.payload[..], &TAIL].concat();
    let mut payload = Vec::with_capacity(200_000);
    let status = Decompress::new_with_window_bits(false, window_bits)
        .decompress_vec(&stream, &mut payload, FlushDecompress::Sync)
        .expect("a deflate stream");
    assert_ne!(status, Status::StreamEnd);
    Reply { first_byte: reply.first_byte & !0x40, payload }
}

/// Plays all sizes of one case of the suite with one agreement.
fn play_sizes(id: &str, offers: &[&str], message: impl Fn(usize, usize) -> Sent) {
    let agreed = negotiate(offers.iter().copied()).expect("an offer that can be accepted");
    for ((size, fragment), n) in SIZES.into_iter().zip(1..) {
        let messages: Vec<Sent> = (0..message_count(size)).map(|index| message(index, size)).collect();
        let mut client = Client::new(&agreed);
        let wire: Vec<u8> = messages
            .iter()
            .map(|message| client.deflate(message))
            .flat_map(|deflated| match fragment {
                Some(fragment) => fragmented(deflated, fragment),
                None => vec![deflated],
            })
            .flat_map(|frame| frame.wire())
            .collect();
        let expected: Vec<Reply> = messages.iter().map(echo).collect();
        for (manner, reads) in manners(wire.len()) {
            let replies: Vec<Reply> = converse(DecoderLimits::default(), Some(&agreed), &wire, &reads)
                .into_iter()
                .map(|reply| inflate(reply, agreed.server_window_bits()))
                .collect();
            assert!(replies == expected, "case {id}.{n}, {manner}: {replies:?}");
        }
    }
}

/// JSON of a channel, different for every message.
fn json(index: usize, size: usize) -> Sent {
    let mut json = String::new();
    let mut reference = index * 7;
    while json.len() < size {
        reference += 1;
        json.push_str(&format!(r#"["1","{reference}","room:lobby","new_msg",{{"body":"hello {reference}"}}],"#));
    }
    json.truncate(size); // all ASCII
    text(json)
}

/// Text with characters of two, three and four bytes.
fn multibyte(index: usize, size: usize) -> Sent {
    let mut words = ["κόσμε ", "grüße ", "日本語 ", "😀 ", "plain "].into_iter().cycle().skip(index);
    let mut message = String::new();
    loop {
        let word = words.next().expect("a cycle has no end");
        if message.len() + word.len() > size {
            message.push_str(&".".repeat(size - message.len()));
            return text(message);
        }
        message.push_str(word);
    }
}

/// Bytes that do not compress, like those of a JPEG (xorshift).
fn noise(index: usize, size: usize) -> Sent {
    let mut state = 0x9E37_79B9_7F4A_7C15 ^ (index as u64);
    binary(
        std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 24) as u8
        })
        .take(size)
        .collect::<Vec<u8>>(),
    )
}

/// One byte, repeated.
fn monotonous(index: usize, size: usize) -> Sent {
    binary(vec![index as u8; size])
}

const PLAIN: &[&str] = &["permessage-deflate"];

#[test]
fn json_of_any_size_is_echoed_compressed() {
    play_sizes("12.1", PLAIN, json);
}

#[test]
fn bytes_of_one_value_of_any_size_are_echoed_compressed() {
    play_sizes("12.2", PLAIN, monotonous);
}

#[test]
fn bytes_that_do_not_compress_of_any_size_are_echoed_compressed() {
    play_sizes("12.3", PLAIN, noise);
}

#[test]
fn multibyte_text_of_any_size_is_echoed_compressed() {
    play_sizes("12.4", PLAIN, multibyte);
}

#[test]
fn messages_of_changing_kinds_share_one_context() {
    play_sizes("12.5", PLAIN, |index, size| match index % 4 {
        0 => json(index, size),
        1 => noise(index, size),
        2 => multibyte(index, size),
        _ => monotonous(index, size),
    });
}

/// The offer of the suite's client in section 13: the parameters that it supports, and the requested ones.
fn offer(requested: &str) -> String {
    format!("permessage-deflate; client_no_context_takeover; client_max_window_bits{requested}")
}

#[test]
fn json_is_echoed_with_every_agreement() {
    const NO_TAKEOVER: &str = "; server_no_context_takeover";
    const NARROW: &str = "; server_max_window_bits=9";
    const WIDE: &str = "; server_max_window_bits=15";
    let cases = [
        ("13.1", offer("")),
        ("13.2", offer(NO_TAKEOVER)),
        ("13.3", offer(NARROW)),
        ("13.4", offer(WIDE)),
        ("13.5", offer(&[NO_TAKEOVER, NARROW].concat())),
        ("13.6", offer(&[NO_TAKEOVER, WIDE].concat())),
    ];
    for (id, offer) in &cases {
        play_sizes(id, &[offer], json);
    }
    let in_preference = [offer(&[NO_TAKEOVER, NARROW].concat()), offer(NO_TAKEOVER), offer("")];
    play_sizes("13.7", &in_preference.each_ref().map(String::as_str), json);
}

#[test]
fn a_client_with_a_narrow_window_takes_its_context_over() {
    for bits in [9, 12] {
        let offer = format!("permessage-deflate; client_max_window_bits={bits}");
        play_sizes("ours", &[&offer], json);
    }
}
