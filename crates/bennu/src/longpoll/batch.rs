//! The messages of long polling: a [`Batch`] of outbound messages in one response, and the [`PostedMessage`]s in the
//! body of a POST.
//!
//! [`super::session`] fills batches from the outbox and parses bodies. Outbound messages are JSON strings as soon as
//! they are encoded: a broadcast is escaped once for all long-poll clients, and a response is assembled by copying.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bennu_channels::protocol::Frame;
use bennu_channels::transport::Framing;
use bytes::Bytes;

/// The framing that converts a message into a JSON string. A binary message that is not UTF-8 has no JSON string: the
/// framing counts it and skips it.
pub(crate) static JSON_STRING: Framing = Framing {
    name: "longpoll",
    frame: |_, message| match std::str::from_utf8(message) {
        Ok(text) => serde_json::to_vec(text).expect("every string can be encoded as JSON").into(),
        Err(_) => {
            metrics::counter!("bennu.longpoll.unsendable").increment(1);
            tracing::warn!(bytes = message.len(), "skipped a binary message for long-poll clients: it is not UTF-8");
            Bytes::new()
        }
    },
};

/// The messages of one response. A clone shares them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Batch(Vec<Bytes>);

impl Batch {
    /// Creates a batch of messages that [`JSON_STRING`] has framed.
    pub(crate) fn new(messages: Vec<Bytes>) -> Self {
        Batch(messages)
    }

    /// Creates a batch from the result of [`Batch::elements`] on another node.
    pub(crate) fn from_elements(elements: String) -> Self {
        Batch(vec![elements.into()])
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Appends the messages as elements of a JSON array, without its brackets.
    pub(crate) fn write(&self, json: &mut Vec<u8>) {
        json.reserve(self.0.iter().map(|message| message.len() + 1).sum());
        for (n, message) in self.0.iter().enumerate() {
            if n > 0 {
                json.push(b',');
            }
            json.extend_from_slice(message);
        }
    }

    /// Returns the messages as elements of a JSON array, without its brackets.
    pub(crate) fn elements(&self) -> String {
        let mut json = Vec::new();
        self.write(&mut json);
        String::from_utf8(json).expect("JSON strings are UTF-8")
    }
}

/// Parses the body of a POST. An `ndjson` body has one message on each line, and binary messages in base64; any other
/// body is one message.
pub(crate) fn parse(body: &str, ndjson: bool) -> impl Iterator<Item = Result<PostedMessage<'_>, String>> {
    let whole = (!ndjson).then_some(Ok(PostedMessage::Text(body)));
    let lines = body.split('\n').filter(move |_| ndjson).enumerate().filter_map(|(n, line)| {
        let line = line.strip_suffix('\r').unwrap_or(line);
        match line.as_bytes().first()? {
            // V2 messages are arrays and V1 messages are objects; base64 contains neither bracket.
            b'[' | b'{' => Some(Ok(PostedMessage::Text(line))),
            _ => Some(
                STANDARD
                    .decode(line)
                    .map(PostedMessage::Binary)
                    .map_err(|error| format!("line {} is neither a JSON message nor base64: {error}", n + 1)),
            ),
        }
    });
    whole.into_iter().chain(lines)
}

/// One message of a POST.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PostedMessage<'a> {
    Text(&'a str),
    Binary(Vec<u8>),
}

impl PostedMessage<'_> {
    pub(crate) fn frame(&self) -> Frame<'_> {
        match self {
            PostedMessage::Text(text) => Frame::Text(text),
            PostedMessage::Binary(bytes) => Frame::Binary(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bennu_channels::protocol::FrameKind;

    fn framed(message: &[u8]) -> Bytes {
        (JSON_STRING.frame)(FrameKind::Text, message)
    }

    #[test]
    fn messages_become_the_elements_of_an_array() {
        let batch = Batch::new(vec![framed(br#"["a"]"#), framed("\u{1}é".as_bytes())]);
        let parsed: Vec<String> = serde_json::from_str(&format!("[{}]", batch.elements())).unwrap();
        assert_eq!(parsed, [r#"["a"]"#, "\u{1}é"]);
        assert_eq!(Batch::from_elements(batch.elements()).elements(), batch.elements());
        assert_eq!(Batch::default().elements(), "");
    }

    #[test]
    fn binary_data_that_is_not_utf8_is_skipped() {
        assert!(framed(&[0, 255]).is_empty());
    }

    fn read(body: &str, ndjson: bool) -> Vec<Result<PostedMessage<'_>, String>> {
        parse(body, ndjson).collect()
    }

    #[test]
    fn a_body_is_one_message_unless_it_is_ndjson() {
        assert_eq!(read("[1]\n[2]", false), [Ok(PostedMessage::Text("[1]\n[2]"))]);
        assert_eq!(read("", false), [Ok(PostedMessage::Text(""))]);
        assert_eq!(read("[1]\r\n{}\n", true), [Ok(PostedMessage::Text("[1]")), Ok(PostedMessage::Text("{}"))]);
        assert_eq!(read("\n\n", true), []);
    }

    #[test]
    fn a_line_of_base64_is_binary_and_an_error_contains_the_number_of_a_line_of_neither_kind() {
        let [first, second] = &read("AAH/\n%%%", true)[..] else { panic!("two lines") };
        assert_eq!(first, &Ok(PostedMessage::Binary(vec![0, 1, 255])));
        let error = second.as_ref().unwrap_err();
        assert!(error.starts_with("line 2 is neither a JSON message nor base64: Invalid symbol 37"), "{error}");
    }
}
