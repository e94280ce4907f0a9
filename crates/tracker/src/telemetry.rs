//! What the tracker says of itself: `metrics` instruments, and `tracing` events for what happens to nodes.
//!
//! | instrument | kind | unit | labels |
//! |---|---|---|---|
//! | `bennu.presence.presences` | gauge | presences that this node's trackers list, of all nodes | |
//! | `bennu.presence.messages_sent` | counter | messages | `what` |
//! | `bennu.presence.messages_received` | counter | messages | `what` |
//! | `bennu.presence.messages_unsent` | counter | messages that the PubSub refused | |
//! | `bennu.presence.messages_lost` | counter | messages that this node was too slow to take | |
//! | `bennu.presence.garbage` | counter | messages that made no sense and were dropped | |
//! | `bennu.presence.transfers_asked` | counter | requests for what was missed | |
//! | `bennu.presence.transfers_answered` | counter | pieces sent | |
//! | `bennu.presence.diffs` | counter | calls of a handler | |
//! | `bennu.presence.handler_panics` | counter | panics of a handler | |
//! | `bennu.presence.nodes_down` | counter | other nodes found silent | |
//!
//! `what` is one of hello, greeting, heartbeat, delta, ask, answer, goodbye, unknown. Nodes that come and go are logged
//! at info, a panic of a handler at error.

use crate::message::What;

pub(crate) fn presences(joined: usize, left: usize) {
    if joined != left {
        metrics::gauge!("bennu.presence.presences").increment(joined as f64 - left as f64);
    }
}

pub(crate) fn sent(what: What) {
    metrics::counter!("bennu.presence.messages_sent", "what" => what.name()).increment(1);
    match what {
        What::Ask => metrics::counter!("bennu.presence.transfers_asked").increment(1),
        What::Answer => metrics::counter!("bennu.presence.transfers_answered").increment(1),
        _ => {}
    }
}

pub(crate) fn received(what: What) {
    metrics::counter!("bennu.presence.messages_received", "what" => what.name()).increment(1);
}

pub(crate) fn unsent() {
    metrics::counter!("bennu.presence.messages_unsent").increment(1);
}

pub(crate) fn lost(messages: u64) {
    metrics::counter!("bennu.presence.messages_lost").increment(messages);
}

pub(crate) fn garbage() {
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
