//! The refs of messages. The client chooses a ref, and the server echoes it exactly as received.

use compact_str::CompactString;

/// A join ref or a message ref: any JSON value, or the bytes of a binary frame. The default is null.
///
/// A ref of up to 24 bytes is stored inline. Every ref of the known clients is that short.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ref(pub(crate) Value);

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Value {
    #[default]
    Null,
    /// A JSON string, decoded; or a ref of a binary frame that is UTF-8.
    Text(CompactString),
    /// The JSON text of any other value.
    Json(CompactString),
    /// A ref of a binary frame that is not UTF-8. It can only be echoed in a binary frame.
    Bytes(Box<[u8]>),
}

impl Ref {
    /// The null ref.
    pub const NULL: Ref = Ref(Value::Null);

    /// Creates a ref that is a JSON string. All known clients send strings.
    pub fn text(text: impl Into<CompactString>) -> Self {
        Ref(Value::Text(text.into()))
    }

    pub(crate) fn json(json: &str) -> Self {
        match json {
            "null" => Ref(Value::Null),
            other => Ref(Value::Json(other.into())),
        }
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Ref::text(text),
            Err(_) => Ref(Value::Bytes(bytes.into())),
        }
    }

    /// The text, or `None` for a ref that is not a JSON string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.0 {
            Value::Text(text) => Some(text),
            Value::Null | Value::Json(_) | Value::Bytes(_) => None,
        }
    }

    /// Whether the ref is null.
    pub fn is_null(&self) -> bool {
        matches!(self.0, Value::Null)
    }

    /// The size on the wire in bytes, without quotes and escapes; 0 for null.
    pub fn size(&self) -> usize {
        self.as_bytes().len()
    }

    /// The ref's bytes in a binary frame; empty for null.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Value::Null => &[],
            Value::Text(text) | Value::Json(text) => text.as_bytes(),
            Value::Bytes(bytes) => bytes,
        }
    }
}
