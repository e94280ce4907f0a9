//! The cluster that this server is a node of: `NODE` names it, `CLUSTER` says where its nodes meet, or where this one listens
//! for the others and connects to them; `DOWN_AFTER` when one that is silent is given up. Without any it is on its own.

use crate::tracker::LEAST_DOWN_AFTER;
use bennu::pubsub::{ConnectError, InProcess, NodeName, PubSub};
use bennu_pubsub_nats::Nats;
use bennu_pubsub_redis::Redis;
use bennu_pubsub_zenoh::Zenoh;
use std::env;
use std::time::Duration;

/// Why there is no such cluster.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterError {
    #[error("CLUSTER cannot be used: {0}")]
    Address(#[from] ConnectError),
    #[error("CLUSTER cannot be used: {0:?} begins with none of zenoh://, redis://, rediss://, nats://, tls://")]
    Scheme(String),
    #[error("CLUSTER is set, so NODE must name this node: NODE=a@localhost, and another one for each server")]
    Unnamed,
    #[error("DOWN_AFTER cannot be used: {0:?} is no number of seconds from {least} up", least = LEAST_DOWN_AFTER.as_secs())]
    DownAfter(String),
}

/// The PubSub that `NODE` and `CLUSTER` ask for.
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

/// The silence after which a node's users are gone, if it was chosen.
pub(crate) fn down_after() -> Result<Option<Duration>, ClusterError> {
    let Some(text) = env::var_os("DOWN_AFTER") else { return Ok(None) };
    let seconds = text.to_str().and_then(|text| text.parse().ok()).map(Duration::from_secs);
    let chosen = seconds.filter(|seconds| *seconds >= LEAST_DOWN_AFTER);
    chosen.map(Some).ok_or_else(|| ClusterError::DownAfter(text.to_string_lossy().into_owned()))
}
