//! The channel handle: the part of a channel that its senders share, which is its mailbox and the connection of its
//! client.
//!
//! There is one allocation for each channel. The session queues into it, PubSub delivers to it (see
//! [`fastlane`](crate::actor::fastlane)), and channel references point to it. `I` is a message from others than the
//! client.
//!
//! Invariant: the broadcasts of one sender on the channel's topic reach the client in their order. While one of them
//! waits in the mailbox, later ones wait behind it. All that arrive during the join wait until `joined` has returned.

use crate::broadcast::Broadcast;
use crate::channel::mailbox::Mailbox;
use crate::connection::Connection;
use crate::connection::session::{End, Incoming};
use crate::socket::Socket;
use crate::socket::router::Route;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) struct ChannelHandle<S: Socket, I> {
    pub(crate) mailbox: Mailbox<Mail<I>>,
    /// Broadcasts that are in the mailbox or being handled, and one more until `joined` has returned.
    held: AtomicUsize,
    pub(crate) connection: Arc<Connection>,
    pub(crate) socket: Arc<S>,
    pub(crate) route: Arc<Route<S>>,
}

/// An item of a channel's mailbox.
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

impl<S: Socket, I> ChannelHandle<S, I> {
    /// Makes the handle of a join that begins: broadcasts are held.
    pub(crate) fn new(socket: Arc<S>, connection: Arc<Connection>, route: Arc<Route<S>>) -> Self {
        ChannelHandle { mailbox: Mailbox::new(), held: AtomicUsize::new(1), connection, socket, route }
    }

    pub(crate) fn inform(&self, info: I, size: usize) -> bool {
        self.push(Mail::Info(info), size)
    }

    pub(crate) fn push(&self, mail: Mail<I>, size: usize) -> bool {
        self.mailbox.push(mail, size, self.connection.limits().mailbox_bytes)
    }

    /// Returns whether a broadcast must wait in the mailbox, behind earlier ones.
    pub(crate) fn holds_broadcasts(&self) -> bool {
        self.held.load(Ordering::Acquire) > 0
    }

    /// Queues a broadcast. It is counted before it is queued, so that the next broadcast of the same sender sees the
    /// count.
    pub(crate) fn hold(&self, mail: Mail<I>, size: usize) {
        self.held.fetch_add(1, Ordering::Relaxed);
        // A broadcast that the mailbox rejects stays counted: the channel is about to end, and no later broadcast may
        // overtake the lost one.
        self.push(mail, size);
    }

    /// Sends a held broadcast to the client.
    pub(crate) fn forward(&self, frame: Bytes) {
        self.connection.outbox().hold(frame);
        self.release();
    }

    /// Counts one held broadcast as handled, or the join as over. Its frames are in the outbox already.
    pub(crate) fn release(&self) {
        self.held.fetch_sub(1, Ordering::Release);
    }
}
