//! A simulated cluster: shards, a network that loses, repeats, delays and partitions, and a virtual clock.
//!
//! All choices come from one seed, so a run can be repeated. Messages pass through JSON. Each node replays the diffs of
//! its handler, which must be consistent: a presence joins only when it is absent, and leaves only when it is present.

use super::super::*;
use crate::crdt::Reference;
use crate::hash;
use crate::view::TopicPresences;
use std::collections::{BTreeMap, BTreeSet};

/// Pseudo-random numbers of a seed.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Random(hash::mix(seed.wrapping_add(0x9e37_79b9)))
    }

    /// Returns a number less than `bound`.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        hash::mix(self.0) % bound.max(1)
    }

    fn millis(&mut self, max: u64) -> Duration {
        Duration::from_millis(self.below(max + 1))
    }
}

/// The faults of the network.
#[derive(Debug, Clone, Copy)]
pub(super) struct Faults {
    /// The percentage of messages that are lost.
    pub(super) lost: u64,
    /// The percentage of messages that arrive twice.
    pub(super) repeated: u64,
    /// The longest latency of a message, in ms. Latencies vary, so messages overtake each other.
    pub(super) latency: u64,
}

impl Faults {
    pub(super) const NONE: Faults = Faults { lost: 0, repeated: 0, latency: 50 };
}

#[derive(Debug, Clone)]
pub(super) enum Event {
    Join {
        node: usize,
        topic: u64,
        key: u64,
    },
    Update {
        node: usize,
        nth: usize,
    },
    Leave {
        node: usize,
        nth: usize,
    },
    /// Ends without a goodbye.
    Crash {
        node: usize,
    },
    /// Starts a node that is not running, as a new incarnation.
    Start {
        node: usize,
    },
    Goodbye {
        node: usize,
    },
    /// Cuts the network from one node to another, or in both directions.
    Cut {
        from: usize,
        to: usize,
        both: bool,
    },
    /// Ends all cuts.
    Reconnect,
    Faults(Faults),
    /// Pauses the process; its messages wait.
    Pause {
        node: usize,
        millis: u64,
    },
    Run {
        millis: u64,
    },
}

pub(super) struct Node {
    name: NodeName,
    shard: Option<Shard>,
    view: Arc<View>,
    started: Duration,
    incarnation: u64,
    live: Vec<PresenceRecord>,
    /// The result of all diffs of the handler.
    replayed: BTreeMap<Reference, PresenceRecord>,
    handler_busy_until: Duration,
    paused_until: Duration,
}

/// A message in flight.
struct InFlight {
    to: usize,
    json: String,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Traffic {
    pub(super) broadcasts: u64,
    pub(super) directed: u64,
}

pub(super) struct Cluster {
    pub(super) now: Duration,
    pub(super) nodes: Vec<Node>,
    pub(super) traffic: Traffic,
    pub(super) options: Options,
    delta_limit: DeltaLimit,
    random: Random,
    faults: Faults,
    cuts: BTreeSet<(usize, usize)>,
    in_flight: BTreeMap<(Duration, u64), InFlight>,
    sequence: u64,
    /// A digest of all messages, which differs between runs.
    pub(super) trace: u64,
}

impl Cluster {
    pub(super) fn new(nodes: usize, options: Options, delta_limit: DeltaLimit, seed: u64) -> Self {
        let node = |number: usize| Node {
            name: NodeName::new(format!("node {number}")),
            shard: None,
            view: Arc::default(),
            started: Duration::ZERO,
            incarnation: 0,
            live: Vec::new(),
            replayed: BTreeMap::new(),
            handler_busy_until: Duration::ZERO,
            paused_until: Duration::ZERO,
        };
        let mut cluster = Cluster {
            now: Duration::ZERO,
            nodes: (0..nodes).map(node).collect(),
            traffic: Traffic::default(),
            options,
            delta_limit,
            random: Random::new(seed),
            faults: Faults::NONE,
            cuts: BTreeSet::new(),
            in_flight: BTreeMap::new(),
            sequence: 0,
            trace: 0,
        };
        (0..nodes).for_each(|node| cluster.apply(Event::Start { node }));
        cluster
    }

    pub(super) fn apply(&mut self, event: Event) {
        match event {
            Event::Join { node, topic, key } => self.call(node, |node, now| {
                let meta = RawValue::from_string(r#"{"n":0}"#.to_owned()).expect("a JSON literal").into();
                let shard = node.shard.as_mut()?;
                let joined = shard.track(now, &format!("topic {topic}"), &format!("user {key}"), meta);
                node.live.extend(joined);
                None
            }),
            Event::Update { node, nth } => self.call(node, |node, now| {
                let at = nth % node.live.len().max(1);
                let old = node.live.get(at)?.clone();
                let meta = RawValue::from_string(format!("{{\"n\":{}}}", old.dot())).expect("a JSON literal").into();
                let new = node.shard.as_mut()?.update(now, old.dot(), meta).expect("a tracked presence exists");
                assert_eq!(new.previous(), Some(old.reference()));
                node.live[at] = new;
                None
            }),
            Event::Leave { node, nth } => self.call(node, |node, now| {
                let at = nth % node.live.len().max(1);
                node.live.get(at)?;
                let left = node.live.remove(at);
                node.shard.as_mut()?.untrack(now, left.dot());
                None
            }),
            Event::Crash { node } => self.nodes[node].end(),
            Event::Start { node } => self.start(node),
            Event::Goodbye { node } => {
                self.call(node, |node, _| Some(node.shard.as_mut()?.leave()));
                self.nodes[node].end();
            }
            Event::Cut { from, to, both } => {
                self.cuts.insert((from, to));
                if both {
                    self.cuts.insert((to, from));
                }
            }
            Event::Reconnect => self.cuts.clear(),
            Event::Faults(faults) => self.faults = faults,
            Event::Pause { node, millis } => {
                self.nodes[node].paused_until = self.now + Duration::from_millis(millis);
            }
            Event::Run { millis } => self.run(Duration::from_millis(millis)),
        }
    }

    /// Ends all cuts, faults and pauses. Messages in flight arrive.
    pub(super) fn heal(&mut self) {
        self.cuts.clear();
        self.faults = Faults::NONE;
        self.nodes.iter_mut().for_each(|node| node.paused_until = self.now);
        let messages = std::mem::take(&mut self.in_flight).into_iter();
        self.in_flight = messages.map(|((due, sequence), message)| ((due.min(self.now), sequence), message)).collect();
    }

    fn start(&mut self, at: usize) {
        let (options, delta_limit, now) = (self.options.clone(), self.delta_limit, self.now);
        let first_tick = options.broadcast_period + self.random.millis(300);
        let node = &mut self.nodes[at];
        if node.shard.is_some() {
            return;
        }
        node.incarnation += 1;
        node.started = now;
        node.view = Arc::default();
        let (name, view) = (node.name.clone(), node.view.clone());
        let mut shard = Shard::new(name, node.incarnation, "simulated".into(), options, view, first_tick);
        shard.delta_limit = delta_limit;
        let outgoing = shard.start();
        node.shard = Some(shard);
        self.post(at, outgoing);
    }

    /// Calls a node with its own time, and posts the messages that it returns.
    fn call(&mut self, at: usize, call: impl FnOnce(&mut Node, Duration) -> Option<Vec<Outgoing>>) {
        let node = &mut self.nodes[at];
        let time = self.now - node.started;
        let outgoing = call(node, time).unwrap_or_default();
        self.post(at, outgoing);
    }

    fn post(&mut self, from: usize, outgoing: Vec<Outgoing>) {
        for Outgoing { to, message } in outgoing {
            match to {
                None => self.traffic.broadcasts += 1,
                Some(_) => self.traffic.directed += 1,
            }
            let json = serde_json::to_string(&message).expect("a message is encodable");
            self.trace = hash::stable(&[&self.trace.to_be_bytes(), json.as_bytes()]);
            for node in 0..self.nodes.len() {
                let is_receiver = to.as_ref().map_or(node != from, |to| *to == self.nodes[node].name);
                if is_receiver && !self.cuts.contains(&(from, node)) {
                    self.transmit(node, &json);
                }
            }
        }
    }

    fn transmit(&mut self, to: usize, json: &str) {
        let copies = match self.random.below(100) {
            chance if chance < self.faults.lost => 0,
            chance if chance < self.faults.lost + self.faults.repeated => 2,
            _ => 1,
        };
        for _ in 0..copies {
            let due = self.now + self.random.millis(self.faults.latency);
            self.sequence += 1;
            self.in_flight.insert((due, self.sequence), InFlight { to, json: json.to_owned() });
        }
    }

    fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some((at, node)) = self.next().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            match node {
                None => self.deliver(),
                Some(node) => self.run_node(node),
            }
        }
        self.now = end;
    }

    /// Returns the next event: the arrival of a message (`None`), or the turn of a node.
    fn next(&self) -> Option<(Duration, Option<usize>)> {
        let message = self.in_flight.first_key_value().map(|((due, _), _)| (*due, None));
        let turns = self.nodes.iter().enumerate().filter_map(|(at, node)| Some((node.due()?, Some(at))));
        message.into_iter().chain(turns).min()
    }

    fn deliver(&mut self) {
        let Some((_, message)) = self.in_flight.pop_first() else { return };
        let node = &self.nodes[message.to];
        if node.paused_until > self.now {
            // The message waits in the node's queue, in order.
            self.sequence += 1;
            self.in_flight.insert((node.paused_until, self.sequence), message);
            return;
        }
        let InFlight { to, json } = message;
        let message: Message = serde_json::from_str(&json).expect("an encoded message is valid JSON");
        assert_eq!(message.check(), Ok(()), "every message of a node is valid");
        self.call(to, |node, now| Some(node.shard.as_mut()?.receive(now, &message)));
    }

    /// Ends a node's period, or delivers a diff to its handler.
    fn run_node(&mut self, at: usize) {
        let slowness = self.random.millis(300);
        let now = self.now;
        self.call(at, |node, time| {
            let shard = node.shard.as_mut()?;
            let outgoing = (shard.next_tick()? <= time).then(|| shard.tick(time));
            if node.handler_busy_until <= now
                && let Some(diff) = shard.take_diff(time)
            {
                node.handler_busy_until = now + slowness;
                node.replay(diff);
            }
            outgoing
        });
    }

    /// Returns a difference between the tracked presences and a running node's list or replayed diffs, if there is one.
    pub(super) fn disagreement(&self) -> Option<String> {
        self.disagreement_about(|_| true)
    }

    /// The same, without the presences of nodes that have crashed: they are listed until the down period has passed.
    pub(super) fn disagreement_about_running(&self) -> Option<String> {
        let running = |name: &NodeName| self.nodes.iter().any(|node| node.shard.is_some() && node.name == *name);
        self.disagreement_about(running)
    }

    fn disagreement_about(&self, is_relevant: impl Fn(&NodeName) -> bool) -> Option<String> {
        let running = || self.nodes.iter().filter(|node| node.shard.is_some());
        let expected = sorted(running().flat_map(|node| node.live.iter()));
        for node in running() {
            let topics = node.listed();
            let listed = topics.iter().flat_map(|presences| presences.iter());
            let listed = sorted(listed.filter(|presence| is_relevant(presence.node())));
            if listed != expected {
                return Some(format!("{} lists {listed:#?}\nexpected {expected:#?}", node.name));
            }
            let replayed = sorted(node.replayed.values().filter(|presence| is_relevant(presence.node())));
            if replayed != expected {
                return Some(format!("the diffs of {} give {replayed:#?}\nexpected {expected:#?}", node.name));
            }
        }
        None
    }

    /// Returns the number of presences of running nodes.
    pub(super) fn population(&self) -> usize {
        self.nodes.iter().filter(|node| node.shard.is_some()).map(|node| node.live.len()).sum()
    }

    pub(super) fn running(&self) -> u64 {
        self.nodes.iter().filter(|node| node.shard.is_some()).count() as u64
    }
}

impl Node {
    fn end(&mut self) {
        self.shard = None;
        self.live.clear();
        self.replayed.clear();
    }

    fn due(&self) -> Option<Duration> {
        let shard = self.shard.as_ref()?;
        let tick = self.started + shard.next_tick()?;
        let diff = shard.next_diff().map(|diff| (self.started + diff).max(self.handler_busy_until));
        Some(diff.map_or(tick, |diff| tick.min(diff)).max(self.paused_until))
    }

    fn replay(&mut self, diff: Diff) {
        assert!(!diff.topics.is_empty());
        for topic in diff.topics {
            assert!(!topic.joins.is_empty() || !topic.leaves.is_empty());
            for left in topic.leaves {
                assert_eq!(*left.topic(), topic.topic);
                assert!(
                    self.replayed.remove(&left.reference()).is_some(),
                    "{}: {left:?} left and was absent",
                    self.name
                );
            }
            for joined in topic.joins {
                assert_eq!(*joined.topic(), topic.topic);
                let before = self.replayed.insert(joined.reference(), joined.clone());
                assert!(before.is_none(), "{}: {joined:?} joined and was present", self.name);
            }
        }
    }

    fn listed(&self) -> Vec<TopicPresences> {
        let names: Vec<_> = (0..4).map(|topic| format!("topic {topic}")).collect();
        let topics: Vec<_> = names.iter().map(|name| self.view.presences(name)).collect();
        for (name, presences) in names.iter().zip(&topics) {
            assert_eq!(presences.iter().count(), self.view.counts(name).0);
        }
        topics
    }
}

fn sorted<'a>(presences: impl Iterator<Item = &'a PresenceRecord>) -> Vec<String> {
    let mut all: Vec<String> = presences.map(|presence| format!("{presence:?}")).collect();
    all.sort();
    all
}
