//! The cluster that this server is a node of: `NODE` names it, `CLUSTER` says where its nodes meet, or where this one listens
//! for the others and connects to them. Without either it is on its own.

use bennu::pubsub::{ConnectError, InProcess, NodeName, PubSub};
use bennu_pubsub_nats::Nats;
use bennu_pubsub_redis::Redis;
use bennu_pubsub_zenoh::Zenoh;
use std::env;

/// Why there is no such cluster.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterError {
    #[error("CLUSTER cannot be used: {0}")]
    Address(#[from] ConnectError),
    #[error("CLUSTER cannot be used: {0:?} begins with none of zenoh://, redis://, rediss://, nats://, tls://")]
    Scheme(String),
    #[error("CLUSTER is set, so NODE must name this node: NODE=a@localhost, and another one for each server")]
    Unnamed,
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
