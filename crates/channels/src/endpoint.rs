//! The application's endpoint: its PubSub, its secret, and all connections of this node. Any part of the application
//! may hold a clone, to broadcast, to sign tokens, or to drain the node.

pub(crate) mod admission;
pub(crate) mod drain;
mod queues;

use crate::broadcast::{Broadcast, BroadcastError};
use crate::endpoint::admission::Admission;
use crate::presence::{Presence, PresenceHandler, PresenceOptions};
use crate::telemetry::EndpointInstruments;
use bennu_protocol::{self as protocol, IntoPayload, Payload, event};
use bennu_pubsub::{PubSub, SubscriberId};
use bennu_token::{MaxAge, Secret, Token, TokenError};
use bennu_tracker::OptionsError;
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// The application's endpoint, with which any task broadcasts, signs and drains. Cloning is cheap and shares everything.
///
/// ```
/// use bennu_channels::{Endpoint, token::Secret};
/// use serde_json::json;
///
/// let endpoint = Endpoint::new(Secret::new("a secret that is at least 32 bytes long")?);
/// endpoint.broadcast("room:lobby", "new_msg", json!({ "text": "hello" }))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Endpoint(Arc<Inner>);

struct Inner {
    pubsub: PubSub,
    secret: Secret,
    filter_parameters: Vec<String>,
    connections: Mutex<HashMap<u64, Weak<dyn Registered>>>,
    next_connection: AtomicU64,
    /// Channel tasks that have not finished `terminate`.
    channels: AtomicUsize,
    /// Clients that `connect` has accepted and whose transport is not up yet.
    upgrading: AtomicUsize,
    admission: Arc<Admission>,
    draining: AtomicBool,
    leaving: watch::Sender<bool>,
    /// Notified when a connection or a channel has ended.
    fewer: Notify,
    extensions: Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
    /// All presences that were started, to leave the cluster with.
    presences: Mutex<Vec<Presence>>,
    instruments: OnceLock<EndpointInstruments>,
}

/// A connection, as its endpoint refers to it.
pub(crate) trait Registered: Send + Sync {
    /// Ends the connection, once its queued frames have been written.
    fn close(&self, reason: protocol::Close);
    /// Returns the bytes that wait in its queues.
    fn backlog(&self) -> Backlog;
}

/// Bytes that wait in a connection's queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Backlog {
    /// For its client to read them.
    pub(crate) outboxes: usize,
    /// For its channels to handle them.
    pub(crate) mailboxes: usize,
}

/// Builds an [`Endpoint`]; see [`Endpoint::builder`].
///
/// ```
/// use bennu_channels::{Endpoint, token::Secret};
///
/// let secret = Secret::new("a secret that is at least 32 bytes long")?;
/// let endpoint = Endpoint::builder(secret).filter_parameters(["password", "token", "card"]).build();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct EndpointBuilder {
    secret: Secret,
    pubsub: Option<PubSub>,
    filter_parameters: Vec<String>,
}

impl EndpointBuilder {
    /// Sets the PubSub, such as one that is connected to a cluster. Default: [`PubSub::local`].
    pub fn pubsub(mut self, pubsub: PubSub) -> Self {
        self.pubsub = Some(pubsub);
        self
    }

    /// Sets the names of secret parameters: those whose name contains one of these are logged as `[FILTERED]`. Default:
    /// `password` and `token`.
    pub fn filter_parameters<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.filter_parameters = names.into_iter().map(Into::into).collect();
        self
    }

    /// Builds the endpoint.
    pub fn build(self) -> Endpoint {
        Endpoint(Arc::new(Inner {
            pubsub: self.pubsub.unwrap_or_else(PubSub::local),
            secret: self.secret,
            filter_parameters: self.filter_parameters,
            connections: Mutex::default(),
            next_connection: AtomicU64::new(0),
            channels: AtomicUsize::new(0),
            upgrading: AtomicUsize::new(0),
            admission: Admission::new(),
            draining: AtomicBool::new(false),
            leaving: watch::Sender::new(false),
            fewer: Notify::new(),
            extensions: Mutex::default(),
            presences: Mutex::default(),
            instruments: OnceLock::new(),
        }))
    }
}

impl Endpoint {
    /// Makes an endpoint with the defaults and this secret.
    pub fn new(secret: Secret) -> Self {
        Endpoint::builder(secret).build()
    }

    /// Begins an endpoint with options.
    pub fn builder(secret: Secret) -> EndpointBuilder {
        EndpointBuilder { secret, pubsub: None, filter_parameters: vec!["password".to_owned(), "token".to_owned()] }
    }

    /// Returns the PubSub that its channels subscribe to.
    pub fn pubsub(&self) -> &PubSub {
        &self.0.pubsub
    }

    /// Returns the secret that signs its tokens.
    pub fn secret(&self) -> &Secret {
        &self.0.secret
    }

    pub(crate) fn filter_parameters(&self) -> &[String] {
        &self.0.filter_parameters
    }

    /// Broadcasts an event to every client that has joined a topic, on every node.
    ///
    /// # Errors
    /// [`BroadcastError`] when the payload is not an object, when a binary payload has a topic or an event over 255 bytes, or when
    /// other nodes cannot be reached.
    pub fn broadcast(&self, topic: &str, event: &str, payload: impl IntoPayload) -> Result<(), BroadcastError> {
        self.broadcast_from(SubscriberId::NONE, topic, event, payload)
    }

    /// Broadcasts an event to this node's clients only. Returns the number of subscribers.
    ///
    /// # Errors
    /// [`BroadcastError`] as [`Endpoint::broadcast`], without the case of other nodes.
    pub fn local_broadcast(
        &self,
        topic: &str,
        event: &str,
        payload: impl IntoPayload,
    ) -> Result<usize, BroadcastError> {
        let broadcast = Broadcast::new(topic, event, payload)?;
        self.instruments().broadcasts.increment(1);
        Ok(self.pubsub().local_broadcast(topic, broadcast))
    }

    /// Broadcasts to all subscribers but one.
    pub(crate) fn broadcast_from(
        &self,
        except: SubscriberId,
        topic: &str,
        event: &str,
        payload: impl IntoPayload,
    ) -> Result<(), BroadcastError> {
        let broadcast = Broadcast::new(topic, event, payload)?;
        self.instruments().broadcasts.increment(1);
        Ok(self.pubsub().broadcast_from(except, topic, broadcast)?)
    }

    /// Closes every connection whose socket has this id, on every node, with code 1001.
    ///
    /// # Errors
    /// [`BroadcastError::Publish`] when other nodes cannot be reached.
    pub fn disconnect(&self, socket_id: &str) -> Result<(), BroadcastError> {
        self.broadcast(socket_id, event::DISCONNECT, Payload::empty())
    }

    /// Signs data into a token that [`Endpoint::verify`], and Phoenix.Token with the same secret, accept.
    ///
    /// # Errors
    /// [`TokenError`] when the data has no form as an Erlang term.
    pub fn sign<T: Serialize + ?Sized>(&self, salt: &str, data: &T) -> Result<String, TokenError> {
        Token::new(&self.0.secret, salt).sign(data)
    }

    /// Verifies a token that is no older than `max_age`, and returns its data.
    ///
    /// # Errors
    /// [`TokenError`] when the token is missing, invalid or expired.
    pub fn verify<T: DeserializeOwned>(&self, salt: &str, token: &str, max_age: Duration) -> Result<T, TokenError> {
        Token::new(&self.0.secret, salt).verify_within(token, MaxAge::from(max_age))
    }

    /// Returns the number of clients that are connected to this node.
    pub fn connection_count(&self) -> usize {
        self.0.connections.lock().len()
    }

    /// Returns the number of channels on this node, including those in `join` and `terminate`.
    pub fn channel_count(&self) -> usize {
        self.0.channels.load(Ordering::Relaxed)
    }

    /// Returns whether this node drains. Transports then refuse new connections.
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Relaxed)
    }

    /// Returns a value that a transport keeps once for all its mounts of this endpoint. The first call makes it.
    pub fn extension<T: Send + Sync + 'static>(&self, make: impl FnOnce() -> Arc<T>) -> Arc<T> {
        let mut extensions = self.0.extensions.lock();
        let extension = extensions.entry(TypeId::of::<T>()).or_insert_with(|| make()).clone();
        extension.downcast().expect("the key is the type of the value")
    }

    /// Returns the presence that all channels of this endpoint share, which has no handler. The first call starts it.
    /// Call it when the program starts, so that this node has the presences of other nodes before its first client
    /// connects.
    ///
    /// # Panics
    /// The first call panics outside of a tokio runtime.
    pub fn presence(&self) -> Presence {
        Presence::clone(&self.extension(|| {
            let started = Presence::start_on(self.pubsub(), "presence", Default::default(), ());
            let presence = started.expect("the default options agree with each other");
            self.add_presence(&presence);
            Arc::new(presence)
        }))
    }

    pub(crate) fn add_presence(&self, presence: &Presence) {
        self.0.presences.lock().push(presence.clone());
    }

    /// Announces that this node is about to leave the cluster. Requests that may wait long for another node, such as
    /// the poll of a session there, end. Until [`Endpoint::leave`] the node still broadcasts and still receives replies
    /// of other nodes.
    pub fn start_leaving(&self) {
        self.0.leaving.send_replace(true);
    }

    /// Waits until this node is about to leave the cluster.
    pub async fn leaving(&self) {
        let is_announced = self.0.leaving.subscribe().wait_for(|leaving| *leaving).await.is_ok();
        debug_assert!(is_announced, "the sender lives as long as the endpoint");
    }

    /// Leaves the cluster: presences announce it, and other nodes remove this node at once. Call it once, when no
    /// client and no request is left; [`bennu::serve`](https://docs.rs/bennu) does.
    pub async fn leave(&self) {
        self.start_leaving();
        let presences = std::mem::take(&mut *self.0.presences.lock());
        for presence in presences {
            presence.leave().await;
        }
        self.pubsub().leave().await;
    }

    pub(crate) fn admission(&self) -> &Arc<Admission> {
        &self.0.admission
    }

    pub(crate) fn start_draining(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
        metrics::gauge!("bennu.drain.draining").set(1);
    }

    pub(crate) fn register(&self, connection: Weak<dyn Registered>) -> Registration {
        let key = self.0.next_connection.fetch_add(1, Ordering::Relaxed);
        self.0.connections.lock().insert(key, connection);
        self.instruments().connected.increment(1);
        Registration { endpoint: Arc::downgrade(&self.0), key }
    }

    fn instruments(&self) -> &EndpointInstruments {
        self.0.instruments.get_or_init(EndpointInstruments::new)
    }

    pub(crate) fn connections(&self) -> Vec<Weak<dyn Registered>> {
        self.0.connections.lock().values().cloned().collect()
    }

    pub(crate) fn channel_started(&self) -> ChannelAlive {
        self.0.channels.fetch_add(1, Ordering::Relaxed);
        ChannelAlive(self.0.clone())
    }

    pub(crate) fn upgrade_started(&self) -> Upgrading {
        self.0.upgrading.fetch_add(1, Ordering::Relaxed);
        Upgrading(self.0.clone())
    }

    /// Waits until no connection, no channel and no accepted client is left.
    pub(crate) async fn empty(&self) {
        loop {
            let fewer = self.0.fewer.notified();
            let upgrading = self.0.upgrading.load(Ordering::Relaxed);
            if upgrading + self.connection_count() + self.channel_count() == 0 {
                return;
            }
            fewer.await;
        }
    }
}

impl Presence {
    /// Starts a further presence, beside [`Endpoint::presence`]. Presences with the same name on all nodes form one.
    ///
    /// # Errors
    /// [`OptionsError`] when two options contradict each other.
    ///
    /// # Panics
    /// Panics outside of a tokio runtime.
    pub fn start<H: PresenceHandler>(
        endpoint: &Endpoint,
        name: &str,
        options: PresenceOptions,
        handler: H,
    ) -> Result<Self, OptionsError> {
        let presence = Presence::start_on(endpoint.pubsub(), name, options, handler)?;
        endpoint.add_presence(&presence);
        Ok(presence)
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Endpoint({}, {} connections)", self.0.pubsub.node(), self.connection_count())
    }
}

/// A connection's entry in the endpoint's table, removed when this is dropped.
pub(crate) struct Registration {
    endpoint: Weak<Inner>,
    key: u64,
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some(endpoint) = self.endpoint.upgrade() {
            let mut connections = endpoint.connections.lock();
            connections.remove(&self.key);
            if connections.len() * 4 < connections.capacity() {
                connections.shrink_to_fit();
            }
            drop(connections);
            if let Some(instruments) = endpoint.instruments.get() {
                instruments.connected.decrement(1);
            }
            endpoint.fewer.notify_waiters();
        }
    }
}

/// Counts a channel's task until it has ended, however it ends.
pub(crate) struct ChannelAlive(Arc<Inner>);

impl Drop for ChannelAlive {
    fn drop(&mut self) {
        self.0.channels.fetch_sub(1, Ordering::Relaxed);
        self.0.fewer.notify_waiters();
    }
}

/// Counts a client between `connect` and the start of its transport, so that a drain does not miss it.
pub(crate) struct Upgrading(Arc<Inner>);

impl Drop for Upgrading {
    fn drop(&mut self) {
        self.0.upgrading.fetch_sub(1, Ordering::Relaxed);
        self.0.fewer.notify_waiters();
    }
}
