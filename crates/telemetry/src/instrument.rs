//! Everything that the framework's crates measure: one table, which the exporters are told of and docs/telemetry.md shows.
//!
//! A test reads the crates' sources and this table, and another the page: none of the three can differ from the others.

use metrics::{Label, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

/// One instrument of the framework.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Instrument {
    /// Its name, as `bennu.socket.connects`.
    pub name: &'static str,
    /// How it counts.
    pub kind: InstrumentKind,
    /// What it counts, or the unit of a histogram with what it times.
    pub counts: &'static str,
    /// Its tags.
    pub tags: &'static [Tag],
}

/// How an instrument counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InstrumentKind {
    /// Only goes up.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A gauge of bytes.
    Bytes,
    /// A distribution of seconds.
    Seconds,
}

/// A tag of an instrument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tag {
    /// Its name.
    pub name: &'static str,
    /// All values that it takes; none when they are the names of the application's types.
    pub values: &'static [&'static str],
}

/// The last part of a socket's type: `app::UserSocket` is `UserSocket`.
const SOCKET: Tag = Tag { name: "socket", values: &[] };
/// The last part of a channel's type.
const CHANNEL: Tag = Tag { name: "channel", values: &[] };
const RESULT: Tag = Tag { name: "result", values: &["ok", "refused", "crashed"] };
const ADAPTER: Tag = Tag { name: "adapter", values: &["redis", "nats", "zenoh"] };
const WHAT: Tag =
    Tag { name: "what", values: &["hello", "greeting", "heartbeat", "delta", "ask", "answer", "goodbye", "unknown"] };

const fn counter(name: &'static str, counts: &'static str, tags: &'static [Tag]) -> Instrument {
    Instrument { name, kind: InstrumentKind::Counter, counts, tags }
}

const fn gauge(name: &'static str, counts: &'static str, tags: &'static [Tag]) -> Instrument {
    Instrument { name, kind: InstrumentKind::Gauge, counts, tags }
}

const fn bytes(name: &'static str, counts: &'static str, tags: &'static [Tag]) -> Instrument {
    Instrument { name, kind: InstrumentKind::Bytes, counts, tags }
}

const fn seconds(name: &'static str, counts: &'static str, tags: &'static [Tag]) -> Instrument {
    Instrument { name, kind: InstrumentKind::Seconds, counts, tags }
}

/// All of them, in the order of a message's way.
pub const INSTRUMENTS: &[Instrument] = &[
    counter("bennu.socket.connects", "calls of `connect`", &[SOCKET, RESULT]),
    gauge("bennu.socket.connected", "connections open now", &[]),
    gauge("bennu.socket.waiting", "clients that wait before `connect`, as too many are on their way in", &[]),
    counter("bennu.socket.turned_away", "clients refused because too many wait", &[]),
    counter("bennu.socket.messages_in", "messages from clients, heartbeats and joins among them", &[SOCKET]),
    counter(
        "bennu.socket.messages_out",
        "messages handed to the transport: pushes, replies, and broadcasts once for each client",
        &[SOCKET],
    ),
    bytes("bennu.socket.outbox_bytes", "bytes that wait for clients to read them, of all connections, every 5 s", &[]),
    counter("bennu.socket.slow_clients", "connections closed because their client did not read", &[]),
    counter("bennu.socket.bad_messages", "frames, and messages of a POST, that are no message", &[]),
    counter("bennu.channel.joins", "joins that reached a channel", &[CHANNEL, RESULT]),
    seconds("bennu.channel.join_duration", "seconds that a join took", &[CHANNEL]),
    gauge("bennu.channel.joined", "channels joined now", &[CHANNEL]),
    seconds("bennu.channel.handle_in_duration", "seconds of a handler, without the reply's encoding", &[CHANNEL]),
    bytes(
        "bennu.channel.mailbox_bytes",
        "bytes that wait for channels to handle them, of all channels, every 5 s",
        &[],
    ),
    counter("bennu.channel.crashes", "crashes in any callback, in a drop, or of the mailbox", &[CHANNEL]),
    counter("bennu.broadcast.sent", "broadcasts of this node's channels and endpoint, once each", &[]),
    counter("bennu.broadcast.unencodable", "broadcasts, once for each encoding that cannot carry them", &[]),
    gauge("bennu.drain.draining", "1 since a drain has begun", &[]),
    counter("bennu.drain.connections", "connections told to go elsewhere", &[]),
    counter(
        "bennu.websocket.protocol_errors",
        "connections closed for breaking the WebSocket protocol or a size limit",
        &[],
    ),
    gauge("bennu.longpoll.sessions", "sessions open now", &[]),
    counter(
        "bennu.longpoll.refused",
        "sessions refused because there are too many",
        &[Tag { name: "limit", values: &["sessions", "sessions_per_peer"] }],
    ),
    counter("bennu.longpoll.expired", "sessions ended because their client was not heard", &[]),
    counter("bennu.longpoll.repeated", "responses said again because the client did not receive them", &[]),
    counter(
        "bennu.longpoll.unsendable",
        "binary messages that are no text, once for all receivers of a broadcast",
        &[],
    ),
    counter("bennu.longpoll.relayed", "messages to other nodes about their sessions", &[]),
    gauge("bennu.pubsub.connected", "1 while the engine can be reached", &[ADAPTER]),
    counter("bennu.pubsub.reconnects", "connections made again after one was lost", &[ADAPTER]),
    counter("bennu.pubsub.published", "messages written to the engine", &[ADAPTER]),
    counter("bennu.pubsub.published_bytes", "their bytes, as the engine's protocol has them", &[ADAPTER]),
    counter(
        "bennu.pubsub.dropped",
        "messages lost on the way to the engine",
        &[ADAPTER, Tag { name: "reason", values: &["queue_full", "disconnected"] }],
    ),
    counter("bennu.pubsub.refused", "commands that the engine did not carry out", &[ADAPTER]),
    counter("bennu.pubsub.received", "messages of other nodes for this one", &[]),
    counter("bennu.pubsub.received_bytes", "their bytes", &[]),
    counter("bennu.pubsub.unwanted", "of those, messages without a subscriber", &[]),
    counter("bennu.pubsub.unwanted_bytes", "their bytes", &[]),
    counter("bennu.pubsub.garbage", "what is no message, or not of its kind", &[]),
    gauge("bennu.presence.presences", "presences that this node lists, of all nodes", &[]),
    counter("bennu.presence.messages_sent", "messages to other nodes' trackers", &[WHAT]),
    counter("bennu.presence.messages_received", "messages of other nodes' trackers", &[WHAT]),
    counter("bennu.presence.messages_unsent", "messages that the PubSub refused", &[]),
    counter("bennu.presence.messages_lost", "messages that this node was too slow to take", &[]),
    counter("bennu.presence.garbage", "messages that made no sense and were dropped", &[]),
    counter("bennu.presence.transfers_asked", "requests for what was missed", &[]),
    counter("bennu.presence.transfers_answered", "pieces sent to who asked", &[]),
    counter("bennu.presence.diffs", "calls of a handler", &[]),
    counter("bennu.presence.handler_panics", "panics of a handler", &[]),
    counter("bennu.presence.nodes_down", "other nodes found silent", &[]),
    counter("bennu.http.half_open_dropped", "unfinished handshakes dropped for newer ones", &[]),
    counter("bennu.telemetry.lines_lost", "StatsD lines that found no room in the queue", &[]),
];

/// Tells the exporters what each instrument counts, and in which unit; then lets begin at 0 what can: an alert that looks at
/// the increase of a counter does not see a first occurrence that is also the first sample.
pub(crate) fn describe() {
    for Instrument { name, kind, counts, .. } in INSTRUMENTS.iter().copied() {
        match kind {
            InstrumentKind::Counter => describe_counter!(name, Unit::Count, counts),
            InstrumentKind::Gauge => describe_gauge!(name, Unit::Count, counts),
            InstrumentKind::Bytes => describe_gauge!(name, Unit::Bytes, counts),
            InstrumentKind::Seconds => describe_histogram!(name, Unit::Seconds, counts),
        }
    }
    for instrument in INSTRUMENTS {
        instrument.begin();
    }
}

impl Instrument {
    /// Looks up every series whose tags' values are known. A node without an engine has no series of one.
    fn begin(&self) {
        if self.tags.iter().any(|tag| tag.values.is_empty() || *tag == ADAPTER) {
            return;
        }
        let mut series: Vec<Vec<Label>> = vec![Vec::new()];
        for tag in self.tags {
            let with = |labels: &Vec<Label>| {
                let labels = labels.clone();
                let label = |value: &&'static str| Label::from_static_parts(tag.name, value);
                tag.values.iter().map(move |value| labels.iter().cloned().chain([label(value)]).collect())
            };
            series = series.iter().flat_map(with).collect();
        }
        for labels in series {
            match self.kind {
                InstrumentKind::Counter => counter!(self.name, labels).increment(0),
                InstrumentKind::Gauge | InstrumentKind::Bytes => gauge!(self.name, labels).increment(0.0),
                InstrumentKind::Seconds => drop(histogram!(self.name, labels)),
            }
        }
    }
}

impl InstrumentKind {
    /// What it is to the `metrics` facade: counter, gauge or histogram.
    pub fn name(self) -> &'static str {
        match self {
            InstrumentKind::Counter => "counter",
            InstrumentKind::Gauge | InstrumentKind::Bytes => "gauge",
            InstrumentKind::Seconds => "histogram",
        }
    }
}
