//! The Zenoh session of a node, which listens, subscribes, publishes and announces the node.
//!
//! The adapter's thread owns it. A call may wait while a connected node reads nothing, at most [`STALL_TIMEOUT`]. So
//! only that thread makes such calls, except for the puts that [`crate::writer`] lets through. Zenoh's threads pass
//! received messages to [`Shared`].

use crate::Error;
use crate::address::{Addresses, NAME};
use crate::control_message::{ControlMessage, Marker};
use crate::key::Peer;
use crate::linger;
use crate::shared::Shared;
use crate::window::BATCHES;
use bennu_pubsub::NODE_TIMEOUT;
use bennu_pubsub_cluster::{InterestChange, Subject};
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

/// The time after which a connected node that reads nothing is disconnected. The messages behind it wait as long for
/// the other nodes too.
pub(crate) const STALL_TIMEOUT: Duration = Duration::from_secs(5);

/// The limit for opening a connection.
const OPEN_TIMEOUT: Duration = Duration::from_secs(4);

/// The largest message that Zenoh reassembles from fragments.
const MAX_MESSAGE_BYTES: usize = 64 << 20;

pub(crate) struct Session {
    runtime: Runtime,
    session: zenoh::Session,
    token: Option<LivelinessToken>,
    /// The subscriptions of topics, by the ids of the interest.
    subscriptions: HashMap<u64, Subscriber<()>>,
    _own: [Subscriber<()>; 3],
}

impl Session {
    /// Opens a session that listens, and subscribes to liveliness tokens, control messages and the messages to this
    /// node.
    pub(crate) async fn open(shared: &Arc<Shared>) -> Result<Session, Error> {
        // Zenoh logs a warning for each failed attempt. This bind detects an address in use without a warning.
        drop(TcpListener::bind(&shared.addresses.listen).await?);
        let runtime = RuntimeBuilder::new(config(&shared.addresses)?).build().await?;
        match Session::start(shared, runtime.clone()).await {
            Ok(session) => Ok(session),
            Err(error) => {
                runtime.close().await?;
                Err(error)
            }
        }
    }

    async fn start(shared: &Arc<Shared>, mut runtime: Runtime) -> Result<Session, Error> {
        let session = zenoh::session::init(runtime.clone().into()).await?;
        let keys = &shared.keys;
        let subscribe = |subject, take: fn(&Shared, Bytes)| {
            let shared = shared.clone();
            let subscriber = session.declare_subscriber(keys.for_subject(subject)).allowed_origin(Locality::Remote);
            subscriber.callback(move |sample| take(&shared, payload(&sample)))
        };
        let node = subscribe(Subject::Node(shared.node.name().as_str()), Shared::receive_own).await?;
        let control = subscribe(Subject::Control, Shared::receive_control).await?;
        let receiver = shared.clone();
        let liveliness = session.liveliness().declare_subscriber(keys.all_liveliness()).history(true);
        let others = liveliness.callback(move |sample| receive_liveliness(&receiver, &sample)).await?;
        runtime.start().await?;
        shared.writer.open(session.clone());
        Ok(Session { runtime, session, token: None, subscriptions: HashMap::new(), _own: [node, control, others] })
    }

    /// Returns the runtime with which the dialer connects.
    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Returns this node as other nodes see it.
    pub(crate) fn own_peer(&self, shared: &Shared) -> Peer {
        let session = self.session.zid().to_string();
        Peer { node: shared.node.name().to_string(), session, addresses: self.addresses(&shared.addresses) }
    }

    /// Returns the addresses at which other nodes can connect to this node.
    fn addresses(&self, addresses: &Addresses) -> Vec<String> {
        if !addresses.advertise.is_empty() {
            return addresses.advertise.clone();
        }
        let mut locators = self.runtime.get_locators_noloopback();
        if locators.is_empty() {
            locators = self.runtime.get_locators();
        }
        locators.iter().map(|locator| locator.address().to_string()).collect()
    }

    /// Declares the liveliness token. Earlier subscriptions are in effect at every node that receives it.
    pub(crate) fn announce(&mut self, shared: &Shared) -> Result<(), Error> {
        let key = shared.keys.liveliness(&self.own_peer(shared));
        self.token = Some(self.session.liveliness().declare_token(key).wait()?);
        Ok(())
    }

    pub(crate) fn is_announced(&self) -> bool {
        self.token.is_some()
    }

    /// Subscribes to a topic or ends a subscription.
    pub(crate) fn apply_change(&mut self, shared: &Arc<Shared>, change: InterestChange) -> Result<(), Error> {
        match change {
            InterestChange::Subscribe(topic, id) => {
                let receiver = shared.clone();
                let key = shared.keys.for_subject(Subject::Topic(&topic));
                shared.writer.window().add(key.len());
                let subscriber = self.session.declare_subscriber(key).allowed_origin(Locality::Remote);
                let subscriber = subscriber.callback(move |sample| receiver.receive(payload(&sample))).wait()?;
                self.subscriptions.insert(id, subscriber);
            }
            InterestChange::Unsubscribe(_, id) => {
                if let Some(subscriber) = self.subscriptions.remove(&id) {
                    subscriber.undeclare().wait()?;
                }
            }
        }
        Ok(())
    }

    /// Disables `SO_LINGER` on the current connections, so that closing one never blocks Zenoh's sender.
    pub(crate) async fn disable_linger(&self) {
        let address = |locator: &Locator| locator.address().as_str().parse().ok();
        let links = self.session.info().links().await;
        let connections = links.filter_map(|link| Some((address(link.src())?, address(link.dst())?))).collect();
        match linger::disable(&connections) {
            Ok(found) => tracing::debug!(
                adapter = NAME,
                connections = connections.len(),
                found,
                "disabled SO_LINGER on the sockets of connections"
            ),
            Err(error) => tracing::debug!(adapter = NAME, %error, "could not list the sockets of the process"),
        }
    }

    /// Sends a marker to all nodes, unless a session is connected that is not a node. Returns whether it was sent.
    pub(crate) async fn send_marker(&self, shared: &Shared) -> Result<bool, Error> {
        let info = self.session.info();
        let connected: Vec<_> =
            info.peers_zid().await.chain(info.routers_zid().await).map(|id| id.to_string()).collect();
        let Some(bytes) = shared.writer.window().start_round(&connected) else { return Ok(false) };
        self.publish_marker(shared, bytes)?;
        Ok(true)
    }

    fn publish_marker(&self, shared: &Shared, bytes: u64) -> Result<(), Error> {
        let session = self.session.zid().to_string();
        shared.send_control(None, &ControlMessage::Marker(Marker { session, bytes }))
    }

    /// Acknowledges the received markers.
    pub(crate) fn send_acks(&self, shared: &Shared) -> Result<(), Error> {
        for (node, marker) in shared.take_markers() {
            shared.send_control(Some(&node), &ControlMessage::Ack { by: self.session.zid().to_string(), marker })?;
        }
        Ok(())
    }

    /// Sends the goodbye, and the last marker.
    pub(crate) fn send_goodbye(&self, shared: &Shared) -> Result<(), Error> {
        shared.send_control(None, &ControlMessage::Goodbye(shared.own_addresses()))?;
        // The marker does not wait for sessions that are not nodes.
        match shared.writer.window().start_round(&[]) {
            Some(bytes) => self.publish_marker(shared, bytes),
            None => Ok(()),
        }
    }

    /// Revokes the liveliness token.
    pub(crate) fn withdraw(&mut self) -> Result<(), Error> {
        match self.token.take() {
            Some(token) => token.undeclare().wait(),
            None => Ok(()),
        }
    }

    /// Closes all connections. Bytes that Zenoh is writing at that moment may be lost.
    pub(crate) async fn close(self, shared: &Shared) -> Result<(), Error> {
        shared.writer.close();
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

fn receive_liveliness(shared: &Shared, sample: &Sample) {
    match (shared.keys.parse_liveliness(sample.key_expr().as_str()), sample.kind()) {
        (Some(peer), SampleKind::Put) => shared.add_peer(peer),
        (Some(peer), SampleKind::Delete) => shared.remove_peer(&peer),
        (None, _) => shared
            .node
            .count_garbage(&format_args!("the key {} is not a liveliness token of a node", sample.key_expr())),
    }
}

fn config(addresses: &Addresses) -> Result<Config, Error> {
    let mut config = base_config()?;
    config.insert_json5("listen/endpoints", &json(&[format!("tcp/{}", addresses.listen)]))?;
    Ok(config)
}

/// Returns the settings that the session of a node and the session of a [probe](crate::dialer) have in common.
pub(crate) fn base_config() -> Result<Config, Error> {
    let mut config = Config::default();
    let stall_us = STALL_TIMEOUT.as_micros().to_string();
    let batches = BATCHES.to_string();
    let settings = [
        ("mode", "\"peer\""),
        ("listen/endpoints", "[]"),
        ("connect/endpoints", "[]"),
        ("scouting/multicast/enabled", "false"),
        // Nodes send addresses in control messages: Zenoh's gossip omits loopback addresses and tries each address
        // once.
        ("scouting/gossip/autoconnect", "{ peer: [] }"),
        ("open/return_conditions/connect_scouted", "false"),
        // One queue for each connection, whatever the priority: a goodbye must not overtake messages.
        ("transport/unicast/qos/enabled", "false"),
        ("transport/unicast/open_timeout", &OPEN_TIMEOUT.as_millis().to_string()),
        ("transport/link/tx/lease", &NODE_TIMEOUT.as_millis().to_string()),
        ("transport/link/tx/queue/size/data", &batches),
        ("transport/link/tx/queue/congestion_control/block/wait_before_close", &stall_us),
        ("transport/link/rx/max_message_size", &MAX_MESSAGE_BYTES.to_string()),
    ];
    for (key, value) in settings {
        config.insert_json5(key, value)?;
    }
    Ok(config)
}

/// Returns a JSON list. The strings are addresses, so they contain neither quotes nor backslashes.
pub(crate) fn json(texts: &[String]) -> String {
    format!("{texts:?}")
}
