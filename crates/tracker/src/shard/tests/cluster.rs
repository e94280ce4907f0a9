//! Shards, a network that loses, repeats, delays and cuts, and a clock that only this module moves.
//!
//! Whatever happens is drawn from one seed, so a run can be repeated. Messages pass through JSON. For each node, what
//! its handler was told is replayed, and must fit: who joins was not there, who leaves was.

use super::super::*;
use crate::hash;
use crate::replica::Reference;
use crate::roster::Roster;
use std::collections::{BTreeMap, BTreeSet};

/// Numbers from a seed.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Random(hash::mix(seed.wrapping_add(0x9e37_79b9)))
    }

    /// Less than `bound`.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        hash::mix(self.0) % bound.max(1)
    }

    fn millis(&mut self, most: u64) -> Duration {
        Duration::from_millis(self.below(most + 1))
    }
}

/// How the network does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weather {
    /// Of a hundred messages, how many are lost.
    pub(super) lost: u64,
    /// How many arrive twice.
    pub(super) repeated: u64,
    /// The longest that one takes, in ms. Others take less, so they overtake each other.
    pub(super) latency: u64,
}

impl Weather {
    pub(super) const FAIR: Weather = Weather { lost: 0, repeated: 0, latency: 50 };
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
    /// Ends without a word.
    Crash {
        node: usize,
    },
    /// Starts, when it is not running: a new life.
    Start {
        node: usize,
    },
    Goodbye {
        node: usize,
    },
    /// What one sends does not reach the other, or neither way.
    Cut {
        from: usize,
        to: usize,
        both: bool,
    },
    Mend,
    Weather(Weather),
    /// The process stands still; what is sent to it waits.
    Stall {
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
    lives: u64,
    live: Vec<Presence>,
    /// What the handler's diffs come to.
    told: BTreeMap<Reference, Presence>,
    handler_busy_until: Duration,
    stalled_until: Duration,
}

struct Flight {
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
    room: Room,
    random: Random,
    weather: Weather,
    cuts: BTreeSet<(usize, usize)>,
    flights: BTreeMap<(Duration, u64), Flight>,
    sequence: u64,
    /// A digest of all that was sent, to tell runs apart.
    pub(super) trace: u64,
}

impl Cluster {
    pub(super) fn new(nodes: usize, options: Options, room: Room, seed: u64) -> Self {
        let node = |number: usize| Node {
            name: NodeName::new(format!("node {number}")),
            shard: None,
            view: Arc::default(),
            started: Duration::ZERO,
            lives: 0,
            live: Vec::new(),
            told: BTreeMap::new(),
            handler_busy_until: Duration::ZERO,
            stalled_until: Duration::ZERO,
        };
        let mut cluster = Cluster {
            now: Duration::ZERO,
            nodes: (0..nodes).map(node).collect(),
            traffic: Traffic::default(),
            options,
            room,
            random: Random::new(seed),
            weather: Weather::FAIR,
            cuts: BTreeSet::new(),
            flights: BTreeMap::new(),
            sequence: 0,
            trace: 0,
        };
        (0..nodes).for_each(|node| cluster.play(Event::Start { node }));
        cluster
    }

    pub(super) fn play(&mut self, event: Event) {
        match event {
            Event::Join { node, topic, key } => self.call(node, |node, now| {
                let meta = RawValue::from_string(r#"{"n":0}"#.to_owned()).expect("that is JSON").into();
                let shard = node.shard.as_mut()?;
                let joined = shard.track(now, &format!("topic {topic}"), &format!("user {key}"), meta);
                node.live.extend(joined);
                None
            }),
            Event::Update { node, nth } => self.call(node, |node, now| {
                let at = nth % node.live.len().max(1);
                let old = node.live.get(at)?.clone();
                let meta = RawValue::from_string(format!("{{\"n\":{}}}", old.dot())).expect("that is JSON").into();
                let new = node.shard.as_mut()?.update(now, old.dot(), meta).expect("it is there");
                assert_eq!(new.previous(), Some(old.reference()));
                node.live[at] = new;
                None
            }),
            Event::Leave { node, nth } => self.call(node, |node, now| {
                let at = nth % node.live.len().max(1);
                node.live.get(at)?;
                let gone = node.live.remove(at);
                node.shard.as_mut()?.untrack(now, gone.dot());
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
            Event::Mend => self.cuts.clear(),
            Event::Weather(weather) => self.weather = weather,
            Event::Stall { node, millis } => {
                self.nodes[node].stalled_until = self.now + Duration::from_millis(millis);
            }
            Event::Run { millis } => self.run(Duration::from_millis(millis)),
        }
    }

    /// Everything works from now on: the network, and nodes that stood still. What was under way arrives.
    pub(super) fn heal(&mut self) {
        self.cuts.clear();
        self.weather = Weather::FAIR;
        self.nodes.iter_mut().for_each(|node| node.stalled_until = self.now);
        let flights = std::mem::take(&mut self.flights).into_iter();
        self.flights = flights.map(|((due, sequence), flight)| ((due.min(self.now), sequence), flight)).collect();
    }

    fn start(&mut self, at: usize) {
        let (options, room, now) = (self.options.clone(), self.room, self.now);
        let first_tick = options.broadcast_period + self.random.millis(300);
        let node = &mut self.nodes[at];
        if node.shard.is_some() {
            return;
        }
        node.lives += 1;
        node.started = now;
        node.view = Arc::default();
        let (name, view) = (node.name.clone(), node.view.clone());
        let mut shard = Shard::new(name, node.lives, "simulated".into(), options, view, first_tick);
        shard.room = room;
        let outgoing = shard.start();
        node.shard = Some(shard);
        self.post(at, outgoing);
    }

    /// Calls a node with its own time, and posts what comes out.
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
            let json = serde_json::to_string(&message).expect("a message is JSON");
            self.trace = hash::stable(&[&self.trace.to_be_bytes(), json.as_bytes()]);
            for node in 0..self.nodes.len() {
                let meant = to.as_ref().map_or(node != from, |to| *to == self.nodes[node].name);
                if meant && !self.cuts.contains(&(from, node)) {
                    self.fly(node, &json);
                }
            }
        }
    }

    fn fly(&mut self, to: usize, json: &str) {
        let copies = match self.random.below(100) {
            chance if chance < self.weather.lost => 0,
            chance if chance < self.weather.lost + self.weather.repeated => 2,
            _ => 1,
        };
        for _ in 0..copies {
            let due = self.now + self.random.millis(self.weather.latency);
            self.sequence += 1;
            self.flights.insert((due, self.sequence), Flight { to, json: json.to_owned() });
        }
    }

    fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some((at, node)) = self.next().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            match node {
                None => self.land(),
                Some(node) => self.turn(node),
            }
        }
        self.now = end;
    }

    /// When something happens next: a message lands, or it is a node's turn.
    fn next(&self) -> Option<(Duration, Option<usize>)> {
        let flight = self.flights.first_key_value().map(|((due, _), _)| (*due, None));
        let turns = self.nodes.iter().enumerate().filter_map(|(at, node)| Some((node.due()?, Some(at))));
        flight.into_iter().chain(turns).min()
    }

    fn land(&mut self) {
        let Some((_, flight)) = self.flights.pop_first() else { return };
        let node = &self.nodes[flight.to];
        if node.stalled_until > self.now {
            // It waits in the node's queue, in order.
            self.sequence += 1;
            self.flights.insert((node.stalled_until, self.sequence), flight);
            return;
        }
        let message: Message = serde_json::from_str(&flight.json).expect("what was written is read");
        assert_eq!(message.check(), Ok(()), "no node sends garbage");
        self.call(flight.to, |node, now| Some(node.shard.as_mut()?.receive(now, &message)));
    }

    /// A node's period ends, or its handler is told.
    fn turn(&mut self, at: usize) {
        let slowness = self.random.millis(300);
        let now = self.now;
        self.call(at, |node, time| {
            let shard = node.shard.as_mut()?;
            let outgoing = (shard.next_tick()? <= time).then(|| shard.tick(time));
            if node.handler_busy_until <= now
                && let Some(diff) = shard.take_diff(time)
            {
                node.handler_busy_until = now + slowness;
                node.tell(diff);
            }
            outgoing
        });
    }

    /// How what running nodes list, or were told, differs from who is there.
    pub(super) fn disagreement(&self) -> Option<String> {
        self.disagreement_about(|_| true)
    }

    /// The same, but for nodes that ended: others have to wait before they know.
    pub(super) fn disagreement_about_running(&self) -> Option<String> {
        let running = |name: &NodeName| self.nodes.iter().any(|node| node.shard.is_some() && node.name == *name);
        self.disagreement_about(running)
    }

    fn disagreement_about(&self, meant: impl Fn(&NodeName) -> bool) -> Option<String> {
        let running = || self.nodes.iter().filter(|node| node.shard.is_some());
        let expected = sorted(running().flat_map(|node| node.live.iter()));
        for node in running() {
            let rosters = node.rosters();
            let listed = rosters.iter().flat_map(|roster| roster.iter());
            let listed = sorted(listed.filter(|presence| meant(presence.node())));
            if listed != expected {
                return Some(format!("{} lists {listed:#?}\nand should {expected:#?}", node.name));
            }
            let told = sorted(node.told.values().filter(|presence| meant(presence.node())));
            if told != expected {
                return Some(format!("{} was told {told:#?}\nand should {expected:#?}", node.name));
            }
        }
        None
    }

    /// Presences on nodes that run.
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
        self.told.clear();
    }

    fn due(&self) -> Option<Duration> {
        let shard = self.shard.as_ref()?;
        let tick = self.started + shard.next_tick()?;
        let diff = shard.next_diff().map(|diff| (self.started + diff).max(self.handler_busy_until));
        Some(diff.map_or(tick, |diff| tick.min(diff)).max(self.stalled_until))
    }

    fn tell(&mut self, diff: Diff) {
        assert!(!diff.topics.is_empty());
        for topic in diff.topics {
            assert!(!topic.joins.is_empty() || !topic.leaves.is_empty());
            for left in topic.leaves {
                assert_eq!(*left.topic(), topic.topic);
                assert!(
                    self.told.remove(&left.reference()).is_some(),
                    "{}: {left:?} left and was not there",
                    self.name
                );
            }
            for joined in topic.joins {
                assert_eq!(*joined.topic(), topic.topic);
                let before = self.told.insert(joined.reference(), joined.clone());
                assert!(before.is_none(), "{}: {joined:?} joined and was there", self.name);
            }
        }
    }

    fn rosters(&self) -> Vec<Roster> {
        let names: Vec<_> = (0..4).map(|topic| format!("topic {topic}")).collect();
        let rosters: Vec<_> = names.iter().map(|name| self.view.roster(name)).collect();
        for (name, roster) in names.iter().zip(&rosters) {
            assert_eq!(roster.iter().count(), self.view.counts(name).0);
        }
        rosters
    }
}

fn sorted<'a>(presences: impl Iterator<Item = &'a Presence>) -> Vec<String> {
    let mut all: Vec<String> = presences.map(|presence| format!("{presence:?}")).collect();
    all.sort();
    all
}
