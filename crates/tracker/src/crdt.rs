//! The replicated state of a shard: a delta-state CRDT, an observed-remove set of presences.
//!
//! The shard ([`crate::shard`]) owns one [`State`] and is its only caller. The module has no clock, no I/O and no task.
//! A replica adds and removes only presences of its own, so no two replicas change one presence concurrently.
//!
//! - [`Replica`]: one incarnation of one node. It numbers its changes; such a number is a dot.
//! - [`PresenceRecord`]: an element of the set, identified by its replica and its dot.
//! - [`DotSet`]: a set of dots in ranges, the form of a causal context.
//! - [`DotStore`]: the live presences of one replica by dot, with their causal context. Its merge is the join of the
//!   lattice.
//! - [`TombstoneLog`](tombstone::TombstoneLog): the latest removals of the local replica, from which deltas are
//!   computed.
//! - [`State`]: the local dot store, a copy of each other replica's store, and the deltas of the local one.

mod dot_set;
mod dot_store;
mod record;
mod replica;
mod state;
mod tombstone;

pub(crate) use dot_set::DotSet;
pub(crate) use dot_store::DotStore;
pub use record::PresenceRecord;
pub use replica::Reference;
pub(crate) use replica::Replica;
pub(crate) use state::{Delta, DeltaLimit, State};
