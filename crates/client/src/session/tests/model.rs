//! A property test: the session keeps its invariants under any sequence of calls, messages, losses and times.

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
    /// The server replies to its oldest or its newest message.
    Reply {
        status: &'static str,
        newest: bool,
    },
    Broadcast(usize),
    End(usize, bool),
    InvalidFrame(Vec<u8>),
    Advance(u64),
    Connect(bool),
    LoseConnection,
    Transmit,
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
            .prop_map(|(status, newest)| Step::Reply { status, newest }),
        2 => (0usize..3).prop_map(Step::Broadcast),
        2 => ((0usize..3), any::<bool>()).prop_map(|(topic, crash)| Step::End(topic, crash)),
        1 => proptest::collection::vec(any::<u8>(), 0..30).prop_map(Step::InvalidFrame),
        3 => (0u64..20_000).prop_map(Step::Advance),
        3 => prop_oneof![3 => Just(true), 1 => Just(false)].prop_map(Step::Connect),
        1 => Just(Step::LoseConnection),
        6 => Just(Step::Transmit),
    ]
}

/// The user's and the server's view of the session.
#[derive(Default)]
struct Model {
    channels: Vec<ChannelId>,
    released: Vec<ChannelId>,
    /// Requests without an answer.
    pending: Vec<u64>,
    /// How often each push was sent, by the number in its event.
    sent: HashMap<u64, u32>,
    pushed: u64,
    /// The server's messages without a reply: join ref, ref, topic.
    received: Vec<[String; 3]>,
    /// The server's latest join ref of each topic.
    joins: HashMap<String, String>,
    /// The latest push that arrived with each join.
    order: HashMap<String, u64>,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn pushes_are_sent_at_most_once_in_order_and_each_gets_one_answer(
        steps in proptest::collection::vec(step(), 1..120),
    ) {
        let limit = QueueLimit { messages: 8, bytes: 4000 };
        let mut sim = Simulation::with(Settings { push_buffer: limit, event_queue: limit, ..Settings::default() });
        let mut model = Model::default();
        for step in steps {
            model.apply(&mut sim, step)?;
            let (pushes, bytes) = sim.session.outbox.counted();
            prop_assert!(pushes <= 8 && bytes <= 4000);
            // A request that was answered is removed, so a second answer would stay pending.
            model.pending.retain(|reference| sim.answer(*reference).is_none());
        }
        // At the end every request has an answer, and nothing is left.
        sim.session.disconnect(sim.now);
        sim.sent();
        sim.session.connection_closed();
        for reference in &model.pending {
            prop_assert!(sim.answer(*reference).is_some(), "{} has no answer", reference);
        }
        for id in &model.channels {
            prop_assert!(sim.has_ended(*id));
            sim.session.release(sim.now, *id);
        }
        prop_assert!(sim.session.channels.is_empty() && sim.session.topics.is_empty());
        prop_assert!(sim.session.timers.is_empty());
        prop_assert!(sim.session.requests.is_empty());
        prop_assert_eq!(sim.session.outbox.counted(), (0, 0));
    }
}

impl Model {
    fn apply(&mut self, sim: &mut Simulation, step: Step) -> Result<(), TestCaseError> {
        let channel = |model: &Self, at: usize| model.channels.get(at).copied();
        match step {
            Step::Open(topic) => self.channels.push(sim.open(TOPICS[topic])),
            Step::Push(at, awaited) => {
                let Some(id) = channel(self, at) else { return Ok(()) };
                self.pushed += 1;
                let timeout = awaited.then_some(10 * SECOND);
                let pushed = sim.session.push(sim.now, id, &self.pushed.to_string(), Payload::empty(), timeout);
                self.pending.extend(pushed.ok().filter(|_| awaited));
            }
            Step::Cancel(at) => {
                if at < self.pending.len() {
                    sim.session.cancel(self.pending.remove(at));
                }
            }
            Step::Leave(at) => {
                let left = channel(self, at).and_then(|id| sim.session.leave(sim.now, id));
                self.pending.extend(left);
            }
            Step::Release(at) => {
                if let Some(id) = channel(self, at).filter(|id| !self.released.contains(id)) {
                    sim.session.release(sim.now, id);
                    self.released.push(id);
                }
            }
            Step::Reply { status, newest } => {
                if !self.received.is_empty() {
                    let at = if newest { self.received.len() - 1 } else { 0 };
                    let [join_ref, reference, topic] = self.received.remove(at);
                    sim.receive(&format!(
                        r#"["{join_ref}","{reference}","{topic}","phx_reply",{{"status":"{status}","response":{{}}}}]"#
                    ));
                }
            }
            Step::Broadcast(topic) => sim.receive(&format!(r#"[null,null,"{}","said",{{}}]"#, TOPICS[topic])),
            Step::End(topic, crash) => {
                if let Some(join_ref) = self.joins.get(TOPICS[topic]) {
                    let event = if crash { event::ERROR } else { event::CLOSE };
                    sim.receive(&format!(r#"["{join_ref}","{join_ref}","{}","{event}",{{}}]"#, TOPICS[topic]));
                }
            }
            Step::InvalidFrame(bytes) => {
                sim.receive(&String::from_utf8_lossy(&bytes));
                sim.session.receive(sim.now, Frame::Binary(&bytes));
            }
            Step::Advance(millis) => {
                sim.advance(Duration::from_millis(millis));
                sim.session.attempt_started();
            }
            Step::Connect(works) => {
                if matches!(sim.session.intent(), Intent::Connect | Intent::ContinueAttempt) {
                    sim.session.attempt_started();
                    match works {
                        true => sim.session.connection_opened(sim.now, TransportKind::WebSocket),
                        false => sim.lose_connection(),
                    }
                }
            }
            Step::LoseConnection => {
                sim.lose_connection();
                self.received.clear();
                self.joins.clear();
            }
            Step::Transmit => {
                for text in sim.sent() {
                    self.server_receives(&text)?;
                }
            }
        }
        Ok(())
    }

    /// Handles a message as the server.
    fn server_receives(&mut self, text: &str) -> Result<(), TestCaseError> {
        let inbound = Serializer::V2.decode(Frame::Text(text)).expect("the session sends valid messages");
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
        self.received.push([join_ref, word(&inbound.reference), topic]);
        Ok(())
    }
}
