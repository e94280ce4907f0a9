//! One second's message to the page: where every instrument of the framework stands. Rates are differences of two of them,
//! which the page takes.
//!
//! The dashboard's own channel and socket are left out: it does not show itself.

use crate::process;
use crate::recorder::Instruments;
use metrics::Key;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// The types whose traffic is the page's own.
const OWN: [&str; 2] = ["DashboardSocket", "DashboardChannel"];

#[derive(Debug, Default, Serialize)]
pub(crate) struct Snapshot {
    /// Unix time in milliseconds.
    at: u64,
    /// Resident memory of the process in bytes.
    memory: Option<u64>,
    /// By name, summed over tags but `result`: `bennu.socket.connects:ok`. Without those that are 0.
    counters: BTreeMap<String, u64>,
    /// By name, summed over tags.
    gauges: BTreeMap<String, f64>,
    /// By type.
    channels: BTreeMap<String, Channels>,
}

/// All channels of one type.
#[derive(Debug, Default, Serialize)]
struct Channels {
    joined: f64,
    /// Joins that succeeded, were refused, and crashed.
    joins: [u64; 3],
    crashes: u64,
    /// Buckets that are not empty: number and count.
    join: Vec<(usize, u64)>,
    handle_in: Vec<(usize, u64)>,
}

impl Snapshot {
    /// How things stand, without the connections of `viewers`.
    pub(crate) fn take(instruments: &Instruments, viewers: usize) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut snapshot =
            Snapshot { at: now.as_millis() as u64, memory: process::resident_bytes(), ..Snapshot::default() };
        instruments.counters(|key, count| snapshot.count(key, count));
        instruments.gauges(|key, value| {
            if is_own(key) {
                return;
            }
            *snapshot.gauges.entry(key.name().to_owned()).or_default() += value;
            if let ("bennu.channel.joined", Some(channel)) = (key.name(), tag(key, "channel")) {
                snapshot.channel(channel).joined += value;
            }
        });
        if let Some(connected) = snapshot.gauges.get_mut("bennu.socket.connected") {
            *connected = (*connected - viewers as f64).max(0.0);
        }
        instruments.histograms(|key, buckets| {
            if let (false, Some(channel)) = (is_own(key), tag(key, "channel")) {
                let counts = buckets.counts().collect();
                match key.name() {
                    "bennu.channel.join_duration" => snapshot.channel(channel).join = counts,
                    "bennu.channel.handle_in_duration" => snapshot.channel(channel).handle_in = counts,
                    _ => {}
                }
            }
        });
        snapshot
    }

    fn count(&mut self, key: &Key, count: u64) {
        if count == 0 || is_own(key) {
            return;
        }
        let result = tag(key, "result");
        let name = result.map_or_else(|| key.name().to_owned(), |result| format!("{}:{result}", key.name()));
        *self.counters.entry(name).or_default() += count;
        let Some(channel) = tag(key, "channel") else { return };
        match (key.name(), result) {
            ("bennu.channel.joins", Some("ok")) => self.channel(channel).joins[0] += count,
            ("bennu.channel.joins", Some("refused")) => self.channel(channel).joins[1] += count,
            ("bennu.channel.joins", Some("crashed")) => self.channel(channel).joins[2] += count,
            ("bennu.channel.crashes", _) => self.channel(channel).crashes += count,
            _ => {}
        }
    }

    fn channel(&mut self, name: &str) -> &mut Channels {
        self.channels.entry(name.to_owned()).or_default()
    }
}

fn tag<'a>(key: &'a Key, name: &str) -> Option<&'a str> {
    key.labels().find(|label| label.key() == name).map(|label| label.value())
}

fn is_own(key: &Key) -> bool {
    key.labels().any(|label| OWN.contains(&label.value()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::DashboardRecorder;
    use std::sync::Arc;

    #[test]
    fn it_has_sums_by_name_and_figures_by_channel_and_nothing_of_its_own() {
        let recorder = DashboardRecorder(Arc::new(Instruments::new()));
        metrics::with_local_recorder(&recorder, || {
            for socket in ["UserSocket", "AuthSocket", "DashboardSocket"] {
                metrics::counter!("bennu.socket.messages_in", "socket" => socket).increment(2);
            }
            metrics::counter!("bennu.channel.joins", "channel" => "Ping", "result" => "ok").increment(3);
            metrics::counter!("bennu.channel.joins", "channel" => "Ping", "result" => "refused").increment(1);
            metrics::counter!("bennu.channel.joins", "channel" => "DashboardChannel", "result" => "ok").increment(1);
            metrics::gauge!("bennu.channel.joined", "channel" => "Ping").increment(3);
            metrics::histogram!("bennu.channel.join_duration", "channel" => "Ping").record(1e-9);
            metrics::gauge!("bennu.socket.connected").set(5.0);
            metrics::counter!("bennu.socket.slow_clients").increment(0);
            metrics::counter!("shop.sold").increment(1);
        });
        let snapshot = serde_json::to_value(Snapshot::take(&recorder.0, 2)).unwrap();
        let counters = serde_json::json!({
            "bennu.channel.joins:ok": 3, "bennu.channel.joins:refused": 1, "bennu.socket.messages_in": 4
        });
        assert_eq!(snapshot["counters"], counters);
        assert_eq!(
            snapshot["gauges"],
            serde_json::json!({ "bennu.channel.joined": 3.0, "bennu.socket.connected": 3.0 })
        );
        let ping = serde_json::json!({
            "Ping": { "joined": 3.0, "joins": [3, 1, 0], "crashes": 0, "join": [[0, 1]], "handle_in": [] }
        });
        assert_eq!(snapshot["channels"], ping);
    }
}
