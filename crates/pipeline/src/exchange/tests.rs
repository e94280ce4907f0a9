//! Laws of the exchange, under random operations, demands, batches and dispatchers.

use super::*;
use proptest::prelude::*;
use std::collections::HashSet;

/// One step of a random run. A number chooses a subscriber, modulo those that are there.
#[derive(Debug, Clone)]
enum Op {
    Insert,
    Force,
    /// A producer makes items on demand, at most so many.
    Produce(usize),
    InsertAll(usize),
    InsertWhileRoom(usize),
    Take(usize, usize),
    Finish(usize, usize),
    Subscribe(usize, Demand),
    Unsubscribe(usize),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Demand,
    Broadcast,
    Partition(usize),
}

fn demand() -> impl Strategy<Value = Demand> {
    (1_usize..12).prop_flat_map(|max| (0..max).prop_map(move |min| Demand::max(max).min(min)))
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        6 => Just(Op::Insert),
        2 => Just(Op::Force),
        4 => (1_usize..20).prop_map(Op::Produce),
        1 => (1_usize..8).prop_map(Op::InsertAll),
        2 => (1_usize..8).prop_map(Op::InsertWhileRoom),
        8 => (0_usize..8, 1_usize..10).prop_map(|(index, limit)| Op::Take(index, limit)),
        8 => (0_usize..8, 1_usize..10).prop_map(|(index, count)| Op::Finish(index, count)),
        1 => (0_usize..8, demand()).prop_map(|(partition, demand)| Op::Subscribe(partition, demand)),
        1 => (0_usize..8).prop_map(Op::Unsubscribe),
    ];
    proptest::collection::vec(op, 1..200)
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Demand), Just(Kind::Broadcast), (1_usize..4).prop_map(Kind::Partition)]
}

fn buffers() -> impl Strategy<Value = Buffer> {
    (1_usize..30, any::<bool>())
        .prop_map(|(size, first)| if first { Buffer::keep_first(size) } else { Buffer::keep_last(size) })
}

/// An exchange, and a model of it.
struct Run {
    kind: Kind,
    exchange: Exchange<u64>,
    buffer: Buffer,
    next: u64,
    /// Items that the exchange returned for lack of room.
    dropped: Vec<u64>,
    members: Vec<Member>,
    /// Whether a subscriber left, so that its items went to others.
    left: bool,
}

struct Member {
    id: SubscriberId,
    partition: usize,
    demand: Demand,
    /// The first item that was inserted after it subscribed.
    since: u64,
    taken: Vec<u64>,
    finished: usize,
    here: bool,
}

impl Run {
    fn new(kind: Kind, buffer: Buffer) -> Self {
        let dispatcher = match kind {
            Kind::Demand => Dispatcher::Demand,
            Kind::Broadcast => Dispatcher::Broadcast { clone: u64::clone },
            Kind::Partition(partitions) => Dispatcher::Partition { partitions, choose: Box::new(|item| *item) },
        };
        let exchange = Exchange::new(dispatcher, buffer);
        Run { kind, exchange, buffer, next: 0, dropped: Vec::new(), members: Vec::new(), left: false }
    }

    fn item(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// Returns one of the subscribers that are there.
    fn member(&mut self, index: usize) -> Option<&mut Member> {
        let here: Vec<usize> = (0..self.members.len()).filter(|index| self.members[*index].here).collect();
        let index = *here.get(index.checked_rem(here.len())?)?;
        self.members.get_mut(index)
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Insert => {
                let item = self.item();
                self.dropped.extend(self.exchange.insert(item).err());
            }
            Op::Force => {
                let item = self.item();
                self.dropped.extend(self.exchange.force(item));
            }
            Op::Produce(most) => {
                for _ in 0..most.min(self.exchange.demand()) {
                    let item = self.item();
                    assert_eq!(self.exchange.force(item), None, "an item that is made on demand has room");
                }
            }
            Op::InsertAll(count) => {
                let items = (0..count).map(|_| self.item()).collect();
                self.exchange.insert_all(items);
            }
            Op::InsertWhileRoom(count) => {
                let mut items: VecDeque<u64> = (0..count).map(|_| self.item()).collect();
                let before = items.clone();
                let inserted = self.exchange.insert_while_room(&mut items);
                assert!(items.iter().eq(before.iter().skip(inserted)), "the others are left in their order");
                let next = items.front().copied();
                self.dropped.extend(next.map(|item| self.exchange.insert(item).expect_err("there was no room")));
                self.dropped.extend(items.into_iter().skip(1));
            }
            Op::Take(index, limit) => self.take(index, limit),
            Op::Finish(index, count) => self.finish(index, count),
            Op::Subscribe(partition, demand) => self.subscribe(partition, demand),
            Op::Unsubscribe(index) => {
                if let Some(member) = self.member(index) {
                    member.here = false;
                    let id = member.id;
                    self.exchange.unsubscribe(id);
                    self.left = true;
                }
            }
        }
        self.check();
    }

    fn subscribe(&mut self, partition: usize, demand: Demand) {
        let partition = partition % self.exchange.partitions();
        let id = self.exchange.subscribe(partition, demand);
        // A later subscriber of a broadcast receives the buffered items too.
        let since = self.next - self.exchange.buffered() as u64;
        self.members.push(Member { id, partition, demand, since, taken: Vec::new(), finished: 0, here: true });
    }

    fn take(&mut self, index: usize, limit: usize) {
        let Some((id, demand)) = self.member(index).map(|member| (member.id, member.demand)) else { return };
        let taken = self.exchange.take(id, limit);
        assert!(taken.len() <= limit.min(demand.batch()), "a batch has at most as many items as the demand allows");
        self.member(index).expect("it was there").taken.extend(taken);
    }

    fn finish(&mut self, index: usize, count: usize) {
        let Some(member) = self.member(index) else { return };
        let count = count.min(member.taken.len() - member.finished);
        member.finished += count;
        let id = member.id;
        self.exchange.finish(id, count);
    }

    /// Checks the invariants, after every step.
    fn check(&self) {
        for member in self.members.iter().filter(|member| member.here) {
            let (in_flight, max) = (self.exchange.in_flight(member.id), member.demand.max_demand());
            assert!(in_flight <= max, "{in_flight} of {max} in flight");
            assert_eq!(self.exchange.in_progress(member.id), member.taken.len() - member.finished);
        }
        let buffered: usize = self.exchange.partitions.iter().map(|partition| partition.buffered.len()).sum();
        assert_eq!(self.exchange.buffered(), buffered);
        for (index, partition) in self.exchange.partitions.iter().enumerate() {
            let requested = |id: &SubscriberId| self.exchange.subscribers[*id].as_ref().expect("a member").requested;
            let can_receive = match self.kind {
                Kind::Broadcast => {
                    !partition.members.is_empty() && partition.members.iter().all(|id| requested(id) > 0)
                }
                Kind::Demand | Kind::Partition(_) => partition.members.iter().any(|id| requested(id) > 0),
            };
            assert!(partition.buffered.is_empty() || !can_receive, "partition {index} buffers requested items");
        }
    }

    /// Closes the exchange; all subscribers take and finish items until none are left.
    fn finish_all(&mut self) {
        for partition in 0..self.exchange.partitions() {
            let served = self.members.iter().any(|member| member.here && member.partition == partition);
            if !served {
                self.subscribe(partition, Demand::default());
            }
        }
        self.exchange.close();
        loop {
            let before: usize = self.members.iter().map(|member| member.taken.len() + member.finished).sum();
            for index in 0..self.members.iter().filter(|member| member.here).count() {
                self.take(index, usize::MAX);
                self.finish(index, usize::MAX);
                self.check();
            }
            if before == self.members.iter().map(|member| member.taken.len() + member.finished).sum() {
                break;
            }
        }
        assert_eq!(self.exchange.buffered(), 0, "all buffered items are delivered");
        assert!(self.members.iter().all(|member| self.exchange.ended(member.id)));
    }
}

fn run(kind: Kind, buffer: Buffer, first: Vec<Demand>, ops: Vec<Op>) -> Run {
    let mut run = Run::new(kind, buffer);
    for (index, demand) in first.into_iter().enumerate() {
        run.subscribe(index, demand);
    }
    ops.into_iter().for_each(|op| run.apply(op));
    run.finish_all();
    run
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_item_is_taken_once_or_returned(
        kind in prop_oneof![Just(Kind::Demand), (1_usize..4).prop_map(Kind::Partition)],
        buffer in buffers(),
        first in proptest::collection::vec(demand(), 0..5),
        ops in ops(),
    ) {
        let run = run(kind, buffer, first, ops);
        let mut seen = HashSet::new();
        for item in run.members.iter().flat_map(|member| &member.taken).chain(&run.dropped) {
            prop_assert!(seen.insert(*item), "{} was delivered twice", item);
        }
        prop_assert_eq!(seen.len() as u64, run.next);
    }

    #[test]
    fn each_subscriber_of_a_partition_gets_only_its_items_and_in_order(
        kind in kinds(),
        buffer in buffers(),
        first in proptest::collection::vec(demand(), 1..5),
        ops in ops(),
    ) {
        let stay = ops.into_iter().filter(|op| !matches!(op, Op::Unsubscribe(_))).collect();
        let run = run(kind, buffer, first, stay);
        for member in &run.members {
            prop_assert!(member.taken.is_sorted(), "{:?}", member.taken);
            if let Kind::Partition(partitions) = kind {
                let own = |item: &u64| *item % partitions as u64 == member.partition as u64;
                prop_assert!(member.taken.iter().all(own));
            }
        }
    }

    #[test]
    fn a_broadcast_delivers_every_item_to_all_subscribers(
        buffer in buffers(),
        first in proptest::collection::vec(demand(), 1..5),
        ops in ops(),
    ) {
        let run = run(Kind::Broadcast, buffer, first, ops);
        let dropped: HashSet<u64> = run.dropped.iter().copied().collect();
        for member in run.members.iter().filter(|member| member.here) {
            let taken: HashSet<u64> = member.taken.iter().copied().collect();
            prop_assert_eq!(taken.len(), member.taken.len(), "no item is delivered twice");
            let missed = (member.since..run.next).find(|item| !taken.contains(item) && !dropped.contains(item));
            prop_assert_eq!(missed, None);
        }
    }

    #[test]
    fn pushes_buffer_no_more_than_the_buffers_size(
        kind in kinds(),
        buffer in buffers(),
        first in proptest::collection::vec(demand(), 0..5),
        ops in ops(),
    ) {
        let pushes = |op: &Op| !matches!(op, Op::InsertAll(_) | Op::Unsubscribe(_));
        let mut run = Run::new(kind, buffer);
        for (index, demand) in first.into_iter().enumerate() {
            run.subscribe(index, demand);
        }
        for op in ops.into_iter().filter(pushes) {
            run.apply(op);
            let longest = run.exchange.partitions.iter().map(|partition| partition.buffered.len()).max();
            prop_assert!(longest <= Some(run.buffer.size()));
        }
    }
}

#[test]
fn more_items_are_requested_when_only_min_demand_is_left() {
    let mut exchange = Exchange::new(Dispatcher::Demand, Buffer::default());
    let id = exchange.subscribe(0, Demand::max(10).min(3));
    assert_eq!(exchange.demand(), 10);
    exchange.insert_all((0..10).collect());
    assert_eq!(exchange.demand(), 0);
    assert_eq!(exchange.take(id, usize::MAX), [0, 1, 2, 3, 4, 5, 6]);
    exchange.finish(id, 6);
    assert_eq!(exchange.demand(), 0);
    exchange.finish(id, 1);
    assert_eq!(exchange.demand(), 7);
}

#[test]
fn an_item_goes_to_the_subscriber_with_the_greatest_demand_and_equals_take_turns() {
    let mut exchange = Exchange::new(Dispatcher::Demand, Buffer::default());
    let small = exchange.subscribe(0, Demand::max(2));
    let large = exchange.subscribe(0, Demand::max(4).min(0));
    exchange.insert_all((0..6).collect());
    assert_eq!(exchange.take(large, usize::MAX), [0, 1, 3, 5]);
    assert_eq!([exchange.take(small, 1), exchange.take(small, 1)], [[2], [4]]);
}

#[test]
fn items_that_a_leaving_subscriber_did_not_take_precede_later_items() {
    let mut exchange = Exchange::new(Dispatcher::Demand, Buffer::default());
    let leaving = exchange.subscribe(0, Demand::max(3));
    exchange.insert_all((0..5).collect());
    assert_eq!(exchange.take(leaving, 1), [0]);
    exchange.unsubscribe(leaving);
    let next = exchange.subscribe(0, Demand::max(8).min(0));
    assert_eq!(exchange.take(next, usize::MAX), [1, 2, 3, 4]);
}

#[test]
fn a_slow_partition_buffers_no_more_than_the_other_partitions_request() {
    let choose = Box::new(|item: &u64| *item);
    let mut exchange = Exchange::new(Dispatcher::Partition { partitions: 2, choose }, Buffer::default());
    let _even = exchange.subscribe(0, Demand::max(10));
    let _odd = exchange.subscribe(1, Demand::max(10));
    let mut made = 0;
    while exchange.demand() > 0 {
        exchange.insert_all((0..exchange.demand() as u64).map(|n| n * 2).collect());
        made += 1;
    }
    assert_eq!((made, exchange.buffered()), (1, 10));
}

#[test]
fn a_subscriber_of_a_closed_exchange_is_ready_when_the_last_item_is_delivered_and_ends_when_it_is_taken() {
    let mut exchange = Exchange::new(Dispatcher::Demand, Buffer::default());
    let id = exchange.subscribe(0, Demand::max(2).min(0));
    exchange.insert_all((0..3).collect());
    exchange.close();
    exchange.take_ready();
    assert_eq!(exchange.take(id, usize::MAX), [0, 1]);
    assert!(!exchange.ended(id), "one is buffered");
    exchange.finish(id, 1);
    assert!(exchange.take_ready().contains(&id));
    assert!(!exchange.ended(id), "one is in the inbox");
    assert_eq!(exchange.take(id, usize::MAX), [2]);
    assert!(exchange.ended(id));
}

#[test]
fn a_partition_has_room_for_its_buffer_and_for_requested_items_where_it_buffers_none() {
    let choose = Box::new(|item: &u64| *item);
    let dispatcher = Dispatcher::Partition { partitions: 2, choose };
    let mut exchange = Exchange::new(dispatcher, Buffer::keep_last(3));
    exchange.subscribe(0, Demand::max(2));
    assert_eq!([exchange.room(0), exchange.room(1)], [5, 3]);
    exchange.insert_all(vec![0, 2, 4, 1]);
    assert_eq!([exchange.room(0), exchange.room(1)], [2, 2]);
    exchange.insert_all(vec![1, 1, 1]);
    assert_eq!([exchange.room(0), exchange.room(1)], [2, 0]);
}
