//! Tests of the session. Each test sends the server's messages and sets the time itself.

use super::*;
use crate::{
    ChannelEvent, ChannelMessage, CloseReason, ConnectionState, Interruption, JoinError, Payload, PushReply,
    QueueLimit, Schedule, SendError, Status, TransportKind,
};
use bennu_protocol::{Frame, Inbound, Serializer, event};
use serde_json::json;
use std::task::{Context, Poll};
use std::time::Duration;

mod model;

const SECOND: Duration = Duration::from_secs(1);

/// A session and its clock.
struct Simulation {
    session: Session,
    now: Instant,
}

impl Simulation {
    fn new() -> Self {
        Simulation::with(Settings { jitter: 0.0, ..Settings::default() })
    }

    fn with(settings: Settings) -> Self {
        Simulation { session: Session::new(Arc::new(settings), 7), now: Instant::now() }
    }

    fn connected() -> Self {
        let mut sim = Simulation::new();
        sim.connect();
        sim
    }

    fn connect(&mut self) {
        assert_eq!(self.session.intent(), Intent::Connect);
        self.session.attempt_started();
        self.session.connection_opened(self.now, TransportKind::WebSocket);
    }

    fn open(&mut self, topic: &str) -> ChannelId {
        self.session.open_channel(self.now, topic, Payload::empty()).unwrap()
    }

    /// Opens and joins a channel.
    fn joined(&mut self, topic: &str) -> ChannelId {
        let id = self.open(topic);
        self.accept_join(topic);
        assert_eq!(self.events(id), [ChannelEvent::Joined(Payload::empty())]);
        id
    }

    /// Accepts the join, which must be the only queued message.
    fn accept_join(&mut self, topic: &str) {
        let [join] = &self.sent()[..] else { panic!("expected one join") };
        let Some([join_ref, reference]) = read(join, topic, event::JOIN) else { panic!("{join}") };
        assert_eq!(join_ref, reference);
        self.receive(&format!(
            r#"["{join_ref}","{reference}","{topic}","phx_reply",{{"status":"ok","response":{{}}}}]"#
        ));
    }

    fn receive(&mut self, text: &str) {
        self.session.receive(self.now, Frame::Text(text));
    }

    fn reply(&mut self, reference: u64, status: &str) {
        self.receive(&format!(
            r#"["1","{reference}","room","phx_reply",{{"status":"{status}","response":{{"n":{reference}}}}}]"#
        ));
    }

    /// Returns all queued messages.
    fn sent(&mut self) -> Vec<String> {
        std::iter::from_fn(|| {
            let mut frame = Vec::new();
            self.session.transmit(&mut frame)?;
            Some(String::from_utf8(frame).unwrap())
        })
        .collect()
    }

    fn push(&mut self, id: ChannelId, event: &str) -> Result<u64, SendError> {
        self.session.push(self.now, id, event, Payload::empty(), Some(10 * SECOND))
    }

    fn answer(&mut self, reference: u64) -> Option<Result<PushReply, SendError>> {
        match self.session.poll_reply(reference, &mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => Some(answer),
            Poll::Pending => None,
        }
    }

    fn events(&mut self, id: ChannelId) -> Vec<ChannelEvent> {
        let cx = &mut Context::from_waker(Waker::noop());
        std::iter::from_fn(|| match self.session.poll_event(id, cx) {
            Poll::Ready(event) => event,
            Poll::Pending => None,
        })
        .collect()
    }

    fn has_ended(&mut self, id: ChannelId) -> bool {
        self.events(id);
        self.session.poll_event(id, &mut Context::from_waker(Waker::noop())) == Poll::Ready(None)
    }

    /// Advances the time, deadline by deadline.
    fn advance(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(deadline) = self.session.deadline().filter(|deadline| *deadline <= end) {
            self.now = deadline.max(self.now);
            self.session.elapsed(self.now);
        }
        self.now = end;
    }

    fn lose_connection(&mut self) {
        self.session.connection_lost(self.now, ConnectionError::SessionGone);
    }

    /// Advances the time to the next attempt and returns the delay.
    fn retry(&mut self) -> Duration {
        assert_eq!(self.session.intent(), Intent::Wait);
        let delay = self.session.deadline().unwrap() - self.now;
        self.advance(delay);
        assert_eq!(self.session.intent(), Intent::Connect);
        delay
    }
}

/// Returns the join ref and the ref of a message with this topic and event; `None` for any other message.
fn read(text: &str, topic: &str, event: &str) -> Option<[String; 2]> {
    let inbound: Inbound<'_> = Serializer::V2.decode(Frame::Text(text)).unwrap();
    let is_it = inbound.topic.as_str() == Some(topic) && inbound.event.as_str() == Some(event);
    let text = |reference: &bennu_protocol::Ref| reference.as_str().unwrap_or_default().to_owned();
    is_it.then(|| [text(&inbound.join_ref), text(&inbound.reference)])
}

fn message(event: &str, join: u32) -> ChannelEvent {
    ChannelEvent::Message(ChannelMessage { event: event.to_owned(), payload: Payload::empty(), join })
}

#[test]
fn a_push_gets_one_answer_by_its_ref() {
    let mut sim = Simulation::connected();
    let id = sim.joined("room");
    let [one, two] = ["one", "two"].map(|event| sim.push(id, event).unwrap());
    assert_eq!(sim.sent(), [r#"["1","2","room","one",{}]"#, r#"["1","3","room","two",{}]"#]);
    sim.reply(two, "error");
    sim.reply(two, "ok");
    assert_eq!(sim.answer(one), None);
    let reply = sim.answer(two).unwrap().unwrap();
    assert_eq!((reply.status, reply.payload), (Status::Error, Payload::json(&json!({ "n": 3 }))));
    sim.advance(9 * SECOND);
    assert_eq!(sim.answer(one), None);
    sim.advance(SECOND);
    assert_eq!(sim.answer(one), Some(Err(SendError::Timeout { event: "one".to_owned(), after: 10 * SECOND })));
    assert!(sim.session.requests.is_empty() && sim.session.timers.is_empty());
}

#[test]
fn pushes_made_before_the_join_are_sent_after_it_in_order_and_one_that_timed_out_is_not_sent() {
    let mut sim = Simulation::new();
    let id = sim.open("room");
    let late = sim.session.push(sim.now, id, "late", Payload::empty(), Some(SECOND)).unwrap();
    sim.push(id, "awaited").unwrap();
    sim.session.push(sim.now, id, "sent", Payload::empty(), None).unwrap();
    sim.advance(2 * SECOND);
    assert!(matches!(sim.answer(late), Some(Err(SendError::Timeout { .. }))));
    sim.connect();
    assert_eq!(sim.session.outbox.counted().0, 2);
    sim.accept_join("room");
    let sent = sim.sent();
    assert!(read(&sent[0], "room", "awaited").is_some() && read(&sent[1], "room", "sent").is_some(), "{sent:?}");
    assert_eq!((sent.len(), sim.session.outbox.counted()), (2, (0, 0)));
}

#[test]
fn a_full_buffer_rejects_a_push_at_once_and_names_the_limits() {
    let limit = QueueLimit { messages: 2, bytes: 10_000 };
    let mut sim = Simulation::with(Settings { push_buffer: limit, ..Settings::default() });
    let id = sim.open("room");
    assert!(sim.push(id, "a").is_ok() && sim.push(id, "b").is_ok());
    let bytes = 2 * (128 + 1 + 2);
    let full = SendError::BufferFull { messages: 2, bytes, max_messages: 2, max_bytes: 10_000 };
    assert_eq!(sim.push(id, "c"), Err(full));
    sim.connect();
    sim.accept_join("room");
    assert_eq!(sim.sent().len(), 2);
    assert!(sim.push(id, "c").is_ok());
}

#[test]
fn a_push_that_was_cancelled_before_it_was_sent_is_not_sent() {
    let mut sim = Simulation::connected();
    let id = sim.joined("room");
    let reference = sim.push(id, "cancelled").unwrap();
    sim.session.cancel(reference);
    assert_eq!(sim.sent(), [""; 0]);
    assert_eq!(sim.session.outbox.counted(), (0, 0));
}

#[test]
fn a_lost_connection_fails_sent_pushes_keeps_unsent_ones_and_rejoins_on_the_next() {
    let mut sim = Simulation::connected();
    let id = sim.joined("room");
    let sent = sim.push(id, "sent").unwrap();
    sim.sent();
    sim.push(id, "kept").unwrap();
    sim.lose_connection();
    sim.push(id, "later").unwrap();
    assert_eq!(sim.answer(sent), Some(Err(SendError::ConnectionLost { event: "sent".to_owned() })));
    assert_eq!(sim.events(id), [ChannelEvent::Interrupted(Interruption::ConnectionLost)]);
    assert_eq!(sim.sent(), [""; 0]);
    assert_eq!(sim.retry(), Duration::from_millis(10));
    sim.connect();
    sim.accept_join("room");
    assert_eq!(sim.events(id), [ChannelEvent::Joined(Payload::empty())]);
    let sent = sim.sent();
    assert!(read(&sent[0], "room", "kept").is_some() && read(&sent[1], "room", "later").is_some(), "{sent:?}");
}

#[test]
fn attempts_follow_phoenixs_schedule_which_restarts_with_the_servers_first_message() {
    let mut sim = Simulation::connected();
    let expected = [10, 50, 100, 150, 200, 250, 500, 1000, 2000, 5000, 5000];
    for millis in expected {
        sim.lose_connection();
        assert_eq!(sim.retry(), Duration::from_millis(millis));
        // A server that accepts and closes at once does not get an attempt every 10 ms.
        sim.connect();
    }
    sim.receive(r#"[null,null,"room","said",{}]"#);
    sim.lose_connection();
    assert_eq!(sim.retry(), Duration::from_millis(10));
}

#[test]
fn a_crashed_channel_rejoins_by_the_schedule_and_its_pushes_fail() {
    let mut sim = Simulation::connected();
    let id = sim.joined("room");
    let reference = sim.push(id, "raise").unwrap();
    sim.sent();
    sim.receive(r#"["1","1","room","phx_error",{"reason":"channel_crash"}]"#);
    let reason = Payload::json(&json!({ "reason": "channel_crash" }));
    assert_eq!(sim.events(id), [ChannelEvent::Interrupted(Interruption::Crashed(reason))]);
    assert_eq!(sim.answer(reference), Some(Err(SendError::Crashed { event: "raise".to_owned() })));
    let waits = sim.push(id, "waits").unwrap();
    for seconds in [1, 2, 5, 10, 10] {
        sim.advance(SECOND * seconds - Duration::from_millis(1));
        assert!(sim.sent().iter().all(|message| read(message, "phoenix", event::HEARTBEAT).is_some()));
        sim.advance(Duration::from_millis(1));
        let sent = sim.sent();
        let [join_ref, _] = sent.iter().find_map(|message| read(message, "room", event::JOIN)).expect("a join");
        // The join is refused, and the schedule continues.
        sim.receive(&format!(r#"["{join_ref}","{join_ref}","room","phx_reply",{{"status":"error","response":{{}}}}]"#));
        assert_eq!(sim.events(id), [ChannelEvent::Refused(Payload::empty())]);
    }
    assert!(matches!(sim.answer(waits), Some(Err(SendError::Timeout { .. }))));
}

#[test]
fn a_join_without_a_reply_is_left_and_repeated() {
    let mut sim = Simulation::connected();
    let id = sim.open("room");
    assert_eq!(sim.sent(), [r#"["1","1","room","phx_join",{}]"#]);
    sim.advance(10 * SECOND);
    assert_eq!(sim.events(id), [ChannelEvent::Interrupted(Interruption::JoinTimedOut)]);
    assert_eq!(sim.sent(), [r#"["1","2","room","phx_leave",{}]"#]);
    // The server was only slow. Its reply to the leave does not end the channel.
    sim.receive(r#"["1","2","room","phx_reply",{"status":"ok","response":{}}]"#);
    sim.receive(r#"["1","1","room","phx_close",{}]"#);
    assert_eq!(sim.events(id), []);
    sim.advance(SECOND);
    assert_eq!(sim.sent(), [r#"["3","3","room","phx_join",{}]"#]);
    // The late reply to the first join is not one to the second.
    sim.receive(r#"["1","1","room","phx_reply",{"status":"ok","response":{}}]"#);
    assert!(!sim.session.is_joined(id));
    sim.receive(r#"["3","3","room","phx_reply",{"status":"ok","response":{}}]"#);
    assert!(sim.session.is_joined(id));
}

#[test]
fn a_join_without_a_connection_times_out_too_and_follows_with_the_connection() {
    let mut sim = Simulation::new();
    let id = sim.open("room");
    sim.advance(10 * SECOND);
    assert_eq!(sim.events(id), [ChannelEvent::Interrupted(Interruption::JoinTimedOut)]);
    sim.connect();
    sim.accept_join("room");
    assert!(sim.session.is_joined(id));
}

#[test]
fn messages_of_an_earlier_join_are_dropped_and_broadcasts_are_received() {
    let mut sim = Simulation::connected();
    let id = sim.open("room");
    sim.sent();
    sim.receive(r#"[null,null,"room","early",{}]"#);
    sim.receive(r#"["1","1","room","phx_reply",{"status":"ok","response":{}}]"#);
    sim.receive(r#"["0",null,"room","stale",{}]"#);
    sim.receive(r#"["1",null,"room","pushed",{}]"#);
    sim.receive(r#"[null,null,"other","said",{}]"#);
    sim.receive(r#"[null,null,"room","said",{}]"#);
    let expected =
        [message("early", 1), ChannelEvent::Joined(Payload::empty()), message("pushed", 1), message("said", 1)];
    assert_eq!(sim.events(id), expected);
}

#[test]
fn an_invalid_message_is_dropped_and_the_connection_stays() {
    let mut sim = Simulation::connected();
    let id = sim.joined("room");
    for text in ["", "[", "{}", "[1,2,3]", r#"["1","1","room","phx_reply",7]"#, r#"[[],{},3,4,5]"#] {
        sim.receive(text);
    }
    sim.session.receive(sim.now, Frame::Binary(&[9, 1, 2, 3]));
    sim.session.receive(sim.now, Frame::Binary(&[]));
    sim.receive(r#"[null,null,"room","said",{}]"#);
    assert_eq!(sim.events(id), [message("said", 1)]);
    assert_eq!(sim.session.intent(), Intent::KeepConnection);
}

#[test]
fn a_leave_waits_for_the_reply_and_closes_the_channel() {
    let mut sim = Simulation::connected();
    let id = sim.joined("room");
    sim.session.push(sim.now, id, "last", Payload::empty(), None).unwrap();
    let reference = sim.session.leave(sim.now, id).unwrap();
    assert!(matches!(sim.push(id, "after"), Err(SendError::Closed { topic }) if topic == "room"));
    assert_eq!(sim.sent(), [r#"["1","2","room","last",{}]"#, r#"["1","3","room","phx_leave",{}]"#]);
    sim.reply(reference, "ok");
    sim.receive(r#"["1","1","room","phx_close",{}]"#);
    assert!(matches!(sim.answer(reference), Some(Ok(_))));
    assert_eq!(sim.events(id), [ChannelEvent::Closed(CloseReason::Left)]);
    assert!(sim.has_ended(id));
    sim.session.release(sim.now, id);
    assert!(sim.session.channels.is_empty() && sim.session.requests.is_empty() && sim.session.topics.is_empty());
}

#[test]
fn a_leave_without_a_reply_ends_after_its_timeout() {
    let mut sim = Simulation::connected();
    let id = sim.joined("room");
    sim.session.release(sim.now, id);
    assert_eq!(sim.sent().len(), 1);
    sim.advance(10 * SECOND);
    assert!(sim.session.channels.is_empty() && sim.session.requests.is_empty() && sim.session.timers.is_empty());
}

#[test]
fn a_channel_that_the_server_closes_does_not_rejoin() {
    let mut sim = Simulation::connected();
    let id = sim.joined("room");
    let reference = sim.push(id, "stop").unwrap();
    sim.sent();
    sim.receive(r#"["1","1","room","phx_close",{}]"#);
    assert_eq!(sim.events(id), [ChannelEvent::Closed(CloseReason::ClosedByServer)]);
    assert_eq!(sim.answer(reference), Some(Err(SendError::Closed { topic: "room".to_owned() })));
    sim.lose_connection();
    sim.retry();
    sim.connect();
    assert_eq!(sim.sent(), [""; 0]);
}

#[test]
fn a_second_channel_of_a_topic_replaces_the_first() {
    let mut sim = Simulation::connected();
    let first = sim.joined("room");
    let second = sim.open("room");
    assert_eq!(sim.events(first), [ChannelEvent::Closed(CloseReason::Replaced)]);
    assert_eq!(sim.sent(), [r#"["1","2","room","phx_leave",{}]"#, r#"["3","3","room","phx_join",{}]"#]);
    // Messages of the first join do not concern the second channel.
    sim.receive(r#"["1","2","room","phx_reply",{"status":"ok","response":{}}]"#);
    sim.receive(r#"["1","1","room","phx_close",{}]"#);
    sim.receive(r#"["3","3","room","phx_reply",{"status":"ok","response":{}}]"#);
    assert!(sim.session.is_joined(second));
    sim.session.release(sim.now, first);
    assert_eq!(sim.sent(), [""; 0]);
}

#[test]
fn heartbeats_continue_while_they_have_replies_and_a_missing_reply_ends_the_connection() {
    let mut sim = Simulation::connected();
    sim.advance(30 * SECOND);
    assert_eq!(sim.sent(), [r#"[null,"1","phoenix","heartbeat",{}]"#]);
    sim.receive(r#"[null,"1","phoenix","phx_reply",{"status":"ok","response":{}}]"#);
    sim.advance(30 * SECOND);
    assert_eq!(sim.sent(), [r#"[null,"2","phoenix","heartbeat",{}]"#]);
    sim.advance(30 * SECOND - Duration::from_nanos(1));
    assert_eq!(sim.session.intent(), Intent::KeepConnection);
    sim.advance(Duration::from_nanos(1));
    assert_eq!(sim.session.intent(), Intent::Wait);
    let ConnectionState::Waiting { cause, .. } = sim.session.state() else { panic!("waits") };
    assert!(matches!(*cause, ConnectionError::Timeout { .. }));
}

#[test]
fn long_poll_has_no_heartbeats() {
    let mut sim = Simulation::new();
    sim.session.attempt_started();
    sim.session.connection_opened(sim.now, TransportKind::LongPoll);
    assert_eq!(sim.session.deadline(), None);
}

#[test]
fn the_first_failure_is_reported_even_after_the_next_attempt_has_started() {
    let mut sim = Simulation::new();
    sim.session.attempt_started();
    let refused = ConnectError::Refused { status: 403, body: "no".to_owned() };
    sim.session.connection_lost(sim.now, ConnectionError::Attempt(refused));
    sim.retry();
    let first = sim.session.poll_first_attempt(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(first, Poll::Ready(Err(ConnectError::Refused { status: 403, .. }))));
}

#[test]
fn disconnecting_sends_queued_pushes_ends_channels_and_is_final() {
    let mut sim = Simulation::connected();
    let id = sim.joined("room");
    sim.session.push(sim.now, id, "last", Payload::empty(), None).unwrap();
    sim.session.disconnect(sim.now);
    assert_eq!(sim.session.intent(), Intent::Close);
    assert_eq!(sim.sent(), [r#"["1","2","room","last",{}]"#]);
    assert_eq!(sim.events(id), [ChannelEvent::Closed(CloseReason::Disconnected)]);
    let after = sim.open("other");
    assert_eq!(sim.events(after), [ChannelEvent::Closed(CloseReason::Disconnected)]);
    sim.session.connection_lost(sim.now, ConnectionError::Disconnected);
    assert_eq!(sim.session.intent(), Intent::Finish);
    assert_eq!(sim.session.deadline(), None);
}

#[test]
fn a_close_without_an_answer_ends_after_its_timeout() {
    let mut sim = Simulation::connected();
    sim.session.disconnect(sim.now);
    sim.advance(connection::CLOSE_TIMEOUT);
    assert_eq!(sim.session.intent(), Intent::Finish);
}

#[test]
fn a_message_that_the_wire_cannot_carry_is_rejected_by_the_call() {
    let mut sim = Simulation::connected();
    let id = sim.joined("room");
    let broken = Payload::json(&std::collections::BTreeMap::from([((1, 2), 3)]));
    let pushed = sim.session.push(sim.now, id, "event", broken.clone(), None);
    assert!(matches!(pushed, Err(SendError::Encode(_))));
    let long = "e".repeat(256);
    let pushed = sim.session.push(sim.now, id, &long, Payload::binary(vec![1]), None);
    assert!(matches!(pushed, Err(SendError::Encode(_))));
    assert!(matches!(sim.session.open_channel(sim.now, "other", broken), Err(JoinError::Encode { .. })));
    assert_eq!(sim.sent(), [""; 0]);
}

#[test]
fn endless_timeouts_and_delays_do_not_elapse() {
    let mut settings = Settings { heartbeat: Duration::MAX, join_timeout: Duration::MAX, ..Settings::default() };
    settings.reconnect = Schedule::new([Duration::MAX]);
    let mut sim = Simulation::with(settings);
    sim.connect();
    let id = sim.joined("room");
    let reference = sim.session.push(sim.now, id, "event", Payload::empty(), Some(Duration::MAX)).unwrap();
    sim.advance(1_000_000 * SECOND);
    assert_eq!(sim.answer(reference), None);
    sim.lose_connection();
    sim.advance(1_000_000 * SECOND);
    assert_eq!(sim.session.intent(), Intent::Wait);
}

#[test]
fn wakers_of_tasks_that_stopped_watching_are_dropped() {
    struct Task;
    impl std::task::Wake for Task {
        fn wake(self: Arc<Self>) {}
    }
    let mut sim = Simulation::connected();
    let mut seen = None;
    assert!(sim.session.poll_state(&mut seen, &mut Context::from_waker(Waker::noop())).is_ready());
    for _ in 0..1000 {
        let waker = Waker::from(Arc::new(Task));
        assert!(sim.session.poll_state(&mut seen, &mut Context::from_waker(&waker)).is_pending());
        sim.session.take_wakes();
    }
    assert!(sim.session.watchers.len() <= connection::MAX_WATCHERS);
}

#[test]
fn a_close_with_1000_and_a_reason_is_final_and_one_without_a_reason_is_not() {
    let closed = |reason: &str| ConnectionError::Closed { code: Some(1000), reason: reason.to_owned() };
    let mut sim = Simulation::connected();
    let id = sim.joined("room");
    sim.session.connection_lost(sim.now, closed("banned"));
    assert_eq!(sim.session.intent(), Intent::Finish);
    assert!(matches!(sim.session.state(), ConnectionState::Closed));
    assert!(sim.session.last_error().unwrap().to_string().ends_with("with code 1000: banned"));
    assert_eq!(sim.events(id), [ChannelEvent::Closed(CloseReason::Disconnected)]);

    let mut sim = Simulation::connected();
    sim.session.connection_lost(sim.now, closed(""));
    assert_eq!(sim.session.intent(), Intent::Wait, "some servers close an idle connection in this way");
}

#[test]
fn clients_that_lost_the_same_server_retry_at_different_times() {
    let delays = |seed| {
        let mut sim = Simulation::with(Settings::default());
        sim.session = Session::new(Arc::new(Settings::default()), seed);
        sim.connect();
        let first_heartbeat = sim.session.deadline().unwrap() - sim.now;
        assert!((15 * SECOND..=30 * SECOND).contains(&first_heartbeat), "{first_heartbeat:?}");
        let id = sim.joined("room");
        sim.receive(r#"["1","1","room","phx_error",{}]"#);
        let rejoin = sim.session.deadline().unwrap() - sim.now;
        assert!((SECOND / 2..=SECOND * 3 / 2).contains(&rejoin), "{rejoin:?}");
        assert!(!sim.session.is_joined(id));
        sim.lose_connection();
        let reconnect = sim.retry();
        assert!((Duration::from_millis(5)..=Duration::from_millis(15)).contains(&reconnect), "{reconnect:?}");
        [first_heartbeat, rejoin, reconnect]
    };
    let ([heartbeat, rejoin, reconnect], other) = (delays(1), delays(2));
    assert!(heartbeat != other[0] && rejoin != other[1] && reconnect != other[2]);
}
