//! A property test: whatever users, server, network and clock do, the session keeps its promises.

use super::*;
use proptest::prelude::*;
use std::collections::HashMap;

const TOPICS: [&str; 3] = ["a", "b", "c"];

#[derive(Debug, Clone)]
enum Step {
    Open(usize),
    Push(usize, bool),
    Cancel(usize),
    Leave(usize),
    Release(usize),
    /// The server answers what it was asked, the oldest first or the newest first.
    Answer {
        status: &'static str,
        newest: bool,
    },
    Say(usize),
    End(usize, bool),
    Noise(Vec<u8>),
    Pass(u64),
    Connect(bool),
    Lose,
    Send,
}

fn step() -> impl Strategy<Value = Step> {
    let channel = 0usize..6;
    prop_oneof![
        3 => (0usize..3).prop_map(Step::Open),
        6 => (channel.clone(), any::<bool>()).prop_map(|(channel, awaited)| Step::Push(channel, awaited)),
        1 => (0usize..20).prop_map(Step::Cancel),
        1 => channel.clone().prop_map(Step::Leave),
        1 => channel.prop_map(Step::Release),
        6 => (prop_oneof![4 => Just("ok"), 1 => Just("error")], any::<bool>())
            .prop_map(|(status, newest)| Step::Answer { status, newest }),
        2 => (0usize..3).prop_map(Step::Say),
        2 => ((0usize..3), any::<bool>()).prop_map(|(topic, crash)| Step::End(topic, crash)),
        1 => proptest::collection::vec(any::<u8>(), 0..30).prop_map(Step::Noise),
        3 => (0u64..20_000).prop_map(Step::Pass),
        3 => prop_oneof![3 => Just(true), 1 => Just(false)].prop_map(Step::Connect),
        1 => Just(Step::Lose),
        6 => Just(Step::Send),
    ]
}

/// What the world knows.
#[derive(Default)]
struct World {
    channels: Vec<ChannelId>,
    released: Vec<ChannelId>,
    /// Requests that have no answer yet.
    awaited: Vec<u64>,
    /// By the number in its event, how often a push was sent.
    sent: HashMap<u64, u32>,
    pushed: u64,
    /// What the server has been asked: join ref, ref, topic.
    asked: Vec<[String; 3]>,
    /// The latest join of each topic, as the server knows it.
    joins: HashMap<String, String>,
    /// The last push that arrived of each join.
    order: HashMap<String, u64>,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn pushes_are_sent_at_most_once_in_order_and_each_gets_one_answer(
        steps in proptest::collection::vec(step(), 1..120),
    ) {
        let limit = QueueLimit { messages: 8, bytes: 4000 };
        let mut play = Play::with(Settings { push_buffer: limit, event_queue: limit, ..Settings::default() });
        let mut world = World::default();
        for step in steps {
            world.take(&mut play, step)?;
            let (pushes, bytes) = play.session.outbox.counted();
            prop_assert!(pushes <= 8 && bytes <= 4000);
            // A second answer would find the request gone, and stay pending.
            world.awaited.retain(|reference| play.answer(*reference).is_none());
        }
        // Whatever happened, it ends: everything is answered, nothing is kept.
        play.session.disconnect(play.now);
        play.sent();
        play.session.closed();
        for reference in &world.awaited {
            prop_assert!(play.answer(*reference).is_some(), "{} has no answer", reference);
        }
        for id in &world.channels {
            prop_assert!(play.has_ended(*id));
            play.session.release(play.now, *id);
        }
        prop_assert!(play.session.rooms.is_empty() && play.session.topics.is_empty());
        prop_assert!(play.session.deadlines.is_empty());
        prop_assert!(play.session.requests.is_empty());
        prop_assert_eq!(play.session.outbox.counted(), (0, 0));
    }
}

impl World {
    fn take(&mut self, play: &mut Play, step: Step) -> Result<(), TestCaseError> {
        let channel = |world: &Self, at: usize| world.channels.get(at).copied();
        match step {
            Step::Open(topic) => self.channels.push(play.open(TOPICS[topic])),
            Step::Push(at, awaited) => {
                let Some(id) = channel(self, at) else { return Ok(()) };
                self.pushed += 1;
                let timeout = awaited.then_some(10 * SECOND);
                let pushed = play.session.push(play.now, id, &self.pushed.to_string(), Payload::empty(), timeout);
                self.awaited.extend(pushed.ok().filter(|_| awaited));
            }
            Step::Cancel(at) => {
                if at < self.awaited.len() {
                    play.session.cancel(self.awaited.remove(at));
                }
            }
            Step::Leave(at) => {
                let left = channel(self, at).and_then(|id| play.session.leave(play.now, id));
                self.awaited.extend(left);
            }
            Step::Release(at) => {
                if let Some(id) = channel(self, at).filter(|id| !self.released.contains(id)) {
                    play.session.release(play.now, id);
                    self.released.push(id);
                }
            }
            Step::Answer { status, newest } => {
                if !self.asked.is_empty() {
                    let at = if newest { self.asked.len() - 1 } else { 0 };
                    let [join_ref, reference, topic] = self.asked.remove(at);
                    play.receive(&format!(
                        r#"["{join_ref}","{reference}","{topic}","phx_reply",{{"status":"{status}","response":{{}}}}]"#
                    ));
                }
            }
            Step::Say(topic) => play.receive(&format!(r#"[null,null,"{}","said",{{}}]"#, TOPICS[topic])),
            Step::End(topic, crash) => {
                if let Some(join_ref) = self.joins.get(TOPICS[topic]) {
                    let event = if crash { event::ERROR } else { event::CLOSE };
                    play.receive(&format!(r#"["{join_ref}","{join_ref}","{}","{event}",{{}}]"#, TOPICS[topic]));
                }
            }
            Step::Noise(bytes) => {
                play.receive(&String::from_utf8_lossy(&bytes));
                play.session.receive(play.now, Frame::Binary(&bytes));
            }
            Step::Pass(millis) => {
                play.pass(Duration::from_millis(millis));
                play.session.connecting();
            }
            Step::Connect(works) => {
                if matches!(play.session.intent(), Intent::Connect | Intent::KeepTrying) {
                    play.session.connecting();
                    match works {
                        true => play.session.opened(play.now, Carrier::WebSocket),
                        false => play.lose(),
                    }
                }
            }
            Step::Lose => {
                play.lose();
                self.asked.clear();
                self.joins.clear();
            }
            Step::Send => {
                for text in play.sent() {
                    self.arrive(&text)?;
                }
            }
        }
        Ok(())
    }

    /// The server gets a message.
    fn arrive(&mut self, text: &str) -> Result<(), TestCaseError> {
        let inbound = Serializer::V2.decode(Frame::Text(text)).expect("a message");
        let word = |reference: &bennu_protocol::Ref| reference.as_str().unwrap_or_default().to_owned();
        let topic = inbound.topic.as_str().unwrap_or_default().to_owned();
        let join_ref = word(&inbound.join_ref);
        let event = inbound.event.as_str().unwrap_or_default();
        if event == event::JOIN {
            self.joins.insert(topic.clone(), join_ref.clone());
        }
        if let Ok(number) = event.parse::<u64>() {
            let times = self.sent.entry(number).or_default();
            *times += 1;
            prop_assert_eq!(*times, 1, "push {} was sent again", number);
            let last = self.order.entry(format!("{topic} {join_ref}")).or_default();
            prop_assert!(*last < number, "push {} came after {}", number, *last);
            *last = number;
        }
        self.asked.push([join_ref, word(&inbound.reference), topic]);
        Ok(())
    }
}
