//! One line of StatsD in DogStatsD's form, `name:value|kind|#key:value,key:value`: how it is written and how it is read.
//!
//! Written by the recorder, read by the listener. What has a meaning in the format never comes from a name or a tag: it is
//! replaced by `_`.

use crate::sum::is_summed;
use metrics::Key;
use std::fmt::{self, Display};

/// What a line says of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Count,
    Gauge,
    /// Milliseconds.
    Timing,
    Histogram,
}

impl Kind {
    fn sign(self) -> &'static str {
        match self {
            Kind::Count => "c",
            Kind::Gauge => "g",
            Kind::Timing => "ms",
            Kind::Histogram => "h",
        }
    }
}

/// What all lines of one instrument share.
#[derive(Debug)]
pub(super) struct Form {
    name: String,
    kind: Kind,
    /// With the bar before them; empty when there are none.
    tags: String,
}

impl Form {
    pub(super) fn new(key: &Key, kind: Kind) -> Self {
        let mut name = String::with_capacity(key.name().len());
        push_clean(&mut name, key.name(), ":|@#,");
        let mut tags = String::new();
        for (n, tag) in key.labels().enumerate() {
            tags.push_str(if n == 0 { "|#" } else { "," });
            push_clean(&mut tags, tag.key(), ":|#,");
            tags.push(':');
            push_clean(&mut tags, tag.value(), "|#,");
        }
        Form { name, kind, tags }
    }

    pub(super) fn line(&self, value: impl Display) -> String {
        format!("{}:{value}|{}{}", self.name, self.kind.sign(), self.tags)
    }

    /// A line that stands for `count` values.
    pub(super) fn sample(&self, value: impl Display, count: u64) -> String {
        match count {
            1 => self.line(value),
            _ => format!("{}:{value}|{}|@{}{}", self.name, self.kind.sign(), 1.0 / count as f64, self.tags),
        }
    }
}

/// Milliseconds of a timing, as StatsD has them: whole ones, but what took less than one keeps its microseconds.
pub(super) struct Milliseconds(pub(super) f64);

impl Display for Milliseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 1.0 { write!(f, "{}", (self.0 * 1000.0).round() / 1000.0) } else { write!(f, "{:.0}", self.0) }
    }
}

fn push_clean(to: &mut String, text: &str, reserved: &str) {
    to.extend(text.chars().map(|c| if c.is_control() || reserved.contains(c) { '_' } else { c }));
}

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
    use metrics::Label;

    fn form(name: &'static str, kind: Kind, tags: &'static [(&'static str, &'static str)]) -> Form {
        Form::new(&Key::from_parts(name, tags.iter().map(Label::from).collect::<Vec<_>>()), kind)
    }

    #[test]
    fn each_kind_has_its_sign_and_tags_keep_their_order() {
        let count = form("socket_connect", Kind::Count, &[("status", "success"), ("socket", "StatsSocket")]);
        assert_eq!(count.line(1), "socket_connect:1|c|#status:success,socket:StatsSocket");
        assert_eq!(
            form("stats_channel.ping", Kind::Timing, &[]).line(Milliseconds(711.6)),
            "stats_channel.ping:712|ms"
        );
        assert_eq!(form("queue", Kind::Gauge, &[]).line(-2.5), "queue:-2.5|g");
        assert_eq!(form("took", Kind::Timing, &[("a", "b")]).sample(0.5, 4), "took:0.5|ms|@0.25|#a:b");
        assert_eq!(form("took", Kind::Timing, &[]).sample(0.5, 1), "took:0.5|ms");
        assert_eq!(form("pipeline.push_delivered", Kind::Histogram, &[]).line(25.0), "pipeline.push_delivered:25|h");
    }

    #[test]
    fn a_timing_under_one_millisecond_keeps_its_microseconds() {
        assert_eq!(Milliseconds(0.0421).to_string(), "0.042");
        assert_eq!(Milliseconds(0.0).to_string(), "0");
        assert_eq!(Milliseconds(8.4).to_string(), "8");
    }

    #[test]
    fn what_the_format_reserves_cannot_come_from_a_name_or_a_tag() {
        let form = form("a:b|c", Kind::Count, &[("k:,", "v|1,#\nevil:1|c")]);
        assert_eq!(form.line(1), "a_b_c:1|c|#k__:v_1___evil:1_c");
    }

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
