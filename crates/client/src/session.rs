//! The client's side of a connection as a pure state machine: no runtime, no clock, no I/O.
//!
//! The session owns the channels, the queued messages, the requests without an answer, and the timers. Two parties call
//! it, each under the lock of [`crate::shared`]. The user's handles open and leave channels, push, and poll for events
//! and replies ([`command`], [`request`]). The driver carries out [`Session::intent`]; its transports pass received
//! messages to [`Session::receive`] and fetch messages from [`Session::transmit`]; the driver calls
//! [`Session::elapsed`] at each [`Session::deadline`].
//!
//! Invariants: a topic has at most one live channel. A message is sent at most once, and the messages of a channel are
//! sent in the order of the calls. Each request gets exactly one answer. Every queue is bounded.

mod channel_state;
mod command;
mod connection;
mod inbox;
mod incoming;
mod outbox;
mod outgoing;
mod request;
#[cfg(test)]
mod tests;

pub(crate) use channel_state::ChannelId;

use crate::schedule::{Jitter, bounded};
use crate::settings::Settings;
use crate::{ConnectError, ConnectionError};
use channel_state::ChannelState;
use connection::Phase;
use outbox::{Outbox, Outgoing};
use request::Request;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

pub(crate) struct Session {
    settings: Arc<Settings>,
    jitter: Jitter,
    phase: Phase,
    /// The latest ref. Refs are never used twice, so a late reply matches no newer request.
    last_ref: u64,
    last_channel: u64,
    channels: HashMap<ChannelId, Box<ChannelState>>,
    /// The live channel of each topic.
    topics: HashMap<Arc<str>, ChannelId>,
    /// By ref.
    requests: HashMap<u64, Request>,
    outbox: Outbox,
    /// The timers of channels and requests. The connection's timers are part of the phase.
    timers: BTreeSet<(Instant, Timer)>,
    /// Failed attempts and lost connections since the server's latest message.
    failures: u32,
    /// Connections so far, the current one included.
    connections: u64,
    /// How the latest connection ended; attempts do not count.
    last_error: Option<Arc<ConnectionError>>,
    /// How the first attempt failed.
    first_failure: Option<Box<ConnectError>>,
    /// Incremented by each visible change of the connection's state.
    state_version: u64,
    /// Tasks that wait for a change of the connection's state.
    watchers: Vec<Waker>,
    /// Tasks to wake after the lock is released.
    wakes: Vec<Waker>,
    driver: Option<Waker>,
}

/// The owner of a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Channel(ChannelId),
    Request(u64),
}

/// The driver's next task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Intent {
    /// Start an attempt to connect and call [`Session::attempt_started`].
    Connect,
    /// Continue the current attempt.
    ContinueAttempt,
    /// Keep the connection.
    KeepConnection,
    /// Do nothing until the deadline. If there still is a connection, drop it.
    Wait,
    /// Send the queued messages, close the connection and call [`Session::connection_closed`].
    Close,
    /// End the driver's task.
    Finish,
}

impl Session {
    /// Creates a session whose first intent is to connect. Clients with different seeds have different delays.
    pub(crate) fn new(settings: Arc<Settings>, seed: u64) -> Self {
        Session {
            jitter: Jitter::new(seed, settings.jitter),
            settings,
            phase: Phase::AttemptDue,
            last_ref: 0,
            last_channel: 0,
            channels: HashMap::new(),
            topics: HashMap::new(),
            requests: HashMap::new(),
            outbox: Outbox::default(),
            timers: BTreeSet::new(),
            failures: 0,
            connections: 0,
            last_error: None,
            first_failure: None,
            state_version: 0,
            watchers: Vec::new(),
            wakes: Vec::new(),
            driver: None,
        }
    }

    /// Returns the time of the next call of [`Session::elapsed`]; `None` when there is no timer.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let first = self.timers.first().map(|(at, _)| *at);
        self.phase.deadline().into_iter().chain(first).min()
    }

    /// Handles all timers up to `now`.
    pub(crate) fn elapsed(&mut self, now: Instant) {
        while let Some((at, timer)) = self.timers.first().copied()
            && at <= now
        {
            self.timers.remove(&(at, timer));
            match timer {
                Timer::Channel(id) => self.channel_elapsed(now, id),
                Timer::Request(reference) => self.request_timed_out(reference),
            }
        }
        match &mut self.phase {
            Phase::Open(open) if open.heartbeat_at.is_some_and(|at| at <= now) => {
                if open.unanswered_heartbeat.is_some() {
                    let after = self.settings.heartbeat;
                    return self.connection_lost(now, ConnectionError::Timeout { after });
                }
                self.last_ref += 1;
                open.unanswered_heartbeat = Some(self.last_ref);
                open.heartbeat_at = Some(now + bounded(self.settings.heartbeat));
                self.outbox.push(Outgoing::Heartbeat(self.last_ref));
            }
            Phase::Waiting { retry_at, .. } if *retry_at <= now => self.enter(Phase::AttemptDue),
            Phase::Closing { deadline } if *deadline <= now => self.connection_closed(),
            _ => {}
        }
    }

    /// Sets the driver's waker, which [`crate::shared::Shared::command`] wakes.
    pub(crate) fn set_driver(&mut self, driver: &Waker) {
        match &mut self.driver {
            Some(current) => current.clone_from(driver),
            None => self.driver = Some(driver.clone()),
        }
    }

    pub(crate) fn driver(&self) -> Option<&Waker> {
        self.driver.as_ref()
    }

    /// Takes the wakers to call after the lock is released.
    pub(crate) fn take_wakes(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.wakes)
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    fn next_ref(&mut self) -> u64 {
        self.last_ref += 1;
        self.last_ref
    }
}
