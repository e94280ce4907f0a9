//! The sums, as lines: what counters went up by, where gauges stand that have moved, and durations as samples.
//!
//! A duration's line stands for all that fell into one bucket: their mean, with the share of them that it is, `@0.01` for a
//! hundred. Lines are put together into datagrams that no network splits.

use super::form::{Form, Milliseconds};
use super::sender::Queue;
use crate::sum::{News, Sums};
use cadence::ext::MultiLineWriter;
use cadence::{MetricSink, StatsdClient};
use metrics::Key;
use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// What fits into one packet of an Ethernet after the headers of IPv6 and UDP.
const DATAGRAM_BYTES: usize = 1432;

pub(crate) struct SumLines {
    sums: Arc<Sums>,
    client: StatsdClient,
    counted: HashMap<Key, u64>,
    stood: HashMap<Key, u64>,
    news: News,
}

impl SumLines {
    pub(super) fn new(sums: Arc<Sums>, queue: Queue) -> Self {
        let datagrams = Datagrams(Mutex::new(MultiLineWriter::new(queue, DATAGRAM_BYTES)));
        let client = StatsdClient::from_sink("", datagrams);
        SumLines { sums, client, counted: HashMap::new(), stood: HashMap::new(), news: News::default() }
    }

    /// Queues what has changed since the last time.
    pub(crate) fn send(&mut self) {
        self.sums.counters(|key, count| {
            let before = self.counted.insert(key.clone(), count).unwrap_or(0);
            if count > before {
                Form::new(key).count(&self.client, count - before);
            }
        });
        self.sums.gauges(|key, value| {
            if self.stood.insert(key.clone(), value.to_bits()) != Some(value.to_bits()) {
                Form::new(key).gauge(&self.client, value);
            }
        });
        self.news.visit(&self.sums, |key, bucket| {
            let microseconds = (bucket.mean() * 1e6).round();
            Form::new(key).timings(&self.client, Milliseconds(microseconds / 1e3), bucket.count);
        });
        // The queue counts what it loses.
        let _ = self.client.flush();
    }
}

/// Lines on their way into datagrams. They come from one thread, but a sink is shared.
struct Datagrams(Mutex<MultiLineWriter<Queue>>);

impl MetricSink for Datagrams {
    fn emit(&self, line: &str) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(line.as_bytes())
    }

    fn flush(&self) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).flush()
    }
}
