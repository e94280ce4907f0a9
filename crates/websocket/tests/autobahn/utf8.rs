//! Section 6: UTF-8 in text messages, in one frame and in fragments, refused as early as possible.
//!
//! From 6.5 on the suite sends one sequence of bytes in each case. The tables here have them as hex.

use bennu_websocket::{CloseCode, DecoderLimits};

use crate::play::{
    Case, EchoServer, Sent, case, continuation, echo, echoed, failed, fails, fragmented, play, replies, text,
};

const REFUSED: CloseCode = CloseCode::INVALID_PAYLOAD;
const GREEK: &str = "κόσμε";

/// The suite's invalid text: Greek, a surrogate, and Latin after it.
const SURROGATE_INSIDE: &[u8] = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited";

/// The suite's second invalid text: the four bytes in its middle are above U+10FFFF.
const TOO_HIGH: [&[u8]; 3] = [b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5", b"\xf4\x90\x80\x80", b"edited"];

fn unhex(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| *byte != b' ').collect();
    digits
        .chunks(2)
        .map(|pair| {
            let pair = std::str::from_utf8(pair).expect("ASCII");
            u8::from_str_radix(pair, 16).expect("two hex digits")
        })
        .collect()
}

fn table(section: &str, rows: &[&str], row: fn(String, Sent) -> Case) {
    play(rows.iter().zip(1..).map(|(hex, n)| row(format!("{section}.{n}"), text(unhex(hex)))));
}

/// Plays sequences that are valid text.
fn valid(section: &str, rows: &[&str]) {
    table(section, rows, echoed);
}

/// Plays sequences that are not text.
fn invalid(section: &str, rows: &[&str]) {
    table(section, rows, |id, message| fails(id, [message], REFUSED));
}

#[test]
fn empty_text_in_any_number_of_fragments_is_echoed() {
    let parts = |middle: &str| [text("").more(), continuation(middle).more(), continuation("")];
    play([
        echoed("6.1.1", text("")),
        case("6.1.2", parts(""), [echo(&text(""))]),
        case("6.1.3", parts("middle frame payload"), [echo(&text("middle frame payload"))]),
    ]);
}

#[test]
fn text_can_be_divided_between_and_inside_characters() {
    let message = text("Hello-µ@ßöäüàá-UTF-8!!");
    let at_a_character = [text("Hello-µ@ßöä").more(), continuation("üàá-UTF-8!!")];
    play([
        echoed("6.2.1", message.clone()),
        case("6.2.2", at_a_character, [echo(&message)]),
        case("6.2.3", fragmented(message.clone(), 1), [echo(&message)]),
        case("6.2.4", fragmented(text(GREEK), 1), [echo(&text(GREEK))]),
    ]);
}

#[test]
fn text_with_a_surrogate_fails_the_connection() {
    let message = text(SURROGATE_INSIDE);
    play([fails("6.3.1", [message.clone()], REFUSED), fails("6.3.2", fragmented(message, 1), REFUSED)]);
}

/// Sends the pieces one by one, and returns the index of the piece after which the connection failed.
fn refused_at(pieces: impl IntoIterator<Item = Vec<u8>>) -> Option<usize> {
    let mut server = EchoServer::new(DecoderLimits::default(), None);
    pieces.into_iter().position(|mut piece| {
        server.read(&mut piece);
        replies(&server.written) == [failed(REFUSED)]
    })
}

#[test]
fn an_invalid_fragment_fails_the_connection_before_the_next_one_arrives() {
    let fragments = |parts: [&[u8]; 3]| {
        let [first, second, third] = parts;
        [text(first).more(), continuation(second).more(), continuation(third)].map(|frame| frame.wire())
    };
    assert_eq!(refused_at(fragments(TOO_HIGH)), Some(1), "case 6.4.1");

    // F4 begins a character, which 90 cannot continue.
    let [greek, high, latin] = TOO_HIGH;
    let (start, invalid) = high.split_at(1);
    let first = [greek, start].concat();
    let pieces = fragments([&first, &invalid[..1], latin]);
    assert_eq!(refused_at(pieces), Some(1), "case 6.4.2");
}

#[test]
fn an_invalid_byte_fails_the_connection_before_the_rest_of_its_frame_arrives() {
    let wire = text(TOO_HIGH.concat()).wire();
    let header_len = 6;
    let greek_end = header_len + TOO_HIGH[0].len();
    let pieces = |cuts: [usize; 2]| {
        let [first, second] = cuts;
        [&wire[..first], &wire[first..second], &wire[second..]].map(<[u8]>::to_vec)
    };
    assert_eq!(refused_at(pieces([greek_end, greek_end + 4])), Some(1), "case 6.4.3");
    assert_eq!(refused_at(pieces([greek_end + 1, greek_end + 2])), Some(1), "case 6.4.4");
}

#[test]
fn greek_is_echoed_and_so_is_every_prefix_that_ends_with_a_character() {
    valid("6.5", &["ceba e1bdb9 cf83 cebc ceb5"]);
    play((1..=GREEK.len()).map(|len| {
        let prefix = text(&GREEK.as_bytes()[..len]);
        let id = format!("6.6.{len}");
        if GREEK.is_char_boundary(len) { echoed(id, prefix) } else { fails(id, [prefix], REFUSED) }
    }));
}

#[test]
fn the_first_and_the_last_character_of_each_length_is_echoed() {
    valid("6.7", &["00", "c280", "e0a080", "f0908080"]);
    valid("6.9", &["7f", "dfbf", "efbfbf", "f48fbfbf"]);
}

#[test]
fn sequences_of_five_and_six_bytes_fail_the_connection() {
    invalid("6.8", &["f888808080", "fc8480808080"]);
    invalid("6.10", &["f7bfbfbf", "fbbfbfbfbf", "fdbfbfbfbfbf"]);
}

#[test]
fn characters_inside_the_code_space_are_echoed_and_those_above_fail_the_connection() {
    valid("6.11", &["ed9fbf", "ee8080", "efbfbd", "f48fbfbf"]);
    invalid("6.11.5 and", &["f4908080"]);
}

#[test]
fn continuation_bytes_without_a_start_fail_the_connection() {
    let all: String = (0x80..=0xBF).map(|byte| format!("{byte:02x}")).collect();
    let rows = ["80", "bf", "80bf", "80bf80", "80bf80bf", "80bf80bf80", "80bf80bf80bf", &all];
    invalid("6.12", &rows);
}

#[test]
fn start_bytes_without_a_continuation_fail_the_connection() {
    let lonely =
        |starts: std::ops::RangeInclusive<u8>| -> String { starts.map(|byte| format!("{byte:02x}20")).collect() };
    let rows = [0xC0..=0xDF, 0xE0..=0xEF, 0xF0..=0xF7, 0xF8..=0xFB, 0xFC..=0xFD].map(lonely);
    invalid("6.13", &rows.each_ref().map(String::as_str));
}

const LAST_BYTE_MISSING: [&str; 10] =
    ["c0", "e080", "f08080", "f8808080", "fc80808080", "df", "efbf", "f7bfbf", "fbbfbfbf", "fdbfbfbfbf"];

#[test]
fn characters_without_their_last_byte_fail_the_connection() {
    invalid("6.14", &LAST_BYTE_MISSING);
    invalid("6.15", &[&LAST_BYTE_MISSING.concat()]);
}

#[test]
fn bytes_that_are_never_part_of_text_fail_the_connection() {
    invalid("6.16", &["fe", "ff", "fefeffff"]);
}

#[test]
fn overlong_forms_fail_the_connection() {
    invalid("6.17", &["c0af", "e080af", "f08080af", "f8808080af", "fc80808080af"]);
    invalid("6.18", &["c1bf", "e09fbf", "f08fbfbf", "f887bfbfbf", "fc83bfbfbfbf"]);
    invalid("6.19", &["c080", "e08080", "f0808080", "f880808080", "fc8080808080"]);
}

#[test]
fn surrogates_fail_the_connection_alone_and_in_pairs() {
    let single = ["eda080", "edadbf", "edae80", "edafbf", "edb080", "edbe80", "edbfbf"];
    invalid("6.20", &single);
    invalid(
        "6.21",
        &[
            "eda080edb080",
            "eda080edbfbf",
            "edadbfedb080",
            "edadbfedbfbf",
            "edae80edb080",
            "edae80edbfbf",
            "edafbfedb080",
            "edafbfedbfbf",
        ],
    );
}

#[test]
fn noncharacters_of_every_plane_are_echoed() {
    let last_two = (0..=16u32).flat_map(|plane| [plane << 16 | 0xFFFE, plane << 16 | 0xFFFF]);
    play(last_two.zip(1..).map(|(code, n)| {
        let character = char::from_u32(code).expect("no surrogate ends with FFFE or FFFF");
        echoed(format!("6.22.{n}"), text(character.to_string()))
    }));
}

#[test]
fn the_specials_are_echoed() {
    valid("6.23", &["efbfb9", "efbfba", "efbfbb", "efbfbc", "efbfbd", "efbfbe", "efbfbf"]);
}
