//! The scenarios, their figures, and the targets.
//!
//! The load generator prints figures under these names. The targets are the project's own (bench/README.md).

use std::io;

/// A kind of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scenario {
    /// One client publishes, all receive.
    Fanout,
    /// Push and reply.
    Echo,
    /// Connect and join.
    Join,
    /// Memory of idle clients.
    Memory,
    /// The Rust client's own memory and speed.
    Clients,
}

impl Scenario {
    /// All scenarios in the order of their runs.
    pub(super) const ALL: [Self; 5] = [Self::Fanout, Self::Echo, Self::Join, Self::Memory, Self::Clients];

    /// Returns the name on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Fanout => "fanout",
            Self::Echo => "echo",
            Self::Join => "join",
            Self::Memory => "memory",
            Self::Clients => "clients",
        }
    }

    /// Returns the scenario of this name.
    ///
    /// # Errors
    ///
    /// No scenario has it.
    pub(super) fn named(name: &str) -> io::Result<Self> {
        let found = Self::ALL.into_iter().find(|scenario| scenario.name() == name);
        found.ok_or_else(|| {
            io::Error::other(format!("{name:?} is not a scenario: use fanout, echo, join, memory, clients or all"))
        })
    }

    /// Returns the number of clients without `--quick`.
    pub(super) fn clients(self) -> usize {
        match self {
            Self::Fanout | Self::Join => 5_000,
            Self::Echo => 200,
            Self::Memory => 15_000,
            Self::Clients => 10_000,
        }
    }

    /// Returns the text of the table's heading after the number of clients.
    pub(super) fn description(self) -> &'static str {
        match self {
            Self::Fanout => "clients on one topic, one of them publishes, 100-byte payload",
            Self::Echo => "clients, push and reply, 100-byte payload",
            Self::Join => "clients connect, then join one topic, 50 at a time",
            Self::Memory => "idle clients; five topics, each shared by all of them",
            Self::Clients => "Rust clients in one process, joined to one topic; figures of that process",
        }
    }

    /// Returns the scenario's figures in the order of the table.
    pub(super) fn figures(self) -> &'static [Figure] {
        match self {
            Self::Fanout => FANOUT,
            Self::Echo => ECHO,
            Self::Join => JOIN,
            Self::Memory => MEMORY,
            Self::Clients => CLIENTS,
        }
    }
}

/// One row of the table.
pub(super) struct Figure {
    /// The name in the load generator's output.
    pub(super) name: &'static str,
    /// The label in the table, with the unit.
    pub(super) label: &'static str,
    /// The target of the server under test.
    pub(super) target: Target,
}

/// The target for instruments: the least ratio of a server's figure with instruments to the one without.
pub(super) const INSTRUMENTS_TARGET: f64 = 0.97;

/// The condition of a target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Target {
    /// At least this multiple of the raw loop's figure.
    Ratio(f64),
    /// At most this value.
    AtMost(f64),
    /// No target; the figure is for information.
    None,
}

impl Target {
    /// Returns whether the medians meet the target; `None` without a target.
    pub(super) fn met(self, median: f64, ratio: f64) -> Option<bool> {
        match self {
            Self::Ratio(min) => Some(ratio >= min),
            Self::AtMost(max) => Some(median <= max),
            Self::None => None,
        }
    }
}

const fn figure(name: &'static str, label: &'static str, target: Target) -> Figure {
    Figure { name, label, target }
}

const FANOUT: &[Figure] = &[
    figure("fanout_1_per_cpu_second", "deliveries/CPU s, 1 in flight", Target::Ratio(0.85)),
    figure("fanout_16_per_cpu_second", "deliveries/CPU s, 16 in flight", Target::Ratio(2.0)),
    figure("fanout_1_per_second", "deliveries/s, 1 in flight", Target::None),
    figure("fanout_16_per_second", "deliveries/s, 16 in flight", Target::None),
    figure("fanout_16_received_per_cpu_second", "received/CPU s of the load, 16", Target::None),
];

const ECHO: &[Figure] = &[
    figure("echo_1_per_cpu_second", "replies/CPU s, 1 in flight", Target::Ratio(0.8)),
    figure("echo_8_per_cpu_second", "replies/CPU s, 8 in flight", Target::Ratio(1.6)),
    figure("echo_1_per_second", "replies/s, 1 in flight", Target::None),
    figure("echo_8_per_second", "replies/s, 8 in flight", Target::None),
];

const JOIN: &[Figure] = &[
    figure("connect_cpu_us", "CPU us a connect", Target::AtMost(60.0)),
    figure("join_cpu_us", "CPU us a join", Target::AtMost(60.0)),
];

const MEMORY: &[Figure] = &[
    figure("memory_client_bytes", "RSS bytes a client, one topic", Target::AtMost(3_000.0)),
    figure("memory_topic_bytes", "RSS bytes a further topic", Target::AtMost(1_200.0)),
    figure("memory_back_to_one_percent", "left 4 topics: % over one topic", Target::AtMost(10.0)),
    figure("memory_back_to_start_percent", "left all: % over start", Target::AtMost(10.0)),
    figure("memory_held_percent", "left all: % of growth still held", Target::None),
    figure("memory_client_anonymous_bytes", "RssAnon bytes a client", Target::None),
    figure("memory_start_kib", "RSS KiB at start", Target::None),
    figure("memory_peak_kib", "RSS KiB with five topics", Target::None),
    figure("memory_end_kib", "RSS KiB at the end", Target::None),
];

const CLIENTS: &[Figure] = &[
    figure("clients_rss_bytes", "RSS bytes a client, one topic", Target::AtMost(6_000.0)),
    figure("clients_anonymous_bytes", "RssAnon bytes a client", Target::None),
    figure("clients_per_second", "connected and joined/s", Target::None),
    figure("clients_received_per_cpu_second", "received/CPU s of the clients", Target::None),
    figure("clients_start_kib", "RSS KiB at start", Target::None),
    figure("clients_peak_kib", "RSS KiB with all clients", Target::None),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_relative_to_the_raw_loop_and_a_maximum_is_absolute() {
        assert_eq!(Target::Ratio(0.85).met(1.0, 0.85), Some(true));
        assert_eq!(Target::Ratio(0.85).met(1e9, 0.84), Some(false));
        assert_eq!(Target::AtMost(60.0).met(60.0, 9.0), Some(true));
        assert_eq!(Target::AtMost(60.0).met(60.1, 0.1), Some(false));
        assert_eq!(Target::None.met(1.0, 1.0), None);
    }

    #[test]
    fn every_scenario_is_found_by_its_name() {
        for scenario in Scenario::ALL {
            assert_eq!(Scenario::named(scenario.name()).unwrap(), scenario);
        }
        assert!(Scenario::named("fan-out").is_err());
    }
}
