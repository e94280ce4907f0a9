//! The table of all instruments of the framework's crates.
//!
//! [`Telemetry::install`](crate::Telemetry::install) passes units and descriptions from it to the exporters, and
//! docs/telemetry.md shows it. Tests compare the table with the crates' sources and with the page, so the three cannot
//! differ.

use metrics::{Label, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

/// One instrument of the framework.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Instrument {
    /// Its name, such as `bennu.socket.connects`.
    pub name: &'static str,
    /// Its kind.
    pub kind: InstrumentKind,
    /// The counted thing, or for a histogram its unit and the measured thing.
    pub description: &'static str,
    /// Its tags.
    pub tags: &'static [Tag],
}

/// The kind of an instrument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InstrumentKind {
    /// A count that never decreases.
    Counter,
    /// A value that rises and falls.
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
    /// All its values; empty when they are names from the application.
    pub values: &'static [&'static str],
}

/// The last part of a socket's type: `UserSocket` for `app::UserSocket`.
const SOCKET: Tag = Tag { name: "socket", values: &[] };
/// The last part of a channel's type.
const CHANNEL: Tag = Tag { name: "channel", values: &[] };
/// The name of a pipeline's stage, which the application chooses.
const STAGE: Tag = Tag { name: "stage", values: &[] };
const RESULT: Tag = Tag { name: "result", values: &["ok", "refused", "crashed"] };
const ADAPTER: Tag = Tag { name: "adapter", values: &["redis", "nats", "zenoh"] };
/// The kind of a message between trackers.
const MESSAGE: Tag =
    Tag { name: "what", values: &["hello", "greeting", "heartbeat", "delta", "ask", "answer", "goodbye", "unknown"] };

const fn counter(name: &'static str, description: &'static str, tags: &'static [Tag]) -> Instrument {
    Instrument { name, kind: InstrumentKind::Counter, description, tags }
}

const fn gauge(name: &'static str, description: &'static str, tags: &'static [Tag]) -> Instrument {
    Instrument { name, kind: InstrumentKind::Gauge, description, tags }
}

const fn bytes(name: &'static str, description: &'static str, tags: &'static [Tag]) -> Instrument {
    Instrument { name, kind: InstrumentKind::Bytes, description, tags }
}

const fn seconds(name: &'static str, description: &'static str, tags: &'static [Tag]) -> Instrument {
    Instrument { name, kind: InstrumentKind::Seconds, description, tags }
}

/// All instruments, in the order in which a message passes them.
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
    counter("bennu.socket.bad_messages", "frames, and messages of a POST, that are not valid messages", &[]),
    counter("bennu.channel.joins", "joins that reached a channel", &[CHANNEL, RESULT]),
    seconds("bennu.channel.join_duration", "seconds that a join took", &[CHANNEL]),
    gauge("bennu.channel.joined", "channels joined now", &[CHANNEL]),
    seconds("bennu.channel.handle_in_duration", "seconds of a handler, without the reply's encoding", &[CHANNEL]),
    bytes(
        "bennu.channel.mailbox_bytes",
        "bytes that wait for channels to handle them, of all channels, every 5 s",
        &[],
    ),
    counter(
        "bennu.channel.task_limits",
        "times that a channel had to wait because `MAX_TASKS` of its own tasks ran",
        &[CHANNEL],
    ),
    counter("bennu.channel.crashes", "crashes in any callback, in a task, in a drop, or of the mailbox", &[CHANNEL]),
    counter("bennu.broadcast.sent", "broadcasts of this node's channels and endpoint, once each", &[]),
    counter("bennu.broadcast.unencodable", "broadcasts, once for each encoding that cannot carry them", &[]),
    gauge("bennu.drain.draining", "1 since a drain has begun", &[]),
    counter(
        "bennu.drain.connections",
        "connections that a drain closes, so that their clients reconnect elsewhere",
        &[],
    ),
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
    counter("bennu.longpoll.expired", "sessions ended because their client sent no request in time", &[]),
    counter("bennu.longpoll.repeated", "responses sent again because the client did not receive them", &[]),
    counter(
        "bennu.longpoll.unsendable",
        "binary messages that are not UTF-8 text, once for all receivers of a broadcast",
        &[],
    ),
    counter("bennu.longpoll.relayed", "messages to other nodes about their sessions", &[]),
    gauge(
        "bennu.pubsub.connected",
        "1 while the engine can be reached; with Zenoh, while a node answers at each configured address",
        &[ADAPTER],
    ),
    counter("bennu.pubsub.reconnects", "connections made again after one was lost", &[ADAPTER]),
    counter("bennu.pubsub.published", "messages written to the engine", &[ADAPTER]),
    counter(
        "bennu.pubsub.published_bytes",
        "their bytes, as the engine's protocol has them; with Zenoh without it",
        &[ADAPTER],
    ),
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
    counter("bennu.pubsub.garbage", "frames that are not valid messages, or of another type", &[]),
    gauge("bennu.presence.presences", "presences that this node lists, of all nodes", &[]),
    counter("bennu.presence.messages_sent", "messages to other nodes' trackers", &[MESSAGE]),
    counter("bennu.presence.messages_received", "messages of other nodes' trackers", &[MESSAGE]),
    counter("bennu.presence.messages_unsent", "messages that the PubSub refused", &[]),
    counter("bennu.presence.messages_lost", "messages that this node was too slow to take", &[]),
    counter("bennu.presence.garbage", "invalid messages, which were dropped", &[]),
    counter("bennu.presence.transfers_asked", "requests for missed changes", &[]),
    counter("bennu.presence.transfers_answered", "parts sent in answer to such requests", &[]),
    counter("bennu.presence.diffs", "calls of a handler", &[]),
    counter("bennu.presence.handler_panics", "panics of a handler", &[]),
    counter("bennu.presence.nodes_down", "other nodes that stopped sending", &[]),
    gauge("bennu.pipeline.queued", "items in a stage's buffer, not demanded yet", &[STAGE]),
    gauge("bennu.pipeline.demand", "items that a stage's subscribers have demanded and not received", &[STAGE]),
    counter("bennu.pipeline.emitted", "items that a stage took in or made", &[STAGE]),
    counter("bennu.pipeline.dropped", "items that a stage's full buffer had no place for", &[STAGE]),
    gauge(
        "bennu.pipeline.in_flight",
        "items delivered to a stage and not finished, at most its `max_demand`",
        &[STAGE],
    ),
    seconds("bennu.pipeline.time_in_stage", "seconds that a stage worked at a batch, or at a worker's item", &[STAGE]),
    counter("bennu.pipeline.lost", "items that were in progress at a crash and were not tried again", &[STAGE]),
    gauge(
        "bennu.pipeline.unacknowledged",
        "deliveries of a source that are neither acknowledged nor dropped",
        &[STAGE],
    ),
    counter("bennu.pipeline.source_failures", "calls of a source that failed and are made again", &[STAGE]),
    counter("bennu.pipeline.crashes", "panics and errors of a stage's code", &[STAGE]),
    counter("bennu.pipeline.restarts", "times that a stage, or a worker's item, was started again", &[STAGE]),
    counter("bennu.http.half_open_dropped", "unfinished handshakes dropped for newer ones", &[]),
    counter("bennu.telemetry.lines_lost", "StatsD lines that found no room in the queue", &[]),
];

/// Passes the unit and description of each instrument to the exporters, then starts every series with known tags at 0.
/// An alert on the increase of a counter would miss a first occurrence that is also the first sample.
pub(crate) fn describe() {
    for Instrument { name, kind, description, .. } in INSTRUMENTS.iter().copied() {
        match kind {
            InstrumentKind::Counter => describe_counter!(name, Unit::Count, description),
            InstrumentKind::Gauge => describe_gauge!(name, Unit::Count, description),
            InstrumentKind::Bytes => describe_gauge!(name, Unit::Bytes, description),
            InstrumentKind::Seconds => describe_histogram!(name, Unit::Seconds, description),
        }
    }
    for instrument in INSTRUMENTS {
        instrument.register_known_series();
    }
}

impl Instrument {
    /// Registers each series if all values of all tags are known. Series of adapters are left out: a node without an
    /// engine has none.
    fn register_known_series(&self) {
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
    /// Returns the name of the kind in the `metrics` facade: counter, gauge or histogram.
    pub fn name(self) -> &'static str {
        match self {
            InstrumentKind::Counter => "counter",
            InstrumentKind::Gauge | InstrumentKind::Bytes => "gauge",
            InstrumentKind::Seconds => "histogram",
        }
    }
}
