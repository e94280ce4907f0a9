//! The in-process adapter: nodes that live in one program. A program that is no cluster is one such node.

use crate::{Adapter, Delivery, Inbox, NodeName, PublishError, Target};
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// A cluster inside one program; [`InProcess::join`] adds a node.
#[derive(Clone, Default)]
pub struct InProcess {
    members: Arc<RwLock<BTreeMap<NodeName, Inbox>>>,
}

impl InProcess {
    /// A new cluster without nodes.
    pub fn cluster() -> Self {
        InProcess::default()
    }

    /// The adapter of one node, which is a member from when its [`crate::PubSub`] starts until that is dropped.
    pub fn join(&self, name: NodeName) -> impl Adapter + use<> {
        Member { name, cluster: self.clone(), inbox: OnceLock::new() }
    }
}

struct Member {
    name: NodeName,
    cluster: InProcess,
    inbox: OnceLock<Inbox>,
}

impl Adapter for Member {
    fn node(&self) -> &NodeName {
        &self.name
    }

    fn nodes(&self) -> Vec<NodeName> {
        self.cluster.members.read().keys().cloned().collect()
    }

    fn start(&self, inbox: Inbox) {
        if self.inbox.set(inbox.clone()).is_ok() {
            self.cluster.members.write().insert(self.name.clone(), inbox);
        }
    }

    fn publish(&self, target: Target, topic: &str, delivery: &Delivery) -> Result<(), PublishError> {
        let members = self.cluster.members.read();
        match target {
            Target::Others => {
                for (_, inbox) in members.iter().filter(|(name, _)| **name != self.name) {
                    inbox.deliver(topic, delivery);
                }
                Ok(())
            }
            Target::Node(node) => match members.get(&node) {
                Some(inbox) => {
                    inbox.deliver(topic, delivery);
                    Ok(())
                }
                None => Err(PublishError::UnknownNode {
                    node: node.to_string(),
                    known: members.keys().map(ToString::to_string).collect(),
                }),
            },
        }
    }

    // Delivery looks into the other node's table directly, so interest needs no announcement.
    fn interest(&self, _topic: &str, _wanted: bool) {}
}

impl Drop for Member {
    fn drop(&mut self) {
        if self.inbox.get().is_some() {
            self.cluster.members.write().remove(&self.name);
        }
    }
}
