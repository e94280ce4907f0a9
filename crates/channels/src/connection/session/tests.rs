//! The rules of a session as transcripts of a client's messages and the session's actions.

use super::*;
use bennu_protocol::{Frame, Outbound, Serializer};
use std::collections::BTreeMap;

/// A session that has numbers for channels, and shows its actions as text.
struct Transcript {
    session: Session<u32>,
    opened: u32,
    /// Joins that were started, by channel.
    started: BTreeMap<u32, Join>,
}

impl Transcript {
    fn new() -> Self {
        Transcript::with_max_channels(100)
    }

    fn with_max_channels(max: usize) -> Self {
        Transcript { session: Session::new(max), opened: 0, started: BTreeMap::new() }
    }

    /// A V2 message from the client. Topics that begin with `room` have a route.
    fn receives(&mut self, message: &str) -> Vec<String> {
        let message = Serializer::V2.decode(Frame::Text(message)).expect("the test speaks V2");
        let opened = &mut self.opened;
        let actions = self.session.receive(message, |topic| {
            topic.starts_with("room").then(|| {
                *opened += 1;
                *opened
            })
        });
        self.show(actions)
    }

    /// The join of a channel succeeded.
    fn joined(&mut self, channel: u32) -> Vec<String> {
        let join = self.started[&channel].clone();
        let actions = self.session.joined(&join.id, join.reference, Payload::empty());
        self.show(actions)
    }

    /// The join of a channel was refused while these messages waited for it.
    fn refused(&mut self, channel: u32, waiting: &[&str]) -> Vec<String> {
        let messages = waiting.iter().map(|reference| Ref::text(*reference)).collect();
        self.refused_with(channel, Unanswered { messages, leave: None })
    }

    fn refused_with(&mut self, channel: u32, unanswered: Unanswered) -> Vec<String> {
        let join = self.started[&channel].clone();
        let response = Payload::json(&serde_json::json!({ "reason": "no" }));
        let actions = self.session.refused(&join.id, join.reference, response, unanswered);
        self.show(actions)
    }

    fn exited(&mut self, channel: u32, exit: Ended) -> Vec<String> {
        let actions = self.session.exited(&self.started[&channel].id.clone(), exit);
        self.show(actions)
    }

    fn close(&mut self) -> Vec<String> {
        let actions = self.session.close();
        self.show(actions)
    }

    /// Joins a topic and lets it succeed; returns the channel.
    fn join(&mut self, topic: &str, join_ref: &str) -> u32 {
        let channel = self.opened + 1;
        let message = format!(r#"["{join_ref}","{join_ref}","{topic}","phx_join",{{}}]"#);
        assert_eq!(self.receives(&message), [format!("start {channel} {topic}")]);
        assert_eq!(self.joined(channel).len(), 1);
        channel
    }

    fn show(&mut self, actions: Actions<u32>) -> Vec<String> {
        actions.into_iter().map(|action| self.show_one(action)).collect()
    }

    fn show_one(&mut self, action: Action<u32>) -> String {
        let mut frame = Vec::new();
        match action {
            Action::Reply(answer) => {
                let Answer { join_ref, reference, topic, status, payload } = &*answer;
                let reply = Outbound::Reply { join_ref, reference, topic, status, payload };
                Serializer::V2.encode(&reply, &mut frame).unwrap();
            }
            Action::End { join_ref, topic, exit } => {
                let event = if exit == Ended::Done { "phx_close" } else { "phx_error" };
                let payload = &Payload::empty();
                let end = Outbound::End { join_ref: &join_ref, topic: &topic, event, payload };
                Serializer::V2.encode(&end, &mut frame).unwrap();
            }
            Action::Start(channel, join) => {
                let shown = format!("start {channel} {}", join.id.topic);
                assert!(self.started.insert(channel, *join).is_none(), "channel {channel} starts once");
                return shown;
            }
            Action::Deliver(channel, message) => {
                let event = match message.event {
                    Event::Named(event) => event,
                    Event::NotText(_) => "not a string".into(),
                };
                return format!("deliver {channel} {event:?}");
            }
            Action::Stop(channel, End::Left(_)) => return format!("stop {channel} left"),
            Action::Stop(channel, End::Replaced) => return format!("stop {channel} replaced"),
            Action::Stop(channel, End::Closed) => return format!("stop {channel} closed"),
        }
        String::from_utf8(frame).unwrap()
    }
}

const NOTHING: [&str; 0] = [];

#[test]
fn a_heartbeat_is_answered_without_a_join_ref_whatever_its_own_refs_are() {
    let mut client = Transcript::new();
    let ok = |reference| [format!(r#"[null,{reference},"phoenix","phx_reply",{{"response":{{}},"status":"ok"}}]"#)];
    assert_eq!(client.receives(r#"[null,"1","phoenix","heartbeat",{}]"#), ok(r#""1""#));
    assert_eq!(client.receives(r#"["1","2","phoenix","heartbeat",null]"#), ok(r#""2""#));
    assert_eq!(client.receives(r#"[null,3,"phoenix","heartbeat",{"a":1}]"#), ok("3"));
    assert_eq!(client.receives(r#"[null,null,"phoenix","heartbeat",{}]"#), ok("null"));
}

fn unmatched_topic(reference: &str, topic: &str) -> [String; 1] {
    [format!(
        r#"[null,{reference},{topic},"phx_reply",{{"response":{{"reason":"unmatched topic"}},"status":"error"}}]"#
    )]
}

#[test]
fn heartbeat_is_reserved_on_the_topic_phoenix_only_and_nothing_else_is_known_there() {
    let mut client = Transcript::new();
    assert_eq!(client.receives(r#"[null,"1","room","heartbeat",{}]"#), unmatched_topic(r#""1""#, r#""room""#));
    assert_eq!(client.receives(r#"["1","2","phoenix","foo",{}]"#), unmatched_topic(r#""2""#, r#""phoenix""#));
    assert_eq!(client.receives(r#"["1","3","phoenix","phx_join",{}]"#), unmatched_topic(r#""3""#, r#""phoenix""#));
}

#[test]
fn a_message_to_a_topic_that_is_not_joined_and_a_join_without_a_route_are_unmatched() {
    let mut client = Transcript::new();
    assert_eq!(client.receives(r#"["1","2","room","ping",{}]"#), unmatched_topic(r#""2""#, r#""room""#));
    assert_eq!(client.receives(r#"[null,"2","","ping",{}]"#), unmatched_topic(r#""2""#, r#""""#));
    assert_eq!(client.receives(r#"["1","3","nosuch","phx_join",{}]"#), unmatched_topic(r#""3""#, r#""nosuch""#));
}

#[test]
fn a_topic_that_is_no_string_is_unmatched_and_echoed() {
    let mut client = Transcript::new();
    for topic in ["5", "null", "[]", "{}", "true"] {
        for event in ["ping", "phx_join", "phx_leave"] {
            let message = format!(r#"["3","3",{topic},"{event}",{{}}]"#);
            assert_eq!(client.receives(&message), unmatched_topic(r#""3""#, topic));
        }
    }
}

#[test]
fn a_join_starts_its_channel_with_its_params_and_answers_when_that_has_joined() {
    let mut client = Transcript::new();
    assert_eq!(client.receives(r#"["7","9","room","phx_join",{"a":1}]"#), ["start 1 room"]);
    let join = &client.started[&1];
    assert_eq!((&join.join_ref, &join.reference), (&Ref::text("7"), &Ref::text("9")));
    assert_eq!(join.params.as_json(), Some(r#"{"a":1}"#));
    assert_eq!(client.joined(1), [r#"["7","9","room","phx_reply",{"response":{},"status":"ok"}]"#]);
}

#[test]
fn messages_are_delivered_from_the_join_on_so_that_the_mailbox_keeps_their_order() {
    let mut client = Transcript::new();
    client.receives(r#"["1","1","room","phx_join",{}]"#);
    assert_eq!(client.receives(r#"["1","2","room","early",{}]"#), [r#"deliver 1 "early""#]);
    client.joined(1);
    assert_eq!(client.receives(r#"["1","3","room","late",{}]"#), [r#"deliver 1 "late""#]);
}

#[test]
fn an_event_that_is_no_string_is_for_the_channel_to_crash_on() {
    let mut client = Transcript::new();
    client.join("room", "1");
    assert_eq!(client.receives(r#"["1","2","room",5,{}]"#), [r#"deliver 1 "not a string""#]);
}

#[test]
fn a_stale_join_ref_is_dropped_and_a_null_one_reaches_the_channel() {
    let mut client = Transcript::new();
    client.join("room", "5");
    assert_eq!(client.receives(r#"["4","6","room","ping",{}]"#), NOTHING);
    assert_eq!(client.receives(r#"[5,"6","room","ping",{}]"#), NOTHING, "a number is not the string");
    assert_eq!(client.receives(r#"["","6","room","ping",{}]"#), NOTHING, "an empty string is not null");
    assert_eq!(client.receives(r#"[null,"7","room","ping",{}]"#), [r#"deliver 1 "ping""#]);
    assert_eq!(client.receives(r#"["4","8","room","phx_leave",{}]"#), NOTHING);
    assert_eq!(client.receives(r#"[null,"9","room","phx_leave",{}]"#), ["stop 1 left"]);
}

#[test]
fn a_channel_that_was_joined_without_a_join_ref_hears_messages_without_one_only() {
    let mut client = Transcript::new();
    client.receives(r#"[null,"1","room","phx_join",{}]"#);
    assert_eq!(client.joined(1), [r#"[null,"1","room","phx_reply",{"response":{},"status":"ok"}]"#]);
    assert_eq!(client.receives(r#"[null,"10","room","ping",{}]"#), [r#"deliver 1 "ping""#]);
    assert_eq!(client.receives(r#"["zz","12","room","ping",{}]"#), NOTHING);
    assert_eq!(client.exited(1, Ended::Crashed), [r#"[null,null,"room","phx_error",{}]"#]);
}

#[test]
fn a_refused_join_is_answered_then_the_messages_that_waited_for_it_and_the_topic_is_free() {
    let mut client = Transcript::new();
    client.receives(r#"["1","1","room","phx_join",{}]"#);
    assert_eq!(
        client.refused(1, &["2", "3"]),
        [
            r#"["1","1","room","phx_reply",{"response":{"reason":"no"},"status":"error"}]"#,
            &unmatched_topic(r#""2""#, r#""room""#)[0],
            &unmatched_topic(r#""3""#, r#""room""#)[0],
        ]
    );
    assert_eq!(client.receives(r#"["1","4","room","ping",{}]"#), unmatched_topic(r#""4""#, r#""room""#));
    assert_eq!(client.receives(r#"["5","5","room","phx_join",{}]"#), ["start 2 room"]);
}

#[test]
fn a_leave_stops_the_channel_and_phx_close_follows_its_end() {
    let mut client = Transcript::new();
    client.join("room", "1");
    assert_eq!(client.receives(r#"["1","2","room","phx_leave",{}]"#), ["stop 1 left"]);
    assert_eq!(client.exited(1, Ended::Done), [r#"["1","1","room","phx_close",{}]"#]);
    assert_eq!(client.receives(r#"["1","3","room","ping",{}]"#), unmatched_topic(r#""3""#, r#""room""#));
}

#[test]
fn after_a_leave_messages_and_a_second_leave_are_dropped_until_the_channel_has_ended() {
    let mut client = Transcript::new();
    client.join("room", "1");
    client.receives(r#"["1","2","room","phx_leave",{}]"#);
    assert_eq!(client.receives(r#"["1","3","room","ping",{}]"#), NOTHING);
    assert_eq!(client.receives(r#"["1","4","room","phx_leave",{}]"#), NOTHING);
}

#[test]
fn leaving_what_was_never_joined_succeeds_with_the_refs_of_the_message() {
    let mut client = Transcript::new();
    let ok = |refs, topic| [format!(r#"[{refs},"{topic}","phx_reply",{{"response":{{}},"status":"ok"}}]"#)];
    assert_eq!(client.receives(r#"["1","2","room","phx_leave",{}]"#), ok(r#""1","2""#, "room"));
    assert_eq!(client.receives(r#"["1","3","nosuch","phx_leave",{}]"#), ok(r#""1","3""#, "nosuch"));
    assert_eq!(client.receives(r#"[null,null,"phoenix","phx_leave",{}]"#), ok("null,null", "phoenix"));
}

#[test]
fn a_channel_that_crashes_ends_with_phx_error_and_can_be_joined_again() {
    let mut client = Transcript::new();
    client.join("room", "1");
    assert_eq!(client.exited(1, Ended::Crashed), [r#"["1","1","room","phx_error",{}]"#]);
    assert_eq!(client.receives(r#"["2","2","room","phx_join",{}]"#), ["start 2 room"]);
}

#[test]
fn a_second_join_waits_for_the_end_of_the_first_and_is_answered_before_its_phx_close() {
    let mut client = Transcript::new();
    client.join("room", "1");
    assert_eq!(client.receives(r#"["2","2","room","phx_join",{}]"#), ["stop 1 replaced"]);
    assert_eq!(client.exited(1, Ended::Done), ["start 2 room"]);
    assert_eq!(
        client.joined(2),
        [r#"["2","2","room","phx_reply",{"response":{},"status":"ok"}]"#, r#"["1","1","room","phx_close",{}]"#]
    );
    assert_eq!(client.receives(r#"["1","3","room","ping",{}]"#), NOTHING, "the old join_ref is stale");
    assert_eq!(client.receives(r#"["2","4","room","ping",{}]"#), [r#"deliver 2 "ping""#]);
}

#[test]
fn a_second_join_with_the_same_join_ref_is_a_join_of_its_own() {
    let mut client = Transcript::new();
    client.join("room", "1");
    assert_eq!(client.receives(r#"["1","1","room","phx_join",{}]"#), ["stop 1 replaced"]);
    assert_eq!(client.exited(1, Ended::Done), ["start 2 room"]);
    assert_eq!(client.joined(1), NOTHING, "a late word of the first join is not the second's");
    assert_eq!(client.exited(1, Ended::Crashed), NOTHING);
    assert_eq!(client.joined(2).len(), 2);
}

#[test]
fn a_second_join_that_is_refused_is_answered_before_the_phx_close_of_the_first() {
    let mut client = Transcript::new();
    client.join("room", "1");
    client.receives(r#"["2","2","room","phx_join",{}]"#);
    client.exited(1, Ended::Done);
    assert_eq!(
        client.refused(2, &[]),
        [
            r#"["2","2","room","phx_reply",{"response":{"reason":"no"},"status":"error"}]"#,
            r#"["1","1","room","phx_close",{}]"#
        ]
    );
}

#[test]
fn a_second_join_while_the_first_is_still_joining_lets_that_be_answered_first() {
    let mut client = Transcript::new();
    client.receives(r#"["1","1","room","phx_join",{}]"#);
    assert_eq!(client.receives(r#"["2","2","room","phx_join",{}]"#), ["stop 1 replaced"]);
    assert_eq!(client.joined(1), [r#"["1","1","room","phx_reply",{"response":{},"status":"ok"}]"#]);
    assert_eq!(client.exited(1, Ended::Done), ["start 2 room"]);
    assert_eq!(client.joined(2)[1], r#"["1","1","room","phx_close",{}]"#);
}

#[test]
fn a_second_join_starts_at_once_when_the_first_is_refused() {
    let mut client = Transcript::new();
    client.receives(r#"["1","1","room","phx_join",{}]"#);
    client.receives(r#"["2","2","room","phx_join",{}]"#);
    assert_eq!(
        client.refused(1, &[]),
        [r#"["1","1","room","phx_reply",{"response":{"reason":"no"},"status":"error"}]"#, "start 2 room"]
    );
    assert_eq!(client.joined(2).len(), 1, "what was never joined has no phx_close");
}

#[test]
fn a_first_join_that_crashes_while_it_is_replaced_says_so_before_the_second_starts() {
    let mut client = Transcript::new();
    client.join("room", "1");
    client.receives(r#"["2","2","room","phx_join",{}]"#);
    assert_eq!(client.exited(1, Ended::Crashed), [r#"["1","1","room","phx_error",{}]"#, "start 2 room"]);
    assert_eq!(client.joined(2).len(), 1);
}

#[test]
fn messages_for_a_join_that_waits_reach_it_and_none_reach_the_one_it_replaces() {
    let mut client = Transcript::new();
    client.join("room", "1");
    client.receives(r#"["2","2","room","phx_join",{}]"#);
    assert_eq!(client.receives(r#"["2","3","room","ping",{}]"#), [r#"deliver 2 "ping""#]);
    assert_eq!(client.receives(r#"[null,"4","room","ping",{}]"#), [r#"deliver 2 "ping""#]);
    assert_eq!(client.receives(r#"["1","5","room","ping",{}]"#), NOTHING);
}

#[test]
fn a_third_join_overtakes_a_second_that_still_waits_which_is_closed_without_having_begun() {
    let mut client = Transcript::new();
    client.join("room", "1");
    assert_eq!(client.receives(r#"["2","2","room","phx_join",{}]"#), ["stop 1 replaced"]);
    assert_eq!(client.receives(r#"["3","3","room","phx_join",{}]"#), [r#"["2","2","room","phx_close",{}]"#]);
    assert_eq!(client.receives(r#"["2","4","room","ping",{}]"#), NOTHING);
    assert_eq!(client.receives(r#"["3","5","room","ping",{}]"#), [r#"deliver 3 "ping""#]);
    assert_eq!(client.exited(1, Ended::Done), ["start 3 room"]);
    assert_eq!(
        client.joined(3),
        [r#"["3","3","room","phx_reply",{"response":{},"status":"ok"}]"#, r#"["1","1","room","phx_close",{}]"#]
    );
}

#[test]
fn a_leave_while_a_second_join_waits_takes_that_back() {
    let mut client = Transcript::new();
    client.join("room", "1");
    client.receives(r#"["2","2","room","phx_join",{}]"#);
    assert_eq!(client.receives(r#"["1","3","room","phx_leave",{}]"#), NOTHING, "the first is over already");
    assert_eq!(
        client.receives(r#"["2","4","room","phx_leave",{}]"#),
        [r#"["2","4","room","phx_reply",{"response":{},"status":"ok"}]"#, r#"["2","2","room","phx_close",{}]"#]
    );
    assert_eq!(client.exited(1, Ended::Done), [r#"["1","1","room","phx_close",{}]"#]);
    assert_eq!(client.receives(r#"["5","5","room","phx_join",{}]"#), ["start 3 room"]);
}

#[test]
fn a_join_after_a_leave_waits_and_the_old_channel_is_closed_before_the_new_one_is_answered() {
    let mut client = Transcript::new();
    client.join("room", "1");
    assert_eq!(client.receives(r#"["1","2","room","phx_leave",{}]"#), ["stop 1 left"]);
    assert_eq!(client.receives(r#"["3","3","room","phx_join",{}]"#), NOTHING, "it was told to end already");
    assert_eq!(client.receives(r#"["3","4","room","ping",{}]"#), [r#"deliver 2 "ping""#]);
    assert_eq!(client.exited(1, Ended::Done), [r#"["1","1","room","phx_close",{}]"#, "start 2 room"]);
    assert_eq!(client.joined(2), [r#"["3","3","room","phx_reply",{"response":{},"status":"ok"}]"#]);
}

#[test]
fn a_leave_while_joining_stops_the_join() {
    let mut client = Transcript::new();
    client.receives(r#"["1","1","room","phx_join",{}]"#);
    assert_eq!(client.receives(r#"["1","2","room","phx_leave",{}]"#), ["stop 1 left"]);
    assert_eq!(client.joined(1), [r#"["1","1","room","phx_reply",{"response":{},"status":"ok"}]"#]);
    assert_eq!(client.exited(1, Ended::Done), [r#"["1","1","room","phx_close",{}]"#]);
}

#[test]
fn a_leave_that_waited_for_a_join_that_is_refused_succeeds_after_the_refusal() {
    let mut client = Transcript::new();
    client.receives(r#"["1","1","room","phx_join",{}]"#);
    assert_eq!(client.receives(r#"["1","2","room","ping",{}]"#), [r#"deliver 1 "ping""#]);
    assert_eq!(client.receives(r#"["1","3","room","phx_leave",{}]"#), ["stop 1 left"]);
    assert_eq!(
        client.refused_with(1, Unanswered { messages: vec![Ref::text("2")], leave: Some(Ref::text("3")) }),
        [
            r#"["1","1","room","phx_reply",{"response":{"reason":"no"},"status":"error"}]"#,
            &unmatched_topic(r#""2""#, r#""room""#)[0],
            r#"["1","3","room","phx_reply",{"response":{},"status":"ok"}]"#,
        ]
    );
}

#[test]
fn past_the_most_channels_a_join_is_refused_until_one_has_ended() {
    let mut client = Transcript::with_max_channels(2);
    client.join("room:1", "1");
    client.join("room:2", "2");
    let refused = |n| {
        format!(
            r#"["{n}","{n}","room:3","phx_reply",{{"response":{{"reason":"too many channels joined"}},"status":"error"}}]"#
        )
    };
    assert_eq!(client.receives(r#"["3","3","room:3","phx_join",{}]"#), [refused(3)]);
    assert_eq!(client.receives(r#"["4","4","nosuch","phx_join",{}]"#), unmatched_topic(r#""4""#, r#""nosuch""#));
    assert_eq!(client.receives(r#"["5","5","room:2","phx_join",{}]"#), ["stop 2 replaced"], "no new place is needed");
    client.receives(r#"["1","6","room:1","phx_leave",{}]"#);
    assert_eq!(client.receives(r#"["7","7","room:3","phx_join",{}]"#), [refused(7)], "it has not ended yet");
    client.exited(1, Ended::Done);
    assert!(client.receives(r#"["8","8","room:3","phx_join",{}]"#)[0].starts_with("start"));
}

#[test]
fn a_topic_over_the_limit_is_refused_with_its_length_and_the_limit() {
    let mut client = Transcript::new();
    let longest = "room".to_owned() + &"x".repeat(1020);
    assert_eq!(client.receives(&format!(r#"["1","1","{longest}","phx_join",{{}}]"#)), [format!("start 1 {longest}")]);
    let answer = client.receives(&format!(r#"["2","2","{longest}x","phx_join",{{}}]"#));
    assert!(answer[0].starts_with(r#"["2","2","roomx"#));
    assert!(
        answer[0].ends_with(
            r#""phx_reply",{"response":{"reason":"topic of 1025 bytes, the limit is 1024"},"status":"error"}]"#
        ),
        "{answer:?}"
    );
}

#[test]
fn refs_over_the_limit_are_refused_in_a_join_since_they_would_be_kept_and_echoed_elsewhere() {
    let mut client = Transcript::new();
    let long = "9".repeat(1025);
    for (refs, what) in [(format!(r#""{long}","1""#), "join_ref"), (format!(r#"null,{long}"#), "ref")] {
        let refused = format!(r#"{{"reason":"{what} of 1025 bytes, the limit is 1024"}}"#);
        assert_eq!(
            client.receives(&format!(r#"[{refs},"room","phx_join",{{}}]"#)),
            [format!(r#"[{refs},"room","phx_reply",{{"response":{refused},"status":"error"}}]"#)]
        );
    }
    assert_eq!(client.receives(&format!(r#"[null,{long},"room","ping",{{}}]"#)), unmatched_topic(&long, r#""room""#));
}

#[test]
fn closing_tells_every_channel_and_after_it_nothing_is_said() {
    let mut client = Transcript::new();
    client.join("room:1", "1");
    client.receives(r#"["2","2","room:2","phx_join",{}]"#);
    client.join("room:3", "3");
    client.receives(r#"["4","4","room:3","phx_join",{}]"#);
    assert_eq!(client.close(), ["stop 1 closed", "stop 2 closed", "stop 3 closed"]);
    assert_eq!(client.joined(2), NOTHING);
    assert_eq!(client.exited(1, Ended::Done), NOTHING);
    assert_eq!(client.exited(2, Ended::Crashed), NOTHING);
    assert_eq!(client.exited(3, Ended::Done), NOTHING, "the join that waited does not start");
    assert!(client.session.channels.is_empty());
}

#[test]
fn a_message_that_comes_after_the_end_of_the_connection_leads_to_nothing() {
    let mut client = Transcript::new();
    client.join("room", "1");
    client.close();
    for message in [
        r#"["2","2","room:2","phx_join",{}]"#,
        r#"["3","3","room","phx_join",{}]"#,
        r#"["1","4","room","ping",{}]"#,
        r#"["1","5","room","phx_leave",{}]"#,
        r#"[null,"6","phoenix","heartbeat",{}]"#,
    ] {
        assert_eq!(client.receives(message), NOTHING, "{message}");
    }
    client.exited(1, Ended::Done);
    assert!(client.session.channels.is_empty(), "nothing is left that nobody would end");
}

#[test]
fn a_session_whose_channels_have_all_ended_keeps_no_table() {
    let mut client = Transcript::new();
    for n in 1..=20 {
        client.join(&format!("room:{n}"), &n.to_string());
    }
    for n in 1..=20 {
        client.exited(n, Ended::Done);
    }
    assert_eq!(client.session.channels.capacity(), 0);
}

mod model;
