//! One life of one node: its name, and when it started. A node that restarts is another replica.
//!
//! Everything that a replica has is numbered by itself alone (see [`crate::dots`]), and a number with its replica
//! identifies a presence in the whole cluster. A [`Reference`] is that, as a short text.

use crate::hash;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bennu_pubsub::NodeName;
use std::fmt;
use std::sync::Arc;

/// Cloning is cheap. Ordered by node, then by incarnation.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Replica(Arc<Identity>);

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Identity {
    node: NodeName,
    /// Greater in a later life.
    incarnation: u64,
    /// Where this replica's references begin.
    origin: u64,
}

impl Replica {
    /// `domain` tells apart replicas that share a node and a start, as the shards of a tracker do.
    pub(crate) fn new(node: NodeName, incarnation: u64, domain: &str) -> Self {
        let origin = hash::stable(&[domain.as_bytes(), node.as_str().as_bytes(), &incarnation.to_be_bytes()]);
        Replica(Arc::new(Identity { node, incarnation, origin }))
    }

    pub(crate) fn node(&self) -> &NodeName {
        &self.0.node
    }

    pub(crate) fn incarnation(&self) -> u64 {
        self.0.incarnation
    }

    /// The reference of the presence that this dot tags.
    pub(crate) fn reference(&self, dot: u64) -> Reference {
        // Each replica takes a run of numbers from a place that its identity chooses among 2^64, and each number is
        // permuted: two references are the same only where two runs overlap.
        Reference(hash::mix(self.0.origin.wrapping_add(dot)))
    }
}

impl fmt::Debug for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.0.node, self.0.incarnation)
    }
}

/// Identifies one presence, and changes with each update of it: what Phoenix calls `phx_ref`.
///
/// As text, eleven characters of URL-safe base64. It is computed from the replica and its clock, so it costs no memory
/// and is the same on every node. It is no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference(u64);

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn references_of_many_replicas_differ_and_are_eleven_characters() {
        let mut seen = HashSet::new();
        for node in ["a", "b"] {
            for incarnation in [1, 2] {
                for domain in ["tracker:0", "tracker:1"] {
                    let replica = Replica::new(NodeName::new(node), incarnation, domain);
                    seen.extend((1..=1000).map(|dot| replica.reference(dot).to_string()));
                }
            }
        }
        assert_eq!(seen.len(), 8000);
        assert!(seen.iter().all(|text| text.len() == 11));
    }

    #[test]
    fn another_node_computes_the_same_reference() {
        let here = Replica::new(NodeName::new("a"), 7, "x");
        let there = Replica::new(NodeName::new("a"), 7, "x");
        assert_eq!(here.reference(3), there.reference(3));
        assert_ne!(here.reference(3), here.reference(4));
    }
}
