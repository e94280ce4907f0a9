//! Topic patterns of a channel router: an exact topic, a prefix that ends in `*`, and named parts.
//!
//! The channel router parses a pattern once, when the socket is mounted. The session matches each join against the
//! patterns. A pattern without parts costs one comparison.

/// The pattern of a route, which matches topics.
///
/// | pattern | topics |
/// |---|---|
/// | `room:lobby` | `room:lobby` |
/// | `room:*` | every topic that begins with `room:` |
/// | `room:{id}` | `room:` and one part, which is not empty and has no `:` |
/// | `room:{id}:*` | `room:`, one part, `:`, and any text |
///
/// A part stands between colons. [`TopicPattern::part`] returns its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicPattern {
    text: Box<str>,
    /// Whether the pattern ends in `*`. `text` does not contain the `*`.
    prefix: bool,
    /// Whether `text` has parts.
    parts: bool,
}

/// A text that is not a topic pattern.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// A `*` is not the last character.
    #[error("topic pattern {pattern:?}: `*` may only be the last character, found at byte {at} of {}", .pattern.len())]
    SplatInside {
        /// The pattern as given.
        pattern: String,
        /// The byte offset of the first misplaced `*`.
        at: usize,
    },
    /// A brace does not belong to a part.
    #[error(
        "topic pattern {pattern:?}: {segment:?} is not a part; write \"{{name}}\" between colons, as in \"room:{{id}}\""
    )]
    MalformedPart {
        /// The pattern as given.
        pattern: String,
        /// The text between the colons.
        segment: String,
    },
    /// Two parts have the same name.
    #[error("topic pattern {pattern:?}: two parts are named {name:?}; give each a name of its own")]
    DuplicatePart {
        /// The pattern as given.
        pattern: String,
        /// The name.
        name: String,
    },
}

impl TopicPattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// Returns [`PatternError::SplatInside`] when a `*` is not the last character, which Phoenix refuses at compile
    /// time. Returns [`PatternError::MalformedPart`] when a brace does not belong to a part, and
    /// [`PatternError::DuplicatePart`] when two parts have the same name.
    pub fn new(pattern: &str) -> Result<Self, PatternError> {
        let (text, prefix) = match pattern.strip_suffix('*') {
            Some(rest) => (rest, true),
            None => (pattern, false),
        };
        if let Some(at) = text.find('*') {
            return Err(PatternError::SplatInside { pattern: pattern.to_owned(), at });
        }
        let mut names = Vec::new();
        for segment in text.split(':').filter(|segment| segment.contains(['{', '}'])) {
            // The text between a part and the next colon would belong to both.
            let is_cut = prefix && text.ends_with(segment) && !text.ends_with(':');
            let name = name_of(segment).filter(|_| !is_cut).ok_or_else(|| PatternError::MalformedPart {
                pattern: pattern.to_owned(),
                segment: if is_cut { format!("{segment}*") } else { segment.to_owned() },
            })?;
            if names.contains(&name) {
                return Err(PatternError::DuplicatePart { pattern: pattern.to_owned(), name: name.to_owned() });
            }
            names.push(name);
        }
        Ok(TopicPattern { text: text.into(), prefix, parts: !names.is_empty() })
    }

    /// Whether the pattern matches a topic. Case-sensitive.
    pub fn matches(&self, topic: &str) -> bool {
        match self.parts {
            false if self.prefix => topic.starts_with(&*self.text),
            false => topic == &*self.text,
            true => self.segments(topic).all(|(segment, value)| match (name_of(segment), value) {
                (Some(_), value) => value.is_some_and(|value| !value.is_empty()),
                (None, value) => value == Some(segment),
            }),
        }
    }

    /// Returns the value of a part in a matching topic; `None` when the pattern has no part of that name.
    pub fn part<'t>(&self, topic: &'t str, name: &str) -> Option<&'t str> {
        self.segments(topic).find(|(segment, _)| name_of(segment) == Some(name))?.1
    }

    /// The names of the parts, in order.
    pub fn part_names(&self) -> impl Iterator<Item = &str> {
        self.text.split(':').filter_map(name_of)
    }

    /// Pairs the pattern's segments with those of the topic. The topic's segment is `None` where the topic has ended.
    /// The last one holds the rest of the topic where the pattern has ended.
    fn segments<'t>(&self, topic: &'t str) -> impl Iterator<Item = (&str, Option<&'t str>)> {
        let count = self.text.split(':').count();
        let mut values = topic.splitn(count, ':');
        self.text.split(':').enumerate().map(move |(at, segment)| {
            let value = values.next().map(|value| match (at + 1 == count, self.prefix) {
                // The last segment of a prefix pattern is itself a prefix.
                (true, true) => value.get(..segment.len()).unwrap_or(value),
                _ => value,
            });
            // A part has no colon, so a rest with colons, which `splitn` leaves in the last value, is not a part.
            (segment, value.filter(|value| name_of(segment).is_none() || !value.contains(':')))
        })
    }
}

/// Writes the pattern as given.
impl std::fmt::Display for TopicPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)?;
        if self.prefix { f.write_str("*") } else { Ok(()) }
    }
}

/// Same as [`Display`](std::fmt::Display), because a `main` that returns the error prints it with `Debug`.
impl std::fmt::Debug for PatternError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// The name in a segment that is a part; `None` for any other segment.
fn name_of(segment: &str) -> Option<&str> {
    let name = segment.strip_prefix('{')?.strip_suffix('}')?;
    (!name.is_empty() && !name.contains(['{', '}'])).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pattern(text: &str) -> TopicPattern {
        TopicPattern::new(text).unwrap()
    }

    #[test]
    fn an_exact_pattern_matches_only_itself() {
        let pattern = pattern("ping");
        assert!(pattern.matches("ping"));
        for other in ["pin", "pingx", "Ping", "", "ping:"] {
            assert!(!pattern.matches(other), "{other:?}");
        }
    }

    #[test]
    fn a_splat_matches_every_topic_with_its_prefix_and_the_prefix_itself() {
        let ping = pattern("ping:*");
        for topic in ["ping:", "ping:a", "ping:*", "ping:a:b"] {
            assert!(ping.matches(topic), "{topic:?}");
        }
        assert!(!ping.matches("ping"));
        assert!(pattern("*").matches("anything"));
    }

    #[test]
    fn a_splat_that_is_not_last_is_refused_with_its_offset() {
        let error = TopicPattern::new("ping:*a").unwrap_err();
        assert_eq!(
            error.to_string(),
            "topic pattern \"ping:*a\": `*` may only be the last character, found at byte 5 of 7"
        );
        assert!(TopicPattern::new("a*b*").is_err());
    }

    #[test]
    fn a_part_matches_one_segment_that_is_not_empty_and_has_its_value() {
        let seat = pattern("hall:{hall}:seat:{seat}");
        assert!(seat.matches("hall:a:seat:7"));
        for other in ["hall:a:seat", "hall:a:seat:", "hall::seat:7", "hall:a:seat:7:x", "hall:a:sofa:7", "hall:a", ""] {
            assert!(!seat.matches(other), "{other:?}");
        }
        assert_eq!(seat.part("hall:a:seat:7", "hall"), Some("a"));
        assert_eq!(seat.part("hall:a:seat:7", "seat"), Some("7"));
        assert_eq!(seat.part("hall:a:seat:7", "row"), None);
        assert_eq!(seat.part_names().collect::<Vec<_>>(), ["hall", "seat"]);
        assert_eq!(seat.to_string(), "hall:{hall}:seat:{seat}");
    }

    #[test]
    fn a_pattern_can_have_parts_before_a_splat() {
        let wild = pattern("room:{id}:*");
        for topic in ["room:7:", "room:7:a", "room:7:a:b"] {
            assert!(wild.matches(topic), "{topic:?}");
            assert_eq!(wild.part(topic, "id"), Some("7"));
        }
        for other in ["room:7", "room::a", "room:"] {
            assert!(!wild.matches(other), "{other:?}");
        }
        let prefix = pattern("room:{id}:user-*");
        assert!(prefix.matches("room:7:user-a:b") && !prefix.matches("room:7:users"));
        assert_eq!(prefix.to_string(), "room:{id}:user-*");
    }

    #[test]
    fn a_malformed_part_is_refused_with_its_text_and_the_remedy() {
        let error = TopicPattern::new("room:{id").unwrap_err();
        assert_eq!(
            error.to_string(),
            "topic pattern \"room:{id\": \"{id\" is not a part; write \"{name}\" between colons, as in \"room:{id}\""
        );
        for malformed in ["room:{}", "room:a{id}", "{a}{b}", "room:{id}x", "room:{id}*", "}"] {
            assert!(matches!(TopicPattern::new(malformed), Err(PatternError::MalformedPart { .. })), "{malformed:?}");
        }
        let error = TopicPattern::new("{a}:{a}").unwrap_err();
        assert_eq!(
            error.to_string(),
            "topic pattern \"{a}:{a}\": two parts are named \"a\"; give each a name of its own"
        );
    }

    proptest! {
        #[test]
        fn a_topic_built_from_a_pattern_matches_it_and_has_the_same_parts(
            segments in prop::collection::vec((any::<bool>(), "[a-zé]{1,4}"), 1..5),
            rest in prop::option::of("[a-z:]{0,6}"),
        ) {
            let of = |names: bool| -> Vec<String> {
                let written = segments.iter().enumerate();
                written.map(|(at, (is_part, text))| match (is_part, names) {
                    (true, true) => format!("{{p{at}}}"),
                    _ => text.clone(),
                }).collect()
            };
            let (mut text, mut topic) = (of(true).join(":"), of(false).join(":"));
            if let Some(rest) = &rest {
                text.push_str(":*");
                topic = format!("{topic}:{rest}");
            }
            let pattern = TopicPattern::new(&text).unwrap();
            prop_assert!(pattern.matches(&topic), "{} and {}", pattern, topic);
            for (at, (is_part, value)) in segments.iter().enumerate() {
                let expected = is_part.then_some(value.as_str());
                prop_assert_eq!(pattern.part(&topic, &format!("p{at}")), expected);
            }
        }

        #[test]
        fn no_pattern_and_no_topic_panics(pattern in "[ab:{}*é]{0,10}", topic in "[ab:{}*é]{0,10}") {
            if let Ok(pattern) = TopicPattern::new(&pattern) {
                let _ = pattern.matches(&topic);
                let _ = pattern.part(&topic, "a");
            }
        }
    }
}
