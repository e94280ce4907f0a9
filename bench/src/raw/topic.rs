//! The topics of the raw loop and their members.
//!
//! The members of a topic are an array of slots, so that a broadcast reads memory in order. Each client keeps its
//! indices in these arrays, so that a leave costs a swap and no search.

use std::collections::HashMap;

use super::connection::Connection;

/// A client's index in the members of one topic. The client owns it, and the topics update it.
pub(super) struct Membership {
    topic: u32,
    index: u32,
}

/// All topics that were ever joined.
#[derive(Default)]
pub(super) struct Topics {
    by_name: HashMap<Box<[u8]>, u32>,
    members: Vec<Vec<u32>>,
}

impl Topics {
    /// Returns the slots of the topic's members.
    pub(super) fn members(&self, name: &[u8]) -> &[u32] {
        self.by_name.get(name).map_or(&[], |&topic| &self.members[topic as usize])
    }

    /// Adds a client to a topic; a second join of the same topic has no effect.
    pub(super) fn join(&mut self, name: &[u8], slot: u32, joined: &mut Vec<Membership>) {
        let topic = match self.by_name.get(name) {
            Some(&topic) => topic,
            None => {
                let topic = self.members.len() as u32;
                self.by_name.insert(name.into(), topic);
                self.members.push(Vec::new());
                topic
            }
        };
        if joined.iter().all(|membership| membership.topic != topic) {
            let members = &mut self.members[topic as usize];
            joined.push(Membership { topic, index: members.len() as u32 });
            members.push(slot);
        }
    }

    /// Removes a client from one topic.
    pub(super) fn leave(&mut self, name: &[u8], slot: u32, all: &mut [Option<Connection>]) {
        let Some((&topic, connection)) = self.by_name.get(name).zip(all[slot as usize].as_mut()) else {
            return;
        };
        let joined = &mut connection.joined;
        if let Some(at) = joined.iter().position(|membership| membership.topic == topic) {
            let membership = joined.swap_remove(at);
            self.remove(membership, all);
        }
    }

    /// Removes a client from all topics.
    pub(super) fn leave_all(&mut self, slot: u32, all: &mut [Option<Connection>]) {
        let Some(connection) = &mut all[slot as usize] else { return };
        for membership in std::mem::take(&mut connection.joined) {
            self.remove(membership, all);
        }
    }

    fn remove(&mut self, Membership { topic, index }: Membership, all: &mut [Option<Connection>]) {
        let members = &mut self.members[topic as usize];
        members.swap_remove(index as usize);
        let Some(&moved) = members.get(index as usize) else { return };
        let joined = all[moved as usize].as_mut().map(|connection| &mut connection.joined);
        let membership = joined.into_iter().flatten().find(|membership| membership.topic == topic);
        membership.expect("each member has a membership").index = index;
    }
}
