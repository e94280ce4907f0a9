//! Presences of users at topics, replicated to all nodes of a cluster.
//!
//! ```
//! use bennu_pubsub::PubSub;
//! use bennu_tracker::{Diff, DiffHandler, Options, Tracker};
//! use serde_json::json;
//!
//! struct Log;
//!
//! impl DiffHandler for Log {
//!     async fn handle_diff(&self, diff: Diff) {
//!         for topic in diff.topics {
//!             println!("{}: {} joined, {} left", topic.topic, topic.joins.len(), topic.leaves.len());
//!         }
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let tracker = Tracker::start(&PubSub::local(), "app", Options::default(), Log)?;
//!
//! let phone = tracker.track("room:lobby", "user:1", &json!({ "device": "phone" }))?;
//! let laptop = tracker.track("room:lobby", "user:1", &json!({ "device": "laptop" }))?;
//! assert_eq!((tracker.count("room:lobby"), tracker.key_count("room:lobby")), (2, 1));
//!
//! phone.update(&json!({ "device": "phone", "typing": true }))?;
//! drop(laptop);
//! for presence in tracker.list("room:lobby").iter() {
//!     println!("{} {} {}", presence.key(), presence.reference(), presence.meta());
//! }
//!
//! tracker.leave().await; // before the process ends: other nodes remove its presences at once
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//!
//! - **Reads** are snapshots. A list or a count takes constant time, independent of the number of presences. It holds
//!   no lock while it is read, and it passes through no task.
//! - **Local changes** are visible on this node on return. Other nodes list them when the period
//!   ([`Options::broadcast_period`]) has ended and the message has arrived.
//! - **Convergence.** All nodes list the same presences in the end, even if the network lost, repeated or reordered
//!   messages. After the network has healed, convergence takes at most `max_silent_periods + 6` periods, 24 s by
//!   default, and one round trip for each 256 KiB of missed changes. A new node requests the state of the others at
//!   once. In a converged, idle cluster each node sends one small message every `max_silent_periods` periods, and
//!   nothing else.
//! - **Failure detection.** A node that has been silent for [`Options::down_period`] is down. Its presences are hidden;
//!   they reappear with its next message. The presences of a node that restarts or sends a goodbye are removed at once.
//! - **Diffs** of one shard arrive in order. Applied one after another, they give exactly the listed presences.
//!
//! # Layout
//!
//! ```text
//! Tracker ─► shard::driver (lock, clock, tasks) ─► messages over PubSub, diffs to the DiffHandler
//!                │
//!                └─► shard (pure state machine)
//!                      ├─► crdt: the local dot store, copies of the other replicas' stores
//!                      ├─► view: the sorted presences of each topic, for readers
//!                      └─► diff: changes that the handler has not received yet
//! ```
//!
//! The state is a delta-state CRDT. `crdt/dot_store.rs` describes the lattice, `crdt/state.rs` its operations and
//! deltas, `shard.rs` the anti-entropy protocol between nodes. Names and periods are those of `Phoenix.Tracker`.

mod crdt;
mod diff;
mod guard;
mod hash;
mod message;
mod options;
mod shard;
mod telemetry;
mod tracker;
mod validation;
mod view;

pub use crdt::{PresenceRecord, Reference};
pub use diff::{Diff, DiffHandler, TopicDiff};
pub use guard::PresenceGuard;
pub use options::{Options, OptionsError};
pub use tracker::{Tracker, WeakTracker};
pub use validation::TrackError;
pub use view::PresenceSnapshot;
