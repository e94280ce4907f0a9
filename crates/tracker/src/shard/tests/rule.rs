//! The rules of the protocol one by one: two shards, whose messages the test delivers itself.

use super::super::*;
use crate::message::DeltaRequest;

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

/// Two nodes that have discovered each other and have sent all hellos, at 4.5 s.
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

/// Delivers the messages of one call, and all that follow from them. Returns the kinds of all messages.
fn exchange(
    a: &mut Shard,
    b: &mut Shard,
    now: Duration,
    act: impl FnOnce(&mut Shard) -> Vec<Outgoing>,
) -> Vec<MessageKind> {
    let mut kinds = Vec::new();
    let mut from_a = act(a);
    while !from_a.is_empty() {
        kinds.extend(from_a.iter().map(|outgoing| outgoing.message.kind));
        let from_b = receive(b, now, &from_a);
        kinds.extend(from_b.iter().map(|outgoing| outgoing.message.kind));
        from_a = receive(a, now, &from_b);
    }
    kinds
}

fn receive(shard: &mut Shard, now: Duration, messages: &[Outgoing]) -> Vec<Outgoing> {
    messages.iter().flat_map(|outgoing| shard.receive(now, &outgoing.message)).collect()
}

/// As [`pair`], with a presence of the first node that the second has received.
fn synced() -> (Shard, Shard) {
    let (mut a, mut b) = pair();
    join(&mut a, ms(4500));
    exchange(&mut a, &mut b, ms(4600), |a| a.tick(ms(4600)));
    (a, b)
}

fn kinds(messages: &[Outgoing]) -> Vec<MessageKind> {
    messages.iter().map(|outgoing| outgoing.message.kind).collect()
}

fn join(shard: &mut Shard, now: Duration) -> u64 {
    shard.track(now, "room", "user", meta()).unwrap().dot()
}

fn count(shard: &Shard) -> usize {
    shard.view.counts("room").0
}

#[test]
fn a_new_node_is_greeted_and_requests_the_state_at_once() {
    let (mut a, mut b) = (shard("a", 1), shard("b", 1));
    join(&mut a, ms(0));
    a.tick(ms(1500));
    let kinds = exchange(&mut b, &mut a, ms(1600), Shard::start);
    assert_eq!(kinds, [MessageKind::Hello, MessageKind::Greeting, MessageKind::Request, MessageKind::Response]);
    assert_eq!(count(&b), 1);
    assert_eq!((a.nodes(), b.nodes()), (vec![NodeName::new("b")], vec![NodeName::new("a")]));
}

#[test]
fn a_period_with_changes_ends_with_a_delta_and_one_without_ends_with_no_message() {
    let (mut a, mut b) = pair();
    let dot = join(&mut a, ms(5000));
    assert_eq!((count(&a), count(&b)), (1, 0));
    assert_eq!(exchange(&mut a, &mut b, ms(6000), |a| a.tick(ms(6000))), [MessageKind::Delta]);
    assert_eq!(count(&b), 1);
    assert_eq!(kinds(&a.tick(ms(7500))), []);
    a.untrack(ms(8000), dot);
    exchange(&mut a, &mut b, ms(9000), |a| a.tick(ms(9000)));
    assert_eq!((count(&a), count(&b)), (0, 0));
}

#[test]
fn a_heartbeat_follows_max_silent_periods() {
    let (mut a, _) = pair();
    let sent: Vec<_> = (4..=23).map(|period| kinds(&a.tick(ms(period * 1500)))).collect();
    let heartbeats: Vec<_> = sent.iter().enumerate().filter(|(_, kinds)| **kinds == [MessageKind::Heartbeat]).collect();
    // The last hello ended the second period; pair() ended one silent period.
    assert_eq!(heartbeats.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [8, 18]);
    assert!(sent.iter().filter(|kinds| kinds.is_empty()).count() == 18);
}

#[test]
fn a_lost_delta_is_requested_at_the_end_of_the_period_in_which_a_later_one_arrives() {
    let (mut a, mut b) = synced();
    join(&mut a, ms(5000));
    let _lost = a.tick(ms(6000));
    join(&mut a, ms(6500));
    assert_eq!(exchange(&mut a, &mut b, ms(7500), |a| a.tick(ms(7500))), [MessageKind::Delta]);
    assert_eq!(count(&b), 2);
    assert_eq!(exchange(&mut b, &mut a, ms(7600), |b| b.tick(ms(7600))), [MessageKind::Request, MessageKind::Response]);
    assert_eq!(count(&b), 3);
    assert_eq!(kinds(&b.tick(ms(9100))), []);
}

#[test]
fn a_request_without_a_response_is_repeated_with_backoff() {
    let (mut a, mut b) = synced();
    join(&mut a, ms(5000));
    let _lost = a.tick(ms(6000));
    join(&mut a, ms(6500));
    receive(&mut b, ms(7500), &a.tick(ms(7500)));
    let requests: Vec<_> =
        (6..=20).filter(|period| kinds(&b.tick(ms(period * 1500))).contains(&MessageKind::Request)).collect();
    assert_eq!(requests, [6, 7, 9, 13, 17]);
}

#[test]
fn a_response_without_a_request_is_ignored() {
    let (mut a, mut b) = pair();
    join(&mut a, ms(5000));
    let request = DeltaRequest { incarnation: 10, nonce: 77, from: 0, since: 0 };
    let request = Message::new(b.replica(), MessageKind::Request, 0).request(request);
    let response = a.receive(ms(5000), &request);
    assert_eq!(kinds(&response), [MessageKind::Response]);
    receive(&mut b, ms(5000), &response);
    assert_eq!(count(&b), 0);
}

#[test]
fn a_repeated_response_is_ignored() {
    let (mut a, mut b) = (shard("a", 1), shard("b", 1));
    a.delta_limit = DeltaLimit { bytes: 300, tombstones: 10 };
    for _ in 0..20 {
        join(&mut a, ms(0));
    }
    a.tick(ms(1500));
    let greeting = receive(&mut a, ms(1600), &b.start());
    let request = receive(&mut b, ms(1600), &greeting);
    let response = receive(&mut a, ms(1600), &request);
    assert_eq!(kinds(&receive(&mut b, ms(1600), &response)), [MessageKind::Request]);
    assert_eq!(kinds(&receive(&mut b, ms(1600), &response)), []);
}

#[test]
fn an_older_clock_does_not_cancel_the_request_of_a_newer_one() {
    let (mut a, mut b) = synced();
    let older = Message::new(a.replica(), MessageKind::Heartbeat, 1);
    join(&mut a, ms(5000));
    let _lost = a.tick(ms(6000));
    join(&mut a, ms(6500));
    receive(&mut b, ms(7500), &a.tick(ms(7500)));
    b.receive(ms(7500), &older);
    assert_eq!(kinds(&b.tick(ms(7600))), [MessageKind::Request]);
}

#[test]
fn a_hello_of_a_known_node_is_answered_with_a_greeting() {
    let (a, mut b) = pair();
    let hello = Message::new(a.replica(), MessageKind::Hello, 0);
    let greeting = b.receive(ms(5000), &hello);
    assert_eq!((kinds(&greeting), &greeting[0].to), (vec![MessageKind::Greeting], &Some(NodeName::new("a"))));
}

#[test]
fn of_two_goodbyes_that_of_the_later_incarnation_counts() {
    let (_, mut b) = pair();
    let message = |incarnation, what| Message::new(&Replica::new(NodeName::new("a"), incarnation, "test"), what, 0);
    b.receive(ms(5000), &message(12, MessageKind::Goodbye));
    b.receive(ms(5000), &message(11, MessageKind::Goodbye));
    b.receive(ms(5100), &message(12, MessageKind::Heartbeat));
    assert_eq!(b.nodes().len(), 0);
}

#[test]
fn a_request_to_an_earlier_incarnation_is_ignored() {
    let (mut a, b) = pair();
    join(&mut a, ms(5000));
    let request = DeltaRequest { incarnation: 9, nonce: 1, from: 0, since: 0 };
    let request = Message::new(b.replica(), MessageKind::Request, 0).request(request);
    assert_eq!(kinds(&a.receive(ms(5000), &request)), []);
}

#[test]
fn the_presences_of_a_silent_node_are_hidden_and_shown_again_without_a_transfer() {
    let (mut a, mut b) = pair();
    join(&mut a, ms(5000));
    exchange(&mut a, &mut b, ms(6000), |a| a.tick(ms(6000)));
    b.take_diff(ms(6000)).unwrap();
    (5..=24).for_each(|period| drop(b.tick(ms(period * 1500))));
    assert_eq!((count(&b), b.nodes().len()), (1, 1), "after 30 s the node is not down yet");
    b.tick(ms(37_500));
    assert_eq!((count(&b), b.nodes().len()), (0, 0));
    let left = b.take_diff(ms(37_500)).unwrap();
    assert_eq!((left.topics[0].joins.len(), left.topics[0].leaves.len()), (0, 1));
    let heartbeat = Message::new(a.replica(), MessageKind::Heartbeat, 1);
    assert_eq!(kinds(&b.receive(ms(38_000), &heartbeat)), []);
    assert_eq!((count(&b), b.nodes().len()), (1, 1));
    assert_eq!(kinds(&b.tick(ms(39_000))), []);
    assert_eq!(b.take_diff(ms(39_000)).unwrap().topics[0].joins.len(), 1);
}

#[test]
fn a_node_that_is_silent_for_the_permdown_period_is_removed_and_transferred_again_on_return() {
    let (mut a, mut b) = pair();
    join(&mut a, ms(5000));
    exchange(&mut a, &mut b, ms(6000), |a| a.tick(ms(6000)));
    (5..=804).for_each(|period| drop(b.tick(ms(period * 1500))));
    assert!(b.peers.len() == 1, "after 20 minutes the node is not removed yet");
    b.tick(ms(1_207_500));
    assert_eq!((b.peers.len(), b.state.complete_until(a.replica())), (0, 0));
    let heartbeat = Outgoing { to: None, message: Message::new(a.replica(), MessageKind::Heartbeat, 1) };
    let kinds = exchange(&mut a, &mut b, ms(1_208_000), |_| vec![heartbeat]);
    assert_eq!(kinds, [MessageKind::Heartbeat, MessageKind::Greeting, MessageKind::Request, MessageKind::Response]);
    assert_eq!(count(&b), 1);
}

#[test]
fn a_node_that_was_paused_does_not_mark_others_as_down() {
    let (_, mut b) = pair();
    b.tick(ms(300_000));
    assert_eq!(b.nodes().len(), 1);
    (1..=21).for_each(|period| drop(b.tick(ms(300_000 + period * 1500))));
    assert_eq!(b.nodes().len(), 0, "silence after the pause counts");
}

#[test]
fn a_goodbye_takes_effect_at_once_and_late_messages_do_not_bring_the_node_back() {
    let (mut a, mut b) = pair();
    join(&mut a, ms(5000));
    let delta = a.tick(ms(6000));
    receive(&mut b, ms(6000), &delta);
    let goodbye = a.leave();
    assert_eq!(kinds(&goodbye), [MessageKind::Goodbye]);
    assert_eq!(receive(&mut b, ms(6100), &goodbye).len(), 0);
    assert_eq!((count(&b), b.nodes().len()), (0, 0));
    receive(&mut b, ms(6200), &delta);
    let older = Message::new(&Replica::new(NodeName::new("a"), 9, "test"), MessageKind::Heartbeat, 5);
    b.receive(ms(6200), &older);
    assert_eq!((count(&b), b.nodes().len()), (0, 0));
    b.receive(ms(40_000), &older);
    assert_eq!(
        b.nodes().len(),
        1,
        "after the down period the message is not late: the node restarted with an earlier wall clock"
    );
    receive(&mut b, ms(40_000), &goodbye);
    assert_eq!(b.nodes().len(), 0);
    receive(&mut b, ms(40_100), &delta);
    assert_eq!(b.nodes().len(), 0);
}

#[test]
fn after_its_goodbye_a_shard_changes_nothing_and_sends_nothing() {
    let (mut a, b) = pair();
    let dot = join(&mut a, ms(5000));
    a.leave();
    let heartbeat = Message::new(b.replica(), MessageKind::Heartbeat, 5);
    let sent = [a.tick(ms(9000)), a.receive(ms(9000), &heartbeat), a.leave()];
    assert!(sent.iter().all(Vec::is_empty));
    assert!(a.track(ms(9000), "room", "user", meta()).is_none());
    assert!(a.update(ms(9000), dot, meta()).is_none());
    a.untrack(ms(9000), dot);
    assert_eq!((count(&a), a.take_diff(ms(9000)), a.next_diff(), a.next_tick()), (1, None, None, None));
}

#[test]
fn a_restart_removes_the_presences_of_the_earlier_incarnation_and_its_messages_are_ignored() {
    let (mut a, mut b) = pair();
    join(&mut a, ms(5000));
    exchange(&mut a, &mut b, ms(6000), |a| a.tick(ms(6000)));
    let mut again = shard("a", 11);
    exchange(&mut again, &mut b, ms(6100), Shard::start);
    assert_eq!(count(&b), 0, "the restart removed the old presences");
    join(&mut a, ms(6200));
    exchange(&mut a, &mut b, ms(7500), |a| a.tick(ms(7500)));
    receive(&mut b, ms(7600), &a.leave());
    assert_eq!((count(&b), b.nodes().len()), (0, 1));
}

#[test]
fn a_message_of_an_unknown_kind_counts_as_a_heartbeat_and_an_invalid_one_does_not() {
    let (a, mut b) = pair();
    let unknown = Message::new(a.replica(), MessageKind::Unknown, 0);
    b.receive(ms(34_000), &unknown);
    (4..=24).for_each(|period| drop(b.tick(ms(period * 1500))));
    assert_eq!(b.nodes().len(), 1);
    let invalid = Message::new(a.replica(), MessageKind::Delta, 0);
    b.receive(ms(60_000), &invalid);
    (25..=43).for_each(|period| drop(b.tick(ms(period * 1500))));
    assert_eq!(b.nodes().len(), 0);
}

#[test]
fn more_removals_than_the_log_holds_make_others_request_the_full_state() {
    let (mut a, mut b) = pair();
    let dots: Vec<u64> = (0..20).map(|_| join(&mut a, ms(5000))).collect();
    exchange(&mut a, &mut b, ms(6000), |a| a.tick(ms(6000)));
    dots[..10].iter().for_each(|dot| a.untrack(ms(6500), *dot));
    assert_eq!(exchange(&mut a, &mut b, ms(7500), |a| a.tick(ms(7500))), [MessageKind::Heartbeat]);
    assert_eq!(exchange(&mut b, &mut a, ms(7600), |b| b.tick(ms(7600))), [MessageKind::Request, MessageKind::Response]);
    assert_eq!(count(&b), 10);
}

#[test]
fn a_state_larger_than_a_message_is_transferred_in_several_requests() {
    let (mut a, mut b) = (shard("a", 1), shard("b", 1));
    a.delta_limit = DeltaLimit { bytes: 300, tombstones: 10 };
    (0..20).for_each(|_| drop(a.track(ms(0), "room", "user", meta())));
    let deltas = a.tick(ms(1500));
    assert!(deltas.len() > 4, "{} messages", deltas.len());
    let kinds = exchange(&mut b, &mut a, ms(1600), Shard::start);
    assert_eq!(kinds[..4], [MessageKind::Hello, MessageKind::Greeting, MessageKind::Request, MessageKind::Response]);
    assert!(kinds[4..].chunks(2).all(|pair| pair == [MessageKind::Request, MessageKind::Response]) && kinds.len() > 8);
    assert_eq!(count(&b), 20);
}

#[test]
fn an_update_keeps_the_count_and_is_delivered_as_a_leave_and_a_join() {
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
fn all_presences_of_a_topic_share_the_allocation_of_its_name() {
    let (mut a, mut b) = pair();
    join(&mut a, ms(5000));
    join(&mut b, ms(5000));
    exchange(&mut a, &mut b, ms(6000), |a| a.tick(ms(6000)));
    let presences = b.view.presences("room");
    let names: Vec<_> = presences.iter().map(PresenceRecord::topic).collect();
    assert!(names.len() == 2 && Arc::ptr_eq(names[0], names[1]));
}
