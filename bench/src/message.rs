//! The Phoenix V2 messages of the benchmark: `[join_ref, ref, topic, event, payload]` as JSON text.
//!
//! Owns the texts that the load generator sends and the scanner with which the raw loop takes them apart.
//! The scanner is a yardstick's: it trusts that strings hold no escapes, which is so for everything sent here.

/// Topics that are joined. All names are equally long, so that all their frames are too.
pub(crate) const TOPICS: [&str; 5] = ["bench:a", "bench:b", "bench:c", "bench:d", "bench:e"];

/// Bytes of the payload object as JSON text, braces and key included.
const PAYLOAD_SIZE: usize = 100;

/// The payload of every echo and broadcast: `{"d":"ddd…"}`, 100 bytes.
pub(crate) fn payload() -> String {
    format!(r#"{{"d":"{}"}}"#, "d".repeat(PAYLOAD_SIZE - r#"{"d":""}"#.len()))
}

/// Joins the topic.
pub(crate) fn join(topic: &str) -> String {
    format!(r#"["1","1","{topic}","phx_join",{{}}]"#)
}

/// Leaves the topic.
pub(crate) fn leave(topic: &str) -> String {
    format!(r#"["1","9","{topic}","phx_leave",{{}}]"#)
}

/// Asks for a broadcast of [`payload`] to everyone on the topic.
pub(crate) fn broadcast(topic: &str) -> String {
    format!(r#"["1","5","{topic}","broadcast",{}]"#, payload())
}

/// Asks for [`payload`] to be replied.
pub(crate) fn echo(topic: &str) -> String {
    format!(r#"["1","6","{topic}","echo",{}]"#, payload())
}

/// A message taken apart; every field is a slice of the text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    /// As it stands there, with its quotes, or `null`.
    pub(crate) join_ref: &'a [u8],
    /// As it stands there, with its quotes, or `null`.
    pub(crate) reference: &'a [u8],
    /// As it stands there, with its quotes.
    pub(crate) topic: &'a [u8],
    /// Without its quotes.
    pub(crate) event: &'a [u8],
    /// As it stands there.
    pub(crate) payload: &'a [u8],
}

impl<'a> Message<'a> {
    /// Takes a text apart; none if it is not of the shape that this module writes.
    pub(crate) fn scan(text: &'a [u8]) -> Option<Self> {
        let rest = text.strip_prefix(b"[")?;
        let (join_ref, rest) = element(rest)?;
        let (reference, rest) = element(rest)?;
        let (topic, rest) = element(rest)?;
        let (event, rest) = element(rest)?;
        Some(Self {
            join_ref,
            reference,
            topic,
            event: event.strip_prefix(b"\"")?.strip_suffix(b"\"")?,
            payload: rest.strip_suffix(b"]")?,
        })
    }
}

/// A string or null and the comma behind it; no commas inside, as nothing sent here has one.
fn element(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let comma = text.iter().position(|&byte| byte == b',')?;
    Some((&text[..comma], &text[comma + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_is_a_hundred_bytes() {
        assert_eq!(payload().len(), 100);
    }

    #[test]
    fn a_message_is_taken_apart_into_its_five_fields() {
        let text = echo("bench:a");
        let message = Message::scan(text.as_bytes()).expect("well-formed");
        assert_eq!(message.join_ref, br#""1""#);
        assert_eq!(message.reference, br#""6""#);
        assert_eq!(message.topic, br#""bench:a""#);
        assert_eq!(message.event, b"echo");
        assert_eq!(message.payload, payload().as_bytes());
    }

    #[test]
    fn what_is_no_message_is_none() {
        for text in ["", "[", "{}", r#"["1","2","t"]"#, r#"["1","2","t",echo,{}]"#] {
            assert_eq!(Message::scan(text.as_bytes()), None, "{text}");
        }
    }
}
