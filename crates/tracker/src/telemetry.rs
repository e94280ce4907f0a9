//! The metrics of the tracker. The shard and its driver also log with `tracing`: nodes that come up, go down or leave
//! at info, a panic of a handler at error.
//!
//! | instrument | kind | unit | labels |
//! |---|---|---|---|
//! | `bennu.presence.presences` | gauge | presences of all nodes that this node's trackers list | |
//! | `bennu.presence.messages_sent` | counter | messages | `what` |
//! | `bennu.presence.messages_received` | counter | messages | `what` |
//! | `bennu.presence.messages_unsent` | counter | messages that the PubSub rejected | |
//! | `bennu.presence.messages_lost` | counter | messages that this node received too slowly | |
//! | `bennu.presence.garbage` | counter | invalid messages, which are dropped | |
//! | `bennu.presence.transfers_asked` | counter | requests for missed changes | |
//! | `bennu.presence.transfers_answered` | counter | deltas sent in response | |
//! | `bennu.presence.diffs` | counter | calls of a handler | |
//! | `bennu.presence.handler_panics` | counter | panics of a handler | |
//! | `bennu.presence.nodes_down` | counter | other nodes that went down | |
//!
//! `what` is the kind of a message: hello, greeting, heartbeat, delta, ask, answer, goodbye or unknown.

use crate::message::MessageKind;

pub(crate) fn presences(joined: usize, left: usize) {
    if joined != left {
        metrics::gauge!("bennu.presence.presences").increment(joined as f64 - left as f64);
    }
}

pub(crate) fn sent(kind: MessageKind) {
    metrics::counter!("bennu.presence.messages_sent", "what" => kind.name()).increment(1);
    match kind {
        MessageKind::Request => metrics::counter!("bennu.presence.transfers_asked").increment(1),
        MessageKind::Response => metrics::counter!("bennu.presence.transfers_answered").increment(1),
        _ => {}
    }
}

pub(crate) fn received(kind: MessageKind) {
    metrics::counter!("bennu.presence.messages_received", "what" => kind.name()).increment(1);
}

pub(crate) fn unsent() {
    metrics::counter!("bennu.presence.messages_unsent").increment(1);
}

pub(crate) fn lost(messages: u64) {
    metrics::counter!("bennu.presence.messages_lost").increment(messages);
}

pub(crate) fn invalid() {
    metrics::counter!("bennu.presence.garbage").increment(1);
}

pub(crate) fn diff() {
    metrics::counter!("bennu.presence.diffs").increment(1);
}

pub(crate) fn handler_panic() {
    metrics::counter!("bennu.presence.handler_panics").increment(1);
}

pub(crate) fn node_down() {
    metrics::counter!("bennu.presence.nodes_down").increment(1);
}
