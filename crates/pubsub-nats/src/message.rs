//! What a NATS server sends. Pure.
//!
//! Lines, and behind a `MSG` line its payload, which is copied, so that one that is kept does not keep all that came with
//! it. Invariant: any bytes are an event, the wish for more, or an error, and never a panic.

use bennu_pubsub_cluster::{Decoder, Event, Malformed};
use bytes::{Buf, Bytes, BytesMut};

/// A larger payload is skipped. As large as a server can be configured.
pub(crate) const MAX_PAYLOAD: usize = 64 << 20;

/// A line is not longer: `INFO` names all servers of a cluster.
const MAX_LINE: usize = 1 << 20;

/// What comes on one connection.
pub(crate) struct Messages {
    /// What the subjects of topics begin with.
    topics: Box<[u8]>,
    /// Bytes of a payload too large that are still to come.
    skip: usize,
}

impl Messages {
    pub(crate) fn new(topics: &str) -> Self {
        Messages { topics: topics.as_bytes().into(), skip: 0 }
    }

    /// The event at the front of the bytes, how many it takes, and how many to skip behind them.
    fn read(&self, bytes: &[u8]) -> Result<Option<(Event, usize, usize)>, Malformed> {
        let Some((line, end)) = line(bytes)? else { return Ok(None) };
        let (word, rest) = match line.iter().position(u8::is_ascii_whitespace) {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &[][..]),
        };
        let event = match word {
            b"MSG" => return self.message(rest, bytes, end),
            b"PING" => Event::Ping,
            b"-ERR" => Event::Refused(refusal(rest)),
            b"PONG" | b"+OK" | b"INFO" => Event::Other,
            _ => return Err(Malformed(format!("no message begins with {:?}", lossy(word)))),
        };
        Ok(Some((event, end, 0)))
    }

    /// `subject id [reply] length`, and the payload in the next line.
    fn message(
        &self,
        arguments: &[u8],
        bytes: &[u8],
        start: usize,
    ) -> Result<Option<(Event, usize, usize)>, Malformed> {
        let mut words = arguments.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let subject = words.next().unwrap_or_default();
        let length = words.next_back().and_then(|length| std::str::from_utf8(length).ok()?.parse::<usize>().ok());
        let Some(len) = length else {
            return Err(Malformed(format!("a message without a length: {:?}", lossy(arguments))));
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

impl Decoder for Messages {
    fn next(&mut self, bytes: &mut BytesMut) -> Result<Option<Event>, Malformed> {
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

/// The first line, and where the next one begins.
pub(crate) fn line(bytes: &[u8]) -> Result<Option<(&[u8], usize)>, Malformed> {
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) => Ok(Some((bytes[..end].trim_ascii_end(), end + 1))),
        None if bytes.len() > MAX_LINE => Err(Malformed(format!("a line is longer than {MAX_LINE} bytes"))),
        None => Ok(None),
    }
}

/// The text of an error, without its quotes.
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
    fn what_is_no_message_says_why() {
        let error = |bytes: &[u8]| Messages::new("b.t.").next(&mut BytesMut::from(bytes)).unwrap_err().0;
        assert_eq!(error(b"HTTP/1.1 400\r\n"), "no message begins with \"HTTP/1.1\"");
        assert_eq!(error(b"MSG b.t.x 11 many\r\n"), "a message without a length: \"b.t.x 11 many\"");
        assert_eq!(error(b"MSG\r\n"), "a message without a length: \"\"");
        assert_eq!(error(&vec![b'x'; MAX_LINE + 1]), "a line is longer than 1048576 bytes");
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_reads_end(cuts in prop::collection::vec(1..40usize, 0..20)) {
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
