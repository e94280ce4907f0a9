//! Sections 12 and 13: permessage-deflate with payloads of several kinds, sizes and fragmentations
//! (12), and under several agreements (13).
//!
//! The suite sends 1000 messages a case; a few are enough here to take a context over, and a debug build of
//! zlib-rs runs at about a MiB a second. The client's side is
//! flate2 directly, with a context that lives as long as the agreement lets it.

use bennu_websocket::deflate::negotiate;
use bennu_websocket::{Limits, Negotiated};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::play::{Reply, Sent, binary, converse, echo, fragmented, manners, text};

/// How many messages of a size are sent: 64 KiB of them, but 2 to 10.
fn message_count(size: usize) -> usize {
    (64 * 1024 / size).clamp(2, 10)
}

/// Sizes of the messages, and of their fragments where they have any, as the suite numbers them.
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
    fn new(agreed: &Negotiated) -> Self {
        let bits = agreed.client_window_bits().max(9);
        Client {
            compress: Compress::new_with_window_bits(Compression::default(), false, bits),
            takes_over: !agreed.client_no_context_takeover(),
        }
    }

    /// The message with RSV1 and a deflate stream.
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

/// Inflates a reply with the agreed window and nothing else: the server takes no context over.
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

/// All sizes of one case of the suite, under one agreement.
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
            let replies: Vec<Reply> = converse(Limits::default(), Some(&agreed), &wire, &reads)
                .into_iter()
                .map(|reply| inflate(reply, agreed.server_window_bits()))
                .collect();
            assert!(replies == expected, "case {id}.{n}, {manner}: {replies:?}");
        }
    }
}

/// JSON as a channel sends it, a different place of it for every message.
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

/// Bytes that do not compress, as a JPEG does not (xorshift).
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

/// One byte over and over.
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

/// What the suite's client offers in section 13: all that it accepts, and what it asks for.
fn offer(asked: &str) -> String {
    format!("permessage-deflate; client_no_context_takeover; client_max_window_bits{asked}")
}

#[test]
fn json_is_echoed_under_every_agreement() {
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
