//! What the adapter, its thread and the tasks that connect have in common.
//!
//! Invariants: no lock is held across an await, nor while another one is taken; what comes from zenoh is handled on zenoh's
//! thread and never waits.

use crate::address::Places;
use crate::batch::{self, Batch};
use crate::entry;
use crate::error::Error;
use crate::key::{Keys, Presence};
use crate::notice::{Mark, Notice, NoticeError};
use crate::outlet::Outlet;
use crate::roster::Roster;
use bennu_pubsub::NodeName;
use bennu_pubsub_cluster::{Channel, Member};
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{Notify, watch};

/// Marks that may wait for an answer. One that finds no room gets none.
const MARKS: usize = 1024;

pub(crate) struct Link {
    pub(crate) member: Member,
    pub(crate) keys: Keys,
    pub(crate) places: Places,
    pub(crate) outlet: Outlet,
    /// The nodes that are connected, this one's namesakes included, by their sessions.
    peers: watch::Sender<BTreeMap<String, Presence>>,
    roster: Mutex<Roster>,
    /// There are addresses to look at.
    look: Notify,
    /// The others are to be told of addresses.
    to_tell: AtomicBool,
    /// Marks of other sessions that were seen, with the nodes to be told so.
    marks: Mutex<BTreeMap<String, (String, Mark)>>,
    /// This node as others see it; known when it listens.
    own: Mutex<Option<Presence>>,
    /// Somebody else has this node's name, and it was not said yet.
    namesake: AtomicBool,
    /// The adapter is gone: nobody waits for a goodbye.
    abandoned: AtomicBool,
}

impl Link {
    pub(crate) fn new(member: Member, keys: Keys, places: Places) -> Self {
        let mut roster = Roster::default();
        for address in &places.connect {
            roster.name(address, member.now());
        }
        Link {
            member,
            keys,
            places,
            outlet: Outlet::default(),
            peers: watch::Sender::default(),
            roster: Mutex::new(roster),
            look: Notify::new(),
            to_tell: AtomicBool::new(false),
            marks: Mutex::default(),
            own: Mutex::default(),
            namesake: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
        }
    }

    /// Nobody waits for this node any more.
    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
        self.member.leave();
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }

    /// This node listens, and is this to others.
    pub(crate) fn listens(&self, own: Presence) {
        *self.own.lock() = Some(own);
        self.member.connected(usize::MAX);
        self.show();
    }

    /// Where this node can be connected to; empty until it listens.
    pub(crate) fn own_addresses(&self) -> Vec<String> {
        self.own.lock().as_ref().map(|own| own.addresses.clone()).unwrap_or_default()
    }

    /// This node does not listen any more.
    pub(crate) fn closed(&self) {
        self.peers.send_replace(BTreeMap::new());
        self.member.disconnected();
    }

    // What goes out.

    /// Sends a message, or queues it.
    pub(crate) fn publish(&self, channel: Channel<'_>, frame: &[u8]) {
        if !self.outlet.try_send(&self.member, &self.keys, channel, frame) {
            self.member.enqueue(frame.len(), |out| entry::write(out, channel, frame));
        }
    }

    /// Tells the other nodes, or one of them. Waits.
    pub(crate) fn tell(&self, to: Option<&str>, notice: &Notice) -> Result<(), Error> {
        let frame = notice.encode(self.member.node(), to)?;
        match to {
            None => self.outlet.put(self.keys.channel(Channel::Control), frame),
            Some(node) => {
                let mut batch = Batch::new(frame.len());
                batch.push(&frame);
                self.outlet.put(self.keys.channel(Channel::Node(node)), batch.take().0)
            }
        }
    }

    /// The marks that were seen and not answered, with the nodes whose they are.
    pub(crate) fn take_marks(&self) -> Vec<(String, Mark)> {
        std::mem::take(&mut *self.marks.lock()).into_values().collect()
    }

    // Where others are.

    /// An address to connect to for ever.
    pub(crate) fn name(&self, address: &str) {
        if self.roster.lock().name(address, self.member.now()) {
            self.look.notify_one();
        }
        self.show();
    }

    pub(crate) fn wanted(&self) -> Vec<String> {
        self.roster.lock().wanted(self.member.now())
    }

    pub(crate) fn is_named(&self, address: &str) -> bool {
        self.roster.lock().is_named(address)
    }

    pub(crate) fn reached(&self, address: &str) {
        self.roster.lock().reached(address);
        self.show();
    }

    pub(crate) fn missed(&self, address: &str) {
        self.roster.lock().missed(address, self.member.now());
        self.show();
    }

    pub(crate) fn is_mine(&self, address: &str) {
        self.roster.lock().is_mine(address);
        self.show();
    }

    /// Returns when there may be new addresses.
    pub(crate) async fn to_look(&self) {
        self.look.notified().await;
    }

    /// The gauge says whether somebody is wherever this node was told to connect to.
    fn show(&self) {
        let complete = self.roster.lock().is_complete() && !self.member.is_leaving();
        self.member.instruments().connected.set(if complete { 1.0 } else { 0.0 });
    }

    // Who is there.

    pub(crate) fn peers(&self) -> watch::Receiver<BTreeMap<String, Presence>> {
        self.peers.subscribe()
    }

    /// The session of the connected node that can be found at an address.
    pub(crate) fn session_at(&self, address: &str) -> Option<String> {
        let peers = self.peers.borrow();
        let at = |presence: &&Presence| presence.addresses.iter().any(|own| own == address);
        peers.values().find(at).map(|presence| presence.session.clone())
    }

    /// A liveliness token was shown.
    pub(crate) fn appeared(&self, presence: Presence) {
        if self.own.lock().as_ref() == Some(&presence) {
            return;
        }
        let new =
            self.peers.send_if_modified(|peers| peers.insert(presence.session.clone(), presence.clone()).is_none());
        if !new {
            return;
        }
        self.outlet.credit().appeared(&presence.session);
        let Some(incarnation) = incarnation(&presence.session) else {
            return self.member.garbage(&format_args!("a node's session {:?}", presence.session));
        };
        let node = NodeName::new(presence.node);
        if node == *self.member.node() {
            self.namesake.store(true, Ordering::Release);
            return self.member.wake();
        }
        let now = self.member.now();
        self.member.tell(|others| others.heard(&node, incarnation, now));
        self.to_tell.store(true, Ordering::Release);
        self.member.wake();
    }

    /// A liveliness token was taken away.
    pub(crate) fn disappeared(&self, presence: &Presence) {
        self.peers.send_if_modified(|peers| peers.remove(&presence.session).is_some());
        self.outlet.credit().gone(&presence.session);
        if let Some(incarnation) = incarnation(&presence.session) {
            let node = NodeName::new(presence.node.clone());
            self.member.tell(|others| others.left(&node, incarnation).into_iter().collect());
        }
    }

    /// Whether somebody else was found to have this node's name.
    pub(crate) fn take_namesake(&self) -> bool {
        self.namesake.swap(false, Ordering::AcqRel)
    }

    /// The addresses to tell others, when there is somebody new.
    pub(crate) fn take_to_tell(&self) -> Option<Vec<String>> {
        let new = self.to_tell.swap(false, Ordering::AcqRel);
        new.then(|| self.peers.borrow().values().flat_map(|presence| presence.addresses.clone()).collect())
    }

    /// Takes what came on a topic.
    pub(crate) fn receive(&self, payload: Bytes) {
        let Some(mut incoming) = self.member.incoming() else { return };
        for frame in batch::frames(payload) {
            match frame {
                Ok(frame) => incoming.receive(frame),
                Err(error) => self.member.garbage(&error),
            }
        }
    }

    /// Takes what came for this node: messages and notices.
    pub(crate) fn receive_own(&self, payload: Bytes) {
        // A node that leaves takes no messages, but waits for answers.
        let mut incoming = self.member.incoming();
        for frame in batch::frames(payload) {
            let frame = match frame {
                Ok(frame) => frame,
                Err(error) => {
                    self.member.garbage(&error);
                    continue;
                }
            };
            match Notice::decode(&frame) {
                Ok((from, notice)) => self.hear_notice(from, notice),
                Err(NoticeError::Kind(_)) => {
                    if let Some(incoming) = &mut incoming {
                        incoming.receive(frame);
                    }
                }
                Err(error) => self.member.garbage(&error),
            }
        }
    }

    /// Takes a frame that came on the channel of notices.
    pub(crate) fn hear(&self, frame: Bytes) {
        match Notice::decode(&frame) {
            Ok((from, notice)) => self.hear_notice(from, notice),
            Err(error) => self.member.garbage(&error),
        }
    }

    fn hear_notice(&self, from: &str, notice: Notice) {
        match notice {
            Notice::Known(addresses) => self.hear_known(addresses),
            Notice::Bye(addresses) => {
                let mut roster = self.roster.lock();
                addresses.iter().for_each(|address| roster.bye(address));
            }
            Notice::Mark(mark) => {
                let mut marks = self.marks.lock();
                if marks.len() < MARKS || marks.contains_key(&mark.session) {
                    marks.insert(mark.session.clone(), (from.to_owned(), mark));
                }
                drop(marks);
                self.member.wake();
            }
            Notice::Seen { by, mark } => {
                if self.own.lock().as_ref().is_some_and(|own| own.session == mark.session) {
                    self.outlet.credit().seen(&by, mark.bytes);
                    self.member.wake();
                }
            }
        }
    }

    fn hear_known(&self, addresses: Vec<String>) {
        let mut known: BTreeSet<String> = self.own_addresses().into_iter().collect();
        known.extend(self.peers.borrow().values().flat_map(|presence| presence.addresses.clone()));
        let now = self.member.now();
        let mut roster = self.roster.lock();
        let new = addresses.iter().filter(|address| !known.contains(*address) && roster.tell(address, now)).count();
        drop(roster);
        if new > 0 {
            self.look.notify_one();
        }
    }
}

/// A session's name is a number of at most 128 bits, drawn at random when it opens.
fn incarnation(session: &str) -> Option<u64> {
    u128::from_str_radix(session, 16).ok().map(|number| number as u64)
}
