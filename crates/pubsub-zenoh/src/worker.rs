//! The adapter's one thread: opens the session, and is the only one that makes calls of zenoh that may wait. What surely does
//! not wait passes it by, see [`crate::outlet`].
//!
//! A thread and not a task, so that an application's runtime is neither held up by a node that takes nothing nor asked to
//! have more than one thread. It ends when the node leaves, or its adapter is dropped.

use crate::address::NAME;
use crate::dial;
use crate::error::Error;
use crate::link::Link;
use crate::notice::Notice;
use crate::session::Session;
use bennu_pubsub_cluster::Backoff;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::instrument::WithSubscriber;
use zenoh::internal::runtime::ZRuntime;

/// When it is looked again whether all that are connected are nodes.
const AGAIN: Duration = Duration::from_secs(1);

/// How long the others may take to have what was sent before this node leaves.
const GOODBYE: Duration = Duration::from_secs(1);

/// Starts the thread. What is returned is done when it has ended.
pub(crate) fn start(link: Arc<Link>) -> io::Result<oneshot::Receiver<()>> {
    let (ended, has_ended) = oneshot::channel();
    // What is logged here goes where the application's own goes.
    let work = run(link).with_current_subscriber();
    std::thread::Builder::new().name("bennu-zenoh".to_owned()).spawn(move || {
        ZRuntime::Application.block_on(work);
        // Nobody may wait for it.
        let _ = ended.send(());
    })?;
    Ok(has_ended)
}

async fn run(link: Arc<Link>) {
    let Some(mut session) = open(&link).await else { return };
    link.listens(session.presence(&link));
    let mut dialing = JoinSet::new();
    dialing.spawn_on(dial::run(link.clone(), session.runtime().clone()).with_current_subscriber(), &ZRuntime::Net);
    work(&link, &mut session).await;
    dialing.shutdown().await;
    link.closed();
    if let Err(error) = session.close(&link).await {
        tracing::debug!(adapter = NAME, %error, "closing the session");
    }
}

/// Tries until this node listens. `None` when it leaves before.
async fn open(link: &Arc<Link>) -> Option<Session> {
    let (member, listen) = (&link.member, &link.places.listen);
    let mut backoff = Backoff::default();
    let mut reported = false;
    loop {
        match Session::open(link).await {
            Ok(session) => {
                tracing::info!(adapter = NAME, node = %member.node(), listen, "listening for other nodes");
                return Some(session);
            }
            Err(error) if !std::mem::replace(&mut reported, true) => {
                tracing::error!(adapter = NAME, node = %member.node(), listen, error, "cannot listen, trying again");
            }
            Err(error) => tracing::debug!(adapter = NAME, node = %member.node(), listen, error, "still cannot listen"),
        }
        tokio::select! {
            () = member.left() => return None,
            () = tokio::time::sleep(backoff.wait()) => {}
        }
    }
}

/// Tells zenoh what this node wants, and sends what waits. Returns when this node has said goodbye.
async fn work(link: &Arc<Link>, session: &mut Session) {
    let member = &link.member;
    let mut refused = Refused { link, reported: false };
    let mut not_before = Instant::now();
    while !link.is_abandoned() {
        while let Some(change) = member.next_change() {
            refused.count(session.apply(link, change));
        }
        if !session.is_announced() {
            refused.count(session.announce(link));
        }
        if link.take_namesake() {
            member.report_namesake();
        }
        if let Some(addresses) = link.take_to_tell() {
            session.take_linger_off().await;
            refused.count(link.tell(None, &Notice::Known(addresses)));
        }
        refused.count(session.answer(link));
        if link.outlet.credit().is_due() && Instant::now() >= not_before {
            match session.mark(link).await {
                Ok(true) => {}
                Ok(false) => not_before = Instant::now() + AGAIN,
                Err(error) => refused.count(Err(error)),
            }
        }
        // Before the queue: what was published before leaving is in it then.
        let leaving = member.is_leaving();
        if let Some(chunk) = member.queue().take() {
            link.outlet.send(member, &link.keys, &chunk);
            member.queue().done(chunk);
            continue;
        }
        if !member.is_told() {
            continue;
        }
        if leaving {
            refused.count(part(link, session).await);
            return;
        }
        if link.outlet.credit().is_due() {
            // What else there is to do is as good a reason to go on.
            let _ = timeout_at(not_before, member.woken()).await;
        } else {
            member.woken().await;
        }
    }
}

/// Says goodbye behind everything that was sent. Since zenoh does not finish what it is writing when it is closed, the others
/// must have it before.
async fn part(link: &Link, session: &mut Session) -> Result<(), Error> {
    session.say_bye(link)?;
    let all_have_it = async {
        while !link.outlet.credit().is_settled() {
            link.member.woken().await;
            // They may leave as well, and wait for this node.
            session.answer(link)?;
        }
        Ok::<(), Error>(())
    };
    if let Ok(answered) = timeout(GOODBYE, all_have_it).await {
        answered?;
    }
    session.part()
}

/// What zenoh did not do. It may be so each time, so only the first is logged.
struct Refused<'a> {
    link: &'a Link,
    reported: bool,
}

impl Refused<'_> {
    fn count(&mut self, result: Result<(), Error>) {
        let Err(error) = result else { return };
        self.link.member.instruments().refused.increment(1);
        if !std::mem::replace(&mut self.reported, true) {
            let node = self.link.member.node();
            tracing::warn!(adapter = NAME, %node, %error, "zenoh refuses; further refusals are only counted");
        }
    }
}
