//! The in-process adapter: nodes of one program, which deliver straight into each other's topic tables.
//!
//! [`crate::PubSub::local`] uses it for a program without a cluster, and tests use it for a cluster within one process.
//! Invariant: a node is a member from the start of its `PubSub` until it leaves or its `PubSub` is dropped.

use crate::{Adapter, ClusterError, Inbox, LeaveFuture, NodeEvent, NodeName, Publication, PublishError, Target};
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// A cluster inside one program; [`InProcess::join`] adds a node.
#[derive(Clone, Default)]
pub struct InProcess {
    members: Arc<RwLock<BTreeMap<NodeName, Inbox>>>,
}

impl InProcess {
    /// Returns a new cluster without nodes.
    pub fn cluster() -> Self {
        InProcess::default()
    }

    /// Returns the adapter of one node. The node is a member from the start of its [`crate::PubSub`] until that is
    /// dropped.
    pub fn join(&self, name: NodeName) -> impl Adapter + use<> {
        InProcessNode { name, cluster: self.clone(), inbox: OnceLock::new() }
    }
}

impl InProcess {
    fn insert(&self, name: &NodeName, inbox: Inbox) {
        let mut members = self.members.write();
        members.insert(name.clone(), inbox.clone());
        let others: Vec<_> = others(&members, name);
        drop(members);
        for (other, theirs) in others {
            theirs.node_event(NodeEvent::joined(name));
            inbox.node_event(NodeEvent::joined(&other));
        }
    }

    fn remove(&self, name: &NodeName) {
        let mut members = self.members.write();
        let removed = members.remove(name);
        let others = others(&members, name);
        drop(members);
        if removed.is_some() {
            for (_, theirs) in others {
                theirs.node_event(NodeEvent::left(name));
            }
        }
    }
}

fn others(members: &BTreeMap<NodeName, Inbox>, name: &NodeName) -> Vec<(NodeName, Inbox)> {
    members.iter().filter(|(other, _)| *other != name).map(|(other, inbox)| (other.clone(), inbox.clone())).collect()
}

struct InProcessNode {
    name: NodeName,
    cluster: InProcess,
    inbox: OnceLock<Inbox>,
}

impl Adapter for InProcessNode {
    fn node(&self) -> &NodeName {
        &self.name
    }

    fn nodes(&self) -> Vec<NodeName> {
        self.cluster.members.read().keys().cloned().collect()
    }

    fn start(&self, inbox: Inbox) {
        if self.inbox.set(inbox.clone()).is_ok() {
            self.cluster.insert(&self.name, inbox);
        }
    }

    fn publish(&self, target: Target, topic: &str, publication: &Publication) -> Result<(), PublishError> {
        let members = self.cluster.members.read();
        match target {
            Target::Others => {
                for (_, inbox) in members.iter().filter(|(name, _)| **name != self.name) {
                    inbox.deliver(topic, publication);
                }
                Ok(())
            }
            Target::Node(node) => match members.get(&node) {
                Some(inbox) => {
                    inbox.deliver(topic, publication);
                    Ok(())
                }
                None => Err(PublishError::UnknownNode {
                    node: node.to_string(),
                    known: members.keys().map(ToString::to_string).collect(),
                }),
            },
        }
    }

    // A publisher looks the subscribers up in the other node's table, so interest needs no announcement.
    fn set_interest(&self, _topic: &str, _wanted: bool) {}

    fn connect(&self, _address: &str) -> Result<(), ClusterError> {
        Err(ClusterError::Unsupported { adapter: "in-process", meeting_point: "in their program" })
    }

    fn leave(&self) -> LeaveFuture {
        self.cluster.remove(&self.name);
        Box::pin(std::future::ready(()))
    }
}

impl Drop for InProcessNode {
    fn drop(&mut self) {
        if self.inbox.get().is_some() {
            self.cluster.remove(&self.name);
        }
    }
}
