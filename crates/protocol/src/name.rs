//! A topic or event as a client wrote it: text, or (since clients write anything) some other JSON value.

use std::borrow::Cow;

/// A topic or event name on the wire.
///
/// Real Phoenix answers a topic that is a number or an object with "unmatched topic" and echoes it; so it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name<'a> {
    /// What every well-meaning client sends.
    Text(Cow<'a, str>),
    /// The JSON text of a value that is no string.
    Json(Cow<'a, str>),
}

impl<'a> Name<'a> {
    /// The text, unless it is some other JSON value.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Name::Text(text) => Some(text),
            Name::Json(_) => None,
        }
    }

    /// The same name, owned.
    pub fn into_owned(self) -> Name<'static> {
        match self {
            Name::Text(text) => Name::Text(Cow::Owned(text.into_owned())),
            Name::Json(json) => Name::Json(Cow::Owned(json.into_owned())),
        }
    }
}

impl<'a> From<&'a str> for Name<'a> {
    fn from(text: &'a str) -> Self {
        Name::Text(Cow::Borrowed(text))
    }
}
