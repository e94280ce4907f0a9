//! Topic patterns of a channel router: an exact topic, or a prefix that ends in `*`.

/// What a route matches: `room:lobby` exactly, or with `room:*` every topic that begins with `room:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicPattern {
    text: Box<str>,
    prefix: bool,
}

/// A pattern that cannot be a route.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// A `*` stands before the last character.
    #[error("topic pattern {pattern:?}: `*` may only be the last character, found at byte {at} of {}", .pattern.len())]
    SplatInside {
        /// The pattern as given.
        pattern: String,
        /// Byte offset of the first misplaced `*`.
        at: usize,
    },
}

impl TopicPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`PatternError::SplatInside`] when a `*` is not the last character, as Phoenix refuses at compile time.
    pub fn new(pattern: &str) -> Result<Self, PatternError> {
        let (text, prefix) = match pattern.strip_suffix('*') {
            Some(rest) => (rest, true),
            None => (pattern, false),
        };
        if let Some(at) = text.find('*') {
            return Err(PatternError::SplatInside { pattern: pattern.to_owned(), at });
        }
        Ok(TopicPattern { text: text.into(), prefix })
    }

    /// Whether a topic is this pattern's. Case-sensitive.
    pub fn matches(&self, topic: &str) -> bool {
        if self.prefix { topic.starts_with(&*self.text) } else { topic == &*self.text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exact_pattern_matches_only_itself() {
        let pattern = TopicPattern::new("ping").unwrap();
        assert!(pattern.matches("ping"));
        for other in ["pin", "pingx", "Ping", "", "ping:"] {
            assert!(!pattern.matches(other), "{other:?}");
        }
    }

    #[test]
    fn a_splat_matches_every_topic_with_its_prefix_even_none_after_it() {
        let pattern = TopicPattern::new("ping:*").unwrap();
        for topic in ["ping:", "ping:a", "ping:*", "ping:a:b"] {
            assert!(pattern.matches(topic), "{topic:?}");
        }
        assert!(!pattern.matches("ping"));
        assert!(TopicPattern::new("*").unwrap().matches("anything"));
    }

    #[test]
    fn a_splat_anywhere_else_is_refused_with_its_place() {
        let error = TopicPattern::new("ping:*a").unwrap_err();
        assert_eq!(
            error.to_string(),
            "topic pattern \"ping:*a\": `*` may only be the last character, found at byte 5 of 7"
        );
        assert!(TopicPattern::new("a*b*").is_err());
    }
}
