//! The way to a session that lives on another node: a load balancer sends each request of a client where it likes.
//!
//! The node that has the request asks the node that the ticket names, over PubSub, and answers its client with what
//! comes back. PubSub delivers at most once; what gets lost is asked for again with the client's next poll, whose ticket
//! is then still the old one.

use super::batch::Batch;
use super::session::{Polled, Published};
use super::sessions::Sessions;
use super::ticket::Ticket;
use bennu_channels::Endpoint;
use bennu_channels::pubsub::{Attachment, Delivery, Message, NodeEvent, NodeName, PubSub, Sink, Subscription};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

/// Where all nodes listen; each message is sent to one.
const TOPIC: &str = "bennu.longpoll";

/// How long another node may take to say that it has heard. Phoenix's `pubsub_timeout_ms`.
const NODE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long it may then take for the messages of a POST, which wait for those of POSTs before it.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(30);

/// All sessions that this node can reach: its own, and those of other nodes.
pub(crate) struct Relay {
    pub(crate) sessions: Arc<Sessions>,
    pubsub: PubSub,
    /// Asked of other nodes and not answered yet.
    pending: Mutex<HashMap<u64, UnboundedSender<Answer>>>,
    next: AtomicU64,
    /// Where polls for other nodes wait; known from the first request on.
    runtime: OnceLock<Handle>,
    attachment: OnceLock<Attachment>,
}

/// What nodes say to each other.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Relayed {
    Ask { from: String, request: u64, session: String, ask: Ask },
    Answer { request: u64, answer: Answer },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Ask {
    Poll { received: Option<u64>, window_ms: u64 },
    Publish { body: String, ndjson: bool },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Answer {
    /// The session is there: the rest follows.
    Heard,
    Messages {
        received: Option<u64>,
        /// Elements of a JSON array.
        elements: String,
    },
    Nothing {
        received: Option<u64>,
    },
    Published,
    Bad {
        reason: String,
    },
    Gone {
        reason: Option<String>,
    },
}

impl Message for Relayed {
    const KIND: &'static str = "bennu.longpoll.1";
}

impl Relay {
    /// The relay of an endpoint: all its mounts have the same.
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
            let attachment = relay.pubsub.attach(TOPIC, Arc::new(Ear(Arc::downgrade(&relay))));
            let _ = relay.attachment.set(attachment);
            relay
        })
    }

    /// To be called on the runtime that serves, before a session is opened.
    pub(crate) fn started(&self) {
        self.runtime.get_or_init(Handle::current);
    }

    pub(crate) fn is_here(&self, ticket: &Ticket) -> bool {
        self.pubsub.node().as_str() == ticket.node
    }

    /// Polls a session on another node.
    pub(crate) async fn poll(&self, ticket: &Ticket, window: Duration) -> Polled {
        let window_ms = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        let ask = Ask::Poll { received: ticket.received, window_ms };
        match self.ask(ticket, ask, window + NODE_TIMEOUT).await {
            Answer::Messages { received, elements } => Polled::Messages(received, Batch::from_elements(elements)),
            Answer::Nothing { received } => Polled::Nothing(received),
            Answer::Gone { reason } => Polled::Gone(reason),
            _ => Polled::Gone(None),
        }
    }

    /// Posts to a session on another node.
    pub(crate) async fn publish(&self, ticket: &Ticket, body: String, ndjson: bool) -> Published {
        match self.ask(ticket, Ask::Publish { body, ndjson }, PUBLISH_TIMEOUT).await {
            Answer::Published => Published::Done,
            Answer::Bad { reason } => Published::Bad(reason),
            _ => Published::Gone,
        }
    }

    /// Asks the node of a session; it has [`NODE_TIMEOUT`] to say that the session is there, and then `patience`. When it leaves
    /// meanwhile, its sessions are gone.
    async fn ask(&self, ticket: &Ticket, ask: Ask, patience: Duration) -> Answer {
        let request = self.next.fetch_add(1, Ordering::Relaxed);
        let (answer, answers) = unbounded_channel();
        self.pending.lock().insert(request, answer);
        let mut pending = Pending { relay: self, request, answers };
        // Before the question: who leaves after it is heard of.
        let events = self.pubsub.node_events();
        let (from, session) = (self.pubsub.node().to_string(), ticket.session.clone());
        if !self.tell(&ticket.node, Relayed::Ask { from, request, session, ask }) {
            return Answer::Gone { reason: None };
        }
        let answered = async {
            let first = timeout(NODE_TIMEOUT, pending.answers.recv()).await;
            let last = match first {
                Ok(Some(Answer::Heard)) => timeout(patience, pending.answers.recv()).await,
                answer => answer,
            };
            last.ok().flatten()
        };
        let answer = tokio::select! {
            // What it said before it left counts.
            biased;
            answer = answered => answer,
            () = leaves(events, &ticket.node) => None,
        };
        answer.unwrap_or(Answer::Gone { reason: None })
    }

    /// Whether the node is there to be told.
    fn tell(&self, node: &str, message: Relayed) -> bool {
        metrics::counter!("bennu.longpoll.relayed").increment(1);
        let told = self.pubsub.direct_broadcast(&NodeName::new(node), TOPIC, message);
        told.inspect_err(|error| tracing::debug!(%error, "a long-poll session is out of reach")).is_ok()
    }

    fn hear(self: &Arc<Self>, message: &Relayed) {
        match message.clone() {
            Relayed::Answer { request, answer } => {
                if let Some(waiting) = self.pending.lock().get(&request) {
                    let _ = waiting.send(answer);
                }
            }
            Relayed::Ask { from, request, session, ask } => {
                let relay = self.clone();
                // Without a runtime no session has been opened here.
                match self.runtime.get() {
                    Some(runtime) => {
                        drop(runtime.spawn(async move { relay.serve(&from, request, &session, ask).await }))
                    }
                    None => drop(relay.tell(&from, Relayed::Answer { request, answer: Answer::Gone { reason: None } })),
                }
            }
        }
    }

    /// Does for another node's client what that node asks.
    async fn serve(&self, from: &str, request: u64, session: &str, ask: Ask) {
        let tell = |answer| self.tell(from, Relayed::Answer { request, answer });
        let Some(session) = self.sessions.get(session) else {
            tell(Answer::Gone { reason: None });
            return;
        };
        tell(Answer::Heard);
        let answer = match ask {
            Ask::Poll { received, window_ms } => match session.poll(received, Duration::from_millis(window_ms)).await {
                Polled::Messages(received, batch) => Answer::Messages { received, elements: batch.elements() },
                Polled::Nothing(received) => Answer::Nothing { received },
                Polled::Gone(reason) => Answer::Gone { reason },
            },
            Ask::Publish { body, ndjson } => match session.posting().await.publish(&body, ndjson).await {
                Published::Done => Answer::Published,
                Published::Bad(reason) => Answer::Bad { reason },
                Published::Gone => Answer::Gone { reason: None },
            },
        };
        tell(answer);
    }
}

/// Returns when that node leaves.
async fn leaves(mut events: Subscription<NodeEvent>, node: &str) {
    // Of what is lost there is no more to know than from the timeouts.
    while !matches!(events.recv().await.as_deref(), Ok(NodeEvent::Left { node: left }) if left == node) {}
}

/// Answers that are waited for; forgotten when dropped.
struct Pending<'a> {
    relay: &'a Relay,
    request: u64,
    answers: UnboundedReceiver<Answer>,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.relay.pending.lock().remove(&self.request);
    }
}

/// Hears what other nodes say.
struct Ear(Weak<Relay>);

impl Sink for Ear {
    fn deliver(&self, delivery: &Delivery) {
        if let (Some(relay), Some(message)) = (self.0.upgrade(), delivery.downcast_ref::<Relayed>()) {
            relay.hear(message);
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
    async fn what_is_no_longer_waited_for_is_forgotten() {
        let cluster = InProcess::cluster();
        let silent = PubSub::new(cluster.join(NodeName::new("silent")));
        let secret = Secret::new("a secret of at least twenty bytes").unwrap();
        let pubsub = PubSub::new(cluster.join(NodeName::new("here")));
        let relay = Relay::of(&Endpoint::builder(secret).pubsub(pubsub).build());
        let ticket = |node: &str| Ticket { node: node.to_owned(), session: "s".to_owned(), received: None };
        assert_eq!(relay.poll(&ticket("nowhere"), Duration::ZERO).await, Polled::Gone(None));
        assert_eq!(relay.publish(&ticket(silent.node().as_str()), String::new(), true).await, Published::Gone);
        let given_up = ticket("silent");
        assert!(relay.poll(&given_up, Duration::ZERO).now_or_never().is_none());
        assert_eq!(relay.pending.lock().len(), 0);
    }

    #[test]
    fn what_nodes_say_travels_unchanged() {
        let batch = Batch::new(vec![br#""[1]""#.to_vec().into(), br#""\u0001""#.to_vec().into()]);
        let said =
            Relayed::Answer { request: 7, answer: Answer::Messages { received: Some(3), elements: batch.elements() } };
        let heard: Relayed = serde_json::from_slice(&serde_json::to_vec(&said).unwrap()).unwrap();
        assert_eq!(format!("{heard:?}"), format!("{said:?}"));
    }
}
