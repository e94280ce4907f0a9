//! What a joined channel shares with those who send to it: its mailbox, and the way to its client.
//!
//! One allocation a channel. It is the session's handle, the subscriber of the channel's own topic (where the fastlane
//! forks off) and what channel references point to.

use crate::broadcast::Broadcast;
use crate::channel::Channel;
use crate::connection::Connection;
use crate::info::Info;
use crate::mailbox::Mailbox;
use crate::session::{End, Incoming};
use crate::socket::Socket;
use crate::telemetry::Instruments;
use bennu_pubsub::{Delivery, Sink};
use std::sync::Arc;

pub(crate) struct Slot<S: Socket, C: Channel<S>> {
    pub(crate) mailbox: Mailbox<Mail<S, C>>,
    pub(crate) connection: Arc<Connection>,
    pub(crate) socket: Arc<S>,
    pub(crate) instruments: Arc<Instruments>,
}

/// What an actor finds in its mailbox.
pub(crate) enum Mail<S: Socket, C: Channel<S>> {
    /// From the client.
    Message(Incoming),
    /// A broadcast that the channel intercepts.
    Intercepted(Broadcast),
    /// From timers, PubSub and other tasks.
    Info(Box<dyn Info<S, C>>),
    /// The last one.
    End(End),
}

impl<S: Socket, C: Channel<S>> Slot<S, C> {
    pub(crate) fn new(socket: Arc<S>, connection: Arc<Connection>, instruments: Arc<Instruments>) -> Self {
        Slot { mailbox: Mailbox::new(), connection, socket, instruments }
    }

    pub(crate) fn inform(&self, info: Box<dyn Info<S, C>>, size: usize) -> bool {
        self.push(Mail::Info(info), size)
    }

    pub(crate) fn push(&self, mail: Mail<S, C>, size: usize) -> bool {
        self.mailbox.push(mail, size, self.connection.limits().mailbox_bytes)
    }
}

impl<S: Socket, C: Channel<S>> Sink for Slot<S, C> {
    fn deliver(&self, delivery: &Delivery) {
        let Some(broadcast) = delivery.downcast_ref::<Broadcast>() else { return };
        if C::INTERCEPT.contains(&broadcast.event()) {
            let size = broadcast.payload().len();
            self.push(Mail::Intercepted(broadcast.clone()), size);
        } else if let Some(frame) = broadcast.frame(self.connection.encoding()) {
            self.connection.outbox().push(frame);
        }
    }
}
