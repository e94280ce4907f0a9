//! One line of StatsD in DogStatsD's format, `name:value|kind|#key:value,key:value`, as
//! [`StatsdListener`](super::StatsdListener) receives it.

use crate::aggregate::is_aggregated;
use std::fmt::{self, Display};

/// A received line.
///
/// `Display` has the listener's format, with a space after the name: `socket_connect 1|c|#status:success`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line(String);

impl Line {
    pub(super) fn new(text: &str) -> Self {
        Line(text.to_owned())
    }

    /// Returns the line as received: `socket_connect:1|c|#status:success`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the instrument's name, or the whole text when it is not a StatsD line.
    pub fn name(&self) -> &str {
        self.0.split_once(':').map_or(&self.0, |(name, _)| name)
    }

    /// Returns whether the line belongs to the framework or the process, `bennu.*` or `process_*`. Those are aggregated
    /// and sent once a second.
    pub fn is_aggregated(&self) -> bool {
        is_aggregated(self.name())
    }

    /// Returns the value if it is a number.
    pub fn value(&self) -> Option<f64> {
        self.fields().next()?.parse().ok()
    }

    /// Returns `c` for a count, `g` for a gauge, `ms` for a timing, `h` for a histogram; empty when there is none.
    pub fn kind(&self) -> &str {
        self.fields().nth(1).unwrap_or_default()
    }

    /// Returns the number of values that the line stands for: 4 for a sample with `@0.25`, and 1 without a sampling
    /// rate.
    pub fn count(&self) -> u64 {
        let rate = self.fields().find_map(|field| field.strip_prefix('@')?.parse::<f64>().ok());
        rate.map_or(1, |rate| (1.0 / rate).round() as u64)
    }

    /// Returns a tag's value.
    pub fn tag(&self, key: &str) -> Option<&str> {
        let tags = self.fields().find_map(|field| field.strip_prefix('#'))?;
        tags.split(',').find_map(|tag| tag.split_once(':').filter(|(name, _)| *name == key).map(|(_, value)| value))
    }

    /// Returns the parts after the name, which `|` separates.
    fn fields(&self) -> impl Iterator<Item = &str> {
        self.0.split_once(':').map_or("", |(_, rest)| rest).split('|')
    }
}

impl Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.split_once(':') {
            Some((name, rest)) => write!(f, "{name} {rest}"),
            None => f.write_str(&self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_parsed_and_displayed_as_the_listener_prints_it() {
        let line = Line::new("channel_join:1|c|#status:fail,channel:StatsChannel");
        assert_eq!((line.name(), line.value(), line.kind()), ("channel_join", Some(1.0), "c"));
        assert_eq!(
            (line.tag("status"), line.tag("channel"), line.tag("x")),
            (Some("fail"), Some("StatsChannel"), None)
        );
        assert_eq!(line.to_string(), "channel_join 1|c|#status:fail,channel:StatsChannel");
        assert_eq!((line.count(), Line::new("took:0.5|ms|@0.25|#a:b").count()), (1, 4));
        assert!(!line.is_aggregated() && Line::new("bennu.socket.connected:1|g").is_aggregated());
        let odd = Line::new("hello");
        assert_eq!((odd.name(), odd.value(), odd.kind(), odd.to_string()), ("hello", None, "", "hello".to_owned()));
    }
}
