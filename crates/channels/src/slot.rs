//! What a joined channel shares with those who send to it: its mailbox, and the way to its client.
//!
//! One allocation a channel. It is the session's handle, the subscriber of the channel's own topic (see
//! [`fastlane`](crate::fastlane)) and what channel references point to. `I` is what the channel is sent by others than its
//! client.

use crate::broadcast::Broadcast;
use crate::connection::Connection;
use crate::mailbox::Mailbox;
use crate::session::{End, Incoming};
use crate::telemetry::Instruments;
use std::sync::Arc;

pub(crate) struct Slot<S, I> {
    pub(crate) mailbox: Mailbox<Mail<I>>,
    pub(crate) connection: Arc<Connection>,
    pub(crate) socket: Arc<S>,
    pub(crate) instruments: Arc<Instruments>,
}

/// What an actor finds in its mailbox.
pub(crate) enum Mail<I> {
    /// From the client.
    Message(Incoming),
    /// A broadcast that the channel intercepts.
    Intercepted(Broadcast),
    /// From timers, PubSub and other tasks.
    Info(I),
    /// The last one.
    End(End),
}

impl<S, I> Slot<S, I> {
    pub(crate) fn new(socket: Arc<S>, connection: Arc<Connection>, instruments: Arc<Instruments>) -> Self {
        Slot { mailbox: Mailbox::new(), connection, socket, instruments }
    }

    pub(crate) fn inform(&self, info: I, size: usize) -> bool {
        self.push(Mail::Info(info), size)
    }

    pub(crate) fn push(&self, mail: Mail<I>, size: usize) -> bool {
        self.mailbox.push(mail, size, self.connection.limits().mailbox_bytes)
    }
}
