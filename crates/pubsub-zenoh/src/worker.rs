//! The thread of an adapter: it opens the session, and makes all Zenoh calls that may wait. Puts that do not wait
//! bypass it, see [`crate::writer`].
//!
//! A thread instead of a task: a node that reads nothing then does not block the application's runtime, and a runtime
//! with one thread is enough. [`crate::adapter`] starts the thread. It ends when the node leaves or its adapter is
//! dropped.

use crate::Error;
use crate::address::NAME;
use crate::control_message::ControlMessage;
use crate::dialer;
use crate::session::Session;
use crate::shared::Shared;
use bennu_pubsub_cluster::Backoff;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::instrument::WithSubscriber;
use zenoh::internal::runtime::ZRuntime;

/// The interval between the checks whether all connected sessions are nodes.
const MARKER_RETRY: Duration = Duration::from_secs(1);

/// The limit for the acknowledgement of the last marker before this node leaves.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

/// Starts the thread. The returned receiver is ready when the thread has ended.
pub(crate) fn start(shared: Arc<Shared>) -> io::Result<oneshot::Receiver<()>> {
    let (ended, has_ended) = oneshot::channel();
    // The thread logs to the same subscriber as its creator.
    let work = run(shared).with_current_subscriber();
    std::thread::Builder::new().name("bennu-zenoh".to_owned()).spawn(move || {
        ZRuntime::Application.block_on(work);
        // The receiver may be dropped.
        let _ = ended.send(());
    })?;
    Ok(has_ended)
}

async fn run(shared: Arc<Shared>) {
    let Some(mut session) = open(&shared).await else { return };
    shared.set_listening(session.own_peer(&shared));
    let mut dialing = JoinSet::new();
    dialing.spawn_on(dialer::run(shared.clone(), session.runtime().clone()).with_current_subscriber(), &ZRuntime::Net);
    work(&shared, &mut session).await;
    dialing.shutdown().await;
    shared.set_closed();
    if let Err(error) = session.close(&shared).await {
        tracing::debug!(adapter = NAME, %error, "could not close the session");
    }
}

/// Retries until this node listens. `None` when it leaves before.
async fn open(shared: &Arc<Shared>) -> Option<Session> {
    let (node, listen) = (&shared.node, &shared.addresses.listen);
    let mut backoff = Backoff::default();
    let mut reported = false;
    loop {
        match Session::open(shared).await {
            Ok(session) => {
                tracing::info!(adapter = NAME, node = %node.name(), listen, "listening for other nodes");
                return Some(session);
            }
            Err(error) if !std::mem::replace(&mut reported, true) => {
                tracing::error!(adapter = NAME, node = %node.name(), listen, error, "cannot listen, trying again");
            }
            Err(error) => tracing::debug!(adapter = NAME, node = %node.name(), listen, error, "still cannot listen"),
        }
        tokio::select! {
            () = node.wait_for_leave() => return None,
            () = tokio::time::sleep(backoff.next_wait()) => {}
        }
    }
}

/// Sends interest, control messages and the queue. Returns after this node has left.
async fn work(shared: &Arc<Shared>, session: &mut Session) {
    let node = &shared.node;
    let mut refusals = RefusalLog { shared, reported: false };
    let mut not_before = Instant::now();
    while !shared.is_abandoned() {
        while let Some(change) = node.next_change() {
            refusals.count(session.apply_change(shared, change));
        }
        if !session.is_announced() {
            refusals.count(session.announce(shared));
        }
        if shared.take_duplicate_name() {
            node.report_duplicate_name();
        }
        if let Some(addresses) = shared.take_gossip() {
            session.disable_linger().await;
            refusals.count(shared.send_control(None, &ControlMessage::Addresses(addresses)));
        }
        refusals.count(session.send_acks(shared));
        if shared.writer.window().needs_marker() && Instant::now() >= not_before {
            match session.send_marker(shared).await {
                Ok(true) => {}
                Ok(false) => not_before = Instant::now() + MARKER_RETRY,
                Err(error) => refusals.count(Err(error)),
            }
        }
        // Read before the queue: the messages published before the leave are in the queue then.
        let leaving = node.is_leaving();
        if let Some(chunk) = node.queue().take() {
            shared.writer.send(node, &shared.keys, &chunk);
            node.queue().release(chunk);
            continue;
        }
        if !node.is_synchronized() {
            continue;
        }
        if leaving {
            refusals.count(leave(shared, session).await);
            return;
        }
        if shared.writer.window().needs_marker() {
            // The elapsed timeout starts the next round too.
            let _ = timeout_at(not_before, node.wait_for_wake()).await;
        } else {
            node.wait_for_wake().await;
        }
    }
}

/// Sends the goodbye after everything else, and waits for its acknowledgement. Zenoh does not finish its writes when
/// the session closes, so the other nodes must have received everything before.
async fn leave(shared: &Shared, session: &mut Session) -> Result<(), Error> {
    session.send_goodbye(shared)?;
    let all_have_it = async {
        while !shared.writer.window().is_acknowledged() {
            shared.node.wait_for_wake().await;
            // The other nodes may leave too, and wait for this node.
            session.send_acks(shared)?;
        }
        Ok::<(), Error>(())
    };
    if let Ok(answered) = timeout(GOODBYE_TIMEOUT, all_have_it).await {
        answered?;
    }
    session.withdraw()
}

/// The log of refused calls. Zenoh may refuse every call, so only the first refusal is logged.
struct RefusalLog<'a> {
    shared: &'a Shared,
    reported: bool,
}

impl RefusalLog<'_> {
    fn count(&mut self, result: Result<(), Error>) {
        let Err(error) = result else { return };
        self.shared.node.instruments().refused.increment(1);
        if !std::mem::replace(&mut self.reported, true) {
            let node = self.shared.node.name();
            tracing::warn!(adapter = NAME, %node, %error, "zenoh refuses; further refusals are only counted");
        }
    }
}
