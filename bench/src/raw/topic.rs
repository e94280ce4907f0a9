//! Who is joined to what in the raw loop.
//!
//! Members of a topic are a plain array of slots, so that a broadcast walks memory in order; each client
//! remembers where it stands there, so that leaving costs a swap and no search.

use std::collections::HashMap;

use super::connection::Connection;
use super::membership::Membership;

/// All topics that were ever joined.
#[derive(Default)]
pub(super) struct Topics {
    by_name: HashMap<Box<[u8]>, u32>,
    members: Vec<Vec<u32>>,
}

impl Topics {
    /// The slots that are joined to the topic.
    pub(super) fn members(&self, name: &[u8]) -> &[u32] {
        self.by_name.get(name).map_or(&[], |&topic| &self.members[topic as usize])
    }

    /// Joins a client; once only.
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
            joined.push(Membership { topic, place: members.len() as u32 });
            members.push(slot);
        }
    }

    /// Takes a client out of one topic.
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

    /// Takes a client out of everything.
    pub(super) fn leave_all(&mut self, slot: u32, all: &mut [Option<Connection>]) {
        let Some(connection) = &mut all[slot as usize] else { return };
        for membership in std::mem::take(&mut connection.joined) {
            self.remove(membership, all);
        }
    }

    fn remove(&mut self, Membership { topic, place }: Membership, all: &mut [Option<Connection>]) {
        let members = &mut self.members[topic as usize];
        members.swap_remove(place as usize);
        let Some(&moved) = members.get(place as usize) else { return };
        let joined = all[moved as usize].as_mut().map(|connection| &mut connection.joined);
        let there = joined.into_iter().flatten().find(|membership| membership.topic == topic);
        there.expect("a member remembers its place").place = place;
    }
}
