//! The flow-control window: the bytes that may be put into Zenoh without waiting for room in its queues. Pure.
//!
//! A put waits while Zenoh's queue towards a node is full, and Zenoh does not report how full the queue is. But a
//! connection keeps its order. So the adapter's thread sends markers, and a node that acknowledges a marker has
//! received every byte put before it. The writer reserves bytes here, the worker sends markers, and [`crate::shared`]
//! records acknowledgements.
//!
//! Invariants: while the window is open, every connected node has acknowledged a marker, and at most [`WINDOW_BYTES`]
//! bytes have been put since the last marker that all nodes acknowledged. A new node closes the window, and so does a
//! node that does not acknowledge.

use std::collections::BTreeSet;

/// The largest number of unacknowledged bytes: a quarter of Zenoh's queue towards a node, which has [`BATCHES`] of 64
/// KiB. The rest is for the unused space at the end of a batch, and for keys, which have at most three times the bytes
/// of the topic in the frame.
pub(crate) const WINDOW_BYTES: u64 = 256 << 10;

/// The number of Zenoh's batches towards a node. Zenoh allocates each when it is needed.
pub(crate) const BATCHES: usize = 16;

/// The largest message that may be put without waiting: no batch then has more than half of its space unused.
pub(crate) const MAX_MESSAGE_BYTES: usize = 32 << 10;

/// An upper limit of the bytes that Zenoh adds to a message besides its key.
const OVERHEAD_BYTES: u64 = 64;

#[derive(Debug, Default)]
pub(crate) struct Window {
    /// All bytes put so far.
    put: u64,
    /// The bytes before the last marker that all nodes acknowledged.
    acknowledged: u64,
    /// The connected sessions.
    sessions: BTreeSet<String>,
    /// Whether all of them have acknowledged a marker.
    open: bool,
    round: Option<Round>,
}

/// A marker that was sent.
#[derive(Debug)]
struct Round {
    /// The bytes put before it.
    marker: u64,
    /// The sessions that have not acknowledged it.
    missing: BTreeSet<String>,
}

impl Window {
    /// Reserves the bytes of a message of `len` bytes, if the window has room.
    pub(crate) fn try_reserve(&mut self, len: usize) -> bool {
        let fits = self.open
            && len <= MAX_MESSAGE_BYTES
            && self.put - self.acknowledged + len as u64 + OVERHEAD_BYTES <= WINDOW_BYTES;
        if fits {
            self.add(len);
        }
        fits
    }

    /// Adds a message of `len` bytes whose sender may wait.
    pub(crate) fn add(&mut self, len: usize) {
        self.put += len as u64 + OVERHEAD_BYTES;
    }

    /// Returns whether a marker should be sent.
    pub(crate) fn needs_marker(&self) -> bool {
        self.round.is_none() && (!self.open || self.put - self.acknowledged > WINDOW_BYTES / 2)
    }

    /// Returns whether no acknowledgement is missing.
    pub(crate) fn is_acknowledged(&self) -> bool {
        self.round.is_none()
    }

    /// Starts a round, and returns the marker for all sessions. `None` while a session is connected that is not a node,
    /// since it would not acknowledge.
    pub(crate) fn start_round(&mut self, connected: &[String]) -> Option<u64> {
        if connected.iter().any(|session| !self.sessions.contains(session)) {
            self.open = false;
            return None;
        }
        self.round = Some(Round { marker: self.put, missing: self.sessions.clone() });
        self.finish_round();
        Some(self.put)
    }

    /// Records the acknowledgement of a session.
    pub(crate) fn acknowledge(&mut self, session: &str, marker: u64) {
        if let Some(round) = self.round.as_mut().filter(|round| round.marker == marker) {
            round.missing.remove(session);
            self.finish_round();
        }
    }

    /// Adds a new session, which closes the window.
    pub(crate) fn add_session(&mut self, session: &str) {
        self.sessions.insert(session.to_owned());
        self.open = false;
        self.round = None;
    }

    /// Removes a session and its missing acknowledgement.
    pub(crate) fn remove_session(&mut self, session: &str) {
        self.sessions.remove(session);
        if let Some(round) = self.round.as_mut() {
            round.missing.remove(session);
            self.finish_round();
        }
    }

    fn finish_round(&mut self) {
        if let Some(round) = self.round.take_if(|round| round.missing.is_empty()) {
            (self.acknowledged, self.open) = (round.marker, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    #[test]
    fn the_window_opens_when_all_sessions_have_acknowledged_and_is_bounded() {
        let mut window = Window::default();
        window.add_session("a");
        window.add_session("b");
        assert!(window.needs_marker() && !window.try_reserve(1));
        let marker = window.start_round(&["a".to_owned(), "b".to_owned()]).unwrap();
        window.acknowledge("a", marker);
        assert!(!window.needs_marker() && !window.try_reserve(1));
        window.acknowledge("b", marker + 1);
        assert!(!window.try_reserve(1), "the acknowledgement is of another marker");
        window.acknowledge("b", marker);
        assert!(!window.needs_marker() && window.try_reserve(1) && !window.try_reserve(MAX_MESSAGE_BYTES + 1));
        let mut taken = OVERHEAD_BYTES + 1;
        while window.try_reserve(1000) {
            taken += OVERHEAD_BYTES + 1000;
        }
        assert!(window.needs_marker() && taken <= WINDOW_BYTES && taken + OVERHEAD_BYTES + 1000 > WINDOW_BYTES);
    }

    #[test]
    fn a_new_session_closes_the_window_and_a_removed_session_is_not_awaited() {
        let mut window = Window::default();
        window.start_round(&[]);
        assert!(window.try_reserve(1), "no session is connected");
        window.add_session("a");
        assert!(!window.try_reserve(1) && window.needs_marker());
        window.start_round(&[]);
        window.remove_session("a");
        assert!(window.try_reserve(1));
    }

    #[test]
    fn a_session_that_is_not_a_node_keeps_the_window_closed() {
        let mut window = Window::default();
        window.add_session("a");
        assert_eq!(window.start_round(&["a".to_owned(), "foreign".to_owned()]), None);
        assert!(window.needs_marker() && !window.try_reserve(1));
        let marker = window.start_round(&["a".to_owned()]).unwrap();
        window.acknowledge("a", marker);
        assert!(window.try_reserve(1));
    }

    proptest! {
        /// The messages, markers and acknowledgements are in any order.
        #[test]
        fn unacknowledged_bytes_never_exceed_the_window(
            steps in prop::collection::vec((0..4u8, 0..MAX_MESSAGE_BYTES), 0..300),
        ) {
            let mut window = Window::default();
            window.add_session("a");
            // The messages, by their bytes, and the markers that the node has not received yet.
            let mut sent = VecDeque::new();
            for (step, len) in steps {
                match step {
                    0 | 1 if window.try_reserve(len) => sent.push_back(Err(len as u64)),
                    2 if window.needs_marker() => {
                        sent.push_back(Ok(window.start_round(&[]).expect("every session is a node")));
                    }
                    3 => if let Some(Ok(marker)) = sent.pop_front() {
                        window.acknowledge("a", marker);
                    },
                    _ => {}
                }
                prop_assert!(sent.iter().filter_map(|item| item.err()).sum::<u64>() <= WINDOW_BYTES);
            }
        }
    }
}
