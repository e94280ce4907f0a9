//! The Phoenix V2 messages of the benchmark: `[join_ref, ref, topic, event, payload]` as JSON text.
//!
//! It owns the texts that the load generator sends and the parser of the raw loop. The parser is minimal, for the
//! baseline: it requires strings without escapes, and the load generator sends no others.

/// The topics of the benchmark. All names have the same length, and so have their frames.
pub(crate) const TOPICS: [&str; 5] = ["bench:a", "bench:b", "bench:c", "bench:d", "bench:e"];

/// Bytes of the payload object as JSON text, braces and key included.
const PAYLOAD_SIZE: usize = 100;

/// Returns the payload of every echo and broadcast: `{"d":"ddd…"}`, 100 bytes.
pub(crate) fn payload() -> String {
    format!(r#"{{"d":"{}"}}"#, "d".repeat(PAYLOAD_SIZE - r#"{"d":""}"#.len()))
}

/// Returns a join of the topic.
pub(crate) fn join(topic: &str) -> String {
    format!(r#"["1","1","{topic}","phx_join",{{}}]"#)
}

/// Returns a leave of the topic.
pub(crate) fn leave(topic: &str) -> String {
    format!(r#"["1","9","{topic}","phx_leave",{{}}]"#)
}

/// Returns a request to broadcast [`payload`] to all clients on the topic.
pub(crate) fn broadcast(topic: &str) -> String {
    format!(r#"["1","5","{topic}","broadcast",{}]"#, payload())
}

/// Returns a request for a reply with [`payload`].
pub(crate) fn echo(topic: &str) -> String {
    format!(r#"["1","6","{topic}","echo",{}]"#, payload())
}

/// A parsed message; every field is a slice of the text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    /// The JSON text with its quotes, or `null`.
    pub(crate) join_ref: &'a [u8],
    /// The JSON text with its quotes, or `null`.
    pub(crate) reference: &'a [u8],
    /// The JSON text with its quotes.
    pub(crate) topic: &'a [u8],
    /// The text without its quotes.
    pub(crate) event: &'a [u8],
    /// The JSON text.
    pub(crate) payload: &'a [u8],
}

impl<'a> Message<'a> {
    /// Parses a text; `None` if it has not the form of this module's messages.
    pub(crate) fn parse(text: &'a [u8]) -> Option<Self> {
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

/// Splits off a string or null and the comma after it. The element must not contain a comma; no message here has one.
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
    fn a_message_is_parsed_into_its_five_fields() {
        let text = echo("bench:a");
        let message = Message::parse(text.as_bytes()).expect("well-formed");
        assert_eq!(message.join_ref, br#""1""#);
        assert_eq!(message.reference, br#""6""#);
        assert_eq!(message.topic, br#""bench:a""#);
        assert_eq!(message.event, b"echo");
        assert_eq!(message.payload, payload().as_bytes());
    }

    #[test]
    fn an_invalid_message_is_none() {
        for text in ["", "[", "{}", r#"["1","2","t"]"#, r#"["1","2","t",echo,{}]"#] {
            assert_eq!(Message::parse(text.as_bytes()), None, "{text}");
        }
    }
}
