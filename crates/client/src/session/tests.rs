//! The session against a server that the test plays by hand; time is what the test says.

use super::*;
use crate::{End, Event, Interruption, JoinError, Message, Payload, PushError, QueueLimit, Reply, Status};
use bennu_protocol::{Inbound, Serializer, event};
use serde_json::json;

mod model;

const SECOND: Duration = Duration::from_secs(1);

/// A session, its clock, and the messages that it sent.
struct Play {
    session: Session,
    now: Instant,
}

impl Play {
    fn new() -> Self {
        Play::with(Settings { jitter: 0.0, ..Settings::default() })
    }

    fn with(settings: Settings) -> Self {
        Play { session: Session::new(Arc::new(settings), 7), now: Instant::now() }
    }

    fn connected() -> Self {
        let mut play = Play::new();
        play.connect();
        play
    }

    fn connect(&mut self) {
        assert_eq!(self.session.intent(), Intent::Connect);
        self.session.connecting();
        self.session.opened(self.now, Carrier::WebSocket);
    }

    fn open(&mut self, topic: &str) -> ChannelId {
        self.session.open(self.now, topic, Payload::empty()).unwrap()
    }

    /// A channel that is joined.
    fn joined(&mut self, topic: &str) -> ChannelId {
        let id = self.open(topic);
        self.admit(topic);
        assert_eq!(self.events(id), [Event::Joined(Payload::empty())]);
        id
    }

    /// Answers the join that must be the next message.
    fn admit(&mut self, topic: &str) {
        let [join] = &self.sent()[..] else { panic!("one join is due") };
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

    /// All that is to be sent now.
    fn sent(&mut self) -> Vec<String> {
        std::iter::from_fn(|| {
            let mut frame = Vec::new();
            self.session.transmit(&mut frame)?;
            Some(String::from_utf8(frame).unwrap())
        })
        .collect()
    }

    fn push(&mut self, id: ChannelId, event: &str) -> Result<u64, PushError> {
        self.session.push(self.now, id, event, Payload::empty(), Some(10 * SECOND))
    }

    fn answer(&mut self, reference: u64) -> Option<Result<Reply, PushError>> {
        match self.session.poll_reply(reference, &mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => Some(answer),
            Poll::Pending => None,
        }
    }

    fn events(&mut self, id: ChannelId) -> Vec<Event> {
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

    /// Lets time pass, deadline by deadline.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(deadline) = self.session.deadline().filter(|deadline| *deadline <= end) {
            self.now = deadline.max(self.now);
            self.session.elapsed(self.now);
        }
        self.now = end;
    }

    fn lose(&mut self) {
        self.session.lost(self.now, Lost::SessionGone);
    }

    /// How long until the next attempt, which is then due.
    fn retry(&mut self) -> Duration {
        assert_eq!(self.session.intent(), Intent::Wait);
        let delay = self.session.deadline().unwrap() - self.now;
        self.pass(delay);
        assert_eq!(self.session.intent(), Intent::Connect);
        delay
    }
}

/// The two refs of a message, if it is this one.
fn read(text: &str, topic: &str, event: &str) -> Option<[String; 2]> {
    let inbound: Inbound<'_> = Serializer::V2.decode(Frame::Text(text)).unwrap();
    let is_it = inbound.topic.as_str() == Some(topic) && inbound.event.as_str() == Some(event);
    let text = |reference: &bennu_protocol::Ref| reference.as_str().unwrap_or_default().to_owned();
    is_it.then(|| [text(&inbound.join_ref), text(&inbound.reference)])
}

fn message(event: &str, join: u32) -> Event {
    Event::Message(Message { event: event.to_owned(), payload: Payload::empty(), join })
}

#[test]
fn a_push_is_answered_once_by_its_ref() {
    let mut play = Play::connected();
    let id = play.joined("room");
    let [one, two] = ["one", "two"].map(|event| play.push(id, event).unwrap());
    assert_eq!(play.sent(), [r#"["1","2","room","one",{}]"#, r#"["1","3","room","two",{}]"#]);
    play.reply(two, "error");
    play.reply(two, "ok");
    assert_eq!(play.answer(one), None);
    let reply = play.answer(two).unwrap().unwrap();
    assert_eq!((reply.status, reply.payload), (Status::Error, Payload::json(&json!({ "n": 3 }))));
    play.pass(9 * SECOND);
    assert_eq!(play.answer(one), None);
    play.pass(SECOND);
    assert_eq!(play.answer(one), Some(Err(PushError::Timeout { event: "one".to_owned(), after: 10 * SECOND })));
    assert!(play.session.requests.is_empty() && play.session.deadlines.is_empty());
}

#[test]
fn pushes_made_before_the_join_is_answered_are_sent_after_it_in_order_and_a_late_one_not_at_all() {
    let mut play = Play::new();
    let id = play.open("room");
    let late = play.session.push(play.now, id, "late", Payload::empty(), Some(SECOND)).unwrap();
    play.push(id, "awaited").unwrap();
    play.session.push(play.now, id, "sent", Payload::empty(), None).unwrap();
    play.pass(2 * SECOND);
    assert!(matches!(play.answer(late), Some(Err(PushError::Timeout { .. }))));
    play.connect();
    assert_eq!(play.session.outbox.counted().0, 2);
    play.admit("room");
    let sent = play.sent();
    assert!(read(&sent[0], "room", "awaited").is_some() && read(&sent[1], "room", "sent").is_some(), "{sent:?}");
    assert_eq!((sent.len(), play.session.outbox.counted()), (2, (0, 0)));
}

#[test]
fn a_full_buffer_refuses_at_once_and_names_the_limits() {
    let limit = QueueLimit { messages: 2, bytes: 10_000 };
    let mut play = Play::with(Settings { push_buffer: limit, ..Settings::default() });
    let id = play.open("room");
    assert!(play.push(id, "a").is_ok() && play.push(id, "b").is_ok());
    let bytes = 2 * (128 + 1 + 2);
    let full = PushError::BufferFull { messages: 2, bytes, max_messages: 2, max_bytes: 10_000 };
    assert_eq!(play.push(id, "c"), Err(full));
    play.connect();
    play.admit("room");
    assert_eq!(play.sent().len(), 2);
    assert!(play.push(id, "c").is_ok());
}

#[test]
fn a_push_that_nobody_waits_for_any_more_is_not_sent() {
    let mut play = Play::connected();
    let id = play.joined("room");
    let reference = play.push(id, "regretted").unwrap();
    play.session.cancel(reference);
    assert_eq!(play.sent(), [""; 0]);
    assert_eq!(play.session.outbox.counted(), (0, 0));
}

#[test]
fn a_lost_connection_fails_what_was_sent_keeps_what_was_not_and_rejoins_on_the_next() {
    let mut play = Play::connected();
    let id = play.joined("room");
    let sent = play.push(id, "sent").unwrap();
    play.sent();
    play.push(id, "kept").unwrap();
    play.lose();
    play.push(id, "later").unwrap();
    assert_eq!(play.answer(sent), Some(Err(PushError::ConnectionLost { event: "sent".to_owned() })));
    assert_eq!(play.events(id), [Event::Interrupted(Interruption::ConnectionLost)]);
    assert_eq!(play.sent(), [""; 0]);
    assert_eq!(play.retry(), Duration::from_millis(10));
    play.connect();
    play.admit("room");
    assert_eq!(play.events(id), [Event::Joined(Payload::empty())]);
    let sent = play.sent();
    assert!(read(&sent[0], "room", "kept").is_some() && read(&sent[1], "room", "later").is_some(), "{sent:?}");
}

#[test]
fn attempts_follow_phoenixs_schedule_which_begins_anew_once_the_server_has_spoken() {
    let mut play = Play::connected();
    let expected = [10, 50, 100, 150, 200, 250, 500, 1000, 2000, 5000, 5000];
    for millis in expected {
        play.lose();
        assert_eq!(play.retry(), Duration::from_millis(millis));
        // A server that accepts and hangs up at once is not asked every 10 ms.
        play.connect();
    }
    play.receive(r#"[null,null,"room","said",{}]"#);
    play.lose();
    assert_eq!(play.retry(), Duration::from_millis(10));
}

#[test]
fn a_crashed_channel_is_joined_again_by_the_schedule_and_its_pushes_fail() {
    let mut play = Play::connected();
    let id = play.joined("room");
    let reference = play.push(id, "raise").unwrap();
    play.sent();
    play.receive(r#"["1","1","room","phx_error",{"reason":"channel_crash"}]"#);
    let reason = Payload::json(&json!({ "reason": "channel_crash" }));
    assert_eq!(play.events(id), [Event::Interrupted(Interruption::Crashed(reason))]);
    assert_eq!(play.answer(reference), Some(Err(PushError::Crashed { event: "raise".to_owned() })));
    let waits = play.push(id, "waits").unwrap();
    for seconds in [1, 2, 5, 10, 10] {
        play.pass(SECOND * seconds - Duration::from_millis(1));
        assert!(play.sent().iter().all(|message| read(message, "phoenix", event::HEARTBEAT).is_some()));
        play.pass(Duration::from_millis(1));
        let sent = play.sent();
        let [join_ref, _] = sent.iter().find_map(|message| read(message, "room", event::JOIN)).expect("a join");
        // Refused: the schedule goes on.
        play.receive(&format!(
            r#"["{join_ref}","{join_ref}","room","phx_reply",{{"status":"error","response":{{}}}}]"#
        ));
        assert_eq!(play.events(id), [Event::Refused(Payload::empty())]);
    }
    assert!(matches!(play.answer(waits), Some(Err(PushError::Timeout { .. }))));
}

#[test]
fn a_join_that_is_not_answered_is_left_and_tried_again() {
    let mut play = Play::connected();
    let id = play.open("room");
    assert_eq!(play.sent(), [r#"["1","1","room","phx_join",{}]"#]);
    play.pass(10 * SECOND);
    assert_eq!(play.events(id), [Event::Interrupted(Interruption::JoinTimedOut)]);
    assert_eq!(play.sent(), [r#"["1","2","room","phx_leave",{}]"#]);
    // The server was only slow: what it says of the leave is no end.
    play.receive(r#"["1","2","room","phx_reply",{"status":"ok","response":{}}]"#);
    play.receive(r#"["1","1","room","phx_close",{}]"#);
    assert_eq!(play.events(id), []);
    play.pass(SECOND);
    assert_eq!(play.sent(), [r#"["3","3","room","phx_join",{}]"#]);
    // The answer to the first join comes late: it is none to the second.
    play.receive(r#"["1","1","room","phx_reply",{"status":"ok","response":{}}]"#);
    assert!(!play.session.is_joined(id));
    play.receive(r#"["3","3","room","phx_reply",{"status":"ok","response":{}}]"#);
    assert!(play.session.is_joined(id));
}

#[test]
fn a_join_without_a_connection_times_out_too_and_stays_wanted() {
    let mut play = Play::new();
    let id = play.open("room");
    play.pass(10 * SECOND);
    assert_eq!(play.events(id), [Event::Interrupted(Interruption::JoinTimedOut)]);
    play.connect();
    play.admit("room");
    assert!(play.session.is_joined(id));
}

#[test]
fn messages_of_an_earlier_join_are_dropped_and_broadcasts_are_everybodys() {
    let mut play = Play::connected();
    let id = play.open("room");
    play.sent();
    play.receive(r#"[null,null,"room","early",{}]"#);
    play.receive(r#"["1","1","room","phx_reply",{"status":"ok","response":{}}]"#);
    play.receive(r#"["0",null,"room","stale",{}]"#);
    play.receive(r#"["1",null,"room","pushed",{}]"#);
    play.receive(r#"[null,null,"other","said",{}]"#);
    play.receive(r#"[null,null,"room","said",{}]"#);
    let expected = [message("early", 1), Event::Joined(Payload::empty()), message("pushed", 1), message("said", 1)];
    assert_eq!(play.events(id), expected);
}

#[test]
fn what_is_no_message_is_dropped_and_the_connection_goes_on() {
    let mut play = Play::connected();
    let id = play.joined("room");
    for text in ["", "[", "{}", "[1,2,3]", r#"["1","1","room","phx_reply",7]"#, r#"[[],{},3,4,5]"#] {
        play.receive(text);
    }
    play.session.receive(play.now, Frame::Binary(&[9, 1, 2, 3]));
    play.session.receive(play.now, Frame::Binary(&[]));
    play.receive(r#"[null,null,"room","said",{}]"#);
    assert_eq!(play.events(id), [message("said", 1)]);
    assert_eq!(play.session.intent(), Intent::Keep);
}

#[test]
fn leaving_waits_for_the_answer_and_closes() {
    let mut play = Play::connected();
    let id = play.joined("room");
    play.session.push(play.now, id, "last", Payload::empty(), None).unwrap();
    let reference = play.session.leave(play.now, id).unwrap();
    assert!(matches!(play.push(id, "after"), Err(PushError::Closed { topic }) if topic == "room"));
    assert_eq!(play.sent(), [r#"["1","2","room","last",{}]"#, r#"["1","3","room","phx_leave",{}]"#]);
    play.reply(reference, "ok");
    play.receive(r#"["1","1","room","phx_close",{}]"#);
    assert!(matches!(play.answer(reference), Some(Ok(_))));
    assert_eq!(play.events(id), [Event::Closed(End::Left)]);
    assert!(play.has_ended(id));
    play.session.release(play.now, id);
    assert!(play.session.rooms.is_empty() && play.session.requests.is_empty() && play.session.topics.is_empty());
}

#[test]
fn a_leave_that_is_not_answered_is_over_after_its_time() {
    let mut play = Play::connected();
    let id = play.joined("room");
    play.session.release(play.now, id);
    assert_eq!(play.sent().len(), 1);
    play.pass(10 * SECOND);
    assert!(play.session.rooms.is_empty() && play.session.requests.is_empty() && play.session.deadlines.is_empty());
}

#[test]
fn the_server_closes_a_channel_for_good() {
    let mut play = Play::connected();
    let id = play.joined("room");
    let reference = play.push(id, "stop").unwrap();
    play.sent();
    play.receive(r#"["1","1","room","phx_close",{}]"#);
    assert_eq!(play.events(id), [Event::Closed(End::Closed)]);
    assert_eq!(play.answer(reference), Some(Err(PushError::Closed { topic: "room".to_owned() })));
    play.lose();
    play.retry();
    play.connect();
    assert_eq!(play.sent(), [""; 0]);
}

#[test]
fn the_same_topic_once_more_replaces_the_first() {
    let mut play = Play::connected();
    let first = play.joined("room");
    let second = play.open("room");
    assert_eq!(play.events(first), [Event::Closed(End::Replaced)]);
    assert_eq!(play.sent(), [r#"["1","2","room","phx_leave",{}]"#, r#"["3","3","room","phx_join",{}]"#]);
    // What the server says of the first does not concern the second.
    play.receive(r#"["1","2","room","phx_reply",{"status":"ok","response":{}}]"#);
    play.receive(r#"["1","1","room","phx_close",{}]"#);
    play.receive(r#"["3","3","room","phx_reply",{"status":"ok","response":{}}]"#);
    assert!(play.session.is_joined(second));
    play.session.release(play.now, first);
    assert_eq!(play.sent(), [""; 0]);
}

#[test]
fn heartbeats_go_on_while_they_are_answered_and_a_silent_server_is_given_up() {
    let mut play = Play::connected();
    play.pass(30 * SECOND);
    assert_eq!(play.sent(), [r#"[null,"1","phoenix","heartbeat",{}]"#]);
    play.receive(r#"[null,"1","phoenix","phx_reply",{"status":"ok","response":{}}]"#);
    play.pass(30 * SECOND);
    assert_eq!(play.sent(), [r#"[null,"2","phoenix","heartbeat",{}]"#]);
    play.pass(30 * SECOND - Duration::from_nanos(1));
    assert_eq!(play.session.intent(), Intent::Keep);
    play.pass(Duration::from_nanos(1));
    assert_eq!(play.session.intent(), Intent::Wait);
    let ConnectionState::Waiting { cause, .. } = play.session.state() else { panic!("waits") };
    assert!(matches!(*cause, Lost::Silent { .. }));
}

#[test]
fn long_poll_has_no_heartbeats() {
    let mut play = Play::new();
    play.session.connecting();
    play.session.opened(play.now, Carrier::LongPoll);
    assert_eq!(play.session.deadline(), None);
}

#[test]
fn the_first_failure_is_told_even_when_the_next_attempt_has_begun() {
    let mut play = Play::new();
    play.session.connecting();
    let refused = ConnectError::Refused { status: 403, body: "no".to_owned() };
    play.session.lost(play.now, Lost::Attempt(refused));
    play.retry();
    let first = play.session.poll_first(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(first, Poll::Ready(Err(ConnectError::Refused { status: 403, .. }))));
}

#[test]
fn disconnecting_sends_what_waits_ends_channels_and_never_comes_back() {
    let mut play = Play::connected();
    let id = play.joined("room");
    play.session.push(play.now, id, "last", Payload::empty(), None).unwrap();
    play.session.disconnect(play.now);
    assert_eq!(play.session.intent(), Intent::Close);
    assert_eq!(play.sent(), [r#"["1","2","room","last",{}]"#]);
    assert_eq!(play.events(id), [Event::Closed(End::Disconnected)]);
    let after = play.open("other");
    assert_eq!(play.events(after), [Event::Closed(End::Disconnected)]);
    play.session.lost(play.now, Lost::Disconnected);
    assert_eq!(play.session.intent(), Intent::Finish);
    assert_eq!(play.session.deadline(), None);
}

#[test]
fn a_server_that_does_not_answer_the_close_is_not_waited_for() {
    let mut play = Play::connected();
    play.session.disconnect(play.now);
    play.pass(CLOSE_TIMEOUT);
    assert_eq!(play.session.intent(), Intent::Finish);
}

#[test]
fn what_the_wire_cannot_carry_is_refused_where_it_is_given() {
    let mut play = Play::connected();
    let id = play.joined("room");
    let broken = Payload::json(&std::collections::BTreeMap::from([((1, 2), 3)]));
    let pushed = play.session.push(play.now, id, "event", broken.clone(), None);
    assert!(matches!(pushed, Err(PushError::Unsendable(_))));
    let long = "e".repeat(256);
    let pushed = play.session.push(play.now, id, &long, Payload::binary(vec![1]), None);
    assert!(matches!(pushed, Err(PushError::Unsendable(_))));
    assert!(matches!(play.session.open(play.now, "other", broken), Err(JoinError::Unsendable { .. })));
    assert_eq!(play.sent(), [""; 0]);
}

#[test]
fn what_shall_wait_for_ever_does() {
    let mut settings = Settings { heartbeat: Duration::MAX, join_timeout: Duration::MAX, ..Settings::default() };
    settings.reconnect = Schedule::new([Duration::MAX]);
    let mut play = Play::with(settings);
    play.connect();
    let id = play.joined("room");
    let reference = play.session.push(play.now, id, "event", Payload::empty(), Some(Duration::MAX)).unwrap();
    play.pass(1_000_000 * SECOND);
    assert_eq!(play.answer(reference), None);
    play.lose();
    play.pass(1_000_000 * SECOND);
    assert_eq!(play.session.intent(), Intent::Wait);
}

#[test]
fn tasks_that_have_stopped_watching_are_not_kept_for_ever() {
    struct Task;
    impl std::task::Wake for Task {
        fn wake(self: Arc<Self>) {}
    }
    let mut play = Play::connected();
    let mut seen = None;
    assert!(play.session.poll_state(&mut seen, &mut Context::from_waker(Waker::noop())).is_ready());
    for _ in 0..1000 {
        let waker = Waker::from(Arc::new(Task));
        assert!(play.session.poll_state(&mut seen, &mut Context::from_waker(&waker)).is_pending());
        play.session.take_wakes();
    }
    assert!(play.session.watchers.len() <= MAX_WATCHERS);
}

#[test]
fn a_close_with_1000_and_a_reason_is_final_and_one_without_a_reason_is_not() {
    let closed = |reason: &str| Lost::Closed { code: Some(1000), reason: reason.to_owned() };
    let mut play = Play::connected();
    let id = play.joined("room");
    play.session.lost(play.now, closed("banned"));
    assert_eq!(play.session.intent(), Intent::Finish);
    assert!(matches!(play.session.state(), ConnectionState::Closed));
    assert!(play.session.last_lost().unwrap().to_string().ends_with("with code 1000: banned"));
    assert_eq!(play.events(id), [Event::Closed(End::Disconnected)]);

    let mut play = Play::connected();
    play.session.lost(play.now, closed(""));
    assert_eq!(play.session.intent(), Intent::Wait, "some servers close an idle connection in this way");
}

#[test]
fn clients_that_lost_the_same_server_do_not_come_back_in_step() {
    let delays = |seed| {
        let mut play = Play::with(Settings::default());
        play.session = Session::new(Arc::new(Settings::default()), seed);
        play.connect();
        let first_beat = play.session.deadline().unwrap() - play.now;
        assert!((15 * SECOND..=30 * SECOND).contains(&first_beat), "{first_beat:?}");
        let id = play.joined("room");
        play.receive(r#"["1","1","room","phx_error",{}]"#);
        let rejoin = play.session.deadline().unwrap() - play.now;
        assert!((SECOND / 2..=SECOND * 3 / 2).contains(&rejoin), "{rejoin:?}");
        assert!(!play.session.is_joined(id));
        play.lose();
        let reconnect = play.retry();
        assert!((Duration::from_millis(5)..=Duration::from_millis(15)).contains(&reconnect), "{reconnect:?}");
        [first_beat, rejoin, reconnect]
    };
    let ([beat, rejoin, reconnect], other) = (delays(1), delays(2));
    assert!(beat != other[0] && rejoin != other[1] && reconnect != other[2]);
}
