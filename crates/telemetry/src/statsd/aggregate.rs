//! The aggregates as StatsD lines: increments of counters, changed gauges, and durations as samples.
//!
//! The upkeep thread flushes them once a second. A line for durations stands for all new values of one bucket: it
//! contains their mean with a sampling rate, `@0.01` for a hundred values. Lines share datagrams that no network
//! fragments.

use super::sender::Queue;
use super::series::{Milliseconds, Series};
use crate::aggregate::{Aggregates, HistogramDeltas};
use cadence::ext::MultiLineWriter;
use cadence::{MetricSink, StatsdClient};
use metrics::Key;
use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// The room for lines in one Ethernet packet after the headers of IPv6 and UDP.
const DATAGRAM_BYTES: usize = 1432;

pub(crate) struct AggregateWriter {
    aggregates: Arc<Aggregates>,
    client: StatsdClient,
    last_counts: HashMap<Key, u64>,
    /// The bits of each gauge's value.
    last_gauges: HashMap<Key, u64>,
    deltas: HistogramDeltas,
}

impl AggregateWriter {
    pub(super) fn new(aggregates: Arc<Aggregates>, queue: Queue) -> Self {
        let datagrams = Datagrams(Mutex::new(MultiLineWriter::new(queue, DATAGRAM_BYTES)));
        let client = StatsdClient::from_sink("", datagrams);
        AggregateWriter {
            aggregates,
            client,
            last_counts: HashMap::new(),
            last_gauges: HashMap::new(),
            deltas: HistogramDeltas::default(),
        }
    }

    /// Queues lines for all changes since the last flush.
    pub(crate) fn flush(&mut self) {
        self.aggregates.counters(|key, count| {
            let before = self.last_counts.insert(key.clone(), count).unwrap_or(0);
            if count > before {
                Series::new(key).count(&self.client, count - before);
            }
        });
        self.aggregates.gauges(|key, value| {
            if self.last_gauges.insert(key.clone(), value.to_bits()) != Some(value.to_bits()) {
                Series::new(key).gauge(&self.client, value);
            }
        });
        self.deltas.visit(&self.aggregates, |key, bucket| {
            let microseconds = (bucket.mean() * 1e6).round();
            Series::new(key).timings(&self.client, Milliseconds(microseconds / 1e3), bucket.count);
        });
        // The queue counts lost lines itself.
        let _ = self.client.flush();
    }
}

/// Collects lines into datagrams. One thread writes, but cadence requires a shareable sink, hence the lock.
struct Datagrams(Mutex<MultiLineWriter<Queue>>);

impl MetricSink for Datagrams {
    fn emit(&self, line: &str) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(line.as_bytes())
    }

    fn flush(&self) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).flush()
    }
}
