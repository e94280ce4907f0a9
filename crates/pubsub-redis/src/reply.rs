//! The decoder of Redis replies, which are RESP3 values. Pure.
//!
//! The session of the adapter reads with it. It distinguishes the push of a message, an error, and any other value.
//! Values are parsed in place. The payload of a message is copied, so that a stored message does not keep the complete
//! read buffer alive. Invariant: any bytes result in an event, in a request for more bytes, or in an error, and never
//! in a panic.

use bennu_pubsub_cluster::{BrokerProtocolError, Event, EventDecoder};
use bytes::{Buf, Bytes, BytesMut};

/// The largest payload. A larger one is not published, and is skipped when a foreign client published it.
pub(crate) const MAX_PAYLOAD: usize = 64 << 20;

/// The longest line, which contains a length, a number or the text of an error.
const MAX_LINE_BYTES: usize = 64 << 10;

/// The deepest nesting of values. Redis itself sends 3.
const MAX_DEPTH: usize = 8;

/// The replies of one connection.
pub(crate) struct Replies {
    /// The prefix of the channels of topics.
    topics: Box<[u8]>,
    /// Remaining bytes of a payload that is larger than the limit.
    skip: usize,
}

/// A parsed value, or `None` when the bytes are incomplete.
type Parsed<T> = Result<Option<T>, BrokerProtocolError>;

/// Returns `Ok(None)` from the function when the bytes are incomplete.
macro_rules! complete {
    ($parsed:expr) => {
        match $parsed? {
            Some(value) => value,
            None => return Ok(None),
        }
    };
}

impl Replies {
    pub(crate) fn new(topics: &str) -> Self {
        Replies { topics: topics.as_bytes().into(), skip: 0 }
    }

    /// Returns the first event, its length, and the number of bytes to skip after it.
    fn read(&self, bytes: &[u8]) -> Parsed<(Event, usize, usize)> {
        match bytes.first() {
            None => Ok(None),
            Some(b'>') => self.push(bytes),
            Some(b'-') => {
                let (text, end) = complete!(line(bytes, 1));
                Ok(Some((Event::Refused(String::from_utf8_lossy(text).into_owned()), end, 0)))
            }
            Some(_) => {
                let end = complete!(skip(bytes, 0, 0));
                Ok(Some((Event::Other, end, 0)))
            }
        }
    }

    fn push(&self, bytes: &[u8]) -> Parsed<(Event, usize, usize)> {
        let (_, start) = complete!(length(bytes, 0));
        if bytes.get(start) == Some(&b'$') {
            let (kind, end) = complete!(blob(bytes, start));
            if kind == b"message" {
                let (channel, end) = complete!(blob(bytes, end));
                let topic = channel.starts_with(&self.topics);
                let (len, start) = complete!(length(bytes, end));
                if len > MAX_PAYLOAD {
                    return Ok(Some((Event::TooLarge { len }, start, len + 2)));
                }
                let (payload, end) = complete!(blob(bytes, end));
                return Ok(Some((Event::Message { topic, frame: Bytes::copy_from_slice(payload) }, end, 0)));
            }
        }
        let end = complete!(skip(bytes, 0, 0));
        Ok(Some((Event::Other, end, 0)))
    }
}

impl EventDecoder for Replies {
    fn next(&mut self, bytes: &mut BytesMut) -> Result<Option<Event>, BrokerProtocolError> {
        let skipped = self.skip.min(bytes.len());
        bytes.advance(skipped);
        self.skip -= skipped;
        let (event, end, skip) = complete!(self.read(bytes));
        bytes.advance(end);
        self.skip = skip;
        Ok(Some(event))
    }
}

/// Returns the text from `at` to the end of its line, and the start of the next line.
fn line(bytes: &[u8], at: usize) -> Parsed<(&[u8], usize)> {
    let rest = bytes.get(at..).unwrap_or_default();
    match rest.iter().position(|byte| *byte == b'\n') {
        Some(end) if end > 0 && rest[end - 1] == b'\r' => Ok(Some((&rest[..end - 1], at + end + 1))),
        Some(_) => Err(BrokerProtocolError("a line ends without a carriage return".to_owned())),
        None if rest.len() > MAX_LINE_BYTES => {
            Err(BrokerProtocolError(format!("a line is longer than {MAX_LINE_BYTES} bytes")))
        }
        None => Ok(None),
    }
}

/// Returns the length in a value's first line.
fn length(bytes: &[u8], at: usize) -> Parsed<(usize, usize)> {
    let (text, end) = complete!(line(bytes, at + 1));
    let mut length = 0usize;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 || length > usize::MAX / 100 {
            return Err(BrokerProtocolError(format!("{:?} is not a length", String::from_utf8_lossy(text))));
        }
        length = length * 10 + usize::from(digit);
    }
    if text.is_empty() {
        return Err(BrokerProtocolError("a length is missing".to_owned()));
    }
    Ok(Some((length, end)))
}

/// Returns a string that follows its length.
fn blob(bytes: &[u8], at: usize) -> Parsed<(&[u8], usize)> {
    match bytes.get(at) {
        None => return Ok(None),
        Some(b'$') => {}
        Some(other) => return Err(BrokerProtocolError(format!("{:?} in the place of a string", char::from(*other)))),
    }
    let (length, start) = complete!(length(bytes, at));
    let end = start.saturating_add(length);
    Ok(bytes.get(start..end).filter(|_| bytes.len() >= end + 2).map(|text| (text, end + 2)))
}

/// Returns the end of the value at `at`.
fn skip(bytes: &[u8], at: usize, depth: usize) -> Parsed<usize> {
    if depth > MAX_DEPTH {
        return Err(BrokerProtocolError(format!("values are nested more than {MAX_DEPTH} levels deep")));
    }
    let Some(kind) = bytes.get(at) else { return Ok(None) };
    let each = match kind {
        b'+' | b'-' | b':' | b'_' | b',' | b'#' | b'(' => return Ok(line(bytes, at + 1)?.map(|(_, end)| end)),
        // RESP2 has a null string and a null array.
        b'$' | b'*' if bytes.get(at + 1) == Some(&b'-') => return Ok(line(bytes, at + 1)?.map(|(_, end)| end)),
        b'$' | b'!' | b'=' => {
            let (length, start) = complete!(length(bytes, at));
            let end = start.saturating_add(length).saturating_add(2);
            return Ok((bytes.len() >= end).then_some(end));
        }
        b'*' | b'~' | b'>' => 1,
        b'%' | b'|' => 2,
        other => return Err(BrokerProtocolError(format!("{:?} is not the beginning of a value", char::from(*other)))),
    };
    let (count, mut end) = complete!(length(bytes, at));
    for _ in 0..count.saturating_mul(each) {
        end = complete!(skip(bytes, end, depth + 1));
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
    fn messages_and_errors_are_events_and_other_values_are_skipped() {
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
    fn a_payload_too_large_is_skipped_over_any_number_of_reads() {
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
    fn bytes_that_are_not_a_value_return_an_error_with_the_cause() {
        assert_eq!(error(b"HTTP/1.1 400\r\n"), "'H' is not the beginning of a value");
        assert_eq!(error(b">3\r\n$x\r\n"), "\"x\" is not a length");
        assert_eq!(error(b">3\r\n$7\r\nmessage\r\n:1\r\n"), "':' in the place of a string");
        assert_eq!(error(b":1\n"), "a line ends without a carriage return");
        assert_eq!(error(&b"*1\r\n".repeat(20)), "values are nested more than 8 levels deep");
        assert_eq!(error(&[b'+'; MAX_LINE_BYTES + 2]), "a line is longer than 65536 bytes");
        assert_eq!(error(b"$99999999999999999999999\r\n"), "\"99999999999999999999999\" is not a length");
    }

    proptest! {
        #[test]
        fn events_do_not_depend_on_the_ends_of_reads(cuts in prop::collection::vec(1..40usize, 1..40)) {
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
