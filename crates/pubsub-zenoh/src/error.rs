//! What zenoh says when it cannot.

/// Of any kind, with a text.
pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;

/// What an error says, without the place in zenoh's source that it adds.
pub(crate) fn reason(error: &Error) -> String {
    let text = error.to_string();
    text.split_once(" at /").map_or(text.as_str(), |(reason, _)| reason).to_owned()
}
