//! Where a broadcast on a channel's own topic forks: to the channel, when it intercepts the event, and else past it, as
//! bytes that all receivers share, straight to its client.
//!
//! PubSub calls this on the publisher's thread. A broadcast that is not intercepted takes the way through the mailbox only
//! while an earlier one waits there, or the join is under way. Invariant: nothing here waits or runs user code.

use crate::broadcast::Broadcast;
use crate::channel::Channel;
use crate::context::ChannelSlot;
use crate::slot::Mail;
use crate::socket::Socket;
use bennu_pubsub::{Delivery, Sink};

impl<S: Socket, C: Channel<S>> Sink for ChannelSlot<S, C> {
    fn deliver(&self, delivery: &Delivery) {
        let Some(broadcast) = delivery.downcast_ref::<Broadcast>() else { return };
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
