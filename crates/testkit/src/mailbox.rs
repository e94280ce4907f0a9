//! The mailbox of one test: everything that arrived at its clients and on its topics, in order, until an assertion takes
//! it out.
//!
//! Filled by the clients' transports and by the test's own subscriptions. A [`View`] is what one client, one channel or
//! the whole test may look at.

use crate::arrival::Arrival;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

#[derive(Default)]
pub(crate) struct Mailbox {
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Default)]
struct State {
    /// Each with its number, by which it is taken out.
    arrivals: Vec<(u64, Arrival)>,
    next: u64,
    /// What the test itself has subscribed to.
    topics: BTreeSet<String>,
}

impl Mailbox {
    /// Puts in what `receive` returns. It is called under the mailbox's lock, so that what two threads receive from one
    /// client keeps its order.
    pub(crate) fn post(&self, receive: impl FnOnce() -> Vec<Arrival>) {
        let mut state = self.state.lock();
        for arrival in receive() {
            let number = state.next;
            state.next += 1;
            state.arrivals.push((number, arrival));
        }
        drop(state);
        self.arrived.notify_waiters();
    }

    /// The test has subscribed to a topic: failures say so.
    pub(crate) fn subscribed(&self, topic: &str) {
        self.state.lock().topics.insert(topic.to_owned());
    }
}

/// What can be looked at for arrivals: a test, a client, a channel.
pub trait Inbox {
    /// The part of the test's mailbox that is this one's.
    fn view(&self) -> View;

    /// What has arrived and no assertion has taken yet, in order. It looks at once: see [`crate::ChannelTest::settle`].
    fn mailbox(&self) -> Vec<Arrival> {
        self.view().arrivals()
    }
}

impl<I: Inbox + ?Sized> Inbox for &I {
    fn view(&self) -> View {
        (**self).view()
    }
}

/// A part of a test's mailbox.
#[derive(Clone)]
pub struct View {
    mailbox: Arc<Mailbox>,
    scope: Scope,
}

/// Whose arrivals.
#[derive(Clone)]
pub(crate) enum Scope {
    Everything,
    Client(usize),
    /// One joined topic of one client, and what is broadcast on that topic.
    Channel {
        client: usize,
        topic: Arc<str>,
        join_ref: Arc<str>,
    },
}

impl View {
    pub(crate) fn new(mailbox: &Arc<Mailbox>, scope: Scope) -> Self {
        View { mailbox: mailbox.clone(), scope }
    }

    pub(crate) fn arrivals(&self) -> Vec<Arrival> {
        self.numbered().into_iter().map(|(_, arrival)| arrival).collect()
    }

    /// The topics that the test itself has subscribed to.
    pub(crate) fn topics(&self) -> Vec<String> {
        self.mailbox.state.lock().topics.iter().cloned().collect()
    }

    fn numbered(&self) -> Vec<(u64, Arrival)> {
        let state = self.mailbox.state.lock();
        state.arrivals.iter().filter(|(_, arrival)| self.scope.has(arrival)).cloned().collect()
    }

    /// Takes out the first arrival, old or new, for which `test` has an answer. Waits for `patience` of the runtime's
    /// time at most; what is due at the very end of it still counts.
    pub(crate) async fn take<T>(&self, patience: Duration, mut test: impl FnMut(&Arrival) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + patience;
        loop {
            let arrived = self.mailbox.arrived.notified();
            if let Some(taken) = self.take_now(&mut test) {
                return Some(taken);
            }
            if timeout_at(deadline, arrived).await.is_err() {
                break;
            }
        }
        // Timers of one moment run in no order that a test could know: whatever this moment has set off comes first.
        for _ in 0..HOPS {
            tokio::task::yield_now().await;
        }
        self.take_now(&mut test)
    }

    /// The test is a user's closure: it runs without the lock.
    fn take_now<T>(&self, test: &mut impl FnMut(&Arrival) -> Option<T>) -> Option<T> {
        let (taken, answer) = self.numbered().iter().find_map(|(number, arrival)| Some((*number, test(arrival)?)))?;
        self.mailbox.state.lock().arrivals.retain(|(number, _)| *number != taken);
        Some(answer)
    }
}

/// Tasks that one moment's events may pass through, one after the other, before an assertion gives up. A broadcast by a
/// timer takes two.
const HOPS: usize = 32;

impl Scope {
    fn has(&self, arrival: &Arrival) -> bool {
        match self {
            Scope::Everything => true,
            Scope::Client(own) => match arrival {
                Arrival::Push { client, .. } | Arrival::Reply { client, .. } | Arrival::Closed { client, .. } => {
                    client == own
                }
                Arrival::Broadcast { .. } => false,
            },
            Scope::Channel { client: own_client, topic: own_topic, join_ref: own } => match arrival {
                Arrival::Push { client, topic, join_ref, .. } | Arrival::Reply { client, topic, join_ref, .. } => {
                    client == own_client
                        && **topic == **own_topic
                        && join_ref.as_deref().is_none_or(|join_ref| join_ref == &**own)
                }
                Arrival::Broadcast { topic, .. } => **topic == **own_topic,
                Arrival::Closed { client, .. } => client == own_client,
            },
        }
    }
}
