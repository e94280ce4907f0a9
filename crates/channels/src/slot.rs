//! What a joined channel shares with those who send to it: its mailbox, and the way to its client.
//!
//! One allocation a channel. It is the session's handle, the subscriber of the channel's own topic (see
//! [`fastlane`](crate::fastlane)) and the target of channel references. `I` is a message from others than the client.
//!
//! Invariant: the broadcasts of one sender on the channel's topic reach the client in their order. While one of them waits
//! in the mailbox, later ones wait behind it; so do all that come during the join, until `joined` has returned.

use crate::broadcast::Broadcast;
use crate::connection::Connection;
use crate::mailbox::Mailbox;
use crate::route::Route;
use crate::session::{End, Incoming};
use crate::socket::Socket;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) struct Slot<S: Socket, I> {
    pub(crate) mailbox: Mailbox<Mail<I>>,
    /// Broadcasts that are in the mailbox or being handled, and one more until `joined` has returned.
    held: AtomicUsize,
    pub(crate) connection: Arc<Connection>,
    pub(crate) socket: Arc<S>,
    pub(crate) route: Arc<Route<S>>,
}

/// What an actor finds in its mailbox.
pub(crate) enum Mail<I> {
    /// From the client.
    Message(Incoming),
    /// A broadcast that the channel intercepts.
    Intercepted(Broadcast),
    /// A broadcast that the channel does not intercept, as the frame that its client gets.
    Frame(Bytes),
    /// From timers, PubSub and other tasks.
    Info(I),
    /// The last one.
    End(End),
}

impl<S: Socket, I> Slot<S, I> {
    /// The slot of a join that begins: broadcasts are held.
    pub(crate) fn new(socket: Arc<S>, connection: Arc<Connection>, route: Arc<Route<S>>) -> Self {
        Slot { mailbox: Mailbox::new(), held: AtomicUsize::new(1), connection, socket, route }
    }

    pub(crate) fn inform(&self, info: I, size: usize) -> bool {
        self.push(Mail::Info(info), size)
    }

    pub(crate) fn push(&self, mail: Mail<I>, size: usize) -> bool {
        self.mailbox.push(mail, size, self.connection.limits().mailbox_bytes)
    }

    /// Whether a broadcast must wait in the mailbox, behind those that do.
    pub(crate) fn holds_broadcasts(&self) -> bool {
        self.held.load(Ordering::Acquire) > 0
    }

    /// Queues a broadcast. Counted before it is queued: what the same sender broadcasts next finds it counted.
    pub(crate) fn hold(&self, mail: Mail<I>, size: usize) {
        self.held.fetch_add(1, Ordering::Relaxed);
        // One that the mailbox does not take stays counted: the channel is about to end, and nothing overtakes the loss.
        self.push(mail, size);
    }

    /// Sends a held broadcast on to the client.
    pub(crate) fn forward(&self, frame: Bytes) {
        self.connection.outbox().hold(frame);
        self.release();
    }

    /// One held broadcast has been handled, or the join is over. What came of it is in the outbox already.
    pub(crate) fn release(&self) {
        self.held.fetch_sub(1, Ordering::Release);
    }
}
