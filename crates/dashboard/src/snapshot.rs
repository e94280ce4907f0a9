//! The message that the page receives every second: the current values of the framework's instruments.
//!
//! The publisher takes a snapshot; the page calculates rates and quantiles from the difference of two. The traffic of
//! the dashboard's own socket and channel is excluded.

use bennu_telemetry::{Aggregates, Bucket};
use metrics::Key;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

/// The types whose traffic is the page's own and is excluded.
const OWN_TYPES: [&str; 2] = ["DashboardSocket", "DashboardChannel"];

#[derive(Debug, Default, Serialize)]
pub(crate) struct Snapshot {
    /// Unix time in milliseconds.
    at: u64,
    /// Resident memory of the process in bytes.
    memory: Option<u64>,
    /// Totals by name and, where there is one, by the tag `result`: `bennu.socket.connects:ok`. Other tags are summed,
    /// and totals of 0 are left out.
    counters: BTreeMap<String, u64>,
    /// Values by name, summed over all tags.
    gauges: BTreeMap<String, f64>,
    /// Measurements by channel type.
    channels: BTreeMap<String, ChannelSnapshot>,
}

/// Measurements of all channels of one type.
#[derive(Debug, Default, Serialize)]
struct ChannelSnapshot {
    joined: f64,
    /// Joins that succeeded, that were refused, and that crashed.
    joins: [u64; 3],
    crashes: u64,
    /// Indices and counts of the buckets that are not empty.
    join: Vec<(usize, u64)>,
    handle_in: Vec<(usize, u64)>,
}

impl Snapshot {
    /// Reads the aggregates. The connections of the `pages` that are open are subtracted.
    pub(crate) fn take(aggregates: &Aggregates, pages: usize) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut snapshot = Snapshot { at: now.as_millis() as u64, memory: resident_bytes(), ..Snapshot::default() };
        aggregates.counters(|key, count| snapshot.count(key, count));
        aggregates.gauges(|key, value| {
            if is_own(key) {
                return;
            }
            *snapshot.gauges.entry(key.name().to_owned()).or_default() += value;
            if let ("bennu.channel.joined", Some(channel)) = (key.name(), tag(key, "channel")) {
                snapshot.channel(channel).joined += value;
            }
        });
        if let Some(connected) = snapshot.gauges.get_mut("bennu.socket.connected") {
            *connected = (*connected - pages as f64).max(0.0);
        }
        aggregates.histograms(|key, buckets| {
            if let (false, Some(channel)) = (is_own(key), tag(key, "channel")) {
                let counts = filled(&buckets);
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

    fn channel(&mut self, name: &str) -> &mut ChannelSnapshot {
        self.channels.entry(name.to_owned()).or_default()
    }
}

fn filled(buckets: &[Bucket]) -> Vec<(usize, u64)> {
    buckets.iter().map(|bucket| bucket.count).enumerate().filter(|(_, count)| *count > 0).collect()
}

fn tag<'a>(key: &'a Key, name: &str) -> Option<&'a str> {
    key.labels().find(|label| label.key() == name).map(|label| label.value())
}

fn is_own(key: &Key) -> bool {
    key.labels().any(|label| OWN_TYPES.contains(&label.value()))
}

/// Returns the resident memory of this process in bytes; `None` on systems without `/proc`.
///
/// The process's other figures are not read: counting open files visits each of them, every second.
fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = resident.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::DashboardRecorder;

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_resident_memory() {
        assert!(resident_bytes().unwrap() > 100_000);
    }

    #[test]
    fn a_snapshot_has_sums_by_name_and_by_channel_type_without_the_dashboards_own_traffic() {
        let recorder = DashboardRecorder::new();
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
        let snapshot = serde_json::to_value(Snapshot::take(recorder.aggregates(), 2)).unwrap();
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
