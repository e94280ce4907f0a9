//! Replicas and references: the identity of a node's incarnation, and of each presence of it.
//!
//! A node that restarts is another replica. A replica numbers its own changes (see [`super::dot_set`]), so replica and
//! number identify a presence in the whole cluster. A [`Reference`] is the short text of that pair.

use crate::hash;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bennu_pubsub::NodeName;
use std::fmt;
use std::sync::Arc;

/// One incarnation of one node. Cloning is cheap. Ordered by node, then by incarnation.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Replica(Arc<Identity>);

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Identity {
    node: NodeName,
    /// Increases with each restart of the node.
    incarnation: u64,
    /// The start of this replica's references.
    origin: u64,
}

impl Replica {
    /// Replicas of different `domain`s have different references although node and incarnation are the same, as with
    /// the shards of one tracker.
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

    /// Returns the reference of the presence with this dot.
    pub(crate) fn reference(&self, dot: u64) -> Reference {
        // Each replica uses a run of the 2^64 numbers that begins at a hash of its identity, and each number is
        // permuted. Two references are equal only where two runs overlap.
        Reference(hash::mix(self.0.origin.wrapping_add(dot)))
    }
}

impl fmt::Debug for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.0.node, self.0.incarnation)
    }
}

/// Identifies one presence, and changes with each update of it: Phoenix's `phx_ref`.
///
/// Displayed as eleven characters of URL-safe base64. Every node computes it from the presence's replica and dot, so it
/// takes no memory. It is not a secret.
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
    fn references_of_many_replicas_differ_and_have_eleven_characters() {
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
        let local = Replica::new(NodeName::new("a"), 7, "x");
        let remote = Replica::new(NodeName::new("a"), 7, "x");
        assert_eq!(local.reference(3), remote.reference(3));
        assert_ne!(local.reference(3), local.reference(4));
    }
}
