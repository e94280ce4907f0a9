//! The conversion of values into payloads. Every function that sends takes [`IntoPayload`].
//!
//! A value that serde can serialize is passed by reference and becomes JSON. Bytes are passed by value and stay binary
//! data. A blanket implementation over values would turn a `Vec<u8>` into a list of numbers.

use crate::Payload;
use bytes::Bytes;
use serde::Serialize;

/// A value that can be sent as a payload.
///
/// | value | argument | sent as |
/// |---|---|---|
/// | any `T: Serialize` | `&value` | JSON |
/// | `json!({ .. })`, a `serde_json::Value` | the value | JSON |
/// | `Bytes`, `Vec<u8>` | the value | binary data |
/// | a [`Payload`] | the value, or `&payload` | unchanged |
///
/// ```
/// use bennu_protocol::{IntoPayload, Payload};
/// use serde::Serialize;
///
/// #[derive(Serialize)]
/// struct Bid { amount: u64 }
///
/// assert_eq!((&Bid { amount: 7 }).into_payload().as_json(), Some(r#"{"amount":7}"#));
/// assert!(vec![0xFF_u8, 0xD8].into_payload().as_binary().is_some());
/// ```
///
/// A value that serde cannot write as JSON becomes a payload that fails when it is sent, see [`Payload::json`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent as a payload: a value with `#[derive(Serialize)]` is sent by reference, as `&value`",
    label = "not a payload",
    note = "`json!({{ .. }})`, `Payload`, and binary data as `Bytes` or `Vec<u8>` are sent by value"
)]
pub trait IntoPayload {
    /// Converts the value.
    fn into_payload(self) -> Payload;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + ?Sized> IntoPayload for &T {
    fn into_payload(self) -> Payload {
        Payload::json(self)
    }
}

#[diagnostic::do_not_recommend]
impl IntoPayload for serde_json::Value {
    fn into_payload(self) -> Payload {
        Payload::json(&self)
    }
}

#[diagnostic::do_not_recommend]
impl IntoPayload for Payload {
    fn into_payload(self) -> Payload {
        self
    }
}

#[diagnostic::do_not_recommend]
impl IntoPayload for &Payload {
    fn into_payload(self) -> Payload {
        self.clone()
    }
}

#[diagnostic::do_not_recommend]
impl IntoPayload for Bytes {
    fn into_payload(self) -> Payload {
        Payload::binary(self)
    }
}

#[diagnostic::do_not_recommend]
impl IntoPayload for Vec<u8> {
    fn into_payload(self) -> Payload {
        Payload::binary(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PayloadError;
    use serde_json::json;
    use std::borrow::Cow;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    fn json_of(value: impl IntoPayload) -> String {
        value.into_payload().as_json().expect("JSON").to_owned()
    }

    #[test]
    fn any_serializable_value_is_sent_by_reference_as_json() {
        assert_eq!(json_of(&BTreeMap::from([("a", 1)])), r#"{"a":1}"#);
        assert_eq!(json_of("text"), r#""text""#);
        assert_eq!(json_of(&vec!["a", "b"]), r#"["a","b"]"#);
        assert_eq!(json_of(&vec![1_u16, 2]), "[1,2]");
        let value = json!({ "n": 1 });
        assert_eq!(json_of(&value), r#"{"n":1}"#);
        assert_eq!(json_of(value), r#"{"n":1}"#);
    }

    #[test]
    fn bytes_by_value_are_binary_data_and_a_payload_is_unchanged() {
        let data = Bytes::from_static(b"\xff\xd8");
        assert_eq!(data.clone().into_payload().as_binary(), Some(&data));
        assert_eq!(data.to_vec().into_payload().as_binary(), Some(&data));
        let payload = Payload::binary(data.clone());
        assert_eq!((&payload).into_payload(), payload);
        assert_eq!(payload.clone().into_payload(), payload);
    }

    #[test]
    fn bytes_by_reference_are_an_error_and_not_a_list_of_numbers() {
        let boxed: Box<[u8]> = Box::new([1, 2]);
        let shared: Arc<Vec<u8>> = Arc::new(vec![1]);
        let borrowed: Cow<'_, [u8]> = Cow::Borrowed(&[1]);
        let payloads = [
            (&vec![1_u8]).into_payload(),
            (&[1_u8][..]).into_payload(),
            (&&[1_u8][..]).into_payload(),
            (&[1_u8, 2, 3]).into_payload(),
            (&boxed).into_payload(),
            (&borrowed).into_payload(),
            (&*shared).into_payload(),
        ];
        for payload in payloads {
            let error = payload.parse::<serde_json::Value>().unwrap_err();
            assert!(matches!(error, PayloadError::NotSerializable(_)), "{error}");
            assert!(error.to_string().contains("pass `Bytes` or `Vec<u8>` by value"), "{error}");
        }
        assert_eq!(json_of(&[0_u8; 0].map(u16::from)), "[]", "a list of other numbers is a list");
    }
}
