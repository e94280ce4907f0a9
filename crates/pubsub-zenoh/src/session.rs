//! This node's zenoh session: it listens, subscribes, publishes, and shows that the node is there.
//!
//! Owned by the adapter's thread. Its calls wait for as long as a connected node takes nothing, at most [`STALL`]; so nobody
//! else makes them, but for what the [`crate::outlet`] lets pass. What comes is handed to [`Link`] on zenoh's own threads.

use crate::address::{NAME, Places};
use crate::credit::BATCHES;
use crate::error::Error;
use crate::key::Presence;
use crate::linger;
use crate::link::Link;
use crate::notice::{Mark, Notice};
use bennu_pubsub::SILENCE;
use bennu_pubsub_cluster::{Change, Channel};
use bytes::Bytes;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use zenoh::config::Locator;
use zenoh::internal::runtime::{Runtime, RuntimeBuilder};
use zenoh::liveliness::LivelinessToken;
use zenoh::pubsub::Subscriber;
use zenoh::sample::{Locality, Sample, SampleKind};
use zenoh::{Config, Wait};

/// How long a connected node may take nothing before it is cut off. As long the others wait for what is behind.
pub(crate) const STALL: Duration = Duration::from_secs(5);

/// How long it may take to open a connection.
const OPEN: Duration = Duration::from_secs(4);

/// The largest message that is put together again from its parts.
const LARGEST: usize = 64 << 20;

pub(crate) struct Session {
    runtime: Runtime,
    session: zenoh::Session,
    token: Option<LivelinessToken>,
    /// Of topics, by the interest's ids.
    subscriptions: HashMap<u64, Subscriber<()>>,
    _own: [Subscriber<()>; 3],
}

impl Session {
    /// Opens a session that listens, and hears who is there and what is for this node.
    pub(crate) async fn open(link: &Arc<Link>) -> Result<Session, Error> {
        // zenoh warns of each attempt. That the address is taken is seen without it.
        drop(TcpListener::bind(&link.places.listen).await?);
        let runtime = RuntimeBuilder::new(config(&link.places)?).build().await?;
        match Session::start(link, runtime.clone()).await {
            Ok(session) => Ok(session),
            Err(error) => {
                runtime.close().await?;
                Err(error)
            }
        }
    }

    async fn start(link: &Arc<Link>, mut runtime: Runtime) -> Result<Session, Error> {
        let session = zenoh::session::init(runtime.clone().into()).await?;
        let keys = &link.keys;
        let subscribe = |channel, take: fn(&Link, Bytes)| {
            let link = link.clone();
            let subscriber = session.declare_subscriber(keys.channel(channel)).allowed_origin(Locality::Remote);
            subscriber.callback(move |sample| take(&link, payload(&sample)))
        };
        let node = subscribe(Channel::Node(link.member.node().as_str()), Link::receive_own).await?;
        let notices = subscribe(Channel::Control, Link::hear).await?;
        let heard = link.clone();
        let liveliness = session.liveliness().declare_subscriber(keys.presences()).history(true);
        let others = liveliness.callback(move |sample| hear_presence(&heard, &sample)).await?;
        runtime.start().await?;
        link.outlet.open(session.clone());
        Ok(Session { runtime, session, token: None, subscriptions: HashMap::new(), _own: [node, notices, others] })
    }

    /// What connects to others.
    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// This node as others see it.
    pub(crate) fn presence(&self, link: &Link) -> Presence {
        let session = self.session.zid().to_string();
        Presence { node: link.member.node().to_string(), session, addresses: self.addresses(&link.places) }
    }

    /// Where others find this node.
    fn addresses(&self, places: &Places) -> Vec<String> {
        if !places.advertise.is_empty() {
            return places.advertise.clone();
        }
        let mut locators = self.runtime.get_locators_noloopback();
        if locators.is_empty() {
            locators = self.runtime.get_locators();
        }
        locators.iter().map(|locator| locator.address().to_string()).collect()
    }

    /// Shows that this node is there. What was subscribed before is in effect for whoever sees it.
    pub(crate) fn announce(&mut self, link: &Link) -> Result<(), Error> {
        let key = link.keys.presence(&self.presence(link));
        self.token = Some(self.session.liveliness().declare_token(key).wait()?);
        Ok(())
    }

    pub(crate) fn is_announced(&self) -> bool {
        self.token.is_some()
    }

    /// Subscribes to a topic, or ends that.
    pub(crate) fn apply(&mut self, link: &Arc<Link>, change: Change) -> Result<(), Error> {
        match change {
            Change::Subscribe(topic, id) => {
                let receiver = link.clone();
                let key = link.keys.channel(Channel::Topic(&topic));
                link.outlet.credit().count(key.len());
                let subscriber = self.session.declare_subscriber(key).allowed_origin(Locality::Remote);
                let subscriber = subscriber.callback(move |sample| receiver.receive(payload(&sample))).wait()?;
                self.subscriptions.insert(id, subscriber);
            }
            Change::Unsubscribe(_, id) => {
                if let Some(subscriber) = self.subscriptions.remove(&id) {
                    subscriber.undeclare().wait()?;
                }
            }
        }
        Ok(())
    }

    /// What is connected now must not hold up what closes it.
    pub(crate) async fn take_linger_off(&self) {
        let address = |locator: &Locator| locator.address().as_str().parse().ok();
        let links = self.session.info().links().await;
        let connections = links.filter_map(|link| Some((address(link.src())?, address(link.dst())?))).collect();
        match linger::take_off(&connections) {
            Ok(found) => tracing::debug!(adapter = NAME, connections = connections.len(), found, "sockets"),
            Err(error) => tracing::debug!(adapter = NAME, %error, "the process's own sockets cannot be looked at"),
        }
    }

    /// Sends the others a mark, if those that are connected are all nodes.
    pub(crate) async fn mark(&self, link: &Link) -> Result<bool, Error> {
        let info = self.session.info();
        let connected: Vec<_> =
            info.peers_zid().await.chain(info.routers_zid().await).map(|id| id.to_string()).collect();
        let Some(bytes) = link.outlet.credit().mark(&connected) else { return Ok(false) };
        self.send_mark(link, bytes)?;
        Ok(true)
    }

    fn send_mark(&self, link: &Link, bytes: u64) -> Result<(), Error> {
        let session = self.session.zid().to_string();
        link.tell(None, &Notice::Mark(Mark { session, bytes }))
    }

    /// Tells whose marks they are that this node has seen them.
    pub(crate) fn answer(&self, link: &Link) -> Result<(), Error> {
        for (node, mark) in link.take_marks() {
            link.tell(Some(&node), &Notice::Seen { by: self.session.zid().to_string(), mark })?;
        }
        Ok(())
    }

    /// Says goodbye, and sends the mark behind which nothing comes.
    pub(crate) fn say_bye(&self, link: &Link) -> Result<(), Error> {
        link.tell(None, &Notice::Bye(link.own_addresses()))?;
        // Whoever is connected and no node is not waited for.
        match link.outlet.credit().mark(&[]) {
            Some(bytes) => self.send_mark(link, bytes),
            None => Ok(()),
        }
    }

    /// This node is not there any more.
    pub(crate) fn part(&mut self) -> Result<(), Error> {
        match self.token.take() {
            Some(token) => token.undeclare().wait(),
            None => Ok(()),
        }
    }

    /// Closes all connections. What zenoh is writing then may be lost.
    pub(crate) async fn close(self, link: &Link) -> Result<(), Error> {
        link.outlet.close();
        self.session.close().await?;
        self.runtime.close().await
    }
}

fn payload(sample: &Sample) -> Bytes {
    match sample.payload().to_bytes() {
        Cow::Borrowed(bytes) => Bytes::copy_from_slice(bytes),
        Cow::Owned(bytes) => bytes.into(),
    }
}

fn hear_presence(link: &Link, sample: &Sample) {
    match (link.keys.read_presence(sample.key_expr().as_str()), sample.kind()) {
        (Some(presence), SampleKind::Put) => link.appeared(presence),
        (Some(presence), SampleKind::Delete) => link.disappeared(&presence),
        (None, _) => link.member.garbage(&format_args!("{} is no node", sample.key_expr())),
    }
}

fn config(places: &Places) -> Result<Config, Error> {
    let mut config = base()?;
    config.insert_json5("listen/endpoints", &json(&[format!("tcp/{}", places.listen)]))?;
    Ok(config)
}

/// What the session of a node and the one that [asks](crate::dial) have in common.
pub(crate) fn base() -> Result<Config, Error> {
    let mut config = Config::default();
    let stall_us = STALL.as_micros().to_string();
    let batches = BATCHES.to_string();
    let settings = [
        ("mode", "\"peer\""),
        ("listen/endpoints", "[]"),
        ("connect/endpoints", "[]"),
        ("scouting/multicast/enabled", "false"),
        // Nodes tell each other of addresses in notices: zenoh's gossip leaves out those of loopback, and tries each once.
        ("scouting/gossip/autoconnect", "{ peer: [] }"),
        ("open/return_conditions/connect_scouted", "false"),
        // One queue for each connection, whatever the priority: a goodbye must not overtake messages.
        ("transport/unicast/qos/enabled", "false"),
        ("transport/unicast/open_timeout", &OPEN.as_millis().to_string()),
        ("transport/link/tx/lease", &SILENCE.as_millis().to_string()),
        ("transport/link/tx/queue/size/data", &batches),
        ("transport/link/tx/queue/congestion_control/block/wait_before_close", &stall_us),
        ("transport/link/rx/max_message_size", &LARGEST.to_string()),
    ];
    for (key, value) in settings {
        config.insert_json5(key, value)?;
    }
    Ok(config)
}

/// A list of texts that hold neither quotes nor backslashes, as addresses do not.
pub(crate) fn json(texts: &[String]) -> String {
    format!("{texts:?}")
}
