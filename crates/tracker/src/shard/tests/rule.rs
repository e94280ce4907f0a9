//! The rules of replication one by one: two shards, and every message in the test's hands.

use super::super::*;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn meta() -> Arc<RawValue> {
    RawValue::from_string("{}".to_owned()).unwrap().into()
}

fn shard(node: &str, incarnation: u64) -> Shard {
    let options = Options { max_delta_size: 4, ..Options::default() };
    Shard::new(NodeName::new(node), incarnation, "test".into(), options, Arc::default(), ms(1500))
}

/// Two nodes that have greeted each other and are past their hellos, at 4.5 s.
fn pair() -> (Shard, Shard) {
    let (mut a, mut b) = (shard("a", 10), shard("b", 10));
    exchange(&mut a, &mut b, ms(0), Shard::start);
    exchange(&mut b, &mut a, ms(0), Shard::start);
    for millis in [1500, 3000, 4500] {
        exchange(&mut a, &mut b, ms(millis), |a| a.tick(ms(millis)));
        exchange(&mut b, &mut a, ms(millis), |b| b.tick(ms(millis)));
    }
    (a, b)
}

/// Delivers what one does, and whatever follows, until both are silent. Returns the kinds of all messages.
fn exchange(a: &mut Shard, b: &mut Shard, now: Duration, act: impl FnOnce(&mut Shard) -> Vec<Outgoing>) -> Vec<What> {
    let mut kinds = Vec::new();
    let mut from_a = act(a);
    while !from_a.is_empty() {
        kinds.extend(from_a.iter().map(|outgoing| outgoing.message.what));
        let from_b = receive(b, now, &from_a);
        kinds.extend(from_b.iter().map(|outgoing| outgoing.message.what));
        from_a = receive(a, now, &from_b);
    }
    kinds
}

fn receive(shard: &mut Shard, now: Duration, messages: &[Outgoing]) -> Vec<Outgoing> {
    messages.iter().flat_map(|outgoing| shard.receive(now, &outgoing.message)).collect()
}

/// As [`pair`], and what the first has is known to the second.
fn synced() -> (Shard, Shard) {
    let (mut a, mut b) = pair();
    join(&mut a, ms(4500));
    exchange(&mut a, &mut b, ms(4600), |a| a.tick(ms(4600)));
    (a, b)
}

fn kinds(messages: &[Outgoing]) -> Vec<What> {
    messages.iter().map(|outgoing| outgoing.message.what).collect()
}

fn join(shard: &mut Shard, now: Duration) -> u64 {
    shard.track(now, "room", "user", meta()).unwrap().dot()
}

fn count(shard: &Shard) -> usize {
    shard.view.counts("room").0
}

#[test]
fn a_new_node_is_greeted_and_asks_at_once_for_what_there_is() {
    let (mut a, mut b) = (shard("a", 1), shard("b", 1));
    join(&mut a, ms(0));
    a.tick(ms(1500));
    let kinds = exchange(&mut b, &mut a, ms(1600), Shard::start);
    assert_eq!(kinds, [What::Hello, What::Greeting, What::Ask, What::Answer]);
    assert_eq!(count(&b), 1);
    assert_eq!((a.nodes(), b.nodes()), (vec![NodeName::new("b")], vec![NodeName::new("a")]));
}

#[test]
fn a_period_with_changes_ends_in_a_delta_and_one_without_in_nothing() {
    let (mut a, mut b) = pair();
    let dot = join(&mut a, ms(5000));
    assert_eq!((count(&a), count(&b)), (1, 0));
    assert_eq!(exchange(&mut a, &mut b, ms(6000), |a| a.tick(ms(6000))), [What::Delta]);
    assert_eq!(count(&b), 1);
    assert_eq!(kinds(&a.tick(ms(7500))), []);
    a.untrack(ms(8000), dot);
    exchange(&mut a, &mut b, ms(9000), |a| a.tick(ms(9000)));
    assert_eq!((count(&a), count(&b)), (0, 0));
}

#[test]
fn silence_is_broken_by_a_heartbeat_after_so_many_periods() {
    let (mut a, _) = pair();
    let sent: Vec<_> = (4..=23).map(|period| kinds(&a.tick(ms(period * 1500)))).collect();
    let heartbeats: Vec<_> = sent.iter().enumerate().filter(|(_, kinds)| **kinds == [What::Heartbeat]).collect();
    // The last hello ended the second period, and one that pair() ended was silent.
    assert_eq!(heartbeats.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [8, 18]);
    assert!(sent.iter().filter(|kinds| kinds.is_empty()).count() == 18);
}

#[test]
fn a_lost_delta_is_asked_for_when_a_later_one_tells_and_the_period_ends() {
    let (mut a, mut b) = synced();
    join(&mut a, ms(5000));
    let _lost = a.tick(ms(6000));
    join(&mut a, ms(6500));
    assert_eq!(exchange(&mut a, &mut b, ms(7500), |a| a.tick(ms(7500))), [What::Delta]);
    assert_eq!(count(&b), 2);
    assert_eq!(exchange(&mut b, &mut a, ms(7600), |b| b.tick(ms(7600))), [What::Ask, What::Answer]);
    assert_eq!(count(&b), 3);
    assert_eq!(kinds(&b.tick(ms(9100))), []);
}

#[test]
fn an_ask_that_nobody_answers_is_repeated_more_and_more_rarely() {
    let (mut a, mut b) = synced();
    join(&mut a, ms(5000));
    let _lost = a.tick(ms(6000));
    join(&mut a, ms(6500));
    receive(&mut b, ms(7500), &a.tick(ms(7500)));
    let asked: Vec<_> = (6..=20).filter(|period| kinds(&b.tick(ms(period * 1500))).contains(&What::Ask)).collect();
    assert_eq!(asked, [6, 7, 9, 13, 17]);
}

#[test]
fn an_answer_that_was_not_asked_for_is_not_taken() {
    let (mut a, mut b) = pair();
    join(&mut a, ms(5000));
    let ask = Ask { of: 10, nonce: 77, from: 0, since: 0 };
    let ask = Message::new(b.replica(), What::Ask, 0).ask(ask);
    let answer = a.receive(ms(5000), &ask);
    assert_eq!(kinds(&answer), [What::Answer]);
    receive(&mut b, ms(5000), &answer);
    assert_eq!(count(&b), 0);
}

#[test]
fn an_answer_that_comes_twice_is_taken_once() {
    let (mut a, mut b) = (shard("a", 1), shard("b", 1));
    a.room = Room { bytes: 300, departures: 10 };
    for _ in 0..20 {
        join(&mut a, ms(0));
    }
    a.tick(ms(1500));
    let greeting = receive(&mut a, ms(1600), &b.start());
    let ask = receive(&mut b, ms(1600), &greeting);
    let answer = receive(&mut a, ms(1600), &ask);
    assert_eq!(kinds(&receive(&mut b, ms(1600), &answer)), [What::Ask]);
    assert_eq!(kinds(&receive(&mut b, ms(1600), &answer)), []);
}

#[test]
fn what_a_node_once_claimed_to_have_is_missed_also_when_an_older_message_follows() {
    let (mut a, mut b) = synced();
    let older = Message::new(a.replica(), What::Heartbeat, 1);
    join(&mut a, ms(5000));
    let _lost = a.tick(ms(6000));
    join(&mut a, ms(6500));
    receive(&mut b, ms(7500), &a.tick(ms(7500)));
    b.receive(ms(7500), &older);
    assert_eq!(kinds(&b.tick(ms(7600))), [What::Ask]);
}

#[test]
fn a_hello_is_answered_also_by_those_who_know_the_node() {
    let (a, mut b) = pair();
    let hello = Message::new(a.replica(), What::Hello, 0);
    let greeting = b.receive(ms(5000), &hello);
    assert_eq!((kinds(&greeting), &greeting[0].to), (vec![What::Greeting], &Some(NodeName::new("a"))));
}

#[test]
fn of_two_goodbyes_the_one_of_the_later_life_counts() {
    let (_, mut b) = pair();
    let message = |incarnation, what| Message::new(&Replica::new(NodeName::new("a"), incarnation, "test"), what, 0);
    b.receive(ms(5000), &message(12, What::Goodbye));
    b.receive(ms(5000), &message(11, What::Goodbye));
    b.receive(ms(5100), &message(12, What::Heartbeat));
    assert_eq!(b.nodes().len(), 0);
}

#[test]
fn an_ask_of_an_earlier_life_is_not_answered() {
    let (mut a, b) = pair();
    join(&mut a, ms(5000));
    let ask = Message::new(b.replica(), What::Ask, 0).ask(Ask { of: 9, nonce: 1, from: 0, since: 0 });
    assert_eq!(kinds(&a.receive(ms(5000), &ask)), []);
}

#[test]
fn a_silent_node_is_hidden_and_shown_again_without_any_transfer() {
    let (mut a, mut b) = pair();
    join(&mut a, ms(5000));
    exchange(&mut a, &mut b, ms(6000), |a| a.tick(ms(6000)));
    b.take_diff(ms(6000)).unwrap();
    (5..=24).for_each(|period| drop(b.tick(ms(period * 1500))));
    assert_eq!((count(&b), b.nodes().len()), (1, 1), "30 s later it is not down yet");
    b.tick(ms(37_500));
    assert_eq!((count(&b), b.nodes().len()), (0, 0));
    let left = b.take_diff(ms(37_500)).unwrap();
    assert_eq!((left.topics[0].joins.len(), left.topics[0].leaves.len()), (0, 1));
    let heartbeat = Message::new(a.replica(), What::Heartbeat, 1);
    assert_eq!(kinds(&b.receive(ms(38_000), &heartbeat)), []);
    assert_eq!((count(&b), b.nodes().len()), (1, 1));
    assert_eq!(kinds(&b.tick(ms(39_000))), []);
    assert_eq!(b.take_diff(ms(39_000)).unwrap().topics[0].joins.len(), 1);
}

#[test]
fn a_node_that_is_silent_for_the_permdown_period_is_forgotten_and_asked_again_when_it_is_back() {
    let (mut a, mut b) = pair();
    join(&mut a, ms(5000));
    exchange(&mut a, &mut b, ms(6000), |a| a.tick(ms(6000)));
    (5..=804).for_each(|period| drop(b.tick(ms(period * 1500))));
    assert!(b.peers.len() == 1, "20 minutes later it is not forgotten yet");
    b.tick(ms(1_207_500));
    assert_eq!((b.peers.len(), b.state.complete_until(a.replica())), (0, 0));
    let heartbeat = Outgoing { to: None, message: Message::new(a.replica(), What::Heartbeat, 1) };
    let kinds = exchange(&mut a, &mut b, ms(1_208_000), |_| vec![heartbeat]);
    assert_eq!(kinds, [What::Heartbeat, What::Greeting, What::Ask, What::Answer]);
    assert_eq!(count(&b), 1);
}

#[test]
fn who_stood_still_does_not_take_others_for_silent() {
    let (_, mut b) = pair();
    b.tick(ms(300_000));
    assert_eq!(b.nodes().len(), 1);
    (1..=21).for_each(|period| drop(b.tick(ms(300_000 + period * 1500))));
    assert_eq!(b.nodes().len(), 0, "from then on it counts");
}

#[test]
fn a_goodbye_takes_effect_at_once_and_late_messages_do_not_bring_the_node_back() {
    let (mut a, mut b) = pair();
    join(&mut a, ms(5000));
    let delta = a.tick(ms(6000));
    receive(&mut b, ms(6000), &delta);
    let goodbye = a.leave();
    assert_eq!(kinds(&goodbye), [What::Goodbye]);
    assert_eq!(receive(&mut b, ms(6100), &goodbye).len(), 0);
    assert_eq!((count(&b), b.nodes().len()), (0, 0));
    receive(&mut b, ms(6200), &delta);
    let older = Message::new(&Replica::new(NodeName::new("a"), 9, "test"), What::Heartbeat, 5);
    b.receive(ms(6200), &older);
    assert_eq!((count(&b), b.nodes().len()), (0, 0));
    b.receive(ms(40_000), &older);
    assert_eq!(b.nodes().len(), 1, "by then nothing is late, and a wall clock was set back");
    receive(&mut b, ms(40_000), &goodbye);
    assert_eq!(b.nodes().len(), 0);
    receive(&mut b, ms(40_100), &delta);
    assert_eq!(b.nodes().len(), 0);
}

#[test]
fn after_its_goodbye_a_shard_does_and_says_nothing() {
    let (mut a, b) = pair();
    let dot = join(&mut a, ms(5000));
    a.leave();
    let heartbeat = Message::new(b.replica(), What::Heartbeat, 5);
    let said = [a.tick(ms(9000)), a.receive(ms(9000), &heartbeat), a.leave()];
    assert!(said.iter().all(Vec::is_empty));
    assert!(a.track(ms(9000), "room", "user", meta()).is_none());
    assert!(a.update(ms(9000), dot, meta()).is_none());
    a.untrack(ms(9000), dot);
    assert_eq!((count(&a), a.take_diff(ms(9000)), a.next_diff(), a.next_tick()), (1, None, None, None));
}

#[test]
fn a_node_that_restarts_is_another_and_what_its_earlier_life_says_is_not_heard() {
    let (mut a, mut b) = pair();
    join(&mut a, ms(5000));
    exchange(&mut a, &mut b, ms(6000), |a| a.tick(ms(6000)));
    let mut again = shard("a", 11);
    exchange(&mut again, &mut b, ms(6100), Shard::start);
    assert_eq!(count(&b), 0, "its old presences went when it was back");
    join(&mut a, ms(6200));
    exchange(&mut a, &mut b, ms(7500), |a| a.tick(ms(7500)));
    receive(&mut b, ms(7600), &a.leave());
    assert_eq!((count(&b), b.nodes().len()), (0, 1));
}

#[test]
fn a_message_of_an_unknown_kind_is_a_sign_of_life_and_garbage_is_none() {
    let (a, mut b) = pair();
    let unknown = Message::new(a.replica(), What::Unknown, 0);
    b.receive(ms(34_000), &unknown);
    (4..=24).for_each(|period| drop(b.tick(ms(period * 1500))));
    assert_eq!(b.nodes().len(), 1);
    let garbage = Message::new(a.replica(), What::Delta, 0);
    b.receive(ms(60_000), &garbage);
    (25..=43).for_each(|period| drop(b.tick(ms(period * 1500))));
    assert_eq!(b.nodes().len(), 0);
}

#[test]
fn more_departures_than_are_remembered_make_others_ask_for_the_whole() {
    let (mut a, mut b) = pair();
    let dots: Vec<u64> = (0..20).map(|_| join(&mut a, ms(5000))).collect();
    exchange(&mut a, &mut b, ms(6000), |a| a.tick(ms(6000)));
    dots[..10].iter().for_each(|dot| a.untrack(ms(6500), *dot));
    assert_eq!(exchange(&mut a, &mut b, ms(7500), |a| a.tick(ms(7500))), [What::Heartbeat]);
    assert_eq!(exchange(&mut b, &mut a, ms(7600), |b| b.tick(ms(7600))), [What::Ask, What::Answer]);
    assert_eq!(count(&b), 10);
}

#[test]
fn what_is_more_than_a_message_may_hold_comes_in_several_each_asked_for() {
    let (mut a, mut b) = (shard("a", 1), shard("b", 1));
    a.room = Room { bytes: 300, departures: 10 };
    (0..20).for_each(|_| drop(a.track(ms(0), "room", "user", meta())));
    let deltas = a.tick(ms(1500));
    assert!(deltas.len() > 4, "{} messages", deltas.len());
    let kinds = exchange(&mut b, &mut a, ms(1600), Shard::start);
    assert_eq!(kinds[..4], [What::Hello, What::Greeting, What::Ask, What::Answer]);
    assert!(kinds[4..].chunks(2).all(|pair| pair == [What::Ask, What::Answer]) && kinds.len() > 8);
    assert_eq!(count(&b), 20);
}

#[test]
fn an_update_is_never_seen_as_nobody_and_told_as_both() {
    let (mut a, mut b) = pair();
    let dot = join(&mut a, ms(5000));
    exchange(&mut a, &mut b, ms(6000), |a| a.tick(ms(6000)));
    b.take_diff(ms(6000)).unwrap();
    let new = a.update(ms(7000), dot, meta()).unwrap();
    exchange(&mut a, &mut b, ms(7500), |a| a.tick(ms(7500)));
    let diff = b.take_diff(ms(7500)).unwrap().topics.remove(0);
    assert_eq!((diff.joins.len(), diff.leaves.len()), (1, 1));
    assert_eq!(diff.joins[0].previous(), Some(diff.leaves[0].reference()));
    assert_eq!(diff.joins[0].reference(), new.reference());
    assert_eq!(count(&b), 1);
}

#[test]
fn a_topic_has_one_allocation_for_its_name() {
    let (mut a, mut b) = pair();
    join(&mut a, ms(5000));
    join(&mut b, ms(5000));
    exchange(&mut a, &mut b, ms(6000), |a| a.tick(ms(6000)));
    let roster = b.view.roster("room");
    let names: Vec<_> = roster.iter().map(Presence::topic).collect();
    assert!(names.len() == 2 && Arc::ptr_eq(names[0], names[1]));
}
