//! Connects to the addresses of the roster, each by a task of its own, and again when a connection is lost.
//!
//! zenoh connects at run time only to a session whose name is known. So an address is first asked who is there, by a session
//! of a moment; that also tells this node's own address, and a node that is connected already. Invariants: an address that
//! is out of reach is reported once when that begins and once when it is over; attempts go on for as long as the roster
//! wants them, after waits that grow and differ.

use crate::address::NAME;
use crate::error::{self, Error};
use crate::link::Link;
use crate::session;
use bennu_pubsub_cluster::Backoff;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::instrument::WithSubscriber;
use zenoh::internal::runtime::Runtime;

/// How long it may take until a node is connected to and has shown that it is there.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long zenoh may take to show a connection that it says it could not make, for the other side made it.
const CROSSED: Duration = Duration::from_millis(500);

/// Of two nodes that hear of each other, one connects at once and one after so long, so that they do not do it both.
const YIELD: Duration = Duration::from_secs(1);

/// Connects, until it is dropped.
pub(crate) async fn run(link: Arc<Link>, runtime: Runtime) {
    let (mut tasks, mut running) = (JoinSet::new(), HashSet::new());
    loop {
        for address in link.wanted() {
            if running.insert(address.clone()) {
                tasks.spawn(keep(link.clone(), runtime.clone(), address).with_current_subscriber());
            }
        }
        tokio::select! {
            () = link.to_look() => {}
            Some(ended) = tasks.join_next() => match ended {
                Ok(address) => {
                    running.remove(&address);
                }
                Err(error) => tracing::error!(%error, "a task that connects has ended"),
            },
        }
    }
}

/// Who is at an address.
enum Found {
    Myself,
    /// A node of the cluster, by its session.
    Node(String),
}

/// Keeps a connection to whoever is at an address, until the roster does not want it any more. Returns the address.
async fn keep(link: Arc<Link>, runtime: Runtime, address: String) -> String {
    if !link.is_named(&address) && link.own_addresses().iter().min().is_none_or(|own| *own > address) {
        tokio::time::sleep(YIELD).await;
    }
    let mut backoff = Backoff::default();
    let mut outage = Outage::new(&link, &address);
    loop {
        tokio::time::sleep(backoff.wait()).await;
        let found = timeout(PATIENCE, find(&link, &runtime, &address)).await;
        match found.unwrap_or_else(|_| Err(format!("no node of this cluster within {PATIENCE:?}").into())) {
            Ok(Found::Myself) => {
                link.is_mine(&address);
                return address;
            }
            Ok(Found::Node(session)) => {
                link.reached(&address);
                outage.over();
                // The sender is the link's own, so there is no other way to end.
                let _ = link.peers().wait_for(|peers| !peers.contains_key(&session)).await;
                link.missed(&address);
                backoff.reset();
            }
            Err(error) => outage.report(&error),
        }
        if !link.wanted().contains(&address) {
            return address;
        }
    }
}

/// Connects to whoever is at an address, unless it is connected, and waits until it shows that it is there.
async fn find(link: &Link, runtime: &Runtime, address: &str) -> Result<Found, Error> {
    if let Some(session) = link.session_at(address) {
        return Ok(Found::Node(session));
    }
    // zenoh warns of each attempt that fails. Most do since nobody listens, which is seen without it.
    drop(TcpStream::connect(address).await?);
    let session = ask(address).await?;
    if session == runtime.zid() {
        return Ok(Found::Myself);
    }
    let name = session.to_string();
    let mut peers = link.peers();
    let shown = peers.wait_for(|peers| peers.contains_key(&name));
    if !link.peers().borrow().contains_key(&name) {
        let locator = format!("tcp/{address}").parse()?;
        if !runtime.connect_peer(&session.into(), &[locator]).await {
            timeout(CROSSED, shown).await.map_err(|_| "zenoh could not connect")??;
            return Ok(Found::Node(name));
        }
    }
    shown.await?;
    Ok(Found::Node(name))
}

/// The session that listens at an address.
async fn ask(address: &str) -> Result<zenoh::session::ZenohId, Error> {
    let mut config = session::base()?;
    config.insert_json5("connect/endpoints", &session::json(&[format!("tcp/{address}")]))?;
    config.insert_json5("connect/timeout_ms", "0")?;
    config.insert_json5("connect/exit_on_failure", "true")?;
    let session = zenoh::open(config).await?;
    let found = session.info().peers_zid().await.next();
    session.close().await?;
    found.ok_or_else(|| "zenoh listens there, and no node".into())
}

/// What has been said of an address at which nobody is.
struct Outage<'a> {
    link: &'a Link,
    address: &'a str,
    since: Option<Instant>,
    reached_once: bool,
}

impl<'a> Outage<'a> {
    fn new(link: &'a Link, address: &'a str) -> Self {
        Outage { link, address, since: None, reached_once: false }
    }

    fn report(&mut self, error: &Error) {
        let (node, address, error) = (self.link.member.node(), self.address, error::reason(error));
        if self.since.is_some() {
            tracing::debug!(adapter = NAME, %node, address, error, "a node is still out of reach");
            return;
        }
        self.since = Some(Instant::now());
        if self.link.is_named(address) {
            tracing::error!(adapter = NAME, %node, address, error, "a node is out of reach, trying again until it is there");
        } else {
            tracing::warn!(adapter = NAME, %node, address, error, "a node that others know is out of reach");
        }
    }

    fn over(&mut self) {
        let (node, address) = (self.link.member.node(), self.address);
        if self.reached_once {
            self.link.member.instruments().reconnects.increment(1);
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
