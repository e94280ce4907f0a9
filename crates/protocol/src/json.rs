//! A scanner that finds where JSON values begin and end, and whether they are JSON at all, without building anything.
//!
//! Called by the V2 serializer for every message: that is why it is here and not a library's. It accepts exactly what
//! serde_json accepts as a raw value (a property test holds the two together). Nesting costs one bit a level, so it has
//! no limit but the message's own size.

/// Where text stops being JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} at byte {at}")]
pub(crate) struct SyntaxError {
    expected: &'static str,
    at: usize,
}

/// Reads values from the front of a text.
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Scanner { text, at: 0 }
    }

    /// Passes whitespace and then this byte.
    pub(crate) fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), SyntaxError> {
        if self.passes(byte) { Ok(()) } else { Err(self.error(expected)) }
    }

    /// Passes whitespace, and then this byte if it is next.
    pub(crate) fn passes(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Passes whitespace; nothing may follow.
    pub(crate) fn end(mut self) -> Result<(), SyntaxError> {
        if self.peek().is_none() { Ok(()) } else { Err(self.error("the end")) }
    }

    /// Passes whitespace and one value, and returns the value's text.
    pub(crate) fn value(&mut self) -> Result<&'a str, SyntaxError> {
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
            // A value has ended, and with it maybe what it stands in.
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

    /// Passes a string, whose opening quote is next.
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

/// How many bytes stand before the first quote, backslash or control character: eight at a time.
fn plain_prefix(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let mut passed = 0;
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let word = u64::from_le_bytes(chunk.try_into().unwrap_or_default());
        // The lowest marked byte is one that we look for; those above it may be marked by its borrow.
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

/// Which containers are open, the innermost last: a set bit is an object.
#[derive(Default)]
struct Nesting {
    depth: usize,
    /// The innermost 64 or fewer.
    low: u64,
    /// All others, 64 in each.
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    fn scan(text: &str) -> Result<&str, SyntaxError> {
        let mut scanner = Scanner::new(text);
        let value = scanner.value()?;
        scanner.end()?;
        Ok(value)
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
        prop_oneof![noise.prop_map(String::from), value, broken]
    }

    proptest! {
        #[test]
        fn it_accepts_exactly_what_serde_json_accepts_and_finds_the_same_text(text in nearly_json()) {
            let expected = serde_json::from_str::<&RawValue>(&text).ok().map(RawValue::get);
            prop_assert_eq!(scan(&text).ok(), expected, "{}", text);
        }

        #[test]
        fn strings_end_where_they_end_whatever_they_hold(inside in any::<String>(), before in 0usize..9) {
            let text = format!("{}{}", " ".repeat(before), serde_json::to_string(&inside).unwrap());
            prop_assert_eq!(scan(&text), Ok(text.trim_start()));
        }
    }

    #[test]
    fn nesting_has_no_limit_and_mixed_nesting_must_match() {
        for levels in [63, 64, 65, 128, 100_000] {
            let text = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
            assert_eq!(scan(&text), Ok(&*text));
            let objects = format!("{}1{}", r#"{"a":["#.repeat(levels), "]}".repeat(levels));
            assert_eq!(scan(&objects), Ok(&*objects));
            let crossed = format!("{}1{}", r#"{"a":["#.repeat(levels), "}]".repeat(levels));
            assert!(scan(&crossed).is_err());
        }
    }

    #[test]
    fn an_error_says_what_was_expected_and_where() {
        assert_eq!(scan(r#"{"a":01}"#).unwrap_err().to_string(), "expected `,` or `}` at byte 6");
        assert_eq!(scan("[1,]").unwrap_err().to_string(), "expected a JSON value at byte 3");
        assert_eq!(scan("1 x").unwrap_err().to_string(), "expected the end at byte 2");
    }
}
