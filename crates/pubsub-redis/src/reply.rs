//! What Redis sends, as far as an adapter wants to know it. Pure.
//!
//! Everything is a RESP3 value. Three matter: the push of a message, an error, and that there was some other one. Values
//! are looked at where they lie; a message's payload is copied, so that one that is kept does not keep all that came with
//! it. Invariant: any bytes are an event, the wish for more, or an error, and never a panic.

use bennu_pubsub_cluster::{Decoder, Event, Malformed};
use bytes::{Buf, Bytes, BytesMut};

/// A larger payload is not published, and skipped where a stranger did.
pub(crate) const MAX_PAYLOAD: usize = 64 << 20;

/// A line, which holds a length, a number, or an error's text, is not longer.
const MAX_LINE: usize = 64 << 10;

/// Values within values: Redis itself sends 3.
const MAX_DEPTH: usize = 8;

/// The values of one connection.
pub(crate) struct Replies {
    /// What the names of topics' channels begin with.
    topics: Box<[u8]>,
    /// Bytes of a payload too large that are still to come.
    skip: usize,
}

/// Where in the bytes something stands, or that it is not all there yet.
type Found<T> = Result<Option<T>, Malformed>;

/// `?` for what may not be all there yet.
macro_rules! whole {
    ($found:expr) => {
        match $found? {
            Some(found) => found,
            None => return Ok(None),
        }
    };
}

impl Replies {
    pub(crate) fn new(topics: &str) -> Self {
        Replies { topics: topics.as_bytes().into(), skip: 0 }
    }

    /// The event at the front of the bytes, how many it takes, and how many to skip behind them.
    fn read(&self, bytes: &[u8]) -> Found<(Event, usize, usize)> {
        match bytes.first() {
            None => Ok(None),
            Some(b'>') => self.push(bytes),
            Some(b'-') => {
                let (text, end) = whole!(line(bytes, 1));
                Ok(Some((Event::Refused(String::from_utf8_lossy(text).into_owned()), end, 0)))
            }
            Some(_) => {
                let end = whole!(skip(bytes, 0, 0));
                Ok(Some((Event::Other, end, 0)))
            }
        }
    }

    fn push(&self, bytes: &[u8]) -> Found<(Event, usize, usize)> {
        let (_, start) = whole!(length(bytes, 0));
        if bytes.get(start) == Some(&b'$') {
            let (kind, end) = whole!(blob(bytes, start));
            if kind == b"message" {
                let (channel, end) = whole!(blob(bytes, end));
                let topic = channel.starts_with(&self.topics);
                let (len, start) = whole!(length(bytes, end));
                if len > MAX_PAYLOAD {
                    return Ok(Some((Event::TooLarge { len }, start, len + 2)));
                }
                let (payload, end) = whole!(blob(bytes, end));
                return Ok(Some((Event::Message { topic, frame: Bytes::copy_from_slice(payload) }, end, 0)));
            }
        }
        let end = whole!(skip(bytes, 0, 0));
        Ok(Some((Event::Other, end, 0)))
    }
}

impl Decoder for Replies {
    fn next(&mut self, bytes: &mut BytesMut) -> Result<Option<Event>, Malformed> {
        let skipped = self.skip.min(bytes.len());
        bytes.advance(skipped);
        self.skip -= skipped;
        let (event, end, skip) = whole!(self.read(bytes));
        bytes.advance(end);
        self.skip = skip;
        Ok(Some(event))
    }
}

/// The text from `at` to the end of its line, and where the next line begins.
fn line(bytes: &[u8], at: usize) -> Found<(&[u8], usize)> {
    let rest = bytes.get(at..).unwrap_or_default();
    match rest.iter().position(|byte| *byte == b'\n') {
        Some(end) if end > 0 && rest[end - 1] == b'\r' => Ok(Some((&rest[..end - 1], at + end + 1))),
        Some(_) => Err(Malformed("a line ends without a carriage return".to_owned())),
        None if rest.len() > MAX_LINE => Err(Malformed(format!("a line is longer than {MAX_LINE} bytes"))),
        None => Ok(None),
    }
}

/// The length that a value's first line says.
fn length(bytes: &[u8], at: usize) -> Found<(usize, usize)> {
    let (text, end) = whole!(line(bytes, at + 1));
    let mut length = 0usize;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 || length > usize::MAX / 100 {
            return Err(Malformed(format!("{:?} is no length", String::from_utf8_lossy(text))));
        }
        length = length * 10 + usize::from(digit);
    }
    if text.is_empty() {
        return Err(Malformed("a length is missing".to_owned()));
    }
    Ok(Some((length, end)))
}

/// A string with its length before it.
fn blob(bytes: &[u8], at: usize) -> Found<(&[u8], usize)> {
    match bytes.get(at) {
        None => return Ok(None),
        Some(b'$') => {}
        Some(other) => return Err(Malformed(format!("{:?} where a string should be", char::from(*other)))),
    }
    let (length, start) = whole!(length(bytes, at));
    let end = start.saturating_add(length);
    Ok(bytes.get(start..end).filter(|_| bytes.len() >= end + 2).map(|text| (text, end + 2)))
}

/// Where the value at `at` ends.
fn skip(bytes: &[u8], at: usize, depth: usize) -> Found<usize> {
    if depth > MAX_DEPTH {
        return Err(Malformed(format!("values are nested more than {MAX_DEPTH} deep")));
    }
    let Some(kind) = bytes.get(at) else { return Ok(None) };
    let each = match kind {
        b'+' | b'-' | b':' | b'_' | b',' | b'#' | b'(' => return Ok(line(bytes, at + 1)?.map(|(_, end)| end)),
        // RESP2 has a string and an array that are not there.
        b'$' | b'*' if bytes.get(at + 1) == Some(&b'-') => return Ok(line(bytes, at + 1)?.map(|(_, end)| end)),
        b'$' | b'!' | b'=' => {
            let (length, start) = whole!(length(bytes, at));
            let end = start.saturating_add(length).saturating_add(2);
            return Ok((bytes.len() >= end).then_some(end));
        }
        b'*' | b'~' | b'>' => 1,
        b'%' | b'|' => 2,
        other => return Err(Malformed(format!("no value begins with {:?}", char::from(*other)))),
    };
    let (count, mut end) = whole!(length(bytes, at));
    for _ in 0..count.saturating_mul(each) {
        end = whole!(skip(bytes, end, depth + 1));
    }
    Ok(Some(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn events(bytes: &[u8]) -> (Vec<Event>, usize) {
        let mut decoder = Replies::new("b:t:");
        let mut bytes = BytesMut::from(bytes);
        let events = std::iter::from_fn(|| decoder.next(&mut bytes).unwrap()).collect();
        (events, bytes.len())
    }

    fn error(bytes: &[u8]) -> String {
        Replies::new("b:t:").next(&mut BytesMut::from(bytes)).unwrap_err().0
    }

    fn message(topic: bool, payload: &'static [u8]) -> Event {
        Event::Message { topic, frame: Bytes::from_static(payload) }
    }

    const STREAM: &[u8] = b"%2\r\n$6\r\nserver\r\n$5\r\nredis\r\n$5\r\nproto\r\n:3\r\n\
        >3\r\n$9\r\nsubscribe\r\n$5\r\nb:t:x\r\n:1\r\n\
        >3\r\n$7\r\nmessage\r\n$5\r\nb:t:x\r\n$4\r\na\r\nb\r\n\
        :12\r\n+PONG\r\n-NOPERM no\r\n\
        >3\r\n$7\r\nmessage\r\n$3\r\nb:c\r\n$0\r\n\r\n*-1\r\n_\r\n";

    #[test]
    fn messages_and_errors_are_told_and_all_else_is_passed_over() {
        let expected = vec![
            Event::Other,
            Event::Other,
            message(true, b"a\r\nb"),
            Event::Other,
            Event::Other,
            Event::Refused("NOPERM no".to_owned()),
            message(false, b""),
            Event::Other,
            Event::Other,
        ];
        assert_eq!(events(STREAM), (expected, 0));
    }

    #[test]
    fn a_payload_too_large_is_skipped_wherever_reads_end() {
        let mut decoder = Replies::new("b:t:");
        let len = MAX_PAYLOAD + 1;
        let mut bytes = BytesMut::from(format!(">3\r\n$7\r\nmessage\r\n$3\r\nb:c\r\n${len}\r\n").as_bytes());
        assert_eq!(decoder.next(&mut bytes), Ok(Some(Event::TooLarge { len })));
        for _ in 0..MAX_PAYLOAD / (1 << 20) {
            bytes.resize(1 << 20, b'x');
            assert_eq!((decoder.next(&mut bytes), bytes.len()), (Ok(None), 0));
        }
        bytes.extend_from_slice(b"x\r\n+PONG\r\n");
        assert_eq!(decoder.next(&mut bytes), Ok(Some(Event::Other)));
    }

    #[test]
    fn what_is_no_value_says_why() {
        assert_eq!(error(b"HTTP/1.1 400\r\n"), "no value begins with 'H'");
        assert_eq!(error(b">3\r\n$x\r\n"), "\"x\" is no length");
        assert_eq!(error(b">3\r\n$7\r\nmessage\r\n:1\r\n"), "':' where a string should be");
        assert_eq!(error(b":1\n"), "a line ends without a carriage return");
        assert_eq!(error(&b"*1\r\n".repeat(20)), "values are nested more than 8 deep");
        assert_eq!(error(&[b'+'; MAX_LINE + 2]), "a line is longer than 65536 bytes");
        assert_eq!(error(b"$99999999999999999999999\r\n"), "\"99999999999999999999999\" is no length");
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_reads_end(cuts in prop::collection::vec(1..40usize, 1..40)) {
            let mut decoder = Replies::new("b:t:");
            let (mut bytes, mut read, mut rest) = (BytesMut::new(), Vec::new(), STREAM);
            for cut in cuts.into_iter().chain([usize::MAX]) {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                bytes.extend_from_slice(now);
                rest = later;
                read.extend(std::iter::from_fn(|| decoder.next(&mut bytes).unwrap()));
            }
            prop_assert_eq!(read, events(STREAM).0);
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(prop::sample::select(b">*%$!:+-_|123\r\na".to_vec()), 0..60)) {
            let mut bytes = BytesMut::from(&bytes[..]);
            let mut decoder = Replies::new("b:t:");
            while let Ok(Some(_)) = decoder.next(&mut bytes) {}
        }
    }
}
