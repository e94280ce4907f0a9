//! The state that the adapter, its thread and the dialing tasks share.
//!
//! The adapter changes it for the application, the thread and the dialer change it for the session, and Zenoh's threads
//! deliver received messages to it. Invariants: no lock is held across an await or while another lock is taken; a
//! received message is handled on Zenoh's thread and never waits.

use crate::Error;
use crate::address::Addresses;
use crate::address_book::AddressBook;
use crate::batch::{self, Batch};
use crate::control_message::{ControlError, ControlMessage, Marker};
use crate::key::{Keys, Peer};
use crate::queue_entry;
use crate::writer::Writer;
use bennu_pubsub::NodeName;
use bennu_pubsub_cluster::{LocalNode, Subject};
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{Notify, watch};

/// The limit of unanswered markers. Further markers get no acknowledgement.
const MAX_MARKERS: usize = 1024;

pub(crate) struct Shared {
    pub(crate) node: LocalNode,
    pub(crate) keys: Keys,
    pub(crate) addresses: Addresses,
    pub(crate) writer: Writer,
    /// The connected nodes by their sessions, including nodes with the name of this node.
    peers: watch::Sender<BTreeMap<String, Peer>>,
    address_book: Mutex<AddressBook>,
    /// Notified when the address book has new addresses.
    addresses_changed: Notify,
    /// Whether the addresses of the peers are to be sent to the other nodes.
    gossip_due: AtomicBool,
    /// Markers of other sessions that are to be acknowledged, with the nodes that sent them.
    markers: Mutex<BTreeMap<String, (String, Marker)>>,
    /// This node as its liveliness token describes it; `None` until it listens.
    own: Mutex<Option<Peer>>,
    /// Whether a node with this node's name appeared that is not logged yet.
    duplicate_name: AtomicBool,
    /// Whether the adapter is dropped, so that no goodbye is sent.
    abandoned: AtomicBool,
}

impl Shared {
    pub(crate) fn new(node: LocalNode, keys: Keys, addresses: Addresses) -> Self {
        let mut address_book = AddressBook::default();
        for address in &addresses.connect {
            address_book.add_configured(address, node.now());
        }
        Shared {
            node,
            keys,
            addresses,
            writer: Writer::default(),
            peers: watch::Sender::default(),
            address_book: Mutex::new(address_book),
            addresses_changed: Notify::new(),
            gossip_due: AtomicBool::new(false),
            markers: Mutex::default(),
            own: Mutex::default(),
            duplicate_name: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
        }
    }

    /// Ends the node without a goodbye.
    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
        self.node.leave();
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }

    /// Opens the send queue, after the session has started to listen.
    pub(crate) fn set_listening(&self, own: Peer) {
        *self.own.lock() = Some(own);
        self.node.set_connected(usize::MAX);
        self.update_gauge();
    }

    /// Returns the addresses at which other nodes can connect to this node; empty until it listens.
    pub(crate) fn own_addresses(&self) -> Vec<String> {
        self.own.lock().as_ref().map(|own| own.addresses.clone()).unwrap_or_default()
    }

    /// Removes all peers and closes the send queue, after the session has ended.
    pub(crate) fn set_closed(&self) {
        self.peers.send_replace(BTreeMap::new());
        self.node.set_disconnected();
    }

    // Sending.

    /// Sends a message at once, or queues it.
    pub(crate) fn publish(&self, subject: Subject<'_>, frame: &[u8]) {
        if !self.writer.try_send(&self.node, &self.keys, subject, frame) {
            self.node.enqueue(frame.len(), |out| queue_entry::write(out, subject, frame));
        }
    }

    /// Sends a control message to one node or to all. May wait.
    pub(crate) fn send_control(&self, to: Option<&str>, message: &ControlMessage) -> Result<(), Error> {
        let frame = message.encode(self.node.name(), to)?;
        match to {
            None => self.writer.put(self.keys.for_subject(Subject::Control), frame),
            Some(node) => {
                let mut batch = Batch::new(frame.len());
                batch.push(&frame);
                self.writer.put(self.keys.for_subject(Subject::Node(node)), batch.take().0)
            }
        }
    }

    /// Takes the markers to acknowledge, with the nodes that sent them.
    pub(crate) fn take_markers(&self) -> Vec<(String, Marker)> {
        std::mem::take(&mut *self.markers.lock()).into_values().collect()
    }

    // Addresses.

    /// Adds a configured address, which is never dropped.
    pub(crate) fn add_address(&self, address: &str) {
        if self.address_book.lock().add_configured(address, self.node.now()) {
            self.addresses_changed.notify_one();
        }
        self.update_gauge();
    }

    pub(crate) fn dial_targets(&self) -> Vec<String> {
        self.address_book.lock().dial_targets(self.node.now())
    }

    pub(crate) fn is_configured(&self, address: &str) -> bool {
        self.address_book.lock().is_configured(address)
    }

    pub(crate) fn set_reached(&self, address: &str) {
        self.address_book.lock().set_reached(address);
        self.update_gauge();
    }

    pub(crate) fn set_unreached(&self, address: &str) {
        self.address_book.lock().set_unreached(address, self.node.now());
        self.update_gauge();
    }

    pub(crate) fn set_own(&self, address: &str) {
        self.address_book.lock().set_own(address);
        self.update_gauge();
    }

    /// Waits until the address book may have new addresses.
    pub(crate) async fn wait_for_addresses(&self) {
        self.addresses_changed.notified().await;
    }

    /// Sets the gauge to 1 while every configured address is reached.
    fn update_gauge(&self) {
        let complete = self.address_book.lock().all_configured_reached() && !self.node.is_leaving();
        self.node.instruments().connected.set(if complete { 1.0 } else { 0.0 });
    }

    // Peers.

    pub(crate) fn peers(&self) -> watch::Receiver<BTreeMap<String, Peer>> {
        self.peers.subscribe()
    }

    /// Returns the session of the connected node with that address.
    pub(crate) fn session_at(&self, address: &str) -> Option<String> {
        let peers = self.peers.borrow();
        let at = |peer: &&Peer| peer.addresses.iter().any(|own| own == address);
        peers.values().find(at).map(|peer| peer.session.clone())
    }

    /// Adds the node of a new liveliness token.
    pub(crate) fn add_peer(&self, peer: Peer) {
        if self.own.lock().as_ref() == Some(&peer) {
            return;
        }
        let new = self.peers.send_if_modified(|peers| peers.insert(peer.session.clone(), peer.clone()).is_none());
        if !new {
            return;
        }
        self.writer.window().add_session(&peer.session);
        let Some(incarnation) = incarnation(&peer.session) else {
            return self.node.count_garbage(&format_args!(
                "the session id {:?} of a node is not a hexadecimal number",
                peer.session
            ));
        };
        let node = NodeName::new(peer.node);
        if node == *self.node.name() {
            self.duplicate_name.store(true, Ordering::Release);
            return self.node.wake();
        }
        let now = self.node.now();
        self.node.update_membership(|membership| membership.observe(&node, incarnation, now));
        self.gossip_due.store(true, Ordering::Release);
        self.node.wake();
    }

    /// Removes the node of a revoked liveliness token.
    pub(crate) fn remove_peer(&self, peer: &Peer) {
        self.peers.send_if_modified(|peers| peers.remove(&peer.session).is_some());
        self.writer.window().remove_session(&peer.session);
        if let Some(incarnation) = incarnation(&peer.session) {
            let node = NodeName::new(peer.node.clone());
            self.node.update_membership(|membership| membership.remove(&node, incarnation).into_iter().collect());
        }
    }

    /// Returns whether another node with this node's name has appeared since the last call.
    pub(crate) fn take_duplicate_name(&self) -> bool {
        self.duplicate_name.swap(false, Ordering::AcqRel)
    }

    /// Takes the addresses of all peers, if a peer is new since the last call.
    pub(crate) fn take_gossip(&self) -> Option<Vec<String>> {
        let new = self.gossip_due.swap(false, Ordering::AcqRel);
        new.then(|| self.peers.borrow().values().flat_map(|peer| peer.addresses.clone()).collect())
    }

    /// Delivers the messages of a topic.
    pub(crate) fn receive(&self, payload: Bytes) {
        let Some(mut incoming) = self.node.incoming() else { return };
        for frame in batch::frames(payload) {
            match frame {
                Ok(frame) => incoming.receive(frame),
                Err(error) => self.node.count_garbage(&error),
            }
        }
    }

    /// Delivers the messages to this node, and handles its control messages.
    pub(crate) fn receive_own(&self, payload: Bytes) {
        // A leaving node delivers no messages, but still handles acknowledgements.
        let mut incoming = self.node.incoming();
        for frame in batch::frames(payload) {
            let frame = match frame {
                Ok(frame) => frame,
                Err(error) => {
                    self.node.count_garbage(&error);
                    continue;
                }
            };
            match ControlMessage::decode(&frame) {
                Ok((from, message)) => self.handle_control(from, message),
                Err(ControlError::Kind(_)) => {
                    if let Some(incoming) = &mut incoming {
                        incoming.receive(frame);
                    }
                }
                Err(error) => self.node.count_garbage(&error),
            }
        }
    }

    /// Handles a control message to all nodes.
    pub(crate) fn receive_control(&self, frame: Bytes) {
        match ControlMessage::decode(&frame) {
            Ok((from, message)) => self.handle_control(from, message),
            Err(error) => self.node.count_garbage(&error),
        }
    }

    fn handle_control(&self, from: &str, message: ControlMessage) {
        match message {
            ControlMessage::Addresses(addresses) => self.receive_addresses(addresses),
            ControlMessage::Goodbye(addresses) => {
                let mut address_book = self.address_book.lock();
                addresses.iter().for_each(|address| address_book.drop_learned(address));
            }
            ControlMessage::Marker(marker) => {
                let mut markers = self.markers.lock();
                if markers.len() < MAX_MARKERS || markers.contains_key(&marker.session) {
                    markers.insert(marker.session.clone(), (from.to_owned(), marker));
                }
                drop(markers);
                self.node.wake();
            }
            ControlMessage::Ack { by, marker } => {
                if self.own.lock().as_ref().is_some_and(|own| own.session == marker.session) {
                    self.writer.window().acknowledge(&by, marker.bytes);
                    self.node.wake();
                }
            }
        }
    }

    fn receive_addresses(&self, addresses: Vec<String>) {
        let mut known: BTreeSet<String> = self.own_addresses().into_iter().collect();
        known.extend(self.peers.borrow().values().flat_map(|peer| peer.addresses.clone()));
        let now = self.node.now();
        let mut address_book = self.address_book.lock();
        let new = addresses
            .iter()
            .filter(|address| !known.contains(*address) && address_book.add_learned(address, now))
            .count();
        drop(address_book);
        if new > 0 {
            self.addresses_changed.notify_one();
        }
    }
}

/// Returns the lower half of a session's id, a random number of at most 128 bits.
fn incarnation(session: &str) -> Option<u64> {
    u128::from_str_radix(session, 16).ok().map(|number| number as u64)
}
