//! What an assertion expects: which kind of arrival, and what its payload must be like.
//!
//! Made by the macros, which tell by its syntax whether a payload is compared (any expression), matched (a pattern) or
//! asked about (a closure); see [`assert_push!`](crate::assert_push).

use crate::arrival::Arrival;
use crate::reply::PushRef;
use bennu_channels::{Payload, PayloadError, Status};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt;

/// Which arrivals are meant, whatever their payload.
pub enum Wanted {
    /// A push of this event, or of any.
    Push(Option<String>),
    /// A broadcast of this event, or of any.
    Broadcast(Option<String>),
    /// A reply to this message, with this status or any.
    Reply(String, Option<Status>),
}

/// What a payload must be like; `R` is what the assertion then returns.
pub struct Matcher<'a, R> {
    pub(crate) description: Description,
    test: Box<dyn FnMut(&Payload) -> Result<R, Mismatch> + 'a>,
}

/// The payload that is expected, for people.
pub(crate) enum Description {
    Any,
    Value(Payload),
    /// The source text of a pattern or a closure.
    Code(&'static str),
}

/// How a payload is not what was expected.
pub(crate) enum Mismatch {
    /// It is another value.
    Value,
    /// It has the type, but does not match.
    Code,
    /// It does not have the type.
    Shape(PayloadError),
}

impl Wanted {
    /// A push of this event.
    pub fn push(event: impl Into<String>) -> Self {
        Wanted::Push(Some(event.into()))
    }

    /// A broadcast of this event.
    pub fn broadcast(event: impl Into<String>) -> Self {
        Wanted::Broadcast(Some(event.into()))
    }

    /// The reply to a message, with this status.
    pub fn reply(reference: &PushRef, status: impl Into<Status>) -> Self {
        Wanted::Reply(reference.as_str().to_owned(), Some(status.into()))
    }

    /// The reply to a message, whatever its status.
    pub fn any_reply(reference: &PushRef) -> Self {
        Wanted::Reply(reference.as_str().to_owned(), None)
    }

    /// The payload of an arrival that is meant.
    pub(crate) fn payload<'a>(&self, arrival: &'a Arrival) -> Option<&'a Payload> {
        let candidate = self.candidate(arrival)?;
        let is_meant = match (self, arrival) {
            (Wanted::Push(event), Arrival::Push { event: arrived, .. })
            | (Wanted::Broadcast(event), Arrival::Broadcast { event: arrived, .. }) => {
                event.as_ref().is_none_or(|event| event == arrived)
            }
            (Wanted::Reply(_, status), Arrival::Reply { status: arrived, .. }) => {
                status.as_ref().is_none_or(|status| status == arrived)
            }
            _ => false,
        };
        is_meant.then_some(candidate)
    }

    /// The payload of an arrival of the same kind, which is meant or could have been mistaken for it.
    pub(crate) fn candidate<'a>(&self, arrival: &'a Arrival) -> Option<&'a Payload> {
        match (self, arrival) {
            (Wanted::Push(_), Arrival::Push { payload, .. })
            | (Wanted::Broadcast(_), Arrival::Broadcast { payload, .. }) => Some(payload),
            (Wanted::Reply(to, _), Arrival::Reply { reference, payload, .. }) => (to == reference).then_some(payload),
            _ => None,
        }
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Wanted::Push(_) => "push",
            Wanted::Broadcast(_) => "broadcast",
            Wanted::Reply(..) => "reply",
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wanted::Push(Some(event)) => write!(f, "push {event:?}"),
            Wanted::Push(None) => f.write_str("push of any event"),
            Wanted::Broadcast(Some(event)) => write!(f, "broadcast {event:?}"),
            Wanted::Broadcast(None) => f.write_str("broadcast of any event"),
            Wanted::Reply(reference, Some(status)) => write!(f, "reply {} to ref {reference}", status.as_str()),
            Wanted::Reply(reference, None) => write!(f, "reply of any status to ref {reference}"),
        }
    }
}

impl<R> Matcher<'_, R> {
    pub(crate) fn test(&mut self, payload: &Payload) -> Result<R, Mismatch> {
        (self.test)(payload)
    }
}

/// Any payload will do.
pub fn any() -> Matcher<'static, Payload> {
    Matcher { description: Description::Any, test: Box::new(|payload| Ok(payload.clone())) }
}

/// The payload must be this one: JSON is compared by value, binary data by its bytes.
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

/// The payload must have the type of the closure's parameter, and the closure must hold.
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

/// The payload must have the type of the pattern, and match it; gives what is made of it.
pub fn binds<'a, T: DeserializeOwned, R>(
    code: &'static str,
    mut test: impl FnMut(T) -> Option<R> + 'a,
) -> Matcher<'a, R> {
    Matcher {
        description: Description::Code(code),
        test: Box::new(move |payload| test(payload.parse().map_err(Mismatch::Shape)?).ok_or(Mismatch::Code)),
    }
}

/// What a payload can be compared with: JSON, or binary data.
#[diagnostic::on_unimplemented(
    message = "a payload cannot be compared with a value of type `{Self}`",
    note = "compare it with JSON: `json!({{ \"value\": 1 }})`, or with bytes: `vec![1u8, 2]`",
    note = "a type is matched by a pattern with braces: `Number {{ value: 1 }}`; any other pattern needs what it is for: \
            `Some(n) => n`",
    note = "or it is asked about by a closure: `|number: Number| number.value > 1`"
)]
pub trait Expected {
    /// The payload that is expected.
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
