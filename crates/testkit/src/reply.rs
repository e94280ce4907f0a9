//! The ref of a message that a test has sent, by which its reply is found.

use crate::mailbox::{Inbox, View};
use std::fmt;

/// From [`crate::TestChannel::push`], for [`assert_reply!`](crate::assert_reply).
#[derive(Clone)]
pub struct PushRef {
    channel: View,
    reference: String,
}

impl PushRef {
    pub(crate) fn new(channel: View, reference: String) -> Self {
        PushRef { channel, reference }
    }

    /// The ref on the wire.
    pub fn as_str(&self) -> &str {
        &self.reference
    }
}

/// What its channel has.
impl Inbox for PushRef {
    fn view(&self) -> View {
        self.channel.clone()
    }
}

impl fmt::Debug for PushRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ref {}", self.reference)
    }
}
