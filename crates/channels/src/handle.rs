//! A channel's slot as its session knows it: starts the join, and queues what comes from the client.

use crate::channel::Channel;
use crate::connection::ChannelHandle;
use crate::context::ChannelSlot;
use crate::join;
use crate::session::{End, Incoming, Join};
use crate::slot::Mail;
use crate::socket::Socket;
use std::sync::Arc;
use std::task::{Context, Poll};

impl<S: Socket, C: Channel<S>> ChannelHandle for ChannelSlot<S, C> {
    fn start(self: Arc<Self>, join: Box<Join>) {
        join::start(self, join);
    }

    fn deliver(&self, message: Incoming) {
        let size = message.size();
        self.push(Mail::Message(message), size);
    }

    fn end(&self, end: End) {
        self.mailbox.push_end(Mail::End(end));
    }

    fn poll_look_up(&self, cx: &mut Context<'_>, watched: &mut bool) -> Poll<()> {
        self.mailbox.poll_look_up(cx, watched)
    }

    fn waiting_bytes(&self) -> usize {
        self.mailbox.waiting_bytes()
    }

    #[cfg(feature = "testkit")]
    fn as_any(self: Arc<Self>) -> Arc<dyn std::any::Any + Send + Sync> {
        self
    }
}
