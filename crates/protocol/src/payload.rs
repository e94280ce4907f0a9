//! Payloads: JSON kept as the text it came in, or bytes. Parsed only when user code asks for a type.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a message carries: one JSON value, or binary data.
///
/// Cloning shares the bytes. JSON stays the text that the client sent until [`Payload::parse`] converts it into a type.
/// Functions that send take any [`IntoPayload`](crate::IntoPayload): a payload need not be made by hand.
///
/// `Payload` does not implement `Serialize`: binary data has no place inside JSON. To put a payload into a larger value,
/// parse it first, as in `payload.parse::<serde_json::Value>()?`.
///
/// ```
/// use bennu_protocol::Payload;
/// use serde_json::json;
///
/// let payload = Payload::json(&json!({ "ack_phrase": "hooray" }));
/// assert_eq!(payload.get::<String>("ack_phrase")?, Some("hooray".to_owned()));
/// # Ok::<(), bennu_protocol::PayloadError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Payload(Content);

#[derive(Clone, PartialEq, Eq)]
enum Content {
    /// Invariant: one valid JSON value, in UTF-8.
    Json(Bytes),
    Binary(Bytes),
    /// A value that serde could not write; the error comes out where the payload is sent.
    Broken(Arc<str>),
}

/// A payload that is not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// The JSON does not have the shape of the type asked for, or nests deeper than 128 levels.
    #[error("payload is no {expected}: {reason}")]
    Shape {
        /// The Rust type.
        expected: &'static str,
        /// What serde found.
        reason: String,
    },
    /// Binary data where JSON was asked for.
    #[error("payload is {bytes} bytes of binary data, JSON was expected")]
    NotJson {
        /// Size of the data.
        bytes: usize,
    },
    /// JSON where binary data was asked for.
    #[error("payload is JSON, binary data was expected")]
    NotBinary,
    /// The value cannot be written as JSON.
    #[error("payload cannot be written as JSON: {0}")]
    NotSerializable(Arc<str>),
}

impl Payload {
    /// `{}`.
    pub const fn empty() -> Self {
        Payload(Content::Json(Bytes::from_static(b"{}")))
    }

    /// Any serde value as JSON.
    ///
    /// A value that cannot be JSON, such as a map whose keys are not strings, fails where the payload is sent: that push
    /// returns the error, that reply crashes its channel. So do bytes, which serde would write as a list of numbers:
    /// binary data is passed by value, see [`Payload::binary`].
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Self {
        if is_bytes(std::any::type_name::<T>()) {
            let name = std::any::type_name::<T>();
            let error = format!("`&{name}` would become a list of numbers; pass `Bytes` or `Vec<u8>` by value");
            return Payload(Content::Broken(error.into()));
        }
        match serde_json::to_vec(value) {
            Ok(json) => Payload(Content::Json(json.into())),
            Err(error) => Payload(Content::Broken(error.to_string().into())),
        }
    }

    /// Binary data. V2 clients receive it as a binary frame; V1 has none.
    pub fn binary(data: impl Into<Bytes>) -> Self {
        Payload(Content::Binary(data.into()))
    }

    /// JSON text from a peer, already checked by the decoder that calls this.
    pub(crate) fn from_checked(json: &str) -> Self {
        match json {
            "{}" => Payload::empty(),
            json => Payload(Content::Json(Bytes::copy_from_slice(json.as_bytes()))),
        }
    }

    /// JSON text, checked.
    ///
    /// # Errors
    /// [`PayloadError::Shape`] when the text is not one JSON value.
    pub fn from_json_text(text: &str) -> Result<Self, PayloadError> {
        let raw: &RawValue = serde_json::from_str(text)
            .map_err(|error| PayloadError::Shape { expected: "JSON value", reason: error.to_string() })?;
        Ok(Payload::from_checked(raw.get()))
    }

    /// Reads the JSON as a type.
    ///
    /// # Errors
    /// [`PayloadError::NotJson`] for binary data; [`PayloadError::Shape`] when it has another shape or nests deeper
    /// than 128 levels (serde_json's bound).
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, PayloadError> {
        serde_json::from_slice(self.json_bytes()?)
            .map_err(|error| PayloadError::Shape { expected: std::any::type_name::<T>(), reason: error.to_string() })
    }

    /// Reads one field of a JSON object; `None` when it is absent, when it is null and the type knows no null, or when
    /// the payload is no object. Only that field is parsed.
    ///
    /// # Errors
    /// [`PayloadError::Shape`] when the field has another type; [`PayloadError::NotJson`] for binary data.
    pub fn get<T: DeserializeOwned>(&self, field: &str) -> Result<Option<T>, PayloadError> {
        if !self.is_object() {
            return self.json_bytes().map(|_| None);
        }
        let shape = |error: serde_json::Error| PayloadError::Shape {
            expected: std::any::type_name::<T>(),
            reason: format!("field {field:?}: {error}"),
        };
        let fields: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_slice(self.json_bytes()?).map_err(shape)?;
        let Some(raw) = fields.get(field) else { return Ok(None) };
        match serde_json::from_str(raw.get()) {
            Err(_) if raw.get() == "null" => Ok(None),
            parsed => parsed.map(Some).map_err(shape),
        }
    }

    /// The JSON text, unless it is binary data.
    pub fn as_json(&self) -> Option<&str> {
        match &self.0 {
            Content::Json(json) => std::str::from_utf8(json).ok(),
            Content::Binary(_) | Content::Broken(_) => None,
        }
    }

    /// The bytes, unless it is JSON.
    pub fn as_binary(&self) -> Option<&Bytes> {
        match &self.0 {
            Content::Binary(data) => Some(data),
            Content::Json(_) | Content::Broken(_) => None,
        }
    }

    /// The binary data.
    ///
    /// # Errors
    /// [`PayloadError::NotBinary`] for JSON.
    pub fn to_binary(&self) -> Result<Bytes, PayloadError> {
        self.as_binary().cloned().ok_or(PayloadError::NotBinary)
    }

    /// Whether it is a JSON object, which is what a broadcast must be.
    pub fn is_object(&self) -> bool {
        matches!(&self.0, Content::Json(json) if json.first() == Some(&b'{'))
    }

    /// Size of the JSON text or of the data, in bytes.
    pub fn len(&self) -> usize {
        match &self.0 {
            Content::Json(bytes) | Content::Binary(bytes) => bytes.len(),
            Content::Broken(_) => 0,
        }
    }

    /// Whether it is empty binary data (JSON never is empty).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn json_bytes(&self) -> Result<&Bytes, PayloadError> {
        match &self.0 {
            Content::Json(json) => Ok(json),
            Content::Binary(data) => Err(PayloadError::NotJson { bytes: data.len() }),
            Content::Broken(error) => Err(PayloadError::NotSerializable(error.clone())),
        }
    }
}

impl Default for Payload {
    fn default() -> Self {
        Payload::empty()
    }
}

/// Whether a type of that name is a piece of bytes, owned, borrowed or shared. The name is a constant to the compiler.
fn is_bytes(type_name: &str) -> bool {
    let name = type_name.trim_start_matches('&');
    let pointers = ["alloc::boxed::Box<", "alloc::sync::Arc<", "alloc::rc::Rc<", "alloc::borrow::Cow<"];
    match pointers.iter().find_map(|pointer| name.strip_prefix(pointer)?.strip_suffix('>')) {
        Some(inner) => is_bytes(inner.trim_start_matches("'_, ")),
        None => {
            matches!(name, "[u8]" | "alloc::vec::Vec<u8>" | "bytes::bytes::Bytes" | "bytes::bytes_mut::BytesMut")
                || name.starts_with("[u8; ")
        }
    }
}

/// The JSON text, or the size of binary data: a log line is no place for megabytes of bytes.
impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Content::Json(json) => f.write_str(&String::from_utf8_lossy(json)),
            Content::Binary(data) => write!(f, "<{} bytes>", data.len()),
            Content::Broken(error) => write!(f, "<cannot be written: {error}>"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_passes_through_byte_for_byte() {
        let text = r#"{"b":1,"a": 1e3, "b":3}"#;
        let payload = Payload::from_json_text(text).unwrap();
        assert_eq!(payload.as_json(), Some(text));
    }

    #[test]
    fn a_wrong_shape_names_the_type_and_what_was_found() {
        let error = Payload::json(&json!([1])).parse::<u8>().unwrap_err();
        assert!(error.to_string().starts_with("payload is no u8: invalid type: sequence"), "{error}");
    }

    #[test]
    fn json_nested_a_hundred_thousand_deep_is_kept_as_text_and_refused_when_parsed() {
        let text = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let payload = Payload::from_json_text(&text).unwrap();
        assert_eq!(payload.len(), 200_000);
        let error = payload.parse::<serde_json::Value>().unwrap_err();
        assert!(error.to_string().contains("recursion limit exceeded"), "{error}");
    }

    #[test]
    fn an_absent_field_is_none_and_a_field_of_another_type_is_an_error() {
        let payload = Payload::json(&json!({ "n": 1, "none": null }));
        assert_eq!(payload.get::<u8>("n").unwrap(), Some(1));
        assert_eq!(payload.get::<u8>("none").unwrap(), None);
        assert_eq!(payload.get::<serde_json::Value>("none").unwrap(), Some(json!(null)));
        assert_eq!(payload.get::<u8>("absent").unwrap(), None);
        assert!(payload.get::<String>("n").unwrap_err().to_string().contains("field \"n\""));
    }
}
