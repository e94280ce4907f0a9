//! Where a client stands in a topic of the raw loop: kept by the client, read and written by the topics.

/// A client's place in one topic.
pub(super) struct Membership {
    pub(super) topic: u32,
    pub(super) place: u32,
}
