//! The laws of a session, over any sequence of messages and ends of channels.

use super::super::*;
use bennu_protocol::{Frame, Serializer};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone)]
enum Op {
    Join {
        topic: u8,
    },
    Leave {
        topic: u8,
        age: Age,
    },
    Say {
        topic: u8,
        age: Age,
    },
    /// The channel that the number chooses goes one step on.
    Proceed {
        channel: usize,
        well: bool,
    },
    Close,
}

/// Which join a message claims to belong to.
#[derive(Debug, Clone, Copy)]
enum Age {
    Latest,
    Older,
    Null,
}

fn op() -> impl Strategy<Value = Op> {
    let age = prop_oneof![4 => Just(Age::Latest), 1 => Just(Age::Older), 1 => Just(Age::Null)];
    let topic = 0..3u8;
    prop_oneof![
        20 => topic.clone().prop_map(|topic| Op::Join { topic }),
        10 => (topic.clone(), age.clone()).prop_map(|(topic, age)| Op::Leave { topic, age }),
        10 => (topic, age).prop_map(|(topic, age)| Op::Say { topic, age }),
        30 => (0..8usize, any::<bool>()).prop_map(|(channel, well)| Op::Proceed { channel, well }),
        1 => Just(Op::Close),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The session has it, and has not started it.
    Opened,
    Joining,
    Joined,
    Ended,
}

struct Channel {
    topic: String,
    join_ref: Ref,
    stage: Stage,
    id: Option<JoinId>,
    stopped: bool,
    /// The join reply has been sent.
    answered: bool,
    /// `phx_close` or `phx_error` has been sent.
    ended: bool,
    /// The channel that it replaces, and for whose end it waits.
    replaces: Option<usize>,
}

/// A client and its channels, as far as the session can know them.
struct World {
    session: Session<usize>,
    channels: Vec<Channel>,
    /// The join refs of each topic, in the order of joining.
    refs: BTreeMap<String, Vec<Ref>>,
    messages: u32,
    closed: bool,
}

impl World {
    fn new() -> Self {
        World { session: Session::new(2), channels: Vec::new(), refs: BTreeMap::new(), messages: 0, closed: false }
    }

    fn run(&mut self, op: &Op) {
        match *op {
            Op::Join { topic } => {
                let join_ref = Ref::text(format!("join {}", self.channels.len()));
                self.refs.entry(name(topic)).or_default().push(join_ref.clone());
                self.receive(topic, event::JOIN, join_ref);
            }
            Op::Leave { topic, age } => self.receive(topic, event::LEAVE, self.join_ref(topic, age)),
            Op::Say { topic, age } => self.receive(topic, "hello", self.join_ref(topic, age)),
            Op::Proceed { channel, well } => self.proceed(channel, well),
            Op::Close => {
                let again = std::mem::replace(&mut self.closed, true);
                let actions = self.session.close();
                if again {
                    assert!(actions.is_empty(), "a connection is closed once");
                    return;
                }
                assert!(actions.iter().all(|action| matches!(action, Action::Stop(_, End::Closed))));
                let stopped: BTreeSet<_> = actions.iter().map(|action| channel_of(action).unwrap()).collect();
                assert_eq!(stopped, self.live().collect(), "every live channel is stopped, and no other");
            }
        }
        assert!(self.session.channels.len() <= 2, "never more channels than may be joined");
        assert!(self.session.channels.is_sorted_by(|a, b| a.topic < b.topic), "one entry a topic");
    }

    fn join_ref(&self, topic: u8, age: Age) -> Ref {
        let known = self.refs.get(&name(topic)).map(Vec::as_slice).unwrap_or_default();
        match age {
            Age::Latest => known.last(),
            Age::Older => known.first(),
            Age::Null => None,
        }
        .cloned()
        .unwrap_or(Ref::NULL)
    }

    fn receive(&mut self, topic: u8, event: &str, join_ref: Ref) {
        self.messages += 1;
        let json = format!(r#"[null,"message {}","{}","{event}",{{}}]"#, self.messages, name(topic));
        let mut message = Serializer::V2.decode(Frame::Text(&json)).unwrap();
        message.join_ref = join_ref.clone();
        let channels = &mut self.channels;
        let actions = self.session.receive(message, |topic| {
            channels.push(Channel {
                topic: topic.to_owned(),
                join_ref,
                stage: Stage::Opened,
                id: None,
                stopped: false,
                answered: false,
                ended: false,
                replaces: None,
            });
            Some(channels.len() - 1)
        });
        assert!(!self.closed || actions.is_empty(), "nothing is done for a connection that is gone");
        self.check(actions);
    }

    /// A channel that runs joins, is refused, or ends.
    fn proceed(&mut self, nth: usize, well: bool) {
        let live: Vec<_> = self.live().collect();
        let Some(&channel) = live.get(nth % live.len().max(1)) else { return };
        let id = self.channels[channel].id.clone().expect("a live channel was started");
        let reference = Ref::text("the join's own");
        let actions = match (self.channels[channel].stage, well) {
            (Stage::Joining, true) => {
                self.channels[channel].stage = Stage::Joined;
                self.session.joined(&id, reference, Payload::empty())
            }
            (Stage::Joining, false) => {
                self.channels[channel].stage = Stage::Ended;
                self.session.refused(&id, reference, Payload::empty(), Unanswered::default())
            }
            (_, well) => {
                self.channels[channel].stage = Stage::Ended;
                self.session.exited(&id, if well { Ended::Done } else { Ended::Crashed })
            }
        };
        assert!(!self.closed || actions.is_empty(), "nothing is said to a client that is gone");
        self.check(actions);
        if self.channels[channel].stage == Stage::Ended {
            assert!(self.session.exited(&id, Ended::Done).is_empty(), "the session has forgotten it");
        }
    }

    /// Started and not ended.
    fn live(&self) -> impl Iterator<Item = usize> {
        let live = |channel: &Channel| matches!(channel.stage, Stage::Joining | Stage::Joined);
        self.channels.iter().enumerate().filter(move |(_, channel)| live(channel)).map(|(at, _)| at)
    }

    fn check(&mut self, actions: Actions<usize>) {
        for action in actions {
            match action {
                Action::Start(channel, join) => {
                    let topic = self.channels[channel].topic.clone();
                    assert_eq!(*topic, *join.id.topic);
                    assert_eq!(self.channels[channel].join_ref, join.join_ref);
                    assert_eq!(self.channels[channel].stage, Stage::Opened, "a channel starts once");
                    let live: Vec<_> = self.live().filter(|other| self.channels[*other].topic == topic).collect();
                    assert!(live.is_empty(), "{live:?} are live when {channel} starts");
                    let pending = self.channels.iter().rposition(|other| {
                        other.topic == topic && other.stage == Stage::Ended && other.answered && !other.ended
                    });
                    self.channels[channel].replaces = pending;
                    self.channels[channel].stage = Stage::Joining;
                    self.channels[channel].id = Some(join.id);
                }
                Action::Deliver(channel, _) => {
                    assert_ne!(self.channels[channel].stage, Stage::Ended, "nothing reaches a channel that has ended");
                    assert!(!self.channels[channel].stopped, "nothing reaches a stopped channel");
                }
                Action::Stop(channel, end) => {
                    assert!(self.live().any(|live| live == channel));
                    assert_ne!(end, End::Closed);
                    assert!(!std::mem::replace(&mut self.channels[channel].stopped, true), "stopped once");
                }
                Action::End { join_ref, .. } => {
                    let at = self.channels.iter().position(|channel| channel.join_ref == join_ref).unwrap();
                    assert!(!self.channels[at].ended, "the end of {join_ref:?} is sent once");
                    self.channels[at].ended = true;
                    if let Some(next) = self.channels.iter().find(|other| other.replaces == Some(at)) {
                        assert!(next.answered, "the join that replaced {join_ref:?} is answered first");
                    }
                }
                Action::Reply(answer) => {
                    let Answer { join_ref, reference, .. } = *answer;
                    if reference == Ref::text("the join's own") {
                        let channel = self.channels.iter_mut().find(|channel| channel.join_ref == join_ref).unwrap();
                        assert!(!std::mem::replace(&mut channel.answered, true), "a join is answered once");
                    }
                }
            }
        }
    }

    /// Every channel goes on to its end.
    fn wind_down(&mut self) {
        while self.live().next().is_some() {
            self.proceed(0, true);
        }
        assert!(self.session.channels.is_empty());
        for channel in self.channels.iter().filter(|channel| channel.stage == Stage::Ended && !self.closed) {
            assert!(channel.answered, "{:?} was joined and never answered", channel.join_ref);
        }
    }
}

fn channel_of(action: &Action<usize>) -> Option<usize> {
    match action {
        Action::Start(channel, _) | Action::Deliver(channel, _) | Action::Stop(channel, _) => Some(*channel),
        _ => None,
    }
}

fn name(topic: u8) -> String {
    format!("topic {topic}")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_there_is_one_live_channel_a_topic_and_every_join_is_answered_and_ended_once(
        ops in prop::collection::vec(op(), 0..80),
    ) {
        let mut world = World::new();
        for op in &ops {
            world.run(op);
        }
        world.wind_down();
    }
}
