//! The mailbox of one test: the arrivals at its clients and on its topics, in order, until an assertion takes them.
//!
//! The transports of the clients and the subscriptions of the test post arrivals. A [`MailboxView`] is the part of one
//! client, of one channel, or of the whole test.

use crate::arrival::Arrival;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

#[derive(Default)]
pub(crate) struct Arrivals {
    state: Mutex<State>,
    posted: Notify,
}

#[derive(Default)]
struct State {
    /// The arrivals with their numbers, by which they are removed.
    arrivals: Vec<(u64, Arrival)>,
    next: u64,
    /// The topics to which the test itself has subscribed.
    topics: BTreeSet<String>,
}

impl Arrivals {
    /// Adds the arrivals that `receive` returns. `receive` runs under the lock, so the arrivals that two threads
    /// receive from one client keep their order.
    pub(crate) fn post(&self, receive: impl FnOnce() -> Vec<Arrival>) {
        let mut state = self.state.lock();
        for arrival in receive() {
            let number = state.next;
            state.next += 1;
            state.arrivals.push((number, arrival));
        }
        drop(state);
        self.posted.notify_waiters();
    }

    /// Records a topic to which the test has subscribed, for the text of failures.
    pub(crate) fn add_topic(&self, topic: &str) {
        self.state.lock().topics.insert(topic.to_owned());
    }
}

/// A source of arrivals: a test, a client or a channel.
pub trait Mailbox {
    /// Returns the part of the test's mailbox that belongs to this source.
    fn view(&self) -> MailboxView;

    /// Returns the arrivals that no assertion has taken, in order. Does not wait for messages in flight; see
    /// [`crate::ChannelTest::settle`].
    fn mailbox(&self) -> Vec<Arrival> {
        self.view().arrivals()
    }
}

impl<M: Mailbox + ?Sized> Mailbox for &M {
    fn view(&self) -> MailboxView {
        (**self).view()
    }
}

/// A part of a test's mailbox.
#[derive(Clone)]
pub struct MailboxView {
    arrivals: Arc<Arrivals>,
    scope: Scope,
}

/// The arrivals that a view contains.
#[derive(Clone)]
pub(crate) enum Scope {
    Test,
    Client(usize),
    /// One joined topic of one client, and the broadcasts on that topic.
    Channel {
        client: usize,
        topic: Arc<str>,
        join_ref: Arc<str>,
    },
}

impl MailboxView {
    pub(crate) fn new(arrivals: &Arc<Arrivals>, scope: Scope) -> Self {
        MailboxView { arrivals: arrivals.clone(), scope }
    }

    pub(crate) fn arrivals(&self) -> Vec<Arrival> {
        self.numbered().into_iter().map(|(_, arrival)| arrival).collect()
    }

    /// Returns the topics to which the test itself has subscribed.
    pub(crate) fn topics(&self) -> Vec<String> {
        self.arrivals.state.lock().topics.iter().cloned().collect()
    }

    fn numbered(&self) -> Vec<(u64, Arrival)> {
        let state = self.arrivals.state.lock();
        state.arrivals.iter().filter(|(_, arrival)| self.scope.contains(arrival)).cloned().collect()
    }

    /// Removes the first arrival, old or new, for which `test` returns a value, and returns that value. Waits for at
    /// most `timeout` of the runtime's time; an arrival of a timer that is due exactly at its end still counts.
    pub(crate) async fn take<T>(&self, timeout: Duration, mut test: impl FnMut(&Arrival) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + timeout;
        loop {
            let posted = self.arrivals.posted.notified();
            if let Some(taken) = self.take_now(&mut test) {
                return Some(taken);
            }
            if timeout_at(deadline, posted).await.is_err() {
                break;
            }
        }
        // Timers of the same instant run in no defined order. The arrivals that this instant causes are taken first.
        for _ in 0..MAX_HOPS {
            tokio::task::yield_now().await;
        }
        self.take_now(&mut test)
    }

    /// `test` may be a user's closure, so it runs without the lock.
    fn take_now<T>(&self, test: &mut impl FnMut(&Arrival) -> Option<T>) -> Option<T> {
        let (taken, value) = self.numbered().iter().find_map(|(number, arrival)| Some((*number, test(arrival)?)))?;
        self.arrivals.state.lock().arrivals.retain(|(number, _)| *number != taken);
        Some(value)
    }
}

/// The number of tasks that an event of the last instant may pass through, one after another, until its arrival. A
/// broadcast by a timer passes through two.
const MAX_HOPS: usize = 32;

impl Scope {
    fn contains(&self, arrival: &Arrival) -> bool {
        match self {
            Scope::Test => true,
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
