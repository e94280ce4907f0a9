//! Connects to the addresses of the address book, with one task for each, and reconnects lost connections.
//!
//! [`crate::worker`] runs it. Zenoh connects at run time only to a session whose id is known. So a short-lived session
//! first probes an address for the id of the session there. The probe also detects this node's own address and a node
//! that is connected already. Invariants: an outage of an address is logged once at its begin and once at its end;
//! attempts continue while the address book contains the address, after waits that grow, with jitter.

use crate::Error;
use crate::address::NAME;
use crate::session;
use crate::shared::Shared;
use bennu_pubsub_cluster::Backoff;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::instrument::WithSubscriber;
use zenoh::internal::runtime::Runtime;

/// The limit until a node is connected and its liveliness token has arrived.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The limit until a connection appears that Zenoh reported as failed because the other side had opened it.
const CROSSED_TIMEOUT: Duration = Duration::from_millis(500);

/// The delay of one of two nodes that learn of each other, so that not both connect at once.
const LEARNED_DELAY: Duration = Duration::from_secs(1);

/// Connects until it is dropped.
pub(crate) async fn run(shared: Arc<Shared>, runtime: Runtime) {
    let (mut tasks, mut running) = (JoinSet::new(), HashSet::new());
    loop {
        for address in shared.dial_targets() {
            if running.insert(address.clone()) {
                tasks.spawn(maintain(shared.clone(), runtime.clone(), address).with_current_subscriber());
            }
        }
        tokio::select! {
            () = shared.wait_for_addresses() => {}
            Some(ended) = tasks.join_next() => match ended {
                Ok(address) => {
                    running.remove(&address);
                }
                Err(error) => tracing::error!(%error, "a dialing task has panicked"),
            },
        }
    }
}

/// The node at an address.
enum Remote {
    Own,
    /// A node of the cluster, with the id of its session.
    Node(String),
}

/// Keeps a connection to the node at an address, until the address book drops the address. Returns the address.
async fn maintain(shared: Arc<Shared>, runtime: Runtime, address: String) -> String {
    if !shared.is_configured(&address) && shared.own_addresses().iter().min().is_none_or(|own| *own > address) {
        tokio::time::sleep(LEARNED_DELAY).await;
    }
    let mut backoff = Backoff::default();
    let mut outage = Outage::new(&shared, &address);
    loop {
        tokio::time::sleep(backoff.next_wait()).await;
        let found = timeout(CONNECT_TIMEOUT, connect(&shared, &runtime, &address)).await;
        match found
            .unwrap_or_else(|_| Err(format!("no node of this cluster answered within {CONNECT_TIMEOUT:?}").into()))
        {
            Ok(Remote::Own) => {
                shared.set_own(&address);
                return address;
            }
            Ok(Remote::Node(session)) => {
                shared.set_reached(&address);
                outage.end();
                // The sender belongs to the shared state, so the wait cannot fail.
                let _ = shared.peers().wait_for(|peers| !peers.contains_key(&session)).await;
                shared.set_unreached(&address);
                backoff.reset();
            }
            Err(error) => outage.report(&error),
        }
        if !shared.dial_targets().contains(&address) {
            return address;
        }
    }
}

/// Connects to the node at an address unless it is connected, and waits for its liveliness token.
async fn connect(shared: &Shared, runtime: &Runtime, address: &str) -> Result<Remote, Error> {
    if let Some(session) = shared.session_at(address) {
        return Ok(Remote::Node(session));
    }
    // Zenoh logs a warning for each failed attempt. Most fail because no program listens there, which this connection
    // detects without a warning.
    drop(TcpStream::connect(address).await?);
    let session = probe(address).await?;
    if session == runtime.zid() {
        return Ok(Remote::Own);
    }
    let name = session.to_string();
    let mut peers = shared.peers();
    let shown = peers.wait_for(|peers| peers.contains_key(&name));
    if !shared.peers().borrow().contains_key(&name) {
        let locator = format!("tcp/{address}").parse()?;
        if !runtime.connect_peer(&session.into(), &[locator]).await {
            timeout(CROSSED_TIMEOUT, shown).await.map_err(|_| "zenoh could not connect")??;
            return Ok(Remote::Node(name));
        }
    }
    shown.await?;
    Ok(Remote::Node(name))
}

/// Returns the id of the session that listens at an address.
async fn probe(address: &str) -> Result<zenoh::session::ZenohId, Error> {
    let mut config = session::base_config()?;
    config.insert_json5("connect/endpoints", &session::json(&[format!("tcp/{address}")]))?;
    config.insert_json5("connect/timeout_ms", "0")?;
    config.insert_json5("connect/exit_on_failure", "true")?;
    let session = zenoh::open(config).await?;
    let found = session.info().peers_zid().await.next();
    session.close().await?;
    found.ok_or_else(|| "a zenoh program listens there that is not a node".into())
}

/// The state of the outage log of an address.
struct Outage<'a> {
    shared: &'a Shared,
    address: &'a str,
    since: Option<Instant>,
    reached_once: bool,
}

impl<'a> Outage<'a> {
    fn new(shared: &'a Shared, address: &'a str) -> Self {
        Outage { shared, address, since: None, reached_once: false }
    }

    fn report(&mut self, error: &Error) {
        let (node, address, error) = (self.shared.node.name(), self.address, reason(error));
        if self.since.is_some() {
            tracing::debug!(adapter = NAME, %node, address, error, "a node is still out of reach");
            return;
        }
        self.since = Some(Instant::now());
        if self.shared.is_configured(address) {
            tracing::error!(adapter = NAME, %node, address, error, "a node is out of reach, trying again until it is there");
        } else {
            tracing::warn!(adapter = NAME, %node, address, error, "a node that others know is out of reach");
        }
    }

    fn end(&mut self) {
        let (node, address) = (self.shared.node.name(), self.address);
        if self.reached_once {
            self.shared.node.instruments().reconnects.increment(1);
        }
        match self.since.take() {
            Some(since) => {
                tracing::info!(adapter = NAME, %node, address, after = ?since.elapsed(), "a node is in reach")
            }
            None => tracing::info!(adapter = NAME, %node, address, "connected to a node"),
        }
        self.reached_once = true;
    }
}

/// Returns the text of a Zenoh error, without the location in Zenoh's source.
fn reason(error: &Error) -> String {
    let text = error.to_string();
    text.split_once(" at /").map_or(text.as_str(), |(reason, _)| reason).to_owned()
}
