//! Laws of the exchange, under random operations, demands, batches and dispatchers.

use super::*;
use proptest::prelude::*;
use std::collections::HashSet;

/// One step of a random play. Subscribers are chosen by a number, whatever is there.
#[derive(Debug, Clone)]
enum Op {
    Insert,
    Force,
    /// What a producer makes when it is asked, up to so many.
    Produce(usize),
    InsertAll(usize),
    InsertSome(usize),
    Take(usize, usize),
    TakeShare(usize, Share),
    /// Of what was taken last.
    PutBack(usize, usize),
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
        2 => (1_usize..8).prop_map(Op::InsertSome),
        8 => (0_usize..8, 1_usize..10).prop_map(|(who, limit)| Op::Take(who, limit)),
        3 => (0_usize..8, 1_usize..10, 0_usize..10).prop_map(|(who, most, few)| Op::TakeShare(who, Share { most, few })),
        3 => (0_usize..8, 1_usize..10).prop_map(|(who, count)| Op::PutBack(who, count)),
        8 => (0_usize..8, 1_usize..10).prop_map(|(who, count)| Op::Finish(who, count)),
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

/// An exchange, and what a bystander knows of it.
struct Play {
    kind: Kind,
    exchange: Exchange<u64>,
    buffer: Buffer,
    next: u64,
    /// What came back, as it had no place.
    dropped: Vec<u64>,
    members: Vec<Member>,
    /// Somebody left, with items that were given to others.
    left: bool,
}

struct Member {
    id: SubscriberId,
    partition: usize,
    demand: Demand,
    /// The first item that came after it.
    since: u64,
    taken: Vec<u64>,
    finished: usize,
    here: bool,
}

impl Play {
    fn new(kind: Kind, buffer: Buffer) -> Self {
        let dispatcher = match kind {
            Kind::Demand => Dispatcher::Demand,
            Kind::Broadcast => Dispatcher::Broadcast { clone: u64::clone },
            Kind::Partition(partitions) => Dispatcher::Partition { partitions, choose: Box::new(|item| *item) },
        };
        let exchange = Exchange::new(dispatcher, buffer);
        Play { kind, exchange, buffer, next: 0, dropped: Vec::new(), members: Vec::new(), left: false }
    }

    fn item(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// One of those that are there.
    fn member(&mut self, which: usize) -> Option<&mut Member> {
        let here: Vec<usize> = (0..self.members.len()).filter(|index| self.members[*index].here).collect();
        let index = *here.get(which.checked_rem(here.len())?)?;
        self.members.get_mut(index)
    }

    fn play(&mut self, op: Op) {
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
                    assert_eq!(self.exchange.force(item), None, "what is made on demand has a place");
                }
            }
            Op::InsertAll(count) => {
                let items = (0..count).map(|_| self.item()).collect();
                self.exchange.insert_all(items);
            }
            Op::InsertSome(count) => {
                let mut items: VecDeque<u64> = (0..count).map(|_| self.item()).collect();
                let before = items.clone();
                let taken = self.exchange.insert_some(&mut items);
                assert!(items.iter().eq(before.iter().skip(taken)), "the others are left in their order");
                let next = items.front().copied();
                self.dropped.extend(next.map(|item| self.exchange.insert(item).expect_err("it had no place")));
                self.dropped.extend(items.into_iter().skip(1));
            }
            Op::Take(which, limit) => self.take(which, limit),
            Op::TakeShare(which, size) => {
                let Some(id) = self.member(which).map(|member| member.id) else { return };
                let mut share = VecDeque::new();
                self.exchange.take_share(id, size, &mut share);
                assert!(share.len() <= size.most);
                self.member(which).expect("it was there").taken.extend(share);
            }
            Op::PutBack(which, count) => {
                let Some(member) = self.member(which) else { return };
                let count = count.min(member.taken.len() - member.finished);
                let mut back = member.taken.split_off(member.taken.len() - count).into();
                let id = member.id;
                self.exchange.put_back(id, &mut back);
            }
            Op::Finish(which, count) => self.finish(which, count),
            Op::Subscribe(partition, demand) => self.subscribe(partition, demand),
            Op::Unsubscribe(which) => {
                if let Some(member) = self.member(which) {
                    member.here = false;
                    let id = member.id;
                    self.exchange.unsubscribe(id);
                    self.left = true;
                }
            }
        }
        self.look();
    }

    fn subscribe(&mut self, partition: usize, demand: Demand) {
        let partition = partition % self.exchange.partitions();
        let id = self.exchange.subscribe(partition, demand);
        // What a broadcast holds comes to those, too, who come later.
        let since = self.next - self.exchange.held() as u64;
        self.members.push(Member { id, partition, demand, since, taken: Vec::new(), finished: 0, here: true });
    }

    fn take(&mut self, which: usize, limit: usize) {
        let Some((id, demand)) = self.member(which).map(|member| (member.id, member.demand)) else { return };
        let taken = self.exchange.take(id, limit);
        assert!(taken.len() <= limit.min(demand.batch()), "a batch is as large as was agreed");
        self.member(which).expect("it was there").taken.extend(taken);
    }

    fn finish(&mut self, which: usize, count: usize) {
        let Some(member) = self.member(which) else { return };
        let count = count.min(member.taken.len() - member.finished);
        member.finished += count;
        let id = member.id;
        self.exchange.finish(id, count);
    }

    /// What holds after every step.
    fn look(&self) {
        for member in self.members.iter().filter(|member| member.here) {
            let (in_flight, max) = (self.exchange.in_flight(member.id), member.demand.max_demand());
            assert!(in_flight <= max, "{in_flight} of {max} in flight");
            assert_eq!(self.exchange.in_hand(member.id), member.taken.len() - member.finished);
        }
        let held: usize = self.exchange.partitions.iter().map(|partition| partition.held.len()).sum();
        assert_eq!(self.exchange.held(), held);
        for (index, partition) in self.exchange.partitions.iter().enumerate() {
            let asked = |id: &SubscriberId| self.exchange.subscribers[*id].as_ref().expect("a member").asked;
            let can_receive = match self.kind {
                Kind::Broadcast => !partition.members.is_empty() && partition.members.iter().all(|id| asked(id) > 0),
                Kind::Demand | Kind::Partition(_) => partition.members.iter().any(|id| asked(id) > 0),
            };
            assert!(partition.held.is_empty() || !can_receive, "partition {index} holds what was asked for");
        }
    }

    /// Everybody takes and finishes until nothing is left.
    fn play_to_the_end(&mut self) {
        for partition in 0..self.exchange.partitions() {
            let served = self.members.iter().any(|member| member.here && member.partition == partition);
            if !served {
                self.subscribe(partition, Demand::default());
            }
        }
        self.exchange.close();
        loop {
            let before: usize = self.members.iter().map(|member| member.taken.len() + member.finished).sum();
            for which in 0..self.members.iter().filter(|member| member.here).count() {
                self.take(which, usize::MAX);
                self.finish(which, usize::MAX);
                self.look();
            }
            if before == self.members.iter().map(|member| member.taken.len() + member.finished).sum() {
                break;
            }
        }
        assert_eq!(self.exchange.held(), 0, "whatever is held comes to an end");
        assert!(self.members.iter().all(|member| self.exchange.ended(member.id)));
    }
}

fn played(kind: Kind, buffer: Buffer, first: Vec<Demand>, ops: Vec<Op>) -> Play {
    let mut play = Play::new(kind, buffer);
    for (index, demand) in first.into_iter().enumerate() {
        play.subscribe(index, demand);
    }
    ops.into_iter().for_each(|op| play.play(op));
    play.play_to_the_end();
    play
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_item_is_taken_once_or_was_given_back(
        kind in prop_oneof![Just(Kind::Demand), (1_usize..4).prop_map(Kind::Partition)],
        buffer in buffers(),
        first in proptest::collection::vec(demand(), 0..5),
        ops in ops(),
    ) {
        let play = played(kind, buffer, first, ops);
        let mut seen = HashSet::new();
        for item in play.members.iter().flat_map(|member| &member.taken).chain(&play.dropped) {
            prop_assert!(seen.insert(*item), "{} is there twice", item);
        }
        prop_assert_eq!(seen.len() as u64, play.next);
    }

    #[test]
    fn each_subscriber_of_a_partition_gets_only_its_items_and_in_order(
        kind in kinds(),
        buffer in buffers(),
        first in proptest::collection::vec(demand(), 1..5),
        ops in ops(),
    ) {
        let stay = ops.into_iter().filter(|op| !matches!(op, Op::Unsubscribe(_))).collect();
        let play = played(kind, buffer, first, stay);
        for member in &play.members {
            prop_assert!(member.taken.is_sorted(), "{:?}", member.taken);
            if let Kind::Partition(partitions) = kind {
                let own = |item: &u64| *item % partitions as u64 == member.partition as u64;
                prop_assert!(member.taken.iter().all(own));
            }
        }
    }

    #[test]
    fn a_broadcast_gives_everything_to_all_that_are_there(
        buffer in buffers(),
        first in proptest::collection::vec(demand(), 1..5),
        ops in ops(),
    ) {
        let play = played(Kind::Broadcast, buffer, first, ops);
        let dropped: HashSet<u64> = play.dropped.iter().copied().collect();
        for member in play.members.iter().filter(|member| member.here) {
            let taken: HashSet<u64> = member.taken.iter().copied().collect();
            prop_assert_eq!(taken.len(), member.taken.len(), "nothing comes twice");
            let missed = (member.since..play.next).find(|item| !taken.contains(item) && !dropped.contains(item));
            prop_assert_eq!(missed, None);
        }
    }

    #[test]
    fn pushes_hold_no_more_than_the_buffer_has_room_for(
        kind in kinds(),
        buffer in buffers(),
        first in proptest::collection::vec(demand(), 0..5),
        ops in ops(),
    ) {
        let pushes = |op: &Op| !matches!(op, Op::InsertAll(_) | Op::Unsubscribe(_));
        let mut play = Play::new(kind, buffer);
        for (index, demand) in first.into_iter().enumerate() {
            play.subscribe(index, demand);
        }
        for op in ops.into_iter().filter(pushes) {
            play.play(op);
            let longest = play.exchange.partitions.iter().map(|partition| partition.held.len()).max();
            prop_assert!(longest <= Some(play.buffer.size()));
        }
    }
}

#[test]
fn more_is_asked_for_when_only_min_demand_is_left() {
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
fn items_go_to_whoever_has_asked_for_most_and_equals_take_turns() {
    let mut exchange = Exchange::new(Dispatcher::Demand, Buffer::default());
    let small = exchange.subscribe(0, Demand::max(2));
    let large = exchange.subscribe(0, Demand::max(4).min(0));
    exchange.insert_all((0..6).collect());
    assert_eq!(exchange.take(large, usize::MAX), [0, 1, 3, 5]);
    assert_eq!([exchange.take(small, 1), exchange.take(small, 1)], [[2], [4]]);
}

#[test]
fn what_a_leaving_subscriber_did_not_take_comes_before_what_came_later() {
    let mut exchange = Exchange::new(Dispatcher::Demand, Buffer::default());
    let leaving = exchange.subscribe(0, Demand::max(3));
    exchange.insert_all((0..5).collect());
    assert_eq!(exchange.take(leaving, 1), [0]);
    exchange.unsubscribe(leaving);
    let next = exchange.subscribe(0, Demand::max(8).min(0));
    assert_eq!(exchange.take(next, usize::MAX), [1, 2, 3, 4]);
}

#[test]
fn a_partition_that_is_slow_is_not_made_to_hold_more_than_others_wait_for() {
    let choose = Box::new(|item: &u64| *item);
    let mut exchange = Exchange::new(Dispatcher::Partition { partitions: 2, choose }, Buffer::default());
    let _even = exchange.subscribe(0, Demand::max(10));
    let _odd = exchange.subscribe(1, Demand::max(10));
    let mut made = 0;
    while exchange.demand() > 0 {
        exchange.insert_all((0..exchange.demand() as u64).map(|n| n * 2).collect());
        made += 1;
    }
    assert_eq!((made, exchange.held()), (1, 10));
}

#[test]
fn what_is_put_back_is_news_and_until_it_is_finished_nothing_has_ended() {
    let mut exchange = Exchange::new(Dispatcher::Demand, Buffer::default());
    let id = exchange.subscribe(0, Demand::max(10));
    exchange.insert_all((0..4).collect());
    let mut share = VecDeque::new();
    exchange.take_share(id, Share { most: usize::MAX, few: 1 }, &mut share);
    assert_eq!(share, [0, 1], "half of it");
    assert_eq!(exchange.take(id, usize::MAX), [2, 3]);
    exchange.finish(id, 2);
    exchange.close();
    assert!(!exchange.ended(id));
    exchange.news();

    exchange.put_back(id, &mut share);
    assert_eq!(exchange.news().as_slice(), [id]);
    assert_eq!(exchange.take(id, usize::MAX), [0, 1]);
    exchange.finish(id, 1);
    assert!(!exchange.ended(id) && !exchange.has_news());
    exchange.finish(id, 1);
    assert!(exchange.ended(id));
    assert_eq!(exchange.news().as_slice(), [id]);
}

#[test]
fn a_share_is_half_of_what_is_there_or_what_is_not_worth_sharing_and_never_too_much() {
    let there = [(1, 1, 1), (4, 1, 2), (5, 1, 3), (5, 4, 4), (5, 9, 5), (40, 30, 20), (5, 0, 3)];
    for (items, few, expected) in there {
        let mut exchange = Exchange::new(Dispatcher::Demand, Buffer::default());
        let id = exchange.subscribe(0, Demand::max(100));
        exchange.insert_all((0..items).collect());
        let mut share = VecDeque::new();
        exchange.take_share(id, Share { most: 20, few }, &mut share);
        assert_eq!(share, (0..expected).collect::<Vec<_>>());
    }
}

#[test]
fn a_reminder_is_news_for_who_has_something_to_take_or_nothing_to_expect() {
    let mut exchange = Exchange::new(Dispatcher::Demand, Buffer::default());
    let id = exchange.subscribe(0, Demand::max(10));
    exchange.remind(id);
    assert!(!exchange.has_news(), "it waits");

    exchange.insert_all(vec![1]);
    exchange.news();
    exchange.remind(id);
    assert_eq!(exchange.news().as_slice(), [id]);

    exchange.close();
    exchange.take(id, 1);
    exchange.news();
    exchange.remind(id);
    assert!(!exchange.has_news(), "it may put back what it has");
    exchange.finish(id, 1);
    exchange.news();
    exchange.remind(id);
    assert_eq!(exchange.news().as_slice(), [id]);
}
