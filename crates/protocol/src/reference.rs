//! Message refs: chosen by the client, echoed by the server exactly as they came.

use compact_str::CompactString;

/// A join ref or a message ref: any JSON value, or bytes from a binary frame. `Null` where there is none.
///
/// Refs up to 24 bytes, which is every ref of the known clients, are stored in place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ref(pub(crate) Value);

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Value {
    #[default]
    Null,
    /// A JSON string, decoded; also what a binary frame carries when it is UTF-8.
    Text(CompactString),
    /// The JSON text of any other value.
    Json(CompactString),
    /// What a binary frame carried that is no UTF-8: it can be echoed in a binary frame only.
    Bytes(Box<[u8]>),
}

impl Ref {
    /// No ref.
    pub const NULL: Ref = Ref(Value::Null);

    /// A ref that is a JSON string, as all known clients send.
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

    /// The text, where it is a JSON string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.0 {
            Value::Text(text) => Some(text),
            Value::Null | Value::Json(_) | Value::Bytes(_) => None,
        }
    }

    /// Whether there is none.
    pub fn is_null(&self) -> bool {
        matches!(self.0, Value::Null)
    }

    /// How many bytes it takes on the wire, without quotes and escapes; 0 for null.
    pub fn size(&self) -> usize {
        self.as_bytes().len()
    }

    /// The bytes that stand for it in a binary frame; none for null.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Value::Null => &[],
            Value::Text(text) | Value::Json(text) => text.as_bytes(),
            Value::Bytes(bytes) => bytes,
        }
    }
}
