//! The ref of a message that a test has sent. The reply to the message carries the same ref.

use crate::mailbox::{Mailbox, MailboxView};
use std::fmt;

/// The ref of a message, from [`crate::TestChannel::push`] for [`assert_reply!`](crate::assert_reply).
#[derive(Clone)]
pub struct PushRef {
    channel: MailboxView,
    reference: String,
}

impl PushRef {
    pub(crate) fn new(channel: MailboxView, reference: String) -> Self {
        PushRef { channel, reference }
    }

    /// Returns the ref on the wire.
    pub fn as_str(&self) -> &str {
        &self.reference
    }
}

/// The arrivals of its channel.
impl Mailbox for PushRef {
    fn view(&self) -> MailboxView {
        self.channel.clone()
    }
}

impl fmt::Debug for PushRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ref {}", self.reference)
    }
}
