//! What may be put into zenoh without waiting: so much that it fits into zenoh's own queues, whatever the others do. Pure.
//!
//! zenoh makes whoever puts a message wait while its queue towards a node is full, and does not tell how full that is. But a
//! connection keeps its order: a node that has seen a mark has taken all that was put before it. So the adapter's thread sends
//! marks, and what no node has in its queue any more is free again.
//!
//! Invariants: while it is open, every node that is there has been asked and has answered, and at most [`LIMIT`] bytes were
//! put since the mark that all have seen. A node that is new, and one that does not answer, closes it.

use std::collections::BTreeSet;

/// Bytes that may be on their way: a quarter of zenoh's queue towards a node, [`BATCHES`] of 64 KiB. The rest is for what
/// messages leave unused at a batch's end, and for keys: those take at most three times what the topic takes in the frame.
pub(crate) const LIMIT: u64 = 256 << 10;

/// zenoh's batches towards a node. Each is allocated when it is needed.
pub(crate) const BATCHES: usize = 16;

/// The most that one message may take: with it, no batch is left with more than half of it unused.
pub(crate) const LARGEST: usize = 32 << 10;

/// What zenoh adds to a message beside its key: more than it is.
const OVERHEAD: u64 = 64;

#[derive(Debug, Default)]
pub(crate) struct Credit {
    /// Bytes that were ever put.
    put: u64,
    /// Of those, bytes before the last mark that all have seen.
    seen: u64,
    /// The sessions that are there.
    there: BTreeSet<String>,
    /// Whether all of them have answered.
    open: bool,
    round: Option<Round>,
}

/// A mark that was sent.
#[derive(Debug)]
struct Round {
    /// Bytes that were put before it.
    mark: u64,
    /// Sessions that have not seen it.
    missing: BTreeSet<String>,
}

impl Credit {
    /// Takes what a message of `len` bytes needs, if it is there.
    pub(crate) fn take(&mut self, len: usize) -> bool {
        let fits = self.open && len <= LARGEST && self.put - self.seen + len as u64 + OVERHEAD <= LIMIT;
        if fits {
            self.count(len);
        }
        fits
    }

    /// `len` bytes are put by somebody who may wait.
    pub(crate) fn count(&mut self, len: usize) {
        self.put += len as u64 + OVERHEAD;
    }

    /// Whether it is time for a mark.
    pub(crate) fn is_due(&self) -> bool {
        self.round.is_none() && (!self.open || self.put - self.seen > LIMIT / 2)
    }

    /// Whether nobody is waited for.
    pub(crate) fn is_settled(&self) -> bool {
        self.round.is_none()
    }

    /// The mark to be sent now to all. `None` while somebody is connected who would not answer, since that is no node.
    pub(crate) fn mark(&mut self, connected: &[String]) -> Option<u64> {
        if connected.iter().any(|session| !self.there.contains(session)) {
            self.open = false;
            return None;
        }
        self.round = Some(Round { mark: self.put, missing: self.there.clone() });
        self.look();
        Some(self.put)
    }

    /// A session has seen a mark.
    pub(crate) fn seen(&mut self, session: &str, mark: u64) {
        if let Some(round) = self.round.as_mut().filter(|round| round.mark == mark) {
            round.missing.remove(session);
            self.look();
        }
    }

    /// There is a new session.
    pub(crate) fn appeared(&mut self, session: &str) {
        self.there.insert(session.to_owned());
        self.open = false;
        self.round = None;
    }

    /// A session is gone, and with it what was on its way there.
    pub(crate) fn gone(&mut self, session: &str) {
        self.there.remove(session);
        if let Some(round) = self.round.as_mut() {
            round.missing.remove(session);
            self.look();
        }
    }

    fn look(&mut self) {
        if let Some(round) = self.round.take_if(|round| round.missing.is_empty()) {
            (self.seen, self.open) = (round.mark, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    #[test]
    fn nothing_may_be_put_before_all_have_answered_and_then_so_much() {
        let mut credit = Credit::default();
        credit.appeared("a");
        credit.appeared("b");
        assert!(credit.is_due() && !credit.take(1));
        let mark = credit.mark(&["a".to_owned(), "b".to_owned()]).unwrap();
        credit.seen("a", mark);
        assert!(!credit.is_due() && !credit.take(1));
        credit.seen("b", mark + 1);
        assert!(!credit.take(1), "that is another mark");
        credit.seen("b", mark);
        assert!(!credit.is_due() && credit.take(1) && !credit.take(LARGEST + 1));
        let mut taken = OVERHEAD + 1;
        while credit.take(1000) {
            taken += OVERHEAD + 1000;
        }
        assert!(credit.is_due() && taken <= LIMIT && taken + OVERHEAD + 1000 > LIMIT);
    }

    #[test]
    fn a_new_node_closes_it_and_one_that_is_gone_is_not_waited_for() {
        let mut credit = Credit::default();
        credit.mark(&[]);
        assert!(credit.take(1), "nobody is there");
        credit.appeared("a");
        assert!(!credit.take(1) && credit.is_due());
        credit.mark(&[]);
        credit.gone("a");
        assert!(credit.take(1));
    }

    #[test]
    fn who_is_connected_and_no_node_keeps_it_closed() {
        let mut credit = Credit::default();
        credit.appeared("a");
        assert_eq!(credit.mark(&["a".to_owned(), "stranger".to_owned()]), None);
        assert!(credit.is_due() && !credit.take(1));
        let mark = credit.mark(&["a".to_owned()]).unwrap();
        credit.seen("a", mark);
        assert!(credit.take(1));
    }

    proptest! {
        /// However messages, marks and answers follow each other.
        #[test]
        fn what_is_on_its_way_never_exceeds_the_limit(steps in prop::collection::vec((0..4u8, 0..LARGEST), 0..300)) {
            let mut credit = Credit::default();
            credit.appeared("a");
            // What a node has not taken yet: messages by their bytes, and marks.
            let mut way = VecDeque::new();
            for (step, len) in steps {
                match step {
                    0 | 1 if credit.take(len) => way.push_back(Err(len as u64)),
                    2 if credit.is_due() => way.push_back(Ok(credit.mark(&[]).expect("no stranger is connected"))),
                    3 => if let Some(Ok(mark)) = way.pop_front() {
                        credit.seen("a", mark);
                    },
                    _ => {}
                }
                prop_assert!(way.iter().filter_map(|item| item.err()).sum::<u64>() <= LIMIT);
            }
        }
    }
}
