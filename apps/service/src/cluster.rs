//! The cluster of a node, from the environment: `NODE` is this node's name, `CLUSTER` the address of the nodes' broker,
//! or with Zenoh the address on which this node listens and those of the nodes to connect to. `DOWN_AFTER` is the
//! silence after which a node is down.
//!
//! An application calls [`pubsub`] for its endpoint, and [`down_after`] for its presences. Without these variables a
//! node is a cluster of its own. A variable that is set and not usable is an error, and never ignored.

use bennu::pubsub::{ClusterError, InProcess, NodeName, PubSub};
use bennu_pubsub_nats::Nats;
use bennu_pubsub_redis::Redis;
use bennu_pubsub_zenoh::Zenoh;
use std::env::{self, VarError};
use std::time::Duration;

/// The shortest silence of `DOWN_AFTER`. The periods of a presence follow from it; shorter ones would remove a busy node.
pub const MIN_DOWN_AFTER: Duration = Duration::from_secs(1);

/// An invalid configuration of the cluster.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterConfigError {
    /// The engine cannot use the address.
    #[error("could not use CLUSTER: {0}")]
    Address(#[from] ClusterError),
    /// No engine has the scheme of this address.
    #[error("could not use CLUSTER: {0:?} does not begin with zenoh://, redis://, rediss://, nats:// or tls://")]
    Scheme(String),
    /// `CLUSTER` is set and `NODE` is not.
    #[error("CLUSTER is set, so NODE must name this node: NODE=a@localhost, with another name for each server")]
    Unnamed,
    /// The time is not a number of seconds, or too short.
    #[error("could not use DOWN_AFTER: {0:?} is not a whole number of seconds of at least {min}", min = MIN_DOWN_AFTER.as_secs())]
    DownAfter(String),
    /// The value of a variable is not text.
    #[error("could not use {0}: its value is not UTF-8")]
    NotText(&'static str),
}

/// Returns the PubSub of `NODE` and `CLUSTER`: `zenoh://HOST:PORT?connect=HOST:PORT`, `redis://`, `rediss://`, `nats://`
/// or `tls://` (NATS). It connects in the background. Without `CLUSTER` it has this node only.
///
/// # Errors
/// [`ClusterConfigError`]
///
/// # Panics
/// Outside of a tokio runtime.
pub fn pubsub() -> Result<PubSub, ClusterConfigError> {
    join(variable("NODE")?, variable("CLUSTER")?)
}

/// Returns the silence of `DOWN_AFTER`, a whole number of seconds of at least 1, if the variable is set.
///
/// # Errors
/// [`ClusterConfigError::DownAfter`]
pub fn down_after() -> Result<Option<Duration>, ClusterConfigError> {
    variable("DOWN_AFTER")?.map(parse_down_after).transpose()
}

fn join(node: Option<String>, cluster: Option<String>) -> Result<PubSub, ClusterConfigError> {
    let node = node.map(NodeName::new);
    let Some(address) = cluster else {
        return Ok(PubSub::new(InProcess::cluster().join(node.unwrap_or_default())));
    };
    let node = node.ok_or(ClusterConfigError::Unnamed)?;
    match address.split_once("://").map(|(scheme, _)| scheme) {
        Some("zenoh") => Ok(PubSub::new(Zenoh::new(&address)?.join(node))),
        Some("redis" | "rediss") => Ok(PubSub::new(Redis::new(&address)?.join(node))),
        Some("nats" | "tls") => Ok(PubSub::new(Nats::new(&address)?.join(node))),
        _ => Err(ClusterConfigError::Scheme(address)),
    }
}

fn parse_down_after(text: String) -> Result<Duration, ClusterConfigError> {
    let seconds = text.parse().ok().map(Duration::from_secs);
    seconds.filter(|seconds| *seconds >= MIN_DOWN_AFTER).ok_or(ClusterConfigError::DownAfter(text))
}

fn variable(name: &'static str) -> Result<Option<String>, ClusterConfigError> {
    match env::var(name) {
        Ok(text) => Ok(Some(text)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(ClusterConfigError::NotText(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node_of(node: Option<&str>, cluster: Option<&str>) -> Result<String, String> {
        let pubsub = join(node.map(str::to_owned), cluster.map(str::to_owned));
        pubsub.map(|pubsub| pubsub.node().as_str().to_owned()).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_node_without_a_cluster_has_its_name_or_that_of_no_node() {
        assert_eq!(node_of(None, None), Ok("nonode@nohost".to_owned()));
        assert_eq!(node_of(Some("a@localhost"), None), Ok("a@localhost".to_owned()));
    }

    #[tokio::test]
    async fn each_scheme_of_an_address_has_its_engine() {
        for address in ["redis://127.0.0.1:1", "nats://127.0.0.1:1", "zenoh://127.0.0.1:0"] {
            assert_eq!(node_of(Some("a@localhost"), Some(address)), Ok("a@localhost".to_owned()));
        }
    }

    #[tokio::test]
    async fn an_address_that_no_engine_can_use_and_a_node_without_a_name_are_errors() {
        let unnamed = node_of(None, Some("redis://localhost")).unwrap_err();
        assert!(unnamed.starts_with("CLUSTER is set, so NODE must name this node"), "{unnamed}");
        for address in ["http://localhost", "localhost:6379", ""] {
            let error = node_of(Some("a"), Some(address)).unwrap_err();
            let known = "does not begin with zenoh://, redis://, rediss://, nats:// or tls://";
            assert_eq!(error, format!("could not use CLUSTER: {address:?} {known}"));
        }
        let error = node_of(Some("a"), Some("zenoh://127.0.0.1:7448?connect=")).unwrap_err();
        let reason = "connect has no address; write connect=HOST:PORT,HOST:PORT";
        assert!(error.starts_with("could not use CLUSTER: ") && error.ends_with(reason), "{error}");
    }

    #[test]
    fn down_after_is_a_whole_number_of_seconds_of_at_least_one() {
        let parsed = |text: &str| parse_down_after(text.to_owned()).map_err(|error| error.to_string());
        assert_eq!(parsed("1"), Ok(Duration::from_secs(1)));
        assert_eq!(parsed("90"), Ok(Duration::from_secs(90)));
        for text in ["0", "-1", "1.5", "soon", ""] {
            let expected = "is not a whole number of seconds of at least 1";
            assert_eq!(parsed(text), Err(format!("could not use DOWN_AFTER: {text:?} {expected}")));
        }
    }
}
