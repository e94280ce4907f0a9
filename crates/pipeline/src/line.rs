//! Pushes that wait for room, first come first served. Pure: the outlet has it beside the exchange, behind the same lock.
//!
//! Each waits until there is as much room as it wants; so one of many items is called once for many. Who is called comes
//! back, by another try or by giving up; until then its room is promised. Who comes back in vain joins again at the end.

use std::collections::VecDeque;
use std::task::Waker;

/// A place in the line, which its push keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

#[derive(Default)]
pub(crate) struct Line {
    waits: VecDeque<(Ticket, usize, Waker)>,
    /// Those that have not come back, and the room that they were promised.
    called: Vec<(Ticket, usize)>,
    next: u64,
}

impl Line {
    /// Whether nobody waits or is called.
    pub(crate) fn is_empty(&self) -> bool {
        self.waits.is_empty() && self.called.is_empty()
    }

    /// Waits at the end for so much room.
    pub(crate) fn join(&mut self, room: usize, waker: Waker) -> Ticket {
        let ticket = Ticket(self.next);
        self.next += 1;
        self.waits.push_back((ticket, room, waker));
        ticket
    }

    /// Waits on where it is, with another waker; says no if it was called meanwhile.
    pub(crate) fn stay(&mut self, ticket: Ticket, waker: &Waker) -> bool {
        let place = self.waits.iter_mut().find(|(other, ..)| *other == ticket);
        place.map(|(.., old)| old.clone_from(waker)).is_some()
    }

    /// Waits no more, whether it was called or not.
    pub(crate) fn leave(&mut self, ticket: Ticket) {
        self.called.retain(|(called, _)| *called != ticket);
        self.waits.retain(|(waits, ..)| *waits != ticket);
    }

    /// Calls the first, if there is as much room as it wants, besides what was promised to others.
    pub(crate) fn call(&mut self, room: usize) -> Option<Waker> {
        let promised: usize = self.called.iter().map(|(_, room)| room).sum();
        let (_, wants, _) = self.waits.front()?;
        if promised + wants > room {
            return None;
        }
        let (ticket, wants, waker) = self.waits.pop_front()?;
        self.called.push((ticket, wants));
        Some(waker)
    }

    /// Calls all of them: each has to see for itself.
    pub(crate) fn call_all(&mut self) -> impl Iterator<Item = Waker> {
        let waits = std::mem::take(&mut self.waits);
        self.called.extend(waits.iter().map(|(ticket, room, _)| (*ticket, *room)));
        waits.into_iter().map(|(.., waker)| waker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::task::noop_waker;

    /// A line of those that want so much.
    fn line<const N: usize>(wants: [usize; N]) -> (Line, [Ticket; N]) {
        let mut line = Line::default();
        let tickets = wants.map(|room| line.join(room, noop_waker()));
        (line, tickets)
    }

    fn called(line: &Line) -> Vec<Ticket> {
        line.called.iter().map(|(ticket, _)| *ticket).collect()
    }

    #[test]
    fn the_first_is_called_first_and_when_there_is_what_it_wants() {
        let (mut line, [first, second]) = line([3, 1]);
        assert!(line.call(2).is_none(), "the second does not overtake");
        assert!(line.call(3).is_some());
        assert_eq!(called(&line), [first]);
        assert!(line.call(3).is_none(), "that is promised");
        assert!(line.call(4).is_some());
        assert_eq!(called(&line), [first, second]);
    }

    #[test]
    fn what_was_promised_to_who_leaves_is_the_others() {
        let (mut line, [first, second]) = line([1, 1]);
        assert!(line.call(1).is_some() && line.call(1).is_none());
        line.leave(first);
        assert!(line.call(1).is_some());
        assert_eq!(called(&line), [second]);
        line.leave(second);
        assert!(line.is_empty());
    }

    #[test]
    fn who_was_called_does_not_stay() {
        let (mut line, [first, second]) = line([1, 1]);
        assert!(line.stay(first, &noop_waker()));
        assert!(line.call(1).is_some());
        assert!(!line.stay(first, &noop_waker()) && line.stay(second, &noop_waker()));
        assert_eq!(line.call_all().count(), 1);
        assert!(!line.stay(second, &noop_waker()));
    }
}
