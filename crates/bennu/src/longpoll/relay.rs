//! The relay: forwards the requests of a client to the node where its session lives, because a load balancer sends each
//! request to any node.
//!
//! [`super::service`] calls [`Relay::poll`] and [`Relay::publish`] for a session of another node. The relay sends the
//! request to that node over PubSub and returns its response. Invariant: a batch whose response PubSub
//! loses is not lost for the client. PubSub delivers at most once; after a loss, the client's next poll has its previous
//! token and receives the batch again.

use super::batch::Batch;
use super::session::{PollOutcome, PublishOutcome};
use super::session_table::SessionTable;
use super::session_token::SessionToken;
use bennu_channels::Endpoint;
use bennu_channels::pubsub::{Attachment, Message, NodeEvent, NodeName, PubSub, Publication, Sink, Subscription};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

/// The topic of all relays; each message on it has one node as its receiver.
const TOPIC: &str = "bennu.longpoll";

/// How long another node may take to accept a request. Phoenix's `pubsub_timeout_ms`.
const NODE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a node may take, after it has accepted a POST, to process it. The POST waits for earlier POSTs of its
/// session.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(30);

/// Access to all sessions that this node can reach: its own, and those of other nodes.
pub(crate) struct Relay {
    pub(crate) sessions: Arc<SessionTable>,
    pubsub: PubSub,
    /// Requests to other nodes that have no final response yet.
    pending: Mutex<HashMap<u64, UnboundedSender<Response>>>,
    next: AtomicU64,
    /// The runtime for the requests of other nodes; set by the first request of a client.
    runtime: OnceLock<Handle>,
    attachment: OnceLock<Attachment>,
}

/// A message between two nodes. The serialized names are those of the first version.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum RelayMessage {
    #[serde(rename = "Ask")]
    Request {
        from: String,
        #[serde(rename = "request")]
        id: u64,
        session: String,
        #[serde(rename = "ask")]
        operation: Operation,
    },
    #[serde(rename = "Answer")]
    Response {
        #[serde(rename = "request")]
        id: u64,
        #[serde(rename = "answer")]
        response: Response,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Operation {
    Poll { received: Option<u64>, window_ms: u64 },
    Publish { body: String, ndjson: bool },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Response {
    /// The session exists; the final response follows.
    #[serde(rename = "Heard")]
    Accepted,
    Messages {
        received: Option<u64>,
        /// The elements of a JSON array.
        elements: String,
    },
    #[serde(rename = "Nothing")]
    NoMessages {
        received: Option<u64>,
    },
    Published,
    #[serde(rename = "Bad")]
    Invalid {
        reason: String,
    },
    Gone {
        reason: Option<String>,
    },
}

impl Message for RelayMessage {
    const KIND: &'static str = "bennu.longpoll.1";
}

impl Relay {
    /// Returns the relay of an endpoint, which all its mounts share.
    pub(crate) fn of(endpoint: &Endpoint) -> Arc<Self> {
        endpoint.extension(|| {
            let relay = Arc::new(Relay {
                sessions: Arc::default(),
                pubsub: endpoint.pubsub().clone(),
                pending: Mutex::default(),
                next: AtomicU64::new(0),
                runtime: OnceLock::new(),
                attachment: OnceLock::new(),
            });
            let attachment = relay.pubsub.attach(TOPIC, Arc::new(RelayListener(Arc::downgrade(&relay))));
            let _ = relay.attachment.set(attachment);
            relay
        })
    }

    /// Records the current runtime. Must be called on the runtime that serves, before a session is opened.
    pub(crate) fn set_runtime(&self) {
        self.runtime.get_or_init(Handle::current);
    }

    /// Returns whether the session of a token lives on this node.
    pub(crate) fn is_local(&self, token: &SessionToken) -> bool {
        self.pubsub.node().as_str() == token.node
    }

    /// Polls a session on another node.
    pub(crate) async fn poll(&self, token: &SessionToken, window: Duration) -> PollOutcome {
        let window_ms = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        let operation = Operation::Poll { received: token.received, window_ms };
        match self.request(token, operation, window + NODE_TIMEOUT).await {
            Response::Messages { received, elements } => {
                PollOutcome::Messages(received, Batch::from_elements(elements))
            }
            Response::NoMessages { received } => PollOutcome::NoMessages(received),
            Response::Gone { reason } => PollOutcome::Gone(reason),
            _ => PollOutcome::Gone(None),
        }
    }

    /// Publishes the body of a POST to a session on another node.
    pub(crate) async fn publish(&self, token: &SessionToken, body: String, ndjson: bool) -> PublishOutcome {
        match self.request(token, Operation::Publish { body, ndjson }, PUBLISH_TIMEOUT).await {
            Response::Published => PublishOutcome::Published,
            Response::Invalid { reason } => PublishOutcome::Invalid(reason),
            _ => PublishOutcome::Gone,
        }
    }

    /// Sends a request to the node of a session and waits for the final response. The node has [`NODE_TIMEOUT`] to
    /// accept the request, and then `limit`. Returns [`Response::Gone`] after a timeout, and at once if the node
    /// leaves.
    async fn request(&self, token: &SessionToken, operation: Operation, limit: Duration) -> Response {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, responses) = unbounded_channel();
        self.pending.lock().insert(id, sender);
        let mut pending = PendingRequest { relay: self, id, responses };
        // Subscribed before the request is sent, so that a node which leaves after it is noticed.
        let events = self.pubsub.node_events();
        let (from, session) = (self.pubsub.node().to_string(), token.session.clone());
        if !self.send(&token.node, RelayMessage::Request { from, id, session, operation }) {
            return Response::Gone { reason: None };
        }
        let response = async {
            let first = timeout(NODE_TIMEOUT, pending.responses.recv()).await;
            let last = match first {
                Ok(Some(Response::Accepted)) => timeout(limit, pending.responses.recv()).await,
                response => response,
            };
            last.ok().flatten()
        };
        let response = tokio::select! {
            // A response that the node sent before it left is valid.
            biased;
            response = response => response,
            () = node_left(events, &token.node) => None,
        };
        response.unwrap_or(Response::Gone { reason: None })
    }

    /// Sends a message to a node; returns whether the node is reachable.
    fn send(&self, node: &str, message: RelayMessage) -> bool {
        metrics::counter!("bennu.longpoll.relayed").increment(1);
        let sent = self.pubsub.direct_broadcast(&NodeName::new(node), TOPIC, message);
        sent.inspect_err(|error| tracing::debug!(node, %error, "could not reach the node of a long-poll session"))
            .is_ok()
    }

    fn receive(self: &Arc<Self>, message: &RelayMessage) {
        match message.clone() {
            RelayMessage::Response { id, response } => {
                if let Some(pending) = self.pending.lock().get(&id) {
                    let _ = pending.send(response);
                }
            }
            RelayMessage::Request { from, id, session, operation } => {
                let relay = self.clone();
                if let Some(runtime) = self.runtime.get() {
                    runtime.spawn(async move { relay.serve(&from, id, &session, operation).await });
                } else {
                    // Without a runtime, no session has been opened on this node.
                    let response = Response::Gone { reason: None };
                    relay.send(&from, RelayMessage::Response { id, response });
                }
            }
        }
    }

    /// Serves a request of another node.
    async fn serve(&self, from: &str, id: u64, session: &str, operation: Operation) {
        let respond = |response| self.send(from, RelayMessage::Response { id, response });
        let Some(session) = self.sessions.get(session) else {
            respond(Response::Gone { reason: None });
            return;
        };
        respond(Response::Accepted);
        let response = match operation {
            Operation::Poll { received, window_ms } => {
                match session.poll(received, Duration::from_millis(window_ms)).await {
                    PollOutcome::Messages(received, batch) => {
                        Response::Messages { received, elements: batch.elements() }
                    }
                    PollOutcome::NoMessages(received) => Response::NoMessages { received },
                    PollOutcome::Gone(reason) => Response::Gone { reason },
                }
            }
            Operation::Publish { body, ndjson } => match session.publisher().await.publish(&body, ndjson).await {
                PublishOutcome::Published => Response::Published,
                PublishOutcome::Invalid(reason) => Response::Invalid { reason },
                PublishOutcome::Gone => Response::Gone { reason: None },
            },
        };
        respond(response);
    }
}

/// Returns when a node leaves.
async fn node_left(mut events: Subscription<NodeEvent>, node: &str) {
    // If the event itself is lost, the timeouts of the request apply.
    while !matches!(events.recv().await.as_deref(), Ok(NodeEvent::Left { node: left }) if left == node) {}
}

/// A request to another node; dropping it removes it from the pending ones.
struct PendingRequest<'a> {
    relay: &'a Relay,
    id: u64,
    responses: UnboundedReceiver<Response>,
}

impl Drop for PendingRequest<'_> {
    fn drop(&mut self) {
        self.relay.pending.lock().remove(&self.id);
    }
}

/// Receives the messages of other nodes.
struct RelayListener(Weak<Relay>);

impl Sink for RelayListener {
    fn deliver(&self, publication: &Publication) {
        if let (Some(relay), Some(message)) = (self.0.upgrade(), publication.downcast_ref::<RelayMessage>()) {
            relay.receive(message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bennu_channels::pubsub::InProcess;
    use bennu_channels::token::Secret;
    use futures::FutureExt;

    #[tokio::test(start_paused = true)]
    async fn a_request_that_ends_or_is_dropped_is_no_longer_pending() {
        let cluster = InProcess::cluster();
        let silent = PubSub::new(cluster.join(NodeName::new("silent")));
        let secret = Secret::new("a secret of at least twenty bytes").unwrap();
        let pubsub = PubSub::new(cluster.join(NodeName::new("here")));
        let relay = Relay::of(&Endpoint::builder(secret).pubsub(pubsub).build());
        let token = |node: &str| SessionToken { node: node.to_owned(), session: "s".to_owned(), received: None };
        assert_eq!(relay.poll(&token("nowhere"), Duration::ZERO).await, PollOutcome::Gone(None));
        let published = relay.publish(&token(silent.node().as_str()), String::new(), true).await;
        assert_eq!(published, PublishOutcome::Gone);
        let dropped = token("silent");
        assert!(relay.poll(&dropped, Duration::ZERO).now_or_never().is_none());
        assert_eq!(relay.pending.lock().len(), 0);
    }

    #[test]
    fn messages_between_nodes_keep_their_content() {
        let batch = Batch::new(vec![br#""[1]""#.to_vec().into(), br#""\u0001""#.to_vec().into()]);
        let response = Response::Messages { received: Some(3), elements: batch.elements() };
        let sent = RelayMessage::Response { id: 7, response };
        let received: RelayMessage = serde_json::from_slice(&serde_json::to_vec(&sent).unwrap()).unwrap();
        assert_eq!(format!("{received:?}"), format!("{sent:?}"));
    }

    #[test]
    fn messages_between_nodes_keep_their_serialized_names() {
        let json = |message: &RelayMessage| serde_json::to_string(message).unwrap();
        let request = |operation| {
            let (from, session) = ("a".to_owned(), "s".to_owned());
            json(&RelayMessage::Request { from, id: 1, session, operation })
        };
        assert_eq!(
            request(Operation::Poll { received: Some(2), window_ms: 3 }),
            r#"{"Ask":{"from":"a","request":1,"session":"s","ask":{"Poll":{"received":2,"window_ms":3}}}}"#
        );
        assert_eq!(
            request(Operation::Publish { body: "[]".to_owned(), ndjson: false }),
            r#"{"Ask":{"from":"a","request":1,"session":"s","ask":{"Publish":{"body":"[]","ndjson":false}}}}"#
        );
        let (reason, elements) = ("r".to_owned(), "1".to_owned());
        for (response, expected) in [
            (Response::Accepted, r#""Heard""#),
            (Response::Messages { received: None, elements }, r#"{"Messages":{"received":null,"elements":"1"}}"#),
            (Response::NoMessages { received: Some(2) }, r#"{"Nothing":{"received":2}}"#),
            (Response::Published, r#""Published""#),
            (Response::Invalid { reason: reason.clone() }, r#"{"Bad":{"reason":"r"}}"#),
            (Response::Gone { reason: Some(reason) }, r#"{"Gone":{"reason":"r"}}"#),
        ] {
            let expected = format!(r#"{{"Answer":{{"request":1,"answer":{expected}}}}}"#);
            assert_eq!(json(&RelayMessage::Response { id: 1, response }), expected);
        }
    }
}
