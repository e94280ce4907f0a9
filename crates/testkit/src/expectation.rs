//! The expectation of an assertion: a selector of arrivals, and a matcher of payloads.
//!
//! The macros create both. They choose the matcher by the syntax of the argument: an expression is compared, a pattern
//! is matched, a closure is called; see [`assert_push!`](crate::assert_push).

use crate::arrival::Arrival;
use crate::push_ref::PushRef;
use bennu_channels::{Payload, PayloadError, Status};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt;

/// Selects arrivals by kind, event and status, without their payload.
pub enum Selector {
    /// A push of this event, or of any event.
    Push(Option<String>),
    /// A broadcast of this event, or of any event.
    Broadcast(Option<String>),
    /// A reply to this message, with this status or any status.
    Reply(String, Option<Status>),
}

/// Matches payloads. `R` is the value that the assertion returns.
pub struct Matcher<'a, R> {
    pub(crate) description: Description,
    test: Box<dyn FnMut(&Payload) -> Result<R, Mismatch> + 'a>,
}

/// The expected payload, for the text of failures.
pub(crate) enum Description {
    Any,
    Value(Payload),
    /// The source text of a pattern or a closure.
    Code(&'static str),
}

/// The difference between a payload and the expected one.
pub(crate) enum Mismatch {
    /// The payload has another value.
    Value,
    /// The payload has the type, and the pattern or the closure rejects it.
    Code,
    /// The payload does not have the type.
    Shape(PayloadError),
}

impl Selector {
    /// Selects pushes of this event.
    pub fn push(event: impl Into<String>) -> Self {
        Selector::Push(Some(event.into()))
    }

    /// Selects broadcasts of this event.
    pub fn broadcast(event: impl Into<String>) -> Self {
        Selector::Broadcast(Some(event.into()))
    }

    /// Selects the reply to a message, if it has this status.
    pub fn reply(reference: &PushRef, status: impl Into<Status>) -> Self {
        Selector::Reply(reference.as_str().to_owned(), Some(status.into()))
    }

    /// Selects the reply to a message, with any status.
    pub fn any_reply(reference: &PushRef) -> Self {
        Selector::Reply(reference.as_str().to_owned(), None)
    }

    /// Returns the payload of a selected arrival.
    pub(crate) fn payload<'a>(&self, arrival: &'a Arrival) -> Option<&'a Payload> {
        let candidate = self.candidate(arrival)?;
        let is_selected = match (self, arrival) {
            (Selector::Push(event), Arrival::Push { event: arrived, .. })
            | (Selector::Broadcast(event), Arrival::Broadcast { event: arrived, .. }) => {
                event.as_ref().is_none_or(|event| event == arrived)
            }
            (Selector::Reply(_, status), Arrival::Reply { status: arrived, .. }) => {
                status.as_ref().is_none_or(|status| status == arrived)
            }
            _ => false,
        };
        is_selected.then_some(candidate)
    }

    /// Returns the payload of an arrival that is selected, or that differs from it only in event or status.
    pub(crate) fn candidate<'a>(&self, arrival: &'a Arrival) -> Option<&'a Payload> {
        match (self, arrival) {
            (Selector::Push(_), Arrival::Push { payload, .. })
            | (Selector::Broadcast(_), Arrival::Broadcast { payload, .. }) => Some(payload),
            (Selector::Reply(to, _), Arrival::Reply { reference, payload, .. }) => (to == reference).then_some(payload),
            _ => None,
        }
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Selector::Push(_) => "push",
            Selector::Broadcast(_) => "broadcast",
            Selector::Reply(..) => "reply",
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Selector::Push(Some(event)) => write!(f, "push {event:?}"),
            Selector::Push(None) => f.write_str("push of any event"),
            Selector::Broadcast(Some(event)) => write!(f, "broadcast {event:?}"),
            Selector::Broadcast(None) => f.write_str("broadcast of any event"),
            Selector::Reply(reference, Some(status)) => write!(f, "reply {} to ref {reference}", status.as_str()),
            Selector::Reply(reference, None) => write!(f, "reply of any status to ref {reference}"),
        }
    }
}

impl<R> Matcher<'_, R> {
    pub(crate) fn test(&mut self, payload: &Payload) -> Result<R, Mismatch> {
        (self.test)(payload)
    }
}

/// Matches any payload.
pub fn any() -> Matcher<'static, Payload> {
    Matcher { description: Description::Any, test: Box::new(|payload| Ok(payload.clone())) }
}

/// Matches one payload: JSON is compared by value, binary data by its bytes.
pub fn equal(expected: &impl Expected) -> Matcher<'static, Payload> {
    let expected = expected.to_payload();
    Matcher {
        description: Description::Value(expected.clone()),
        test: Box::new(
            move |payload| {
                if is_equal(&expected, payload) { Ok(payload.clone()) } else { Err(Mismatch::Value) }
            },
        ),
    }
}

/// Matches payloads of the type of the closure's parameter for which the closure returns `true`.
pub fn holds<'a, T: DeserializeOwned>(
    code: &'static str,
    mut test: impl FnMut(T) -> bool + 'a,
) -> Matcher<'a, Payload> {
    Matcher {
        description: Description::Code(code),
        test: Box::new(move |payload| {
            let typed = payload.parse().map_err(Mismatch::Shape)?;
            if test(typed) { Ok(payload.clone()) } else { Err(Mismatch::Code) }
        }),
    }
}

/// Matches payloads of the pattern's type that match the pattern. The assertion returns the value of the expression.
pub fn binds<'a, T: DeserializeOwned, R>(
    code: &'static str,
    mut test: impl FnMut(T) -> Option<R> + 'a,
) -> Matcher<'a, R> {
    Matcher {
        description: Description::Code(code),
        test: Box::new(move |payload| test(payload.parse().map_err(Mismatch::Shape)?).ok_or(Mismatch::Code)),
    }
}

/// A value with which a payload can be compared: JSON or binary data.
#[diagnostic::on_unimplemented(
    message = "could not compare a payload with a value of type `{Self}`",
    note = "compare it with JSON: `json!({{ \"value\": 1 }})`, or with bytes: `vec![1u8, 2]`",
    note = "match a type with a pattern with braces: `Number {{ value: 1 }}`; any other pattern needs an expression: \
            `Some(n) => n`",
    note = "or test it with a closure: `|number: Number| number.value > 1`"
)]
pub trait Expected {
    /// Returns the expected payload.
    fn to_payload(&self) -> Payload;
}

impl Expected for Value {
    fn to_payload(&self) -> Payload {
        Payload::json(self)
    }
}

impl Expected for Payload {
    fn to_payload(&self) -> Payload {
        self.clone()
    }
}

impl Expected for Vec<u8> {
    fn to_payload(&self) -> Payload {
        Payload::binary(self.clone())
    }
}

impl Expected for Bytes {
    fn to_payload(&self) -> Payload {
        Payload::binary(self.clone())
    }
}

impl<E: Expected + ?Sized> Expected for &E {
    fn to_payload(&self) -> Payload {
        (**self).to_payload()
    }
}

pub(crate) fn is_equal(one: &Payload, other: &Payload) -> bool {
    match (one.parse::<Value>(), other.parse::<Value>()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Description::Any => f.write_str("with any payload"),
            Description::Value(payload) => write!(f, "{payload:?}"),
            Description::Code(code) => write!(f, "matching {}", code.split_whitespace().collect::<Vec<_>>().join(" ")),
        }
    }
}
