//! The cluster of this server, from the environment. `NODE` is this node's name. `CLUSTER` is the address of the nodes'
//! broker, or with Zenoh the address on which this node listens and those of the nodes to connect to. `DOWN_AFTER` is
//! the silence after which a node is down. Without these variables the server is a node of its own.

use crate::tracker::MIN_DOWN_AFTER;
use bennu::pubsub::{self, InProcess, NodeName, PubSub};
use bennu_pubsub_nats::Nats;
use bennu_pubsub_redis::Redis;
use bennu_pubsub_zenoh::Zenoh;
use std::env;
use std::time::Duration;

/// An invalid configuration of the cluster.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterError {
    #[error("could not use CLUSTER: {0}")]
    Address(#[from] pubsub::ClusterError),
    #[error("could not use CLUSTER: {0:?} does not begin with zenoh://, redis://, rediss://, nats:// or tls://")]
    Scheme(String),
    #[error("CLUSTER is set, so NODE must name this node: NODE=a@localhost, with another name for each server")]
    Unnamed,
    #[error("could not use DOWN_AFTER: {0:?} is not a whole number of seconds of at least {min}", min = MIN_DOWN_AFTER.as_secs())]
    DownAfter(String),
}

/// Returns the PubSub of `NODE` and `CLUSTER`.
pub(crate) fn pubsub() -> Result<PubSub, ClusterError> {
    let node = env::var("NODE").ok().map(NodeName::new);
    let Ok(address) = env::var("CLUSTER") else {
        return Ok(PubSub::new(InProcess::cluster().join(node.unwrap_or_default())));
    };
    let node = node.ok_or(ClusterError::Unnamed)?;
    match address.split_once("://").map(|(scheme, _)| scheme) {
        Some("zenoh") => Ok(PubSub::new(Zenoh::new(&address)?.join(node))),
        Some("redis" | "rediss") => Ok(PubSub::new(Redis::new(&address)?.join(node))),
        Some("nats" | "tls") => Ok(PubSub::new(Nats::new(&address)?.join(node))),
        _ => Err(ClusterError::Scheme(address)),
    }
}

/// Returns the silence after which a node is down, if `DOWN_AFTER` is set.
pub(crate) fn down_after() -> Result<Option<Duration>, ClusterError> {
    let Some(text) = env::var_os("DOWN_AFTER") else { return Ok(None) };
    let seconds = text.to_str().and_then(|text| text.parse().ok()).map(Duration::from_secs);
    let valid = seconds.filter(|seconds| *seconds >= MIN_DOWN_AFTER);
    valid.map(Some).ok_or_else(|| ClusterError::DownAfter(text.to_string_lossy().into_owned()))
}
