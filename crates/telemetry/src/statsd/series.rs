//! A series of StatsD: the name and the tags that all lines of one instrument share. `cadence` formats the lines.
//!
//! The recorder and the writer of the aggregates send lines through it. Invariant: a name or a tag contains no
//! character with a meaning in the format; each such character is replaced by `_`, which cadence leaves to its callers.

use cadence::ext::{MetricValue, ToTimerValue};
use cadence::{Counted, Gauged, Histogrammed, Metric, MetricBuilder, MetricResult, StatsdClient, Timed};
use metrics::Key;

#[derive(Debug)]
pub(super) struct Series {
    name: String,
    tags: Vec<(String, String)>,
}

impl Series {
    pub(super) fn new(key: &Key) -> Self {
        let tags = key.labels().map(|tag| (sanitize(tag.key(), ":|#,"), sanitize(tag.value(), "|#,")));
        Series { name: sanitize(key.name(), ":|@#,"), tags: tags.collect() }
    }

    pub(super) fn count(&self, client: &StatsdClient, by: u64) {
        self.send(client.count_with_tags(&self.name, by));
    }

    pub(super) fn gauge(&self, client: &StatsdClient, value: f64) {
        self.send(client.gauge_with_tags(&self.name, value));
    }

    pub(super) fn histogram(&self, client: &StatsdClient, value: f64) {
        self.send(client.histogram_with_tags(&self.name, value));
    }

    pub(super) fn timing(&self, client: &StatsdClient, took: Milliseconds) {
        self.send(client.time_with_tags(&self.name, took));
    }

    /// Sends one line for `count` timings, with their sampling rate.
    pub(super) fn timings(&self, client: &StatsdClient, took: Milliseconds, count: u64) {
        let line = client.time_with_tags(&self.name, took);
        self.send(if count == 1 { line } else { line.with_sampling_rate(1.0 / count as f64) });
    }

    /// Sends the line. The queue counts lost lines itself, so there is no error to handle.
    fn send<'a, M: Metric + From<String>>(&'a self, line: MetricBuilder<'a, '_, M>) {
        self.tags.iter().fold(line, |line, (key, value)| line.with_tag(key, value)).send();
    }
}

fn sanitize(text: &str, reserved: &str) -> String {
    text.chars().map(|c| if c.is_control() || reserved.contains(c) { '_' } else { c }).collect()
}

/// A timing in milliseconds, StatsD's unit, with a fraction; cadence's own timings are whole.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Milliseconds(pub(super) f64);

impl Milliseconds {
    /// Rounds to whole milliseconds; a shorter timing keeps its microseconds.
    pub(super) fn rounded(seconds: f64) -> Self {
        let milliseconds = seconds * 1000.0;
        Milliseconds(if milliseconds < 1.0 { (milliseconds * 1000.0).round() / 1000.0 } else { milliseconds.round() })
    }
}

impl ToTimerValue for Milliseconds {
    fn try_to_value(self) -> MetricResult<MetricValue> {
        Ok(MetricValue::Float(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cadence::SpyMetricSink;
    use metrics::Label;

    /// Returns the line that `send` sends.
    fn line(
        name: &'static str,
        tags: &'static [(&'static str, &'static str)],
        send: impl FnOnce(&Series, &StatsdClient),
    ) -> String {
        let (lines, sink) = SpyMetricSink::new();
        let series = Series::new(&Key::from_parts(name, tags.iter().map(Label::from).collect::<Vec<_>>()));
        send(&series, &StatsdClient::from_sink("", sink));
        String::from_utf8(lines.try_recv().unwrap()).unwrap()
    }

    #[test]
    fn each_kind_has_its_type_and_tags_keep_their_order() {
        let tags = &[("status", "success"), ("socket", "StatsSocket")];
        assert_eq!(
            line("socket_connect", tags, |series, client| series.count(client, 1)),
            "socket_connect:1|c|#status:success,socket:StatsSocket"
        );
        let ping =
            line("stats_channel.ping", &[], |series, client| series.timing(client, Milliseconds::rounded(0.7116)));
        assert_eq!(ping, "stats_channel.ping:712|ms");
        assert_eq!(line("queue", &[], |series, client| series.gauge(client, -2.5)), "queue:-2.5|g");
        assert_eq!(line("pushed", &[], |series, client| series.histogram(client, 25.0)), "pushed:25|h");
        let sample =
            |count| line("took", &[("a", "b")], move |series, client| series.timings(client, Milliseconds(0.5), count));
        assert_eq!([sample(4), sample(1)], ["took:0.5|ms|@0.25|#a:b", "took:0.5|ms|#a:b"]);
    }

    #[test]
    fn a_timing_under_one_millisecond_keeps_its_microseconds() {
        let of = |seconds| Milliseconds::rounded(seconds).0;
        assert_eq!([of(0.000_042_1), of(0.0), of(0.0084)], [0.042, 0.0, 8.0]);
    }

    #[test]
    fn reserved_characters_in_names_and_tags_are_replaced() {
        let evil = line("a:b|c", &[("k:,", "v|1,#\nevil:1|c")], |series, client| series.count(client, 1));
        assert_eq!(evil, "a_b_c:1|c|#k__:v_1___evil:1_c");
    }
}
