//! The delivery of a broadcast to a channel that has joined its topic: to the channel, when it intercepts the event,
//! and otherwise past the channel to its client, as a frame that all receivers share.
//!
//! PubSub calls it on the publisher's thread. A broadcast that is not intercepted goes through the mailbox only while
//! an earlier one waits there or the join is under way. Invariant: the delivery never waits and runs no user code.

use crate::broadcast::Broadcast;
use crate::channel::Channel;
use crate::channel::context::Handle;
use crate::channel::handle::Mail;
use crate::socket::Socket;
use bennu_pubsub::{Publication, Sink};

impl<S: Socket, C: Channel<S>> Sink for Handle<S, C> {
    fn deliver(&self, publication: &Publication) {
        let Some(broadcast) = publication.downcast_ref::<Broadcast>() else { return };
        if C::INTERCEPT.contains(&broadcast.event()) {
            self.hold(Mail::Intercepted(broadcast.clone()), broadcast.payload().len());
            return;
        }
        let Some(frame) = broadcast.frame(self.connection.encoding()) else { return };
        if self.holds_broadcasts() {
            let size = frame.len();
            self.hold(Mail::Frame(frame), size);
        } else {
            self.connection.outbox().push(frame);
        }
    }
}
