//! The decoder of the messages of a NATS server. Pure.
//!
//! The session of the adapter reads with it. A message is a line; a payload follows a `MSG` line. The payload is
//! copied, so that a stored message does not keep the whole read buffer alive. Invariant: any bytes result in an event,
//! in a request for more bytes, or in an error, and never in a panic.

use bennu_pubsub_cluster::{BrokerProtocolError, Event, EventDecoder};
use bytes::{Buf, Bytes, BytesMut};

/// The largest payload; a larger one is skipped. A server cannot be configured with a larger one.
pub(crate) const MAX_PAYLOAD: usize = 64 << 20;

/// The longest line: `INFO` lists all servers of a cluster.
const MAX_LINE_BYTES: usize = 1 << 20;

/// The messages of one connection.
pub(crate) struct Messages {
    /// The prefix of the subjects of topics.
    topics: Box<[u8]>,
    /// Remaining bytes of a payload that is larger than the limit.
    skip: usize,
}

impl Messages {
    pub(crate) fn new(topics: &str) -> Self {
        Messages { topics: topics.as_bytes().into(), skip: 0 }
    }

    /// Returns the first event, its length, and the number of bytes to skip after it.
    fn read(&self, bytes: &[u8]) -> Result<Option<(Event, usize, usize)>, BrokerProtocolError> {
        let Some((line, end)) = line(bytes)? else { return Ok(None) };
        let (command, rest) = match line.iter().position(u8::is_ascii_whitespace) {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &[][..]),
        };
        let event = match command {
            b"MSG" => return self.message(rest, bytes, end),
            b"PING" => Event::Ping,
            b"-ERR" => Event::Refused(refusal(rest)),
            b"PONG" | b"+OK" | b"INFO" => Event::Other,
            _ => return Err(BrokerProtocolError(format!("{:?} is not the beginning of a message", lossy(command)))),
        };
        Ok(Some((event, end, 0)))
    }

    /// Parses `subject id [reply] length`, and the payload in the next line.
    fn message(
        &self,
        arguments: &[u8],
        bytes: &[u8],
        start: usize,
    ) -> Result<Option<(Event, usize, usize)>, BrokerProtocolError> {
        let mut words = arguments.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let subject = words.next().unwrap_or_default();
        let length = words.next_back().and_then(|length| std::str::from_utf8(length).ok()?.parse::<usize>().ok());
        let Some(len) = length else {
            return Err(BrokerProtocolError(format!("the length of a message is missing: {:?}", lossy(arguments))));
        };
        if len > MAX_PAYLOAD {
            return Ok(Some((Event::TooLarge { len }, start, len.saturating_add(2))));
        }
        let end = start + len;
        if bytes.len() < end + 2 {
            return Ok(None);
        }
        let frame = Bytes::copy_from_slice(&bytes[start..end]);
        Ok(Some((Event::Message { topic: subject.starts_with(&self.topics), frame }, end + 2, 0)))
    }
}

impl EventDecoder for Messages {
    fn next(&mut self, bytes: &mut BytesMut) -> Result<Option<Event>, BrokerProtocolError> {
        let skipped = self.skip.min(bytes.len());
        bytes.advance(skipped);
        self.skip -= skipped;
        Ok(self.read(bytes)?.map(|(event, end, skip)| {
            bytes.advance(end);
            self.skip = skip;
            event
        }))
    }
}

/// Returns the first line, and the start of the next one.
pub(crate) fn line(bytes: &[u8]) -> Result<Option<(&[u8], usize)>, BrokerProtocolError> {
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) => Ok(Some((bytes[..end].trim_ascii_end(), end + 1))),
        None if bytes.len() > MAX_LINE_BYTES => {
            Err(BrokerProtocolError(format!("a line is longer than {MAX_LINE_BYTES} bytes")))
        }
        None => Ok(None),
    }
}

/// Returns the text of an error, without its quotes.
pub(crate) fn refusal(text: &[u8]) -> String {
    String::from_utf8_lossy(text).trim().trim_matches('\'').to_owned()
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(64)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STREAM: &[u8] = b"INFO {\"max_payload\":1}\r\nPONG\r\nMSG b.t.x 11 4\r\na\r\nb\r\nPING\r\n\
        MSG b.c 1 reply.to 0\r\n\r\n-ERR 'Permissions Violation for Publish to \"b.t.x\"'\r\n+OK\r\n";

    fn expected() -> Vec<Event> {
        vec![
            Event::Other,
            Event::Other,
            Event::Message { topic: true, frame: Bytes::from_static(b"a\r\nb") },
            Event::Ping,
            Event::Message { topic: false, frame: Bytes::new() },
            Event::Refused("Permissions Violation for Publish to \"b.t.x\"".to_owned()),
            Event::Other,
        ]
    }

    #[test]
    fn a_payload_too_large_is_skipped() {
        let mut decoder = Messages::new("b.t.");
        let len = MAX_PAYLOAD + 1;
        let mut bytes = BytesMut::from(format!("MSG b.t.x 11 {len}\r\n").as_bytes());
        assert_eq!(decoder.next(&mut bytes), Ok(Some(Event::TooLarge { len })));
        bytes.resize(MAX_PAYLOAD, b'x');
        assert_eq!((decoder.next(&mut bytes), bytes.len()), (Ok(None), 0));
        bytes.extend_from_slice(b"x\r\nPING\r\n");
        assert_eq!(decoder.next(&mut bytes), Ok(Some(Event::Ping)));
    }

    #[test]
    fn bytes_that_are_not_a_message_return_an_error_with_the_cause() {
        let error = |bytes: &[u8]| Messages::new("b.t.").next(&mut BytesMut::from(bytes)).unwrap_err().0;
        assert_eq!(error(b"HTTP/1.1 400\r\n"), "\"HTTP/1.1\" is not the beginning of a message");
        assert_eq!(error(b"MSG b.t.x 11 many\r\n"), "the length of a message is missing: \"b.t.x 11 many\"");
        assert_eq!(error(b"MSG\r\n"), "the length of a message is missing: \"\"");
        assert_eq!(error(&vec![b'x'; MAX_LINE_BYTES + 1]), "a line is longer than 1048576 bytes");
    }

    proptest! {
        #[test]
        fn events_do_not_depend_on_the_ends_of_reads(cuts in prop::collection::vec(1..40usize, 0..20)) {
            let mut decoder = Messages::new("b.t.");
            let (mut bytes, mut read, mut rest) = (BytesMut::new(), Vec::new(), STREAM);
            for cut in cuts.into_iter().chain([usize::MAX]) {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                bytes.extend_from_slice(now);
                rest = later;
                read.extend(std::iter::from_fn(|| decoder.next(&mut bytes).unwrap()));
            }
            prop_assert_eq!(read, expected());
        }

        #[test]
        fn no_bytes_panic(words in prop::collection::vec(
            prop::sample::select(vec!["MSG", " ", "b.t.x", "1", "99999999999999999999", "\r\n", "\n", "-ERR", "PING", "é"]), 0..30,
        )) {
            let mut bytes = BytesMut::from(words.concat().as_bytes());
            let mut decoder = Messages::new("b.t.");
            while let Ok(Some(_)) = decoder.next(&mut bytes) {}
        }
    }
}
