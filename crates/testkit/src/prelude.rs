//! The imports of a file with channel tests: `use bennu_testkit::prelude::*;`.

pub use crate::{
    Arrival, ChannelTest, Mailbox, TestChannel, TestSocket, assert_broadcast, assert_push, assert_reply, capture_log,
    capture_metrics, refute_broadcast, refute_push, refute_reply,
};
pub use serde_json::json;
