//! One line of StatsD in DogStatsD's form, `name:value|kind|#key:value,key:value`, as the listener reads it.

use crate::sum::is_summed;
use std::fmt::{self, Display};

/// A line that has arrived.
///
/// It is shown as the listener prints it, with a space after the name: `socket_connect 1|c|#status:success`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line(String);

impl Line {
    pub(super) fn new(text: &str) -> Self {
        Line(text.to_owned())
    }

    /// As it came: `socket_connect:1|c|#status:success`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The instrument's name; the whole line when it is none of StatsD's.
    pub fn name(&self) -> &str {
        self.0.split_once(':').map_or(&self.0, |(name, _)| name)
    }

    /// Whether it is the framework's or the process's, `bennu.*` or `process_*`: those are summed and come every second.
    pub fn is_summed(&self) -> bool {
        is_summed(self.name())
    }

    /// The value, when it is a number.
    pub fn value(&self) -> Option<f64> {
        self.fields().next()?.parse().ok()
    }

    /// `c` for a count, `g` for a gauge, `ms` for a timing, `h` for a histogram; empty when there is none.
    pub fn kind(&self) -> &str {
        self.fields().nth(1).unwrap_or_default()
    }

    /// How many values it stands for: 1 but for a sample, as `@0.25` is of 4.
    pub fn count(&self) -> u64 {
        let share = self.fields().find_map(|field| field.strip_prefix('@')?.parse::<f64>().ok());
        share.map_or(1, |share| (1.0 / share).round() as u64)
    }

    /// A tag's value.
    pub fn tag(&self, key: &str) -> Option<&str> {
        let tags = self.fields().find_map(|field| field.strip_prefix('#'))?;
        tags.split(',').find_map(|tag| tag.split_once(':').filter(|(name, _)| *name == key).map(|(_, value)| value))
    }

    /// What stands after the name.
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
    fn a_line_is_read_into_its_parts_and_shown_as_the_listener_prints_it() {
        let line = Line::new("channel_join:1|c|#status:fail,channel:StatsChannel");
        assert_eq!((line.name(), line.value(), line.kind()), ("channel_join", Some(1.0), "c"));
        assert_eq!(
            (line.tag("status"), line.tag("channel"), line.tag("x")),
            (Some("fail"), Some("StatsChannel"), None)
        );
        assert_eq!(line.to_string(), "channel_join 1|c|#status:fail,channel:StatsChannel");
        assert_eq!((line.count(), Line::new("took:0.5|ms|@0.25|#a:b").count()), (1, 4));
        assert!(!line.is_summed() && Line::new("bennu.socket.connected:1|g").is_summed());
        let odd = Line::new("hello");
        assert_eq!((odd.name(), odd.value(), odd.kind(), odd.to_string()), ("hello", None, "", "hello".to_owned()));
    }
}
