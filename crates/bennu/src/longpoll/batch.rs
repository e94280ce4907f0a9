//! Messages on their way: to the client, as the one JSON array that a response holds, and from it, as the lines of a
//! POST's body.
//!
//! Outbound messages are JSON strings from the moment they are encoded, so that a broadcast is escaped once for all who
//! long poll, and a response is put together by copying.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bennu_channels::Framing;
use bennu_channels::protocol::Frame;
use bytes::Bytes;

/// Each message as a JSON string. Binary data that is no text cannot be one: it is counted and skipped.
pub(crate) static JSON_STRING: Framing = Framing {
    name: "longpoll",
    frame: |_, message| match std::str::from_utf8(message) {
        Ok(text) => serde_json::to_vec(text).expect("a string is always JSON").into(),
        Err(_) => {
            metrics::counter!("bennu.longpoll.unsendable").increment(1);
            tracing::warn!(bytes = message.len(), "binary data that is no UTF-8 cannot reach clients that long poll");
            Bytes::new()
        }
    },
};

/// What one response carries. Cloning shares it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Batch(Vec<Bytes>);

impl Batch {
    /// `messages` as [`JSON_STRING`] made them.
    pub(crate) fn new(messages: Vec<Bytes>) -> Self {
        Batch(messages)
    }

    /// From what [`Batch::elements`] gave on another node.
    pub(crate) fn from_elements(elements: String) -> Self {
        Batch(vec![elements.into()])
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Appends the elements of a JSON array, without its brackets.
    pub(crate) fn write(&self, json: &mut Vec<u8>) {
        json.reserve(self.0.iter().map(|message| message.len() + 1).sum());
        for (n, message) in self.0.iter().enumerate() {
            if n > 0 {
                json.push(b',');
            }
            json.extend_from_slice(message);
        }
    }

    /// The elements of a JSON array, without its brackets.
    pub(crate) fn elements(&self) -> String {
        let mut json = Vec::new();
        self.write(&mut json);
        String::from_utf8(json).expect("JSON strings are UTF-8")
    }
}

/// The messages of a POST. `ndjson` has one a line, and binary ones as base64; any other body is one message.
pub(crate) fn messages(body: &str, ndjson: bool) -> impl Iterator<Item = Result<Posted<'_>, String>> {
    let whole = (!ndjson).then_some(Ok(Posted::Text(body)));
    let lines = body.split('\n').filter(move |_| ndjson).enumerate().filter_map(|(n, line)| {
        let line = line.strip_suffix('\r').unwrap_or(line);
        match line.as_bytes().first()? {
            // V2 messages are arrays, V1 messages objects; neither bracket is base64.
            b'[' | b'{' => Some(Ok(Posted::Text(line))),
            _ => Some(
                STANDARD
                    .decode(line)
                    .map(Posted::Binary)
                    .map_err(|error| format!("line {} is neither a JSON message nor base64: {error}", n + 1)),
            ),
        }
    });
    whole.into_iter().chain(lines)
}

/// One message of a POST.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Posted<'a> {
    Text(&'a str),
    Binary(Vec<u8>),
}

impl Posted<'_> {
    pub(crate) fn frame(&self) -> Frame<'_> {
        match self {
            Posted::Text(text) => Frame::Text(text),
            Posted::Binary(bytes) => Frame::Binary(bytes),
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
    fn binary_data_that_is_no_text_is_nothing_to_send() {
        assert!(framed(&[0, 255]).is_empty());
    }

    fn read(body: &str, ndjson: bool) -> Vec<Result<Posted<'_>, String>> {
        messages(body, ndjson).collect()
    }

    #[test]
    fn a_body_is_one_message_unless_it_is_ndjson() {
        assert_eq!(read("[1]\n[2]", false), [Ok(Posted::Text("[1]\n[2]"))]);
        assert_eq!(read("", false), [Ok(Posted::Text(""))]);
        assert_eq!(read("[1]\r\n{}\n", true), [Ok(Posted::Text("[1]")), Ok(Posted::Text("{}"))]);
        assert_eq!(read("\n\n", true), []);
    }

    #[test]
    fn a_line_of_base64_is_binary_and_one_of_neither_kind_is_named() {
        let [first, second] = &read("AAH/\n%%%", true)[..] else { panic!("two lines") };
        assert_eq!(first, &Ok(Posted::Binary(vec![0, 1, 255])));
        let error = second.as_ref().unwrap_err();
        assert!(error.starts_with("line 2 is neither a JSON message nor base64: Invalid symbol 37"), "{error}");
    }
}
