//! Compares the V2 decoder, which finds the elements of a message with serde_json, with a scanner written by hand.
//!
//!     cargo run --release -p bennu-protocol --example scanner
//!
//! Both build the same [`Inbound`] message, the copy of the payload included. In each round, each decodes one message
//! for about 20 ms. The table has the medians of all rounds. Decision record 023 has the figures.

use bennu_protocol::{Frame, Inbound, Name, Payload, Ref, Serializer};
use bytes::Bytes;
use std::borrow::Cow;
use std::hint::black_box;
use std::time::{Duration, Instant};

const ROUNDS: usize = 101;
const ROUND: Duration = Duration::from_millis(20);

fn main() {
    println!("{:<28} {:>7} {:>12} {:>12} {:>16}", "payload", "bytes", "decoder ns", "scanner ns", "decoder/scanner");
    for (payload, message) in [
        ("object of fields", message_of_fields(50)),
        ("object of fields", message_of_fields(130)),
        ("object of fields", message_of_fields(10_000)),
        ("object with one long text", message_of_text(10_000)),
    ] {
        let decoded = Serializer::V2.decode(Frame::Text(&message)).expect("a V2 message");
        assert_eq!(decoded.payload.as_json(), Some(elements(&message).expect("a V2 message")[4]));
        let (decoder, scanner) = medians(&message);
        println!("{payload:<28} {:>7} {decoder:>12.1} {scanner:>12.1} {:>16.2}", message.len(), decoder / scanner);
    }
}

/// Returns the nanoseconds of one decoding with the decoder and with the scanner.
fn medians(message: &str) -> (f64, f64) {
    let calls = calls_in_a_round(message);
    let (mut decoder, mut scanner) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        decoder.push(time(calls, || drop(black_box(Serializer::V2.decode(Frame::Text(black_box(message)))))));
        scanner.push(time(calls, || drop(black_box(decode_with_scanner(black_box(message))))));
    }
    (median(decoder), median(scanner))
}

fn calls_in_a_round(message: &str) -> u32 {
    let (started, mut calls) = (Instant::now(), 0);
    while started.elapsed() < ROUND {
        drop(black_box(decode_with_scanner(black_box(message))));
        calls += 1;
    }
    calls
}

fn time(calls: u32, decode: impl Fn()) -> f64 {
    let started = Instant::now();
    for _ in 0..calls {
        decode();
    }
    started.elapsed().as_nanos() as f64 / f64::from(calls)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Builds a message of about `len` bytes. Its payload is an object of numbers, short texts and small containers.
fn message_of_fields(len: usize) -> String {
    let whole = |fields: &[String]| format!(r#"["1","2","room:lobby","say",{{{}}}]"#, fields.join(","));
    let mut fields = Vec::new();
    loop {
        let number = fields.len();
        fields.push(match number % 3 {
            0 => format!(r#""text{number}":"hi {number}""#),
            1 => format!(r#""position{number}":[{number},-0.25]"#),
            _ => format!(r#""seen{number}":{{"at":1700000000,"by":null}}"#),
        });
        if whole(&fields).len() + 10 >= len {
            return whole(&fields);
        }
    }
}

/// Builds a message of `len` bytes. Its payload has one long text.
fn message_of_text(len: usize) -> String {
    let head = r#"["1","2","room:lobby","say",{"text":""#;
    let text = "hello all ".repeat(len / 10);
    format!(r#"{head}{}"}}]"#, &text[..len - head.len() - 3])
}

fn decode_with_scanner(text: &str) -> Option<Inbound<'_>> {
    let [join_ref, reference, topic, event, payload] = elements(text).ok()?;
    Some(Inbound {
        join_ref: read_ref(join_ref)?,
        reference: read_ref(reference)?,
        topic: Name::Text(read_text(topic)?),
        event: Name::Text(read_text(event)?),
        // The crate has no public way to copy JSON without validation. Binary data is copied in the same way.
        payload: Payload::binary(Bytes::copy_from_slice(payload.as_bytes())),
    })
}

fn read_ref(json: &str) -> Option<Ref> {
    if json == "null" { Some(Ref::NULL) } else { read_text(json).map(|text| Ref::text(&*text)) }
}

fn read_text(json: &str) -> Option<Cow<'_, str>> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') { serde_json::from_str(json).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(inner)) }
}

fn elements(text: &str) -> Result<[&str; 5], SyntaxError> {
    let mut scanner = Scanner::new(text);
    scanner.expect(b'[', "an array [join_ref, ref, topic, event, payload]")?;
    let mut elements = [""; 5];
    for (index, element) in elements.iter_mut().enumerate() {
        if index > 0 {
            scanner.expect(b',', "five elements: join_ref, ref, topic, event, payload")?;
        }
        *element = scanner.value()?;
    }
    while scanner.passes(b',') {
        scanner.value()?;
    }
    scanner.expect(b']', "`,` or `]`")?;
    scanner.end()?;
    Ok(elements)
}

/// The position at which a text is not JSON.
#[derive(Debug)]
#[expect(dead_code, reason = "the decoder that had the scanner wrote both into its error text")]
struct SyntaxError {
    expected: &'static str,
    at: usize,
}

/// The scanner that decision record 023 removed from the crate: it finds where JSON values begin and end.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str) -> Self {
        Scanner { text, at: 0 }
    }

    /// Skips whitespace and then this byte.
    fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), SyntaxError> {
        if self.passes(byte) { Ok(()) } else { Err(self.error(expected)) }
    }

    /// Skips whitespace, and then this byte if it is next.
    fn passes(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Skips whitespace, which must be the rest of the text.
    fn end(mut self) -> Result<(), SyntaxError> {
        if self.peek().is_none() { Ok(()) } else { Err(self.error("the end")) }
    }

    /// Skips whitespace and one value, and returns the value's text.
    fn value(&mut self) -> Result<&'a str, SyntaxError> {
        let first = self.peek();
        let start = self.at;
        let mut open = Nesting::default();
        let mut next = first;
        loop {
            match next {
                Some(b'"') => self.string()?,
                Some(b'{') => {
                    self.at += 1;
                    if !self.passes(b'}') {
                        open.push(true);
                        self.key()?;
                        next = self.peek();
                        continue;
                    }
                }
                Some(b'[') => {
                    self.at += 1;
                    if !self.passes(b']') {
                        open.push(false);
                        next = self.peek();
                        continue;
                    }
                }
                Some(b'-' | b'0'..=b'9') => self.number()?,
                Some(b't') => self.word("true")?,
                Some(b'f') => self.word("false")?,
                Some(b'n') => self.word("null")?,
                _ => return Err(self.error("a JSON value")),
            }
            // A value has ended. Its containers may end with it.
            loop {
                let Some(is_object) = open.innermost() else {
                    return self.text.get(start..self.at).ok_or_else(|| self.error("a JSON value"));
                };
                if self.passes(b',') {
                    if is_object {
                        self.key()?;
                    }
                    next = self.peek();
                    break;
                }
                if !self.passes(if is_object { b'}' } else { b']' }) {
                    return Err(self.error(if is_object { "`,` or `}`" } else { "`,` or `]`" }));
                }
                open.pop();
            }
        }
    }

    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    fn key(&mut self) -> Result<(), SyntaxError> {
        if self.peek() != Some(b'"') {
            return Err(self.error("a key"));
        }
        self.string()?;
        self.expect(b':', "`:`")
    }

    /// Skips a string that begins at the next byte.
    fn string(&mut self) -> Result<(), SyntaxError> {
        self.at += 1;
        loop {
            self.at += plain_prefix(&self.text.as_bytes()[self.at..]);
            match self.next_byte() {
                Some(b'"') => return Ok(()),
                Some(b'\\') => match self.next_byte() {
                    Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {}
                    Some(b'u') => {
                        for _ in 0..4 {
                            if !self.next_byte().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                                return Err(self.error("four hexadecimal digits"));
                            }
                        }
                    }
                    _ => return Err(self.error("an escape")),
                },
                Some(_) => return Err(self.error("no control character in a string")),
                None => return Err(self.error("the end of a string")),
            }
        }
    }

    fn number(&mut self) -> Result<(), SyntaxError> {
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), SyntaxError> {
        let rest = &self.text.as_bytes()[self.at..];
        match rest.iter().take_while(|byte| byte.is_ascii_digit()).count() {
            0 => Err(self.error("a digit")),
            count => {
                self.at += count;
                Ok(())
            }
        }
    }

    fn word(&mut self, word: &'static str) -> Result<(), SyntaxError> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(self.error("a JSON value"));
        }
        self.at += word.len();
        Ok(())
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.text.as_bytes().get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    fn next_byte(&mut self) -> Option<u8> {
        let byte = self.text.as_bytes().get(self.at).copied();
        self.at += usize::from(byte.is_some());
        byte
    }

    fn error(&self, expected: &'static str) -> SyntaxError {
        SyntaxError { expected, at: self.at }
    }
}

/// Counts the bytes before the first quote, backslash or control character, eight at a time.
fn plain_prefix(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let mut passed = 0;
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let word = u64::from_le_bytes(chunk.try_into().unwrap_or_default());
        // The lowest marked byte is a match. A borrow may mark the bytes above it.
        let quote = zero(word ^ (ONES * u64::from(b'"')));
        let backslash = zero(word ^ (ONES * u64::from(b'\\')));
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let found = (quote | backslash | control) & HIGHS;
        if found != 0 {
            return passed + found.trailing_zeros() as usize / 8;
        }
        passed += 8;
    }
    let rest = chunks.remainder();
    passed + rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).unwrap_or(rest.len())
}

/// The open containers, the innermost last. A set bit is an object.
#[derive(Default)]
struct Nesting {
    depth: usize,
    /// The innermost 64 containers or fewer.
    low: u64,
    /// All other containers, 64 in each word.
    high: Vec<u64>,
}

impl Nesting {
    fn push(&mut self, is_object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.high.push(self.low);
        }
        self.low = self.low << 1 | u64::from(is_object);
        self.depth += 1;
    }

    fn pop(&mut self) {
        self.depth -= 1;
        self.low >>= 1;
        if self.depth.is_multiple_of(64)
            && let Some(low) = self.high.pop()
        {
            self.low = low;
        }
    }

    fn innermost(&self) -> Option<bool> {
        (self.depth > 0).then_some(self.low & 1 == 1)
    }
}
