//! The sums, as lines: what counters went up by, where gauges stand that have moved, and durations as samples.
//!
//! A duration's line stands for all that fell into one bucket: their mean, with the share of them that it is, `@0.01` for a
//! hundred. Lines are put together into datagrams that no network splits.

use super::line::{Form, Kind};
use super::sender::Queue;
use crate::sum::{News, Sums};
use metrics::Key;
use std::collections::HashMap;
use std::sync::Arc;

/// What fits into one packet of an Ethernet after the headers of IPv6 and UDP.
const DATAGRAM_BYTES: usize = 1432;

pub(crate) struct SumLines {
    sums: Arc<Sums>,
    queue: Queue,
    counted: HashMap<Key, u64>,
    stood: HashMap<Key, u64>,
    news: News,
}

impl SumLines {
    pub(super) fn new(sums: Arc<Sums>, queue: Queue) -> Self {
        SumLines { sums, queue, counted: HashMap::new(), stood: HashMap::new(), news: News::default() }
    }

    /// Queues what has changed since the last time.
    pub(crate) fn send(&mut self) {
        let mut datagram = Datagram { text: String::new(), queue: &self.queue };
        self.sums.counters(|key, count| {
            let before = self.counted.insert(key.clone(), count).unwrap_or(0);
            if count > before {
                datagram.push(&Form::new(key, Kind::Count).line(count - before));
            }
        });
        self.sums.gauges(|key, value| {
            if self.stood.insert(key.clone(), value.to_bits()) != Some(value.to_bits()) {
                datagram.push(&Form::new(key, Kind::Gauge).line(value));
            }
        });
        self.news.visit(&self.sums, |key, bucket| {
            let microseconds = (bucket.mean() * 1e6).round();
            datagram.push(&Form::new(key, Kind::Timing).sample(microseconds / 1e3, bucket.count));
        });
        datagram.send();
    }
}

struct Datagram<'a> {
    text: String,
    queue: &'a Queue,
}

impl Datagram<'_> {
    fn push(&mut self, line: &str) {
        if self.text.len() + 1 + line.len() > DATAGRAM_BYTES {
            self.send();
        }
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(line);
    }

    fn send(&mut self) {
        if !self.text.is_empty() {
            self.queue.push(std::mem::take(&mut self.text));
        }
    }
}
