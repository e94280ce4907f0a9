//! Payloads: JSON text or binary data.
//!
//! A payload keeps the JSON text of its sender. Only [`Payload::parse`] and [`Payload::get`], which the application
//! calls, parse it. The serializers copy it into frames byte for byte.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The data of a message: one JSON value, or binary data.
///
/// Cloning shares the bytes. JSON stays the client's text until [`Payload::parse`] converts it into a type. Functions
/// that send take any [`IntoPayload`](crate::IntoPayload), so most code never creates a payload.
///
/// `Payload` does not implement `Serialize`, because JSON cannot contain binary data. To put a payload into a larger
/// value, parse it first: `payload.parse::<serde_json::Value>()?`.
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
    /// A value that serde could not write, as the text of the error. Sending the payload returns the error.
    Broken(Arc<str>),
}

/// A payload that does not have the requested form, or cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// The JSON does not have the shape of the requested type, or nests deeper than 128 levels.
    #[error("the payload is not a {expected}: {reason}")]
    Shape {
        /// The name of the Rust type.
        expected: &'static str,
        /// The error of serde.
        reason: String,
    },
    /// JSON was requested, and the payload is binary data.
    #[error("the payload is not JSON but {bytes} bytes of binary data")]
    NotJson {
        /// The size of the data in bytes.
        bytes: usize,
    },
    /// Binary data was requested, and the payload is JSON.
    #[error("the payload is not binary data but JSON")]
    NotBinary,
    /// serde could not write the value as JSON.
    #[error("could not write the payload as JSON: {0}")]
    NotSerializable(Arc<str>),
}

impl Payload {
    /// Returns the payload `{}`.
    pub const fn empty() -> Self {
        Payload(Content::Json(Bytes::from_static(b"{}")))
    }

    /// Writes any serde value as JSON.
    ///
    /// A value that serde cannot write, such as a map whose keys are not strings, fails when the payload is sent: a
    /// push returns the error, a reply crashes its channel. Bytes fail in the same way, because serde would write them
    /// as a list of numbers. Pass binary data by value, see [`Payload::binary`].
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

    /// Creates a payload of binary data. V2 clients receive it in a binary frame. V1 has no binary frames.
    pub fn binary(data: impl Into<Bytes>) -> Self {
        Payload(Content::Binary(data.into()))
    }

    /// Copies the JSON text of a peer. The calling decoder has validated it.
    pub(crate) fn from_checked(json: &str) -> Self {
        match json {
            "{}" => Payload::empty(),
            json => Payload(Content::Json(Bytes::copy_from_slice(json.as_bytes()))),
        }
    }

    /// Validates and copies JSON text.
    ///
    /// # Errors
    /// Returns [`PayloadError::Shape`] when the text is not one JSON value.
    pub fn from_json_text(text: &str) -> Result<Self, PayloadError> {
        let raw: &RawValue = serde_json::from_str(text)
            .map_err(|error| PayloadError::Shape { expected: "JSON value", reason: error.to_string() })?;
        Ok(Payload::from_checked(raw.get()))
    }

    /// Parses the JSON into a type.
    ///
    /// # Errors
    /// Returns [`PayloadError::NotJson`] for binary data, and [`PayloadError::Shape`] when the JSON has another shape
    /// or nests deeper than 128 levels, the limit of serde_json.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, PayloadError> {
        serde_json::from_slice(self.json_bytes()?)
            .map_err(|error| PayloadError::Shape { expected: std::any::type_name::<T>(), reason: error.to_string() })
    }

    /// Parses one field of a JSON object, and no other field.
    ///
    /// Returns `None` when the field is absent, when it is null and the type has no value for null, and when the
    /// payload is not an object.
    ///
    /// # Errors
    /// Returns [`PayloadError::Shape`] when the field has another type, and [`PayloadError::NotJson`] for binary data.
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

    /// The JSON text; `None` for binary data.
    pub fn as_json(&self) -> Option<&str> {
        match &self.0 {
            Content::Json(json) => std::str::from_utf8(json).ok(),
            Content::Binary(_) | Content::Broken(_) => None,
        }
    }

    /// The binary data; `None` for JSON.
    pub fn as_binary(&self) -> Option<&Bytes> {
        match &self.0 {
            Content::Binary(data) => Some(data),
            Content::Json(_) | Content::Broken(_) => None,
        }
    }

    /// Returns the binary data.
    ///
    /// # Errors
    /// Returns [`PayloadError::NotBinary`] for JSON.
    pub fn to_binary(&self) -> Result<Bytes, PayloadError> {
        self.as_binary().cloned().ok_or(PayloadError::NotBinary)
    }

    /// Whether the payload is a JSON object. The JSON of a broadcast must be one.
    pub fn is_object(&self) -> bool {
        matches!(&self.0, Content::Json(json) if json.first() == Some(&b'{'))
    }

    /// The size of the JSON text or of the data, in bytes.
    pub fn len(&self) -> usize {
        match &self.0 {
            Content::Json(bytes) | Content::Binary(bytes) => bytes.len(),
            Content::Broken(_) => 0,
        }
    }

    /// Whether the payload is empty binary data. JSON is never empty.
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

/// Whether the type with this name holds bytes: owned, borrowed or shared. The compiler treats the name as a constant.
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

/// Writes the JSON text, or the size of binary data, so that a log line does not hold megabytes of bytes.
impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Content::Json(json) => f.write_str(&String::from_utf8_lossy(json)),
            Content::Binary(data) => write!(f, "<{} bytes>", data.len()),
            Content::Broken(error) => write!(f, "<not JSON: {error}>"),
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
    fn the_error_of_a_wrong_shape_names_the_type_and_the_json_found() {
        let error = Payload::json(&json!([1])).parse::<u8>().unwrap_err();
        assert!(error.to_string().starts_with("the payload is not a u8: invalid type: sequence"), "{error}");
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
